"""A training target: what a model is to learn about the time after t."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ai_hub.definitions.values import HOUR, Duration
from ai_hub.definitions.vocabulary import STATS, Stat, check_choice, check_name
from ai_hub.errors import InvalidInput

TARGET_STATS: tuple[Stat, ...] = tuple(
    stat for stat in STATS if stat not in ("quantile", "coverage")
)
"""Those that need neither a quantile's share nor a distance of readings."""


@dataclass(frozen=True, slots=True)
class Target:
    """The series at u = t + `horizon`, or a statistic over the window that ends there.

    Without `stat`: the value of the latest τ with u-tolerance < τ <= u (τ = u where the tolerance
    is 0); the tolerance is by default the smaller of one hour and the horizon. With `stat`: over
    {v : u-window < τ <= u}, window <= horizon, null where it holds fewer than `min_count` values.
    Either is null where u is later than the asset's last stored observation of the series: what
    has not happened yet is unknown.
    """

    name: str
    horizon: Duration
    stat: Stat | None = None
    window: Duration | None = None
    tolerance: Duration | None = None
    min_count: int = 1

    def __post_init__(self) -> None:
        check_name("target", self.name)
        horizon = Duration.of(self.horizon, "horizon")
        object.__setattr__(self, "horizon", horizon)
        if self.stat is None:
            self._check_value(horizon)
        else:
            self._check_window(horizon)
        if type(self.min_count) is not int or self.min_count < 1:
            raise InvalidInput("min_count", self.min_count, "a whole number from 1")

    @classmethod
    def of(cls, given: object) -> Target:
        """A target as it is, or as people write it.

        `"24h"` is a horizon, named `target_24h`; `"peak=24h,stat=max,window=6h"` has a name and
        what else there is to say; a mapping has the same as its members. Raises InvalidInput.
        """
        if isinstance(given, Target):
            return given
        if isinstance(given, Mapping):
            return cls._of_members(given)
        if isinstance(given, str) and "=" in given:
            return cls._of_members(_members(given))
        horizon = Duration.of(given, "horizons")
        return cls(f"target_{given if isinstance(given, str) else horizon}", horizon)

    @classmethod
    def _of_members(cls, given: Mapping[Any, Any]) -> Target:
        known = {field.name for field in fields(cls)}
        for key in given:
            if key not in known:
                raise InvalidInput("horizons", key, f"no members but {', '.join(sorted(known))}")
        horizon = given.get("horizon")
        members: dict[str, Any] = {"name": f"target_{horizon}", "horizon": horizon, **given}
        return cls(**members)

    def _check_value(self, horizon: Duration) -> None:
        if self.window is not None:
            raise InvalidInput("window", str(self.window), "a window only where there is a stat")
        if self.min_count != 1:
            raise InvalidInput("min_count", self.min_count, "1 where there is no stat")
        tolerance = Duration(min(HOUR, horizon.micros))
        if self.tolerance is not None:
            tolerance = Duration.of(self.tolerance, "tolerance", zero=True)
        if tolerance > horizon:
            raise InvalidInput(
                "tolerance",
                str(tolerance),
                f"a width from 0 to the horizon ({horizon}): a target is later than t",
            )
        object.__setattr__(self, "tolerance", tolerance)

    def _check_window(self, horizon: Duration) -> None:
        check_choice("stat", self.stat, TARGET_STATS)
        if self.tolerance is not None:
            raise InvalidInput("tolerance", str(self.tolerance), "none where there is a stat")
        if self.window is None:
            raise InvalidInput("window", None, "a width such as 24h for the stat")
        window = Duration.of(self.window, "window")
        if window > horizon:
            raise InvalidInput(
                "window",
                str(window),
                f"a width of at most the horizon ({horizon}): a target is later than t",
            )
        object.__setattr__(self, "window", window)


def _members(text: str) -> dict[str, str | int]:
    """`name=horizon,key=value,...` as members."""
    (name, horizon), *rest = (part.partition("=")[::2] for part in text.split(","))
    members: dict[str, str | int] = {"name": name.strip(), "horizon": horizon.strip()}
    for key, value in ((key.strip(), value.strip()) for key, value in rest):
        members[key] = int(value) if key == "min_count" and value.isdecimal() else value
    return members


Horizon = str | Target | Mapping[str, str | int | None]
"""A target as callers say it."""
