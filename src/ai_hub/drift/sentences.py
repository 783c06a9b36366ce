"""What was found, in plain words: one sentence for each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from ai_hub.drift.drift import Direction, Effect
from ai_hub.drift.sketch import HOURS
from ai_hub.drift.usual import FEWEST_WEEKS
from ai_hub.engines.arrays import Ints

_OTHER_UNIT = 5.0
"""A median that is so many times what it was may be in another unit."""


class Now(NamedTuple):
    """What else is known of a feature: how far its values moved on average, in spreads; the shares
    that are missing and outside; the median now, None for a feature of the clock or without values,
    and that of the baseline; whether all values are one; and how many past weeks there are."""

    moved: float
    missing: float
    violations: float
    median: float | None
    before: float
    still: bool
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
        return _alarm(max(alarms, key=lambda effect: _weight(effect, now)), now)
    if now.windows < FEWEST_WEEKS:
        return f"Too short to tell: {now.windows} past weeks, and {FEWEST_WEEKS} are needed."
    if all(effect.threshold is None for effect in effects):
        return "Too few values to tell."
    return "As usual."


def reference_in_words(weeks: Ints, seasonal: bool, hours: int) -> str:
    """What vectors are compared with."""
    some = "one hour" if hours == 1 else f"{hours} hours"
    same = "" if hours == HOURS else f", at {some} of the week"
    if seasonal:
        return f"the weeks of the same season, of {len(weeks)} past weeks{same}"
    few = "" if len(weeks) >= FEWEST_WEEKS else f" ({FEWEST_WEEKS} are needed)"
    return (
        f"{len(weeks)} past weeks{few}{same}: less than a year, so another season may be an alarm"
    )


def _weight(effect: Effect, now: Now) -> tuple[int, float]:
    """How far it is beyond its threshold; first that values are one, wherever that is, and last the
    index, which says nothing of where they went."""
    assert effect.value is not None
    assert effect.threshold is not None
    rank = {"psi": -1, "variation": int(now.still)}.get(effect.name, 0)
    return rank, abs(effect.value) / effect.threshold


def _alarm(effect: Effect, now: Now) -> str:
    assert effect.value is not None
    assert effect.threshold is not None
    value, threshold = effect.value, effect.threshold
    match effect.name:
        case "psi":
            words = f"Values are spread differently: PSI {value:.2f} (alarm from {threshold:.2f})"
        case "wasserstein":
            words = f"{_moved(value, now)} (alarm from {threshold:.2f}){_unit(now)}"
        case "missing":
            words = f"{now.missing:.1%} of the values are missing, {now.missing - value:.1%} were"
        case "violations":
            words = (
                f"{now.violations:.1%} of the values are outside what they may be, "
                f"{now.violations - value:.1%} were"
            )
        case "time_shift":
            words = (
                f"The profile of the week is {abs(value):.1f} h "
                f"{'later' if value > 0 else 'earlier'} than it was (alarm from {threshold:.1f} h)"
            )
        case "variation":
            if now.still:
                words = "The values are all the same, which they were not: the sensor may be stuck"
            else:
                words = (
                    f"Values vary {2 ** abs(value):.1f} times {'more' if value > 0 else 'less'} "
                    f"within a week than they did (alarm from {2**threshold:.1f})"
                )
        case _:
            assert_never(effect.name)
    return f"{words}."


def _moved(value: float, now: Now) -> str:
    if abs(now.moved) < value / 2:
        return f"Values are {value:,.2f} usual spreads from where they were"
    return f"Values went {'up' if now.moved > 0 else 'down'} by {value:,.2f} usual spreads"


def _unit(now: Now) -> str:
    if now.median is None or not now.before or not now.median:
        return ""
    times = now.median / now.before
    if times >= _OTHER_UNIT:
        return f": they are about {_rounded(times)} times what they were, as in another unit"
    if 0 < times <= 1 / _OTHER_UNIT:
        return f": they are about 1/{_rounded(1 / times)} of what they were, as in another unit"
    return ""


def _rounded(times: float) -> str:
    return f"{float(f'{times:.2g}'):,.0f}"
