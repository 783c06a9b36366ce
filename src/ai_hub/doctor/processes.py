"""Judges what the processes on one database, or one cache, run with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ai_hub.definitions.values import iso
from ai_hub.doctor.line import Line, counted, exported, ok, warning
from ai_hub.process import Process

_SHARED = {
    "granularity": "their cached answers are of other times",
    "cache_ttl": "their answers live for another time",
}


def judge(
    mine: Process, on_database: Sequence[Process], on_cache: Sequence[Process] | None
) -> list[Line]:
    """Where others run with something else; `on_cache` None: Redis was not looked at."""
    others = {one.id: one for one in (*(on_cache or ()), *on_database)}
    lines = [line for one in others.values() for line in _differences(mine, one)]
    seen = {one.id for one in on_cache or ()}
    if on_cache is not None:
        for one in on_database:
            if one.cache == "redis" and mine.cache == "redis" and one.id not in seen:
                said = f"{_named(one)} uses another Redis than this command"
                lines.append(warning("processes", said, command=exported("cache_url", "URL")))
    in_memory = [one for one in others.values() if one.cache == "memory"]
    if mine.cache == "memory" and len(in_memory) > 1:
        said = f"{len(in_memory)} processes cache each for itself, such as {_named(in_memory[0])}"
        mends = exported("cache_url", "redis://HOST:6379/0")
        lines.append(warning("processes", said, len(in_memory), mends))
    if lines:
        return lines
    count = len(others)
    said = counted(count, "other is connected", "others are connected") + ", with the same settings"
    return [ok("processes", said if count else "no other one", count)]


def _differences(mine: Process, other: Process) -> Iterable[Line]:
    for name, why in _SHARED.items():
        ours, theirs = getattr(mine, name), getattr(other, name)
        if ours != theirs:
            said = f"AI_HUB_{name.upper()} is {theirs} in {_named(other)}, and {ours} here: {why}"
            yield warning("processes", said, command=exported(name, theirs))
    if mine.cache != other.cache:
        said = f"{_named(other)} caches in {other.cache}, and this one in {mine.cache}"
        url = "memory://" if other.cache == "memory" else "redis://HOST:6379/0"
        yield warning("processes", said, command=exported("cache_url", url))
    if mine.release != other.release:
        said = (
            f"{_named(other)} is ai-hub {other.release}, and this one {mine.release}: install one "
            "release on both machines, and start what is older again"
        )
        yield warning("processes", said)


def _named(one: Process) -> str:
    return one.named + (f" (since {iso(one.since)})" if one.since is not None else "")
