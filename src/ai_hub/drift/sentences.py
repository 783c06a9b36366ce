"""What was found, in plain words: one sentence for each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from ai_hub.drift.drift import Direction, Effect
from ai_hub.drift.usual import FEWEST_WEEKS
from ai_hub.engines.arrays import Ints

_OTHER_UNIT = 5.0
"""A median that is so many times what it was may be in another unit."""


class Now(NamedTuple):
    """What else is known of a feature: how far its values moved on average, in spreads; the shares
    that are missing and outside; the median now, None for a feature of the clock or without values,
    and that of the baseline; and how many past weeks there are."""

    moved: float
    missing: float
    violations: float
    median: float | None
    before: float
    windows: int


def direction(effects: Sequence[Effect], now: Now) -> Direction | None:
    """Where the values went that raise an alarm; None where none do."""
    apart = next(effect for effect in effects if effect.name == "wasserstein").value
    if apart is None or not any(effect.alarm for effect in effects):
        return None
    if abs(now.moved) < apart / 2 or not now.moved:
        return "elsewhere"
    return "up" if now.moved > 0 else "down"


def sentence(effects: Sequence[Effect], now: Now) -> str:
    """What there is to say of a feature: of its largest effect, as a multiple of the threshold."""
    alarms = [effect for effect in effects if effect.alarm]
    if alarms:
        return _alarm(max(alarms, key=_weight), now)
    if now.windows < FEWEST_WEEKS:
        return f"Too short to tell: {now.windows} past weeks, and {FEWEST_WEEKS} are needed."
    if all(effect.threshold is None for effect in effects):
        return "Too few values to tell."
    return "As usual."


def reference_in_words(weeks: Ints, seasonal: bool, hours: int) -> str:
    """What vectors are compared with."""
    same = "the same hours of the week" if hours < 168 else "whole weeks"
    if seasonal:
        return f"{same}, of the same season, of {len(weeks)} past weeks"
    return (
        f"{same} of all {len(weeks)} past weeks: less than a year, so that another season is an "
        "alarm too"
    )


def _weight(effect: Effect) -> tuple[bool, float]:
    """Values that are one say more of what happened than where that one is."""
    assert effect.value is not None
    assert effect.threshold is not None
    still = effect.name == "variation" and effect.value < -5
    return still, abs(effect.value) / effect.threshold


def _alarm(effect: Effect, now: Now) -> str:
    assert effect.value is not None
    assert effect.threshold is not None
    value, threshold = effect.value, effect.threshold
    match effect.name:
        case "psi":
            words = f"Values are spread differently: PSI {value:.2f}"
        case "wasserstein":
            words = f"{_moved(value, now)}{_unit(now)}"
        case "missing":
            words = f"{now.missing:.1%} of the values are missing, {value:+.1%} on what was usual"
        case "violations":
            words = f"{now.violations:.1%} of the values are outside what they may be, {value:+.1%}"
        case "time_shift":
            words = (
                f"The profile of the week is {abs(value):.1f} h "
                f"{'later' if value > 0 else 'earlier'} than it was"
            )
        case "variation":
            if value < -5:
                return "The values are all the same, which they were not: is the sensor stuck?"
            times = 2 ** abs(value)
            more = "more" if value > 0 else "less"
            return (
                f"Values vary {times:.1f} times {more} within the week than they did "
                f"(alarm from {2**threshold:.1f})."
            )
        case _:
            assert_never(effect.name)
    if effect.name in ("missing", "violations"):
        return f"{words} (alarm from {threshold:.1%})."
    return f"{words} (alarm from {threshold:.2f})."


def _moved(value: float, now: Now) -> str:
    if abs(now.moved) < value / 2:
        return f"Values are {value:.2f} of the usual spread from where they were"
    return f"Values went {'up' if now.moved > 0 else 'down'} by {value:.2f} of the usual spread"


def _unit(now: Now) -> str:
    if now.median is None or not now.before or not now.median:
        return ""
    times = now.median / now.before
    if times >= _OTHER_UNIT:
        return f", to {times:,.0f} times what they were: is the unit another?"
    if 0 < times <= 1 / _OTHER_UNIT:
        return f", to 1/{1 / times:,.0f} of what they were: is the unit another?"
    return ""
