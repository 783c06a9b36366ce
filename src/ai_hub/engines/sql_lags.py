"""Values some width back as a statement looks for them: one by one, or many of them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from ai_hub.definitions.kinds import Lag, Seasonal
from ai_hub.definitions.periods import Period, Width, longest
from ai_hub.definitions.values import DAY
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql_rows import Bound
from ai_hub.engines.traits import Input

# What is looked up by itself is planned by itself: from so many on it costs less together. If their
# times are far apart, all chunks in between are planned.
_MANY = 4
_APART = 35 * DAY


class Back(NamedTuple):
    """The value of an input some width back: in whose zone, and how far behind that it may be."""

    input: Input
    by: Width
    tz: str
    tolerance: int

    @classmethod
    def of(cls, feature: Lag | Seasonal, by: Width) -> Back:
        """What a lag, or a season at one of its widths, looks for."""
        tz = feature.tz if isinstance(by, Period) else ""
        return cls(Input.of(feature), by, tz, feature.tolerance.micros)

    @property
    def column(self) -> str:
        """The column that has the value."""
        return "value" if self.input.kind == "series" else known(self.input.name)

    @property
    def bounds(self) -> tuple[Bound, Bound]:
        """The first and the last instant of the row that has the value."""
        first = start_of(self.by, self.tz, False, 1 - self.tolerance)
        return first, start_of(self.by, self.tz, False)


def together(plan: Plan) -> list[list[Back]]:
    """What is looked up together: of one input, where there are many of about the same time."""
    wanted = [Back.of(lag, lag.by) for lag in plan.lags]
    for season in plan.seasonals:
        wanted += [Back.of(season, season.by(k)) for k in range(1, season.count + 1)]
    near: dict[tuple[Input, int], list[Back]] = defaultdict(list)
    for back in dict.fromkeys(wanted):
        near[back.input, longest(back.by) // _APART].append(back)
    return [some for some in near.values() if len(some) >= _MANY]


def start_of(width: Width, tz: str, is_bucket: bool, shift: int = 0) -> Bound:
    """A width back from t, or the start of t's bucket."""
    if isinstance(width, Period):
        return Bound(shift, period=width, bucket=is_bucket, tz=tz)
    return Bound(shift, every=width.micros) if is_bucket else Bound(shift - width.micros)


def known(column: str) -> str:
    """A weather column as it stands in a statement: one of a closed set, so never quoted."""
    if column not in WEATHER_COLUMNS:
        raise AssertionError(f"{column} is no weather column")
    return column


def instants(names: Iterable[str]) -> str:
    """Parameters as a list of times."""
    return ", ".join(f"{name}::timestamptz" for name in names)
