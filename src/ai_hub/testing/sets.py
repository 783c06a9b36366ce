"""Hypothesis strategies for definitions: features, sets, targets and policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import (
    CLOSED,
    PARTS,
    STATS,
    WEATHER_COLUMNS,
    Bucket,
    Calendar,
    Derived,
    Feature,
    Lag,
    Latest,
    Missing,
    Rolling,
    Stat,
)
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import DEFAULT_SERIES, Duration
from ai_hub.testing.histories import WIDTHS, Strategy

_TOLERANCES = tuple(Duration.of(width) for width in ("168h", "24h", "1h", "1m", "1us", "1000h"))
_LAGS = tuple(Duration.of(width) for width in ("1m", "1h", "24h", "90m", "1us", "168h"))
_MEASURED = tuple(Duration.of(width, zero=True) for width in ("0", "1h", "1us", "24h", "30m"))
_HORIZONS = tuple(Duration.of(width) for width in ("1h", "24h", "15m", "90m", "7d", "1us"))


def policies() -> Strategy[Missing | None]:
    """A request's missing policy, or none."""
    number: Strategy[Missing] = st.floats(-1e3, 1e3)
    named: Strategy[Missing | None] = st.sampled_from((None, "mean", "zero", "keep"))
    return st.one_of(named, number)


def features(
    name: str = "f", series: Sequence[str] = (DEFAULT_SERIES, "generation")
) -> Strategy[Feature]:
    """One feature of any kind but Derived."""
    named, width, of = st.just(name), st.sampled_from(WIDTHS), st.sampled_from(tuple(series))
    stat, missing = st.sampled_from(STATS), policies()
    zones = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"))
    return st.one_of(
        st.builds(Calendar, named, st.sampled_from(PARTS), zones),
        st.builds(Rolling, named, stat, width, st.sampled_from(CLOSED), of, missing),
        st.builds(Lag, named, st.sampled_from(_LAGS), st.sampled_from(_TOLERANCES), of, missing),
        st.builds(Bucket, named, stat, width, of, missing),
        st.builds(
            Latest,
            named,
            st.sampled_from(WEATHER_COLUMNS),
            width,
            st.sampled_from(_MEASURED),
            missing,
        ),
    )


@st.composite
def targets(draw: st.DrawFn, name: str = "target") -> Target:
    """One target: a value within a tolerance, or a statistic of a window."""
    horizon = draw(st.sampled_from(_HORIZONS))
    if draw(st.booleans()):
        tolerance = draw(st.none() | st.integers(0, horizon.micros).map(Duration))
        return Target(name, horizon, tolerance=tolerance)
    stat: Stat = draw(st.sampled_from(STATS))
    window = Duration(draw(st.just(horizon.micros) | st.integers(1, horizon.micros)))
    return Target(name, horizon, stat, window, min_count=draw(st.integers(1, 3)))


@st.composite
def feature_sets(
    draw: st.DrawFn,
    series: Sequence[str] = (DEFAULT_SERIES, "generation"),
    max_size: int = 8,
) -> FeatureSet:
    """Features of every kind, derived ones over any of them."""
    n = draw(st.integers(1, max_size))
    chosen: list[Feature] = [draw(features(f"f{i}", series)) for i in range(n)]
    shapes: tuple[Callable[[str, str], str], ...] = (
        lambda a, b: f"{a} - {b}",
        lambda a, b: f"{a} / {b}",
        lambda a, b: f"-({a} + 2) * {b} / 4",
    )
    for i in range(draw(st.integers(0, 2))):
        # Of those before it: a derived feature may read another one.
        name = st.sampled_from([f.name for f in chosen])
        shape = draw(st.sampled_from(shapes))
        chosen.append(Derived(f"d{i}", shape(draw(name), draw(name)), draw(policies())))
    policy = draw(policies())
    order = tuple(draw(st.permutations(chosen)))
    return FeatureSet("drawn", 1, order, missing="mean" if policy is None else policy)
