"""What a store says of the assets of a tenant, page by page, by a model in plain Python."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.access.grant import Grant
from ai_hub.definitions.values import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    iso,
    parse_time,
    to_datetime,
    to_micros,
)
from ai_hub.errors import InvalidInput, NotFound
from conformance.kit import Deployment, Row, observation
from conformance.test_entities import HOSTILE, TENANTS

NOW = 1_760_020_200_000_000
SERIES = ("value", "load", "'", "zz")
STEPS = (MINUTE, 15 * MINUTE, HOUR, DAY, 7 * DAY, 1)


def readings(dice: random.Random) -> list[Row]:
    """Series of a few readings or some hundred, a few of them unusable, with gaps."""
    rows = []
    for tenant in TENANTS:
        for asset in dice.sample(HOSTILE, 12):
            for series in dice.sample(SERIES, dice.randint(1, 3)):
                at, step = NOW - dice.choice((0, 1, DAY, 400 * DAY)), dice.choice(STEPS)
                # A long series of long steps would be chunks without end.
                same, value = dice.choice((0, 3, 90, 500)), dice.choice((0.0, 1.0))
                for n in range(dice.choice((1, 2, 3, 5, 230 if step <= HOUR else 9))):
                    value = value if n < same else dice.random()
                    row = observation(asset, at, value, series, dice.choice((0, 1, 1, 1, 1)))
                    rows.append(row | {"tenant_id": tenant})
                    at -= step * dice.choice((1, 1, 1, 2, 9))
    return rows


def attributes(dice: random.Random) -> list[Row]:
    """Some that hold now, some that ended or are not yet."""
    return [
        {"tenant_id": tenant, "asset_id": asset, "key": key, "valid_from": to_datetime(since),
         "value": dice.choice((None, 1.5, 2.0) if key == "capacity" else (None, "UTC"))}
        for tenant in TENANTS
        for asset in dice.sample(HOSTILE, 8)
        for key in ("capacity", "timezone")
        for since in dice.sample((NOW - DAY, NOW, NOW + 1), 2)
    ]  # fmt: skip


def expected(rows: list[Row], told: list[Row], stations: dict[str, str], tenant: str) -> list[Any]:
    times: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        if row["tenant_id"] == tenant and row["quality"] >= 1:
            mine = times.setdefault(row["asset_id"], {}).setdefault(row["feature_type"], [])
            mine.append((to_micros(row["timestamp"]), row["value"]))
    has: dict[str, dict[str, Any]] = {}
    for row in sorted(told, key=lambda row: row["valid_from"]):
        if row["tenant_id"] == tenant:
            held = has.setdefault(row["asset_id"], {})
            if row["valid_from"] <= to_datetime(NOW):
                held[row["key"]] = row["value"]
    return [
        {
            "asset_id": asset,
            "series": [_series(name, mine) for name, mine in sorted(times.get(asset, {}).items())],
            "station": stations.get(asset),
            "attributes": {k: v for k, v in sorted(has.get(asset, {}).items()) if v is not None},
        }
        for asset in sorted({*times, *has})
    ]


def _series(name: str, rows: list[tuple[int, float]]) -> dict[str, Any]:
    newest = sorted(rows)[-200:]
    times = [time for time, _ in newest]
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    cadence = steps[(len(steps) - 1) // 2] if steps else None
    longest = max(HOUR // 2, 3 * (cadence or 0))
    begin = len(newest) - 1
    while begin and newest[begin - 1][1] == newest[-1][1]:
        begin -= 1
    allowed = DAY if newest[-1][1] else 3 * DAY
    flat = begin and len(newest) - begin >= 12 and times[-1] - times[begin] >= allowed
    return {
        "name": name,
        "first": iso(min(rows)[0]),
        "last": iso(max(rows)[0]),
        "cadence_seconds": None if cadence is None else cadence / SECOND,
        "gaps": sum(step > longest for step in steps),
        "flat_since": iso(times[begin]) if flat else None,
    }


async def pages(
    store: FeatureStore,
    tenant: str,
    limit: int,
    since: datetime | None = None,
    search: str | None = None,
) -> list[Any]:
    found, after = [], None
    while True:
        page = await store.assets(tenant, since, after=after, limit=limit, search=search)
        assert len(page["assets"]) == limit or page["next"] is None
        found += page["assets"]
        after = page["next"]
        if after is None:
            return found
        assert after == found[-1]["asset_id"]


async def test_rows_that_can_no_longer_be_used_end_a_series_earlier(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Also of series that ended long ago, and that have few readings in much time."""
    rows = [
        observation(asset, NOW - ago - n * step, n % 7, series)
        for asset, ago in (("a", 0), ("b", 500 * DAY), ("c", 9 * DAY), ("d", 45 * DAY))
        for series, step, count in (("value", HOUR, 30), ("rare", 30 * DAY, 12))
        for n in range(count)
    ]
    rows = [row | {"tenant_id": "a"} for row in rows]
    async with deployment.open(tmp_path) as store:
        store.now = lambda: NOW
        await store.ingest(rows[:-1])
        listed = await store.assets("a")
        assert listed["assets"] == expected(rows[:-1], [], {}, "a")
        await store.ingest(rows[-1:])
        # The last two of one series and the first of another, and one that is new.
        worse = [{**row, "quality": 0} for row in (rows[0], rows[1], rows[41])]
        await store.ingest([*worse, {**rows[0], "timestamp": to_datetime(NOW + 1), "quality": 0}])
        bad = [(row["asset_id"], row["feature_type"], row["timestamp"]) for row in worse]
        rows = [
            row
            for row in rows
            if (row["asset_id"], row["feature_type"], row["timestamp"]) not in bad
        ]
        listed = await store.assets("a")
        assert listed["assets"] == expected(rows, [], {}, "a")
        await store.ingest([{**worse[0], "quality": 1}])
        listed = await store.assets("a")
        assert listed["assets"] == expected([*rows, {**worse[0], "quality": 1}], [], {}, "a")


async def test_assets_are_listed_with_what_is_known_of_them(
    deployment: Deployment, tmp_path: Path
) -> None:
    dice = random.Random(7)
    rows, told = readings(dice), attributes(dice)
    async with deployment.open(tmp_path) as store:
        store.now = lambda: NOW
        assert await store.assets("a") == {"assets": [], "next": None}
        await store.ingest(rows)
        await store.ingest_attributes(told)
        for tenant in TENANTS:
            ids = [row["asset_id"] for row in rows if row["tenant_id"] == tenant]
            stations = {ids[0]: "station", ids[-1]: "station"}
            for source, since in (("old", NOW - DAY), ("station", NOW), ("next", NOW + 1)):
                await store.assign_weather_source(
                    tenant_id=tenant, source_id=source, asset_ids=list(stations),
                    valid_from=to_datetime(since),
                )  # fmt: skip
            every = expected(rows, told, stations, tenant)
            for limit in (1, 7, len(every), 1_000):
                assert await pages(store, tenant, limit) == every
            for since in (NOW - 30 * DAY, NOW - DAY, NOW, NOW + 1):
                recent = [
                    one for one in every
                    if any(parse_time(series["last"]) >= since for series in one["series"])
                ]  # fmt: skip
                assert await pages(store, tenant, 3, to_datetime(since)) == recent
            for text in ("a", "'", "%", "_", every[-1]["asset_id"]):
                found = [one for one in every if text in one["asset_id"]]
                assert await pages(store, tenant, 2, search=text) == found
                late = [one for one in found if one in recent]
                assert await pages(store, tenant, 2, to_datetime(since), text) == late
            for one in every[:5]:
                assert await store.asset(tenant, one["asset_id"]) == one
        assert await pages(store, "nobody", 5) == []
        known = sorted({row["tenant_id"] for row in rows if row["quality"]} | {*TENANTS})
        assert await store.tenants() == known
        assert await store.tenants(limit=1) == known[:1]
        few = Grant("", frozenset(("nobody", "b")), frozenset())
        assert await store.tenants(few) == ["b", "nobody"]
        with pytest.raises(NotFound, match="asset_id: got 'nothing'"):
            await store.asset("a", "nothing")


async def test_who_is_late_is_known_by_the_day(deployment: Deployment, tmp_path: Path) -> None:
    day = NOW - NOW % DAY
    ages = {"now": 0, "today": NOW - day, "before": NOW - day + 1, "week": 7 * DAY, "old": 9 * DAY}
    async with deployment.open(tmp_path) as store:
        store.now = lambda: NOW
        assert (await store.freshness("t"))["assets"] == 0
        rows = [observation(one, NOW - age, 1.0) for one, age in ages.items()]
        await store.ingest([*rows, observation("old", NOW - 400 * DAY, 1.0)], "t")
        await store.ingest([observation("unused", NOW, 1.0, "value", 0)], "t")
        await store.ingest([observation("other", NOW, 1.0)], "u")
        await store.ingest_attributes([{"asset_id": "bare", "capacity": 1}], "t")
        found = await store.freshness("t", 2)
        stalest = found.pop("stalest")
        assert found == {
            "tenant_id": "t", "assets": 5, "today": 2, "yesterday": 1, "week": 1, "older": 1,
        }  # fmt: skip
        assert [one["asset_id"] for one in stalest] == ["old", "week"]
        assert stalest == [await store.asset("t", one) for one in ("old", "week")]
        await store.ingest([observation("old", NOW, 1.0)], "t")
        assert [one["asset_id"] for one in (await store.freshness("t", 1))["stalest"]] == ["week"]


async def test_a_tenant_that_was_removed_is_listed_no_more(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        store.now = lambda: NOW
        for tenant in ("t", "u"):
            await store.ingest([observation(one, NOW, 1.0) for one in ("a", "b")], tenant)
        assert await store.tenants() == ["t", "u"]
        await store.ingest([observation("c", NOW, 1.0)], "t")
        assert [one["asset_id"] for one in await pages(store, "t", 2)] == ["a", "b", "c"]
        await store.delete("t", ["b"])
        assert [one["asset_id"] for one in await pages(store, "t", 2)] == ["a", "c"]


async def test_an_asset_whose_source_is_itself_has_no_station(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest([observation("a", NOW, 1.0)], "t")
        for source in ("a", "s", None):
            await store.assign_weather_source(
                tenant_id="t", source_id=source, asset_ids=["a"], valid_from=to_datetime(NOW)
            )
            (one,) = (await store.assets("t"))["assets"]
            assert one["station"] == ("s" if source == "s" else None)


async def test_what_is_asked_wrongly_is_named(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        for field, asked in (
            ("tenant_id", {"tenant_id": ""}),
            ("limit", {"limit": 0}),
            ("limit", {"limit": 10_001}),
            ("after", {"after": ""}),
            ("since", {"since": datetime(2025, 1, 1)}),
        ):
            with pytest.raises(InvalidInput, match=field):
                await store.assets(**({"tenant_id": "t"} | asked))  # type: ignore[arg-type]
