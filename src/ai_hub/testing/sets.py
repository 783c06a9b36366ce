"""Hypothesis strategies for definitions: features, sets, targets and policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from hypothesis import strategies as st

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.periods import ASSET_ZONE, width_of
from ai_hub.definitions.target import TARGET_STATS, Target
from ai_hub.definitions.values import DEFAULT_SERIES, Duration
from ai_hub.definitions.vocabulary import (
    CLOSED,
    ON_VIOLATION,
    PARTS,
    SEASONAL_STATS,
    STATS,
    WEATHER_COLUMNS,
    Missing,
    SeasonalStat,
    Stat,
)
from ai_hub.testing.histories import WIDTHS, Strategy

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
)
"""Zones with changes of an hour, of half an hour and at a minute past midnight, and without."""
PERIODS = tuple(width_of(text, "w") for text in ("P1D", "P7D", "P2D", "P1M", "P3M", "P1Y"))
BUCKETS = tuple(width_of(text, "w") for text in ("P1D", "P1W", "P1M", "P1Y"))
ATTRIBUTES = ("capacity", "area")
HOLIDAYS = HolidayDates.of(
    [date(year, month, day) for year in range(1970, 2026) for month, day in ((1, 1), (3, 30))],
    2025,
)
_STEPS = tuple(Duration.of(width) for width in ("1h", "15m", "1us", "24h"))
_TOLERANCES = tuple(Duration.of(width) for width in ("168h", "24h", "1h", "1m", "1us", "1000h"))
_LAGS = tuple(Duration.of(width) for width in ("1m", "1h", "24h", "90m", "1us", "168h"))
_MEASURED = tuple(Duration.of(width, zero=True) for width in ("0", "1h", "1us", "24h", "30m"))
_HORIZONS = tuple(Duration.of(width) for width in ("1h", "24h", "15m", "90m", "7d", "1us"))


# Limits that hardly any value comes near by rounding, which no two engines do alike.
_VALID = (None, None, None, (-1.2345678, 17.7654321), (0.0123456, None), (None, 3.3456789))


def policies() -> Strategy[Missing | None]:
    """A request's missing policy, or none."""
    number: Strategy[Missing] = st.floats(-1e3, 1e3)
    named: Strategy[Missing | None] = st.sampled_from((None, "mean", "zero", "keep"))
    return st.one_of(named, number)


def features(
    name: str = "f",
    series: Sequence[str] = (DEFAULT_SERIES, "generation"),
    asset_zone: bool = False,
) -> Strategy[Feature]:
    """One feature of any kind but Derived; `asset_zone` allows that of the asset's attribute."""
    named, width = st.just(name), st.sampled_from(WIDTHS)
    own = {"missing": policies(), "valid": st.sampled_from(_VALID)}
    tz = st.sampled_from((*ZONES, ASSET_ZONE) if asset_zone else ZONES)
    reading = own | {"tz": tz}
    fewest = st.sampled_from((1, 1, 1, 2, 3))
    window = st.one_of(width, width, st.sampled_from(PERIODS))
    by = st.one_of(st.sampled_from(_LAGS), st.sampled_from(PERIODS))
    every = st.one_of(width, width, st.sampled_from(BUCKETS))
    tolerance = st.sampled_from(_TOLERANCES)
    season = st.one_of(st.sampled_from(_LAGS), st.sampled_from(PERIODS[:4]))
    seasonal_stat: Strategy[SeasonalStat] = st.sampled_from(SEASONAL_STATS)
    plain: Strategy[Feature] = st.one_of(
        _calendars(name, tz, own),
        st.builds(Age, named, width, **own, **_source(name, series)),
        st.builds(Attribute, named, st.sampled_from(ATTRIBUTES), **own),
        st.builds(Lag, named, by, tolerance, **reading, **_source(name, series)),
        st.builds(Ewm, named, width, window, min_count=fewest, **reading, **_source(name, series)),
        st.builds(Latest, named, st.sampled_from(WEATHER_COLUMNS), width, _measured(), **own),
    )
    ranges: Strategy[Feature] = _measures().flatmap(
        lambda how: st.one_of(
            st.builds(
                Rolling, named, st.just(how[0]), window, st.sampled_from(CLOSED),
                **how[1], **reading, **_source(name, series),
            ),
            st.builds(
                Bucket, named, st.just(how[0]), every, **how[1], **reading, **_source(name, series)
            ),
        )
    )  # fmt: skip
    seasons: Strategy[Feature] = seasonal_stat.flatmap(
        lambda stat: st.builds(
            Seasonal,
            named,
            st.just(stat),
            season,
            st.integers(1, 4),
            tolerance,
            q=st.floats(0, 1) if stat == "quantile" else st.none(),
            min_count=st.just(1) if stat == "count" else fewest,
            **reading,
            **_source(name, series),
        )
    )
    return st.one_of(plain, ranges, ranges, seasons)


def taking(stat: Stat) -> dict[str, Any]:
    """Fields that a feature of a stat cannot be without, with some value."""
    match stat:
        case "quantile":
            return {"q": 0.9}
        case "coverage":
            return {"step": Duration.of("1h")}
        case _:
            return {}


def _measured() -> Strategy[Duration]:
    return st.sampled_from(_MEASURED)


def _measures() -> Strategy[tuple[Stat, dict[str, Strategy[Any]]]]:
    """A stat, and strategies for what it takes."""
    return st.sampled_from(STATS).map(
        lambda stat: (
            stat,
            {
                "q": st.floats(0, 1) if stat == "quantile" else st.none(),
                "step": st.sampled_from(_STEPS) if stat == "coverage" else st.none(),
                "tolerance": st.sampled_from((None, 0.0, 1.0, 1e6))
                if stat == "increase"
                else st.none(),
                "min_count": st.just(1)
                if stat in ("count", "coverage")
                else st.sampled_from((1, 1, 1, 2, 3)),
            },
        )
    )


def _source(name: str, series: Sequence[str]) -> dict[str, Strategy[Any]]:
    """Strategies for what a feature reads: a series, or (a third) a column of the weather."""
    # A feature has a series or a column: which of them is drawn once, by what is built of both.
    chosen = st.shared(
        st.tuples(
            st.sampled_from((False, False, True)),
            st.sampled_from(tuple(series)),
            st.sampled_from(WEATHER_COLUMNS),
            st.booleans(),
        ),
        key=f"source of {name}",
    )
    return {
        "series": chosen.map(lambda c: DEFAULT_SERIES if c[0] else c[1]),
        "source": chosen.map(lambda c: "weather" if c[0] else "observations"),
        "column": chosen.map(lambda c: c[2] if c[0] else None),
        "measured": chosen.map(lambda c: c[0] and c[3]),
    }


def _calendars(name: str, tz: Strategy[str], own: dict[str, Strategy[Any]]) -> Strategy[Feature]:
    offsets = st.sampled_from(("P0D", "P0D", "P1D", "-P1D", "P1M", "-P13M", "P400D"))
    parts = [part for part in PARTS if part != "is_holiday"]
    return st.one_of(
        st.builds(Calendar, st.just(name), st.sampled_from(parts), tz, offsets, **own),
        st.builds(
            Calendar,
            st.just(name),
            st.just("is_holiday"),
            tz,
            offsets,
            st.just("DE"),
            holidays=st.sampled_from((HOLIDAYS, None)),
            **own,
        ),
    )


@st.composite
def targets(draw: st.DrawFn, name: str = "target") -> Target:
    """One target: a value within a tolerance, or a statistic of a window."""
    horizon = draw(st.sampled_from(_HORIZONS))
    if draw(st.booleans()):
        tolerance = draw(st.none() | st.integers(0, horizon.micros).map(Duration))
        return Target(name, horizon, tolerance=tolerance)
    stat: Stat = draw(st.sampled_from(TARGET_STATS))
    window = Duration(draw(st.just(horizon.micros) | st.integers(1, horizon.micros)))
    return Target(name, horizon, stat, window, min_count=draw(st.integers(1, 3)))


@st.composite
def feature_sets(
    draw: st.DrawFn,
    series: Sequence[str] = (DEFAULT_SERIES, "generation"),
    max_size: int = 8,
    asset_zone: bool = False,
    rejects: bool = False,
) -> FeatureSet:
    """Features of every kind, derived ones over any of them; with `rejects`, of sets that reject
    values outside their range too."""
    on_violation = draw(st.sampled_from(ON_VIOLATION if rejects else ON_VIOLATION[:2]))
    n = draw(st.integers(1, max_size))
    chosen: list[Feature] = [draw(features(f"f{i}", series, asset_zone)) for i in range(n)]
    shapes: tuple[Callable[[str, str], str], ...] = (
        lambda a, b: f"{a} - {b}",
        lambda a, b: f"{a} / {b}",
        lambda a, b: f"-({a} + 2) * {b} / 4",
        lambda a, b: f"coalesce({a}, {b}) + abs({b})",
        lambda a, b: f"where({a} > 1.5, clip({b}, -2, 3), max({a}, {b}, 0))",
        lambda a, b: f"log({a}) + sqrt(min({b}, 1e6)) + ({a} != {b})",
        lambda a, b: f"exp({a} / 100) - ({b} <= 0)",
    )
    for i in range(draw(st.integers(0, 2))):
        # Of those before it: a derived feature may read another one.
        name = st.sampled_from([f.name for f in chosen])
        shape = draw(st.sampled_from(shapes))
        # Of inputs that agree within tolerance it may be on either side of a limit.
        valid: Any = None if on_violation == "reject" else draw(st.sampled_from(_VALID))
        text = shape(draw(name), draw(name))
        chosen.append(Derived(f"d{i}", text, missing=draw(policies()), valid=valid))
    policy = draw(policies())
    order = tuple(draw(st.permutations(chosen)))
    missing = "mean" if policy is None else policy
    return FeatureSet("drawn", 1, order, missing=missing, on_violation=on_violation)
