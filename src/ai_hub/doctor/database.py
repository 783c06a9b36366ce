"""Judges the database: how it answers, its aggregates, and what stands in it and should not."""

from __future__ import annotations

from collections.abc import Mapping

from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, HOUR, MINUTE, iso
from ai_hub.doctor.line import Line, counted, exported, fault, ok, warning, width
from ai_hub.errors import NotMigrated, StoreError
from ai_hub.stores.checkup import DatabaseFacts, Looked, Refreshed

SLOW_SECONDS = 0.5
"""For the shortest of statements."""
REFRESH_BEHIND = 3 * HOUR
"""An hour is refreshed when it is over, and maintenance runs every quarter of one."""

WHERE_ALL_IS_WELL: Mapping[str, str] = {
    "triggers": "every trigger is there",
    "functions": "no function stands beside ours",
    "retention": "no setting is ignored",
    "policies": "no policy is missing or foreign",
    "jobs": "no job of the server that should refresh fails",
    "indexes": "every key is there",
    "vacuum": "no table is full of dead rows",
}
"""What is said of a line that nothing more can be said of."""
_ON_TIMESCALEDB = ("policies", "jobs")


def away(error: StoreError, settings: Settings) -> Line:
    """The line where a database cannot be looked at."""
    # What a newer release made, or another build, no migration of this one mends.
    mends = "ai-hub migrate" if "ai-hub migrate" in str(error) else None
    if isinstance(error, NotMigrated):
        name = "migrations" if settings.on_server else "database"
        return fault(name, str(error), command=mends)
    said = str(error) if str(error).endswith(".") else f"{error}."
    return fault("database", f"{said} What is in it was not looked at.")


def judge(facts: DatabaseFacts, settings: Settings) -> list[Line]:
    """How it answers, which versions it has, and whether it is a standby."""
    milliseconds = facts.seconds * 1e3
    said = f"{settings.database_name} answers in {milliseconds:.1f} ms"
    answers = ok("database", said, milliseconds)
    if facts.seconds > SLOW_SECONDS:
        said += (
            ": it is overloaded, or far away. No command mends that: give it more to work with, "
            "or run ai-hub nearer to it"
        )
        answers = warning("database", said, milliseconds)
    versions = facts.server if facts.extension is None else f"{facts.server}, {facts.extension}"
    lines = [answers, ok("migrations", "its tables are those of this release")]
    lines.append(ok("versions", versions))
    if not facts.standby:
        lines.append(ok("standby", "it takes writes"))
    elif settings.primary_url is None:
        said = "it is a standby and no primary is named: exports are not recorded"
        lines.append(warning("standby", said, command=exported("primary_url", "URL")))
    else:
        lines.append(ok("standby", "it is a standby, whose exports its primary records"))
    return lines


def judge_looked(looked: Looked, settings: Settings, has_policies: bool) -> list[Line]:
    """Troubles, and a line for each kind of which there are none."""
    lines = []
    for one in looked.troubles:
        make = fault if one.is_fault else warning
        lines.append(make(one.line, one.said, command=one.command))
    told = {line.name for line in lines}
    for name, text in WHERE_ALL_IS_WELL.items():
        if name in _ON_TIMESCALEDB and not has_policies:
            continue
        if name not in told:
            lines.append(ok(name, *looked.notes.get(name, (text, None))))
    if "speed" in looked.notes:
        said, seconds = looked.notes["speed"]
        patience = settings.patience.seconds
        if seconds > patience:
            said += f", and requests wait {patience:g} s (AI_HUB_PATIENCE) before they go without"
            mends = exported("patience", f"{max(1, round(3 * seconds))}s")
            lines.append(warning("speed", said, seconds * 1e3, mends))
        else:
            lines.append(ok("speed", said, seconds * 1e3))
    return lines


def judge_refreshed(found: Refreshed, now: int) -> list[Line]:
    """How far aggregates are behind readings, and whether they lack rows."""
    name, mends = "aggregates", "ai-hub maintain"
    if found.newest_day is None:
        return [ok(name, "there are no readings to refresh")]
    if found.to is None:
        return [warning(name, "they were never refreshed", command=mends)]
    # A day that is noted has a reading, no more is known: it may be the first of that day.
    behind = min(now, found.newest_day + DAY) - found.to
    lines = []
    said = f"refreshed up to {iso(found.to)}"
    late = f"; late rows came to {found.late_series:,} series since" if found.late_series else ""
    if found.newest_day > found.to or (behind > REFRESH_BEHIND and now - found.to < 2 * DAY):
        text = f"{said}, {width(behind)} behind the newest readings{late}"
        lines.append(warning(name, text, behind / MINUTE, mends))
    elif found.late_series:
        lines.append(warning(name, f"{said}{late}", found.late_series, mends))
    else:
        lines.append(ok(name, said, max(0, behind) / MINUTE))
    if found.unseen:
        first, last = iso(found.unseen[0]), iso(found.unseen[-1] + HOUR)
        lines.append(
            fault(
                "rows",
                f"in {counted(len(found.unseen), 'hour', 'hours')} from {first} on the aggregate "
                "lacks rows that are in ai_features: somebody wrote past the triggers",
                len(found.unseen),
                f"ai-hub maintain --rebuild {first} {last}",
            )
        )
    else:
        said = f"the aggregate has the rows of {found.looked_at:,} series, those looked at"
        lines.append(ok("rows", said, 0))
    return lines
