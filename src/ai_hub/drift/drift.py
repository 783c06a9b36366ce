"""What was found: the effects of one feature against their thresholds, and those of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

EffectName = Literal["psi", "wasserstein", "missing", "violations", "time_shift", "variation"]
EFFECTS: tuple[EffectName, ...] = get_args(EffectName)
Direction = Literal["up", "down", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one thing is from what it was, in a unit of its own, and from where on it is an
    alarm; None where it cannot be told.

    `psi`: the population stability index. `wasserstein`: the distance of the distributions in
    units of the baseline's spread. `missing`, `violations`: the share of now less that of before.
    `time_shift`: hours that the weekly profile is late. `variation`: the logarithm (base 2) of
    how much values vary within the week, against before.
    """

    name: EffectName
    value: float | None
    threshold: float | None

    @property
    def alarm(self) -> bool:
        """Whether it is beyond its threshold."""
        if self.value is None or self.threshold is None:
            return False
        return abs(self.value) > self.threshold


@dataclass(frozen=True, slots=True)
class Drift:
    """One feature: its effects, in the order of `EFFECTS`, and a sentence that says the worst.

    `direction` is where its values went: up, down, or elsewhere; None without an alarm.
    """

    feature: str
    rows: int
    effects: tuple[Effect, ...]
    direction: Direction | None
    sentence: str

    @property
    def alarm(self) -> bool:
        """Whether an effect is beyond its threshold."""
        return any(effect.alarm for effect in self.effects)

    def effect(self, name: EffectName) -> Effect:
        """One of its effects."""
        return next(effect for effect in self.effects if effect.name == name)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The features of a set, in its order, against their baseline.

    `windows` past weeks say what is usual, and `reference` what it is compared with, in a
    sentence. Where these are too few, `enough` is False and nothing is an alarm.
    """

    drifts: tuple[Drift, ...]
    windows: int
    enough: bool
    seasonal: bool
    reference: str

    @property
    def alarm(self) -> bool:
        """Whether any feature raises an alarm."""
        return any(drift.alarm for drift in self.drifts)
