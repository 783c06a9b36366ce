"""Test your own engine, store or feature against the definitions.

Hypothesis strategies for histories that are hard on feature code, the reference engine, and the
tolerance within which engines agree. Needs the extra `ai-hub-feature-store[test]`.

    @given(feature_sets(), cases())
    def test_my_engine_agrees(feature_set, case):
        for t in case.instants:
            expected = vector(feature_set, t, case.history)
            assert not differences(feature_set, t, case.history, expected, mine(t, case))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import assert_never

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
)
from ai_hub.definitions.values import DAY, DEFAULT_SERIES, HOUR, MINUTE, Duration, parse_time
from ai_hub.engines.reference import (
    History,
    Number,
    Observation,
    TrainingRow,
    Vector,
    WeatherRow,
    fill_values,
    training_rows,
    value,
    vector,
    window_values,
)
from ai_hub.engines.statistics import STATISTICS

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "ai_hub.testing needs hypothesis: pip install 'ai-hub-feature-store[test]'"
    ) from error

__all__ = [
    "Case",
    "History",
    "Number",
    "Observation",
    "TrainingRow",
    "Vector",
    "WeatherRow",
    "WriteLog",
    "cases",
    "close",
    "differences",
    "feature_sets",
    "features",
    "fill_values",
    "histories",
    "instants",
    "is_exact",
    "policies",
    "starts",
    "training_rows",
    "value",
    "values_of_length",
    "vector",
    "weather_rows",
    "window_values",
    "write_logs",
]

Strategy = st.SearchStrategy

_BORDERS = tuple(
    parse_time(text)
    for text in (
        "2025-10-09T14:30:00Z",  # an ordinary day
        "2024-02-29T00:00:00Z",  # a leap day
        "2023-12-31T23:00:00Z",  # a year's end, a Sunday
        "2000-01-03T00:00:00Z",  # where buckets count from
        "1999-12-31T23:59:59.999999Z",  # before that
        "2025-03-30T00:30:00Z",  # clocks go forward in Europe
        "2024-11-03T05:30:00Z",  # clocks go back in New York
        "1969-12-31T23:30:00Z",  # instants around zero
        "1968-02-28T23:00:00Z",  # negative instants
    )
)
_STEPS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY)
_WIDTHS = tuple(
    Duration.of(width)
    for width in ("24h", "168h", "1h", "7h", "90m", "1m", "1us", "1000h", "24h", "168h")
)
_TOLERANCES = tuple(Duration.of(width) for width in ("168h", "24h", "1h", "1m", "1us", "1000h"))
_LAGS = tuple(Duration.of(width) for width in ("1m", "1h", "24h", "90m", "1us", "168h"))
_EDGES = tuple(width.micros for width in _WIDTHS)
_FAR = 40 * 365 * DAY


def close(a: Number, b: Number, n: int = 1, largest: float = 0.0, *, exact: bool = False) -> bool:
    """Whether two engines' values of one feature agree (SEMANTICS, "Feature kinds").

    Null agrees with null alone. `exact` is for lags, min, max, range, count and weather; otherwise
    |a-b| <= 1e-9 max(1, |a|, |b|) + 1e-15 n max|v|, where the window holds `n` values of which
    `largest` is the greatest magnitude.
    """
    if a is None or b is None:
        return a is b
    if exact:
        return a == b
    return abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b)) + 1e-15 * n * largest


def is_exact(feature: Feature) -> bool:
    """Whether engines agree on a feature to the bit, before filling."""
    match feature:
        case Rolling() | Bucket():
            return STATISTICS[feature.stat].exact
        case Calendar() | Lag() | Latest() | Derived():
            return True
        case _:
            assert_never(feature)


def differences(
    feature_set: FeatureSet, t: int, history: History, expected: Vector, actual: Vector
) -> list[str]:
    """What is wrong with `actual`, one line each; none if it agrees with `expected`.

    Derived features are compared exactly: over inputs that are not exact they may differ by more
    than any tolerance.
    """
    wrong = []
    if actual.missing != expected.missing:
        wrong.append(f"missing: got {actual.missing}, expected {expected.missing}")
    if list(actual.features) != list(expected.features):
        wrong.append(f"names: got {list(actual.features)}, expected {list(expected.features)}")
        return wrong
    for feature in feature_set.features:
        name = feature.name
        filled = name in expected.missing
        values: list[float] = []
        if filled:
            values = fill_values(feature, t, history)
        elif isinstance(feature, Rolling | Bucket):
            values = window_values(feature, t, history)
        largest = max(map(abs, values), default=0.0)
        exact = is_exact(feature) and not filled
        got, want = actual.features[name], expected.features[name]
        if not close(got, want, len(values), largest, exact=exact):
            wrong.append(f"{name}: got {got!r}, expected {want!r} at {t} ({feature})")
    return wrong


@dataclass(frozen=True, slots=True)
class WriteLog:
    """Observations of one series in the order they were sent, and what is left of them.

    `state` is sorted by time and has one value per timestamp: the last one sent.
    """

    writes: tuple[Observation, ...]
    state: tuple[Observation, ...]

    @classmethod
    def of(cls, writes: Sequence[Observation]) -> WriteLog:
        """The log of some writes."""
        last = {o.timestamp: o for o in writes}
        return cls(tuple(writes), tuple(last[t] for t in sorted(last)))


@dataclass(frozen=True, slots=True)
class Case:
    """One asset's write logs by series, the history they leave, and instants worth asking for."""

    logs: dict[str, WriteLog]
    history: History
    instants: tuple[int, ...]


def starts() -> Strategy[int]:
    """Instants at or near borders: months, leap days, years, clock changes, the epoch."""
    return st.builds(
        int.__add__,
        st.sampled_from(_BORDERS),
        st.one_of(
            st.just(0), st.integers(-2 * HOUR, 2 * HOUR), st.integers(-9, 9).map(DAY.__mul__)
        ),
    )


def values_of_length(n: int) -> Strategy[list[float]]:
    """`n` values of one shape, from ties and constants to registers and spikes of 1e15."""

    def many(elements: Strategy[float]) -> Strategy[list[float]]:
        return st.lists(elements, min_size=n, max_size=n)

    anything = st.floats(-1e6, 1e6)
    return st.one_of(
        many(anything),
        many(st.integers(-3, 3).map(float)),
        anything.map(lambda v: [v] * n),
        many(st.floats(-1e-2, 1e-2).map(lambda v: 1e9 + v)),
        many(st.floats(0, 1)).map(_register),
        many(st.sampled_from((1.0, 2.5, -40.0, 1e15, -1e15))),
        st.integers(0, n).map(lambda low: [5.0] * low + [5e6] * (n - low)),
        many(st.floats(-1e-12, 1e-12)),
    )


def _register(increments: list[float]) -> list[float]:
    """A meter register that climbs from 0 to 1e9."""
    sums = list(accumulate(increments))
    return [1e9 * s / sums[-1] if sums[-1] else 0.0 for s in sums]


@st.composite
def write_logs(draw: st.DrawFn, start: int | None = None, max_size: int = 30) -> WriteLog:
    """A series as it was written: gaps, edges at exact distances, rewrites, late arrivals."""
    first = draw(starts()) if start is None else start
    n = draw(st.one_of(st.integers(0, 2), st.integers(3, max_size), st.integers(3, max_size)))
    times = draw(_times(first, n))
    writes = [Observation(*pair) for pair in zip(times, draw(values_of_length(n)), strict=True)]
    if not writes:
        return WriteLog((), ())
    again = draw(st.lists(st.sampled_from(times), max_size=3))
    writes += [Observation(t, draw(st.floats(-1e3, 1e3))) for t in again]
    order = draw(st.sampled_from(("as they come", "reversed", "shuffled")))
    if order == "reversed":
        writes.reverse()
    elif order == "shuffled":
        writes = draw(st.permutations(writes))
    return WriteLog.of(writes)


@st.composite
def _times(draw: st.DrawFn, start: int, n: int) -> list[int]:
    """`n` increasing instants: mostly a fixed step, with gaps, edges and odd microseconds."""
    step = draw(st.sampled_from(_STEPS))
    gap = st.one_of(
        st.just(step),
        st.just(step),
        st.integers(2, 200).map(step.__mul__),
        _edge_offsets().filter(lambda offset: offset > 0),
        st.integers(1, 3 * step),
    )
    gaps = draw(st.lists(gap, min_size=max(n - 1, 0), max_size=max(n - 1, 0)))
    return list(accumulate(gaps, initial=start))[:n]


def _edge_offsets() -> Strategy[int]:
    """Distances at which windows open and close, to the microsecond and one beside it."""
    return st.builds(int.__add__, st.sampled_from(_EDGES), st.sampled_from((-1, 0, 1)))


@st.composite
def weather_rows(
    draw: st.DrawFn, start: int | None = None, max_size: int = 12
) -> tuple[WeatherRow, ...]:
    """Weather with nulls, several issues of one time, issues long before it and after it."""
    first = draw(starts()) if start is None else start
    n = draw(st.integers(0, max_size))
    times = draw(_times(first, n))
    known = st.one_of(
        st.just(0),
        st.sampled_from((-HOUR, -DAY, -10 * DAY, 1, HOUR, 3 * DAY)),
        st.integers(-2 * DAY, 2 * DAY),
    )
    number = st.one_of(st.none(), st.floats(-50, 1500))
    rows: dict[tuple[int, int], WeatherRow] = {}
    for time in times:
        for delay in draw(st.lists(known, min_size=1, max_size=3, unique=True)):
            # Two columns with nulls of their own are enough; the others repeat the second.
            own: dict[str, float | None] = {"temperature": draw(number)}
            values = own | dict.fromkeys(WEATHER_COLUMNS[1:], draw(number))
            rows[time, time + delay] = WeatherRow(time, time + delay, values)
    return tuple(draw(st.permutations(list(rows.values()))))


def histories(
    series: Sequence[str] = (DEFAULT_SERIES, "generation"), max_size: int = 30
) -> Strategy[History]:
    """What is known of one asset: several series and its weather, around one border."""
    return cases(series, max_size).map(lambda case: case.history)


@st.composite
def cases(
    draw: st.DrawFn,
    series: Sequence[str] = (DEFAULT_SERIES, "generation"),
    max_size: int = 30,
    max_instants: int = 8,
) -> Case:
    """One asset's writes, what they leave, and instants to ask for."""
    start = draw(starts())
    logs = {name: draw(write_logs(start, max_size)) for name in series}
    history = History(
        {name: log.state for name, log in logs.items()}, draw(weather_rows(start - HOUR))
    )
    wanted = st.lists(instants(history), min_size=1, max_size=max_instants, unique=True)
    return Case(logs, history, tuple(draw(wanted)))


def instants(history: History) -> Strategy[int]:
    """Instants worth asking for: at rows, at the edges they make, between and far from all."""
    rows = [o.timestamp for log in history.series.values() for o in log]
    rows += [at for row in history.weather for at in (row.timestamp, row.issued_at)]
    if not rows:
        return starts()
    known = sorted(set(rows))
    middles = [(a + b) // 2 for a, b in pairwise(known)]
    edges = st.builds(int.__add__, st.sampled_from(known), _edge_offsets())
    far = (known[0] - _FAR, known[0] - 1, known[-1] + 1, known[-1] + _FAR)
    at = st.sampled_from(known)
    return st.one_of(
        at, at, edges, edges, st.sampled_from((*middles, known[-1])), st.sampled_from(far)
    )


def policies() -> Strategy[Missing | None]:
    """A request's missing policy, or none."""
    number: Strategy[Missing] = st.floats(-1e3, 1e3)
    named: Strategy[Missing | None] = st.sampled_from((None, "mean", "zero", "keep"))
    return st.one_of(named, number)


def features(
    name: str = "f", series: Sequence[str] = (DEFAULT_SERIES, "generation")
) -> Strategy[Feature]:
    """One feature of any kind but Derived."""
    named, width, of = st.just(name), st.sampled_from(_WIDTHS), st.sampled_from(tuple(series))
    stat, missing = st.sampled_from(STATS), policies()
    zones = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"))
    return st.one_of(
        st.builds(Calendar, named, st.sampled_from(PARTS), zones),
        st.builds(Rolling, named, stat, width, st.sampled_from(CLOSED), of, missing),
        st.builds(Lag, named, st.sampled_from(_LAGS), st.sampled_from(_TOLERANCES), of, missing),
        st.builds(Bucket, named, stat, width, of, missing),
        st.builds(Latest, named, st.sampled_from(WEATHER_COLUMNS), width, missing),
    )


@st.composite
def feature_sets(
    draw: st.DrawFn,
    series: Sequence[str] = (DEFAULT_SERIES, "generation"),
    max_size: int = 8,
) -> FeatureSet:
    """Features of every kind, derived ones over exact features alone."""
    n = draw(st.integers(1, max_size))
    chosen: list[Feature] = [draw(features(f"f{i}", series)) for i in range(n)]
    inputs = [f.name for f in chosen if is_exact(f)]
    if inputs:
        name = st.sampled_from(inputs)
        shapes: tuple[Callable[[str, str], str], ...] = (
            lambda a, b: f"{a} - {b}",
            lambda a, b: f"{a} / {b}",
            lambda a, b: f"-({a} + 2) * {b} / 4",
        )
        for i in range(draw(st.integers(0, 2))):
            shape = draw(st.sampled_from(shapes))
            chosen.append(Derived(f"d{i}", shape(draw(name), draw(name)), draw(policies())))
    policy = draw(policies())
    order = tuple(draw(st.permutations(chosen)))
    return FeatureSet("drawn", 1, order, missing="mean" if policy is None else policy)
