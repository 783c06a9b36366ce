"""Calendar periods, local buckets and parts of the wall clock where clocks change.

Every engine gives what the reference gives; and the reference what SEMANTICS says, in examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Bucket, Calendar, Feature, Lag, Rolling, Seasonal
from ai_hub.definitions.periods import ASSET_ZONE, width_of
from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, MINUTE, iso, parse_time, to_datetime
from ai_hub.definitions.vocabulary import PARTS
from ai_hub.engines.reference import AttributeValue
from ai_hub.engines.reference_clock import bucket_start, calendar_part, step_back
from ai_hub.testing import History, Observation
from ai_hub.testing.sets import BUCKETS, HOLIDAYS, PERIODS
from conformance.kit import ENGINES, Engine, wrong

# The instant of a change of the clock of each zone: forwards and backwards, by an hour, by half an
# hour, at a minute past midnight, over midnight, by a whole day, and none at all.
CHANGES = {
    "Europe/Berlin": ("2025-03-30T01:00:00Z", "2024-10-27T01:00:00Z", "1945-05-24T00:00:00Z"),
    "America/New_York": ("2025-03-09T07:00:00Z", "2024-11-03T06:00:00Z"),
    "Australia/Lord_Howe": ("2025-10-04T15:30:00Z", "2025-04-05T15:00:00Z"),
    "America/St_Johns": ("2010-03-14T03:31:00Z", "2010-11-07T02:31:00Z", "1988-04-03T03:31:00Z"),
    "America/Sao_Paulo": ("2017-10-15T03:00:00Z", "2018-02-18T02:00:00Z"),
    "Africa/Cairo": ("2023-04-27T22:00:00Z", "2023-10-26T21:00:00Z"),
    "Pacific/Apia": ("2011-12-30T10:00:00Z", "1892-07-05T08:00:00Z"),
    "Asia/Kolkata": ("2025-03-30T01:00:00Z",),
}
AT = [(tz, parse_time(text)) for tz, texts in CHANGES.items() for text in texts]
SHAPES = ("hourly", "quarterly", "irregular")


def features(tz: str) -> tuple[Feature, ...]:
    """Every kind that steps on a wall clock, over every period."""
    made: list[Feature] = [Calendar(part, part, tz) for part in PARTS if part != "is_holiday"]
    made.append(Calendar("is_holiday", "is_holiday", tz, country="DE", holidays=HOLIDAYS))
    made += [
        Calendar(f"moved_{i}", "minute_of_day", tz, offset)
        for i, offset in enumerate(("P1D", "-P1D", "P1M", "-P1M"))
    ]
    for period in PERIODS:
        made += [
            Lag(f"lag_{period}", period, tz=tz),
            Rolling(f"sum_{period}", "sum", period, tz=tz),
            Rolling(f"count_{period}", "count", period, "none", tz=tz),
            Rolling(f"coverage_{period}", "coverage", period, "right", tz=tz, step="1h"),
        ]
    made += [Seasonal(f"season_{p}", "mean", p, 3, tz=tz) for p in PERIODS[:4]]
    for period in BUCKETS:
        made += [
            Bucket(f"bucket_{period}", "sum", period, tz=tz),
            Bucket(f"bucket_count_{period}", "count", period, tz=tz),
            Bucket(f"bucket_coverage_{period}", "coverage", period, tz=tz, step="30m"),
        ]
    return tuple(made)


def readings(shape: str, change: int) -> list[Observation]:
    """Values around the days of a change and those that periods reach back to."""
    step = {"hourly": HOUR, "quarterly": 15 * MINUTE, "irregular": 7 * MINUTE + 123_457}[shape]
    near = [change + k * step for k in range(-3 * DAY // step, 2 * DAY // step)]
    back = (1, 2, 7, 14, 28, 29, 30, 31, 59, 60, 90, 91, 92, 365, 366)
    far = [change - days * DAY + k * step for days in back for k in range(-5, 6)]
    return [Observation(t, float(i % 97)) for i, t in enumerate(sorted({*near, *far}))]


BRIEF = (0, -1, -30 * MINUTE, HOUR, 2 * HOUR - 1)
BESIDE = (*BRIEF, 1, 30 * MINUTE, -HOUR, 90 * MINUTE, 2 * HOUR)


def points(change: int, beside: Sequence[int]) -> list[int]:
    """Instants at and around a change, on its day, the days after, and a month and a year after."""
    later = [days * DAY for days in (0, 1, 2, 3, 6, 7, 14, 28, 30, 31, 365)]
    return sorted({change + day + off for day in later for off in beside})


def examples() -> Iterator[Any]:
    """Every change with every shape, engine and way to name the zone, which takes long; and briefly
    with one of each in turn."""
    for i, (tz, change) in enumerate(AT):
        for shape, place, of_the_asset in product(SHAPES, range(len(ENGINES)), (False, True)):
            name = f"{tz}-{iso(change)}-{shape}-{ENGINES[place]}-{'asset' if of_the_asset else tz}"
            chosen = (tz, change, shape, ENGINES[place], of_the_asset)
            yield pytest.param(*chosen, BESIDE, id=name, marks=pytest.mark.long)
            if (shape, place, of_the_asset) == (SHAPES[i % 3], i // 3 % len(ENGINES), i % 2 == 1):
                yield pytest.param(*chosen, BRIEF, id=f"{name}-brief")


@pytest.mark.parametrize(
    ("tz", "change", "shape", "engine", "of_the_asset", "beside"), [*examples()]
)
def test_every_period_where_the_clock_changes(
    tz: str, change: int, shape: str, engine: Engine, of_the_asset: bool, beside: Sequence[int]
) -> None:
    attributes = (AttributeValue("timezone", tz, FIRST_INSTANT),) if of_the_asset else ()
    history = History({"value": readings(shape, change)}, attributes=attributes)
    feature_set = FeatureSet("local", 1, features(ASSET_ZONE if of_the_asset else tz))
    at = [(0, t) for t in points(change, beside)]
    found = engine.vectors(feature_set, "keep", [history], [0], at)
    for (_, t), vector in zip(at, found, strict=True):
        assert not wrong(feature_set, t, history, vector, "keep"), iso(t)


def test_an_asset_without_a_zone_has_no_local_time(engine: Engine) -> None:
    change = parse_time("2025-03-30T01:00:00Z")
    ended = AttributeValue("timezone", None, change)
    begun = AttributeValue("timezone", "Europe/Berlin", change - DAY)
    history = History({"value": readings("hourly", change)}, attributes=(begun, ended))
    feature_set = FeatureSet("local", 1, features(ASSET_ZONE))
    at = [(0, change + shift) for shift in (-2 * DAY, -DAY - 1, -DAY, -1, 0, DAY)]
    for policy in ("keep", "mean", "zero", 7.5):
        found = engine.vectors(feature_set, policy, [history], [0], at)
        for (_, t), vector in zip(at, found, strict=True):
            assert not wrong(feature_set, t, history, vector, policy), iso(t)
    missing = engine.vectors(feature_set, "keep", [history], [0], at)
    assert [len(v.missing) == len(feature_set.features) for v in missing] == [
        *(True, True, False, False, True, True)
    ]


@pytest.mark.parametrize(
    ("tz", "t", "period", "expected"),
    [
        # 07:00 local the day before: 23, 24 or 25 hours earlier.
        ("Europe/Berlin", "2025-03-30T05:00:00Z", "P1D", "2025-03-29T06:00:00Z"),
        ("Europe/Berlin", "2025-10-26T06:00:00Z", "P1D", "2025-10-25T05:00:00Z"),
        ("Europe/Berlin", "2025-07-02T05:00:00Z", "P1D", "2025-07-01T05:00:00Z"),
        # 02:30 was skipped the day before: the length of the gap later, 03:30.
        ("Europe/Berlin", "2025-03-31T00:30:00Z", "P1D", "2025-03-30T01:30:00Z"),
        # 02:30 was there twice the day before: the first time.
        ("Europe/Berlin", "2025-10-27T01:30:00Z", "P1D", "2025-10-26T00:30:00Z"),
        # In a repeated hour, and one year before in no repeated hour.
        ("Europe/Berlin", "2025-10-26T01:30:00Z", "P1D", "2025-10-25T00:30:00Z"),
        # Both repeated: the same half (2019-10-27 and 2024-10-27).
        ("Europe/Berlin", "2024-10-27T00:30:00Z", "P5Y", "2019-10-27T00:30:00Z"),
        ("Europe/Berlin", "2024-10-27T01:30:00Z", "P5Y", "2019-10-27T01:30:00Z"),
        # Half an hour.
        ("Australia/Lord_Howe", "2025-10-05T15:15:00Z", "P1D", "2025-10-04T15:45:00Z"),
        # The last day of a shorter month; two steps are one step of two.
        ("UTC", "2025-03-31T12:00:00Z", "P1M", "2025-02-28T12:00:00Z"),
        ("UTC", "2025-03-31T12:00:00Z", "P2M", "2025-01-31T12:00:00Z"),
        ("UTC", "2024-02-29T12:00:00Z", "P1Y", "2023-02-28T12:00:00Z"),
    ],
)
def test_a_step_back_on_the_wall_clock(tz: str, t: str, period: str, expected: str) -> None:
    assert iso(step_back(parse_time(t), width_of(period, "by"), tz)) == expected


@pytest.mark.parametrize(
    ("tz", "t", "every", "expected"),
    [
        ("Europe/Berlin", "2025-03-30T12:00:00Z", "P1D", "2025-03-29T23:00:00Z"),
        ("Europe/Berlin", "2025-04-02T12:00:00Z", "P1W", "2025-03-30T22:00:00Z"),
        ("Europe/Berlin", "2025-03-31T21:59:59Z", "P1M", "2025-02-28T23:00:00Z"),
        ("Europe/Berlin", "2025-01-01T00:00:00Z", "P1Y", "2024-12-31T23:00:00Z"),
        # Midnight was skipped: the day began at 01:00.
        ("America/Sao_Paulo", "2017-10-15T12:00:00Z", "P1D", "2017-10-15T03:00:00Z"),
        # 00:01 went back to 23:01: the day had begun a minute before.
        ("America/St_Johns", "2010-11-07T12:00:00Z", "P1D", "2010-11-07T02:30:00Z"),
    ],
)
def test_a_bucket_starts_where_its_local_date_does(
    tz: str, t: str, every: str, expected: str
) -> None:
    assert iso(bucket_start(parse_time(t), width_of(every, "every"), tz)) == expected


@settings(max_examples=300)
@given(
    at=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    tz=st.sampled_from(sorted(CHANGES)),
    every=st.sampled_from(BUCKETS),
)
def test_no_instant_before_a_bucket_is_of_its_date(at: datetime, tz: str, every: object) -> None:
    t = parse_time(at.isoformat() + "Z")
    start = bucket_start(t, every, tz)  # type: ignore[arg-type]
    assert start <= t

    def key(instant: int) -> object:
        local = to_datetime(instant).astimezone(ZoneInfo(tz))
        if str(every) == "P1D":
            return local.date()
        if str(every) == "P7D":
            return local.isocalendar()[:2]
        return (local.year, local.month) if str(every) == "P1M" else local.year

    assert key(start) == key(t)
    assert key(start - 1) != key(t)


def test_a_moved_calendar_moves_the_wall_clock_alone() -> None:
    before = parse_time("2025-03-29T01:30:00Z")  # 02:30, and the next day has no 02:30
    moved = Calendar("f", "minute_of_day", "Europe/Berlin", "P1D")
    assert calendar_part(moved, before, "Europe/Berlin") == 150
    first = parse_time("0001-01-01T00:00:00Z")
    assert calendar_part(Calendar("f", "month", "UTC", "-P1D"), first, "UTC") is None
