"""Judges the archive: what is sealed and where, whether it is verified, and whether it is there."""

from __future__ import annotations

from collections.abc import Mapping

from ai_hub.definitions.values import iso
from ai_hub.doctor.line import Line, counted, ok, shell, warning
from ai_hub.stores.checkup import ArchiveFacts, SealedFacts


def judge(found: ArchiveFacts, away: Mapping[str, str]) -> list[Line]:
    """A line for each URL; `away` says of those that cannot be read why."""
    if not found.sealed:
        return [ok("archive", "nothing is archived", 0)]
    kinds = " and ".join(f"{kind} before {iso(at)}" for kind, at in sorted(found.dropped.items()))
    there = f"{kinds} are there alone" if kinds else "the database has all of it too"
    return [_judged(one, there, away.get(one.url)) for one in found.sealed]


def _judged(one: SealedFacts, there: str, why: str | None) -> Line:
    rows = counted(one.rows, "row", "rows")
    said = f"{rows} up to {iso(one.end)} are archived below {one.url}; {there}"
    if why is not None:
        said += (
            f"; {why}: exports that need what is missing fail until it can be read again, or is "
            "given up (ai-hub unarchive --lost REASON)"
        )
        return warning("archive", said, one.rows, shell("ai-hub", "archives"))
    if one.unfinished:
        said += f"; {counted(one.unfinished, 'layer is', 'layers are')} not verified"
        again = shell("ai-hub", "archive", "--before", iso(one.end), "--to", one.url)
        return warning("archive", said, one.unfinished, again)
    return ok("archive", f"{said}; it is verified", one.rows)
