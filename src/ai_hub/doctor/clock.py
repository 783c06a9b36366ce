"""Judges clocks: that of this machine beside those of the database and of Redis."""

from __future__ import annotations

from ai_hub.doctor.line import Line, fault, ok, warning, width

SOME, MUCH = 2_000_000, 30_000_000
"""Microseconds: a granularity is a second at least, and often a minute."""


def judge(whose: str, theirs: int, asked_at: int, seconds: float) -> Line:
    """How far apart two clocks are; what asking took may be in between."""
    apart = abs(theirs - asked_at)
    said = f"the clock of {whose} is {width(apart)} apart from ours"
    sure = apart - seconds * 1e6
    mends = ". Set the one that is wrong: have both machines take their time from NTP"
    if sure > MUCH:
        said += ": features are of the wrong time, and fresh readings look like future ones"
        return fault("clock", f"{said}{mends}", apart / 1e6)
    if sure > SOME:
        return warning("clock", f"{said}{mends}", apart / 1e6)
    return ok("clock", said, apart / 1e6)
