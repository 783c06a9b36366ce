"""Millions of values on every store: served alone, in a batch, exact, exported, by the reference.

`AI_HUB_VALUES=200000 pytest tests/conformance/test_many_values.py` compares fewer.
"""

from __future__ import annotations

import os
import random
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
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
from ai_hub.definitions.periods import ASSET_ZONE, Period
from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    HOUR,
    MINUTE,
    Duration,
    parse_time,
    to_datetime,
)
from ai_hub.definitions.vocabulary import CLOSED, PARTS, SEASONAL_STATS, STATS
from ai_hub.testing import (
    AttributeValue,
    History,
    Observation,
    Vector,
    WeatherRow,
    taking,
)
from ai_hub.testing.histories import ABSURD
from ai_hub.testing.sets import HOLIDAYS
from conformance.kit import Deployment, observation, plain, read_export, run, weather_row, wrong
from conformance.worlds import attribute_rows

VALUES = int(os.environ.get("AI_HUB_VALUES", 2_000_000))
START = parse_time("2025-03-28T22:00:00Z")
TENANT = "many"
ASSETS = 12
BERLIN = "Europe/Berlin"
ZONES = (BERLIN, "America/New_York", "Australia/Lord_Howe", "America/St_Johns", None)
PERIOD = Period(0, 1)
WEATHER: dict[str, Any] = {"source": "weather", "column": "temperature"}
OWN: tuple[Feature, ...] = (
    *(
        Rolling(f"{stat}_{closed}", stat, Duration.of("7h"), closed, **taking(stat))
        for stat in STATS
        for closed in CLOSED
    ),
    *(Bucket(f"bucket_{stat}", stat, Duration.of("90m"), **taking(stat)) for stat in STATS),
    *(Bucket(f"local_day_{stat}", stat, PERIOD, tz=ASSET_ZONE, **taking(stat)) for stat in STATS),
    *(Rolling(f"day_{stat}", stat, PERIOD, "right", tz=BERLIN, **taking(stat)) for stat in STATS),
    *(
        Rolling(f"weather_{stat}", stat, Duration.of("12h"), **WEATHER, **taking(stat))
        for stat in STATS
    ),
    *(
        Seasonal(
            f"season_{stat}",
            stat,
            PERIOD,
            5,
            tz=BERLIN,
            min_count=1 + (stat == "mean"),
            **taking(stat),
        )
        for stat in SEASONAL_STATS
    ),
    *(Calendar(f"calendar_{part}", part, BERLIN) for part in PARTS if part != "is_holiday"),
    Calendar("holiday", "is_holiday", BERLIN, "P1D", "DE", holidays=HOLIDAYS),
    Calendar("asset_hour", "hour_of_day", ASSET_ZONE),
    Lag("yesterday", PERIOD, tz=BERLIN),
    Lag("asset_yesterday", PERIOD, tz=ASSET_ZONE),
    Lag("forecast_yesterday", Duration.of("24h"), **WEATHER),
    Seasonal("season_2h", "median", Duration.of("2h"), 6, series="price"),
    Ewm("ewm", Duration.of("90m"), Duration.of("12h"), min_count=3),
    Ewm("ewm_forecast", Duration.of("6h"), PERIOD, tz=BERLIN, **WEATHER),
    Age("age", Duration.of("2h")),
    Age("age_measured", Duration.of("6h"), measured=True, **WEATHER),
    Attribute("capacity", "capacity"),
    Lag("lag_6h", Duration.of("6h"), Duration.of("20m")),
    Lag("price_3h", Duration.of("3h"), series="price"),
    Latest("forecast", "temperature", measured_within=Duration(0)),
    Derived("z", "(lag_6h - mean_both) / std_both"),
    Derived("load_ratio", "where(capacity > 0, clip(mean_both / capacity, 0, 2), 0)"),
    Derived("any_lag", "coalesce(yesterday, lag_6h) + sqrt(abs(delta_both)) - (age <= 900)"),
)
EVERY = FeatureSet("every", 1, (*FEATURES, *OWN))


def values_of(chance: random.Random, n: int) -> list[float]:
    """A load of some shape: smooth, flat for hours, a register, or with absurd readings."""
    shape = chance.choice(("load", "flat", "register", "absurd", "offset"))
    level = chance.uniform(0.1, 90)
    values: list[float] = []
    for _ in range(n):
        match shape:
            case "load":
                level = chance.gauss(40, 15)
            case "flat":
                level = level if chance.random() < 0.95 else chance.uniform(0, 99)
            case "register":
                level += chance.random()
            case "absurd":
                level = chance.choice(ABSURD) if chance.random() < 0.01 else chance.gauss(40, 15)
            case "offset":
                level = 1e9 + chance.random()
        values.append(level)
    return values


def history_of(chance: random.Random) -> History:
    """Twelve days of one asset: readings with gaps, a second series, weather in issues."""

    def times() -> list[int]:
        step = chance.choice((15 * MINUTE, HOUR, 10 * MINUTE))
        at, found = START, []
        while at < START + 12 * DAY:
            found.append(at + chance.choice((0, 0, 0, 1, -1, 7 * MINUTE)))
            at += step * (chance.randint(2, 90) if chance.random() < 0.02 else 1)
        return sorted(set(found))

    series = {}
    for name in ("value", "price"):
        stamps = times()
        series[name] = [
            Observation(at, value)
            for at, value in zip(stamps, values_of(chance, len(stamps)), strict=True)
        ]
    weather = {}
    for hour in range(12 * 24):
        about = START + hour * HOUR
        for ahead in chance.sample((0, 0, 6 * HOUR, DAY, -HOUR), chance.randint(0, 2)):
            degrees = chance.gauss(9, 4) if chance.random() < 0.9 else None
            values = {"temperature": degrees, "humidity": chance.uniform(20, 99)}
            weather[about, about - ahead] = WeatherRow(about, about - ahead, values)
    return History(series, tuple(weather.values()), attributes=attributes_of(chance))


def attributes_of(chance: random.Random) -> tuple[AttributeValue, ...]:
    """A capacity and a zone, which may change on the way or end."""
    since = (FIRST_INSTANT, START + 4 * DAY + HOUR)
    values: list[tuple[str, float | str | None]] = [
        *(("capacity", chance.choice((0.0, chance.uniform(1, 99), None))) for _ in since),
        *(("timezone", chance.choice(ZONES)) for _ in since),
    ]
    return tuple(
        AttributeValue(key, value, at)
        for (key, value), at in zip(values, (*since, *since), strict=True)
    )


def minutes_of(chance: random.Random, history: History, n: int) -> list[int]:
    """Whole minutes at readings, at the edges of their windows and anywhere."""
    known = [o.timestamp for o in history.series["value"]]
    edges = (0, 0, HOUR, 6 * HOUR, 7 * HOUR, DAY, 7 * DAY)
    found = set()
    while len(found) < n:
        at = chance.choice(known) + chance.choice(edges) + chance.choice((0, 0, MINUTE, -MINUTE))
        found.add(at - at % MINUTE)
    return sorted(found)


async def compare(deployment: Deployment, folder: Path, seed: int) -> tuple[int, list[str]]:
    """One store with some assets, asked in every way; how many values, and what is wrong."""
    chance = random.Random(seed)
    histories = {f"meter-{seed}-{i}": history_of(chance) for i in range(ASSETS)}
    missing = chance.choice((None, "mean", "zero", "keep", -1.5))
    compared, faults = 0, []

    def check(asset_id: str, t: int, got: Vector) -> None:
        nonlocal compared
        compared += len(got.features)
        faults.extend(
            f"{asset_id}: {fault}" for fault in wrong(EVERY, t, histories[asset_id], got, missing)
        )

    async with deployment.open(folder, EVERY) as store:
        for asset_id, history in histories.items():
            rows = [
                observation(asset_id, o.timestamp, o.value, name)
                for name, series in history.series.items()
                for o in series
            ]
            await store.ingest_attributes(attribute_rows(asset_id, history.attributes), TENANT)
            await store.ingest(rows, TENANT)
            await store.ingest_weather([weather_row(asset_id, w) for w in history.weather], TENANT)
        points = [
            (a, t) for a, history in histories.items() for t in minutes_of(chance, history, 24)
        ]
        spine = [{"asset_id": asset_id, "timestamp": to_datetime(t)} for asset_id, t in points]
        record = await store.export_features_to_parquet(
            TENANT, EVERY.label, spine=spine, missing=missing, indicators=True,
            output_path=folder / "many.parquet",
        )  # fmt: skip
        for (asset_id, t), row in zip(
            points, read_export(record["storage_path"], EVERY), strict=True
        ):
            assert (row.asset_id, row.timestamp) == (asset_id, t)
            check(asset_id, t, row.vector)
        for asset_id, t in points[:: len(points) // 60]:
            asked = {"feature_set": EVERY.label, "timestamp": to_datetime(t), "missing": missing}
            for exact in (True, False, False):
                found = await store.get(tenant_id=TENANT, asset_id=asset_id, exact=exact, **asked)
                check(asset_id, t, plain(found))
            batch = await store.get_batch(
                tenant_id=TENANT, asset_ids=list(histories), exact=chance.random() < 0.5, **asked
            )
            for other, found in batch.items():
                check(other, t, plain(found))
    return compared, faults


@pytest.mark.long
def test_no_value_of_millions_is_wrong(deployment: Deployment, tmp_path: Path) -> None:
    compared = 0
    for seed in count(1):
        # A server keeps what earlier rounds wrote: their assets have other names.
        some, faults = run(compare(deployment, tmp_path, seed))
        assert not faults, (seed, faults[:5], len(faults))
        compared += some
        if compared >= VALUES:
            break
    print(f"{deployment}: {compared:,} values compared, 0 wrong")
