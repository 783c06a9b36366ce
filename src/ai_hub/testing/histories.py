"""Hypothesis strategies for histories that are hard on feature code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from hypothesis import strategies as st

from ai_hub.definitions.values import (
    DAY,
    DEFAULT_SERIES,
    FIRST_INSTANT,
    HOUR,
    MINUTE,
    Duration,
    parse_time,
)
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.reference import AttributeValue, History, WeatherRow
from ai_hub.engines.reference_statistics import Observation

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
        "2025-10-05T01:00:00Z",  # half an hour, in Lord Howe
        "2010-11-07T02:31:00Z",  # at a minute past midnight, in St. John's
        "1969-12-31T23:30:00Z",  # instants around zero
        "1968-02-28T23:00:00Z",  # negative instants
    )
)
_ASSET_ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns")
_STEPS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY)
WIDTHS = tuple(
    Duration.of(width)
    for width in ("24h", "168h", "1h", "7h", "90m", "1m", "1us", "1000h", "24h", "168h")
)
_EDGES = tuple(width.micros for width in WIDTHS)
_FAR = 40 * 365 * DAY
ABSURD = (1e200, -1e200, 2e200, 1.7e308, -1.7e308, 1.6e308, 5e-324, 1e-200)
"""Values that a float64 holds and whose sums, squares or differences it may not."""


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
        many(st.sampled_from(ABSURD)),
        st.tuples(many(anything), st.sampled_from(ABSURD)).map(lambda p: [*p[0][1:], p[1]][:n]),
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
    # Within the physical limits of the columns, or ingest would take them for nothing.
    degrees = st.one_of(st.none(), st.floats(-50, 50))
    number = st.one_of(st.none(), st.floats(0, 100))
    rows: dict[tuple[int, int], WeatherRow] = {}
    for time in times:
        for delay in draw(st.lists(known, min_size=1, max_size=3, unique=True)):
            # Two columns with nulls of their own are enough; the others repeat the second.
            own: dict[str, float | None] = {"temperature": draw(degrees)}
            values = own | dict.fromkeys(WEATHER_COLUMNS[1:], draw(number))
            rows[time, time + delay] = WeatherRow(time, time + delay, values)
    return tuple(draw(st.permutations(list(rows.values()))))


@st.composite
def attribute_values(draw: st.DrawFn, start: int | None = None) -> tuple[AttributeValue, ...]:
    """Numbers and zones of an asset that change, end and are absent."""
    first = draw(starts()) if start is None else start
    since = st.sampled_from((FIRST_INSTANT, first, first + 1, first - 30 * DAY, first + DAY))
    number: Strategy[float | str | None] = st.none() | st.floats(-1e6, 1e6)
    zone: Strategy[float | str | None] = st.sampled_from((None, *_ASSET_ZONES, *_ASSET_ZONES))
    drawn = (
        AttributeValue(key, draw(zone if key == "timezone" else number), valid_from)
        for key in ("timezone", "capacity")
        for valid_from in draw(st.lists(since, max_size=3, unique=True))
    )
    return tuple(drawn)


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
        {name: log.state for name, log in logs.items()},
        draw(weather_rows(start - HOUR)),
        attributes=draw(attribute_values(start)),
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
