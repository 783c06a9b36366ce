"""Sealed history on every store: exports and training sets read archive and live rows as one."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.administration import maintain
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime
from ai_hub.errors import Busy, InvalidInput, StorageError, StoreError
from ai_hub.serving import archiver
from ai_hub.stores import archive_table
from conformance.kit import (
    FILE,
    MEMORY,
    ON_STORES,
    PLAIN,
    TIMESCALEDB,
    Deployment,
    Row,
    folder,
    observation,
    run,
)

T = parse_time("2025-03-01T00:00:00Z")
DAYS = 12
KEPT = {"retention_raw": "none", "retention_features": "none", "retention_weather": "none"}
SERIES = ("value", "load")
ASSETS = ("a", "c")
TENANT, OTHER = "acme", "../o'brien\\ %/é"


@dataclass
class World:
    """Rows of some weeks with gaps, several series, and weather of a station with its issues."""

    seed: int = 1
    rows: list[Row] = field(default_factory=list)
    weather: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)
        for asset in ASSETS:
            for series in SERIES:
                at = T + draw.randrange(DAY)
                while at < T + DAYS * DAY:
                    quality = draw.choice((0, 1, 1, 2))
                    self.rows.append(observation(asset, at, draw.random(), series, quality))
                    at += draw.choice((20 * MINUTE, HOUR, HOUR, 5 * HOUR, 2 * DAY))
        for hour in range(DAYS * 24):
            for before in (0, 6):
                if draw.random() < 0.7:
                    about = T + hour * HOUR
                    self.weather.append({
                        "timestamp": to_datetime(about),
                        "issued_at": to_datetime(about - before * HOUR),
                        "asset_id": draw.choice(("station", "c")),
                        "temperature": draw.choice((None, draw.uniform(-5, 30))),
                        "humidity": 50.0,
                    })  # fmt: skip

    def late(self, draw: random.Random, until: int) -> list[Row]:
        """Corrections, rows that are called unusable, and new ones, about times before one."""
        old = [row for row in self.rows if row["timestamp"] < to_datetime(until)]
        changed = [
            {**row, "value": draw.random(), "quality": draw.choice((0, 1, 1))}
            for row in draw.sample(old, len(old) // 4)
        ]
        new = [observation("late", T + i * 5 * HOUR, float(i)) for i in range(20)]
        return [*changed, *new]


async def load(store: FeatureStore, world: World) -> None:
    await store.ingest(world.rows, TENANT)
    await store.ingest(world.rows[:40], OTHER)
    await store.ingest_weather(world.weather, TENANT)
    await store.assign_weather_source(
        tenant_id=TENANT, source_id="station", asset_ids=["a"], valid_from=to_datetime(T + DAY)
    )


async def exported(store: FeatureStore, root: Path) -> list[pa.Table]:
    """Training sets of all kinds: rows of observations, of a step, and of a spine."""
    end = to_datetime(T + (DAYS + 1) * DAY)
    asked: list[dict[str, Any]] = [
        {"feature_set": "forecast_advanced", "horizons": ["1h", "24h"], "indicators": True},
        {"feature_set": "forecast_basic", "frequency": "7h"},
        {"feature_set": "forecast_advanced", "asset_ids": ["a", "late", "nobody"]},
    ]
    found = []
    for number, one in enumerate(asked):
        path = root / f"{number}.parquet"
        await store.export_features_to_parquet(
            TENANT, start_time=to_datetime(T), end_time=end, output_path=path, force=True, **one
        )
        found.append(pq.read_table(path) if path.exists() else pa.table({}))
        path.unlink(missing_ok=True)
    spine = pa.table({
        "asset_id": [asset for asset in (*ASSETS, "late") for _ in range(DAYS)],
        "timestamp": [to_datetime(T + i * DAY + HOUR) for _ in range(3) for i in range(DAYS)],
    })  # fmt: skip
    made = await store.get_training_set(
        spine, "forecast_advanced", tenant_id=TENANT, horizons=["6h"], missing="keep"
    )
    return [*found, made.to_arrow()]


def same(found: list[pa.Table], expected: list[pa.Table]) -> bool:
    return all(one.equals(other) for one, other in zip(found, expected, strict=True))


async def never_archived(world: World, late: list[Row], root: Path) -> list[pa.Table]:
    async with MEMORY.open(root, **KEPT) as store:
        await load(store, world)
        if late:
            await store.ingest(late, TENANT)
        return await exported(store, root / "exports")


async def test_what_is_archived_reads_as_before(deployment: Deployment, tmp_path: Path) -> None:
    world, draw = World(), random.Random(2)
    root, to = tmp_path / "exports", str(tmp_path / "archive")
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        before = await exported(store, root)
        assert same(before, await never_archived(world, [], tmp_path))
        sealed = await store.archive(to_datetime(T + 9 * DAY + HOUR), to)
        assert {step["action"] for step in sealed["steps"]} == {"sealed", "verified"}
        assert same(await exported(store, root), before)
        assert (await store.archives())["dropped_before"] == {}

        done = await store.archive(to_datetime(T + 9 * DAY + HOUR), to, drop=True)
        assert {step["action"] for step in done["steps"]} == {"dropped"}
        assert (await store.archives())["dropped_before"].keys() == {"observations", "weather"}
        assert same(await exported(store, root), before)

        late = world.late(draw, T + 9 * DAY)
        await store.ingest(late, TENANT)
        expected = await never_archived(world, late, tmp_path)
        assert same(await exported(store, root), expected)
        for drop in (False, True, True):
            again = await store.archive(to_datetime(T + 10 * DAY), to, drop=drop)
            assert same(await exported(store, root), expected)
        assert not any(step["action"] == "sealed" for step in again["steps"])


async def test_what_was_taken_back_may_come_again(deployment: Deployment, tmp_path: Path) -> None:
    root, to = tmp_path / "exports", str(tmp_path / "archive")
    world = World(3)
    key = next(row for row in world.rows if row["quality"] >= 1)
    late: list[Row] = []
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 9 * DAY), to, drop=True)
        for value, quality, drop in ((1, 0, False), (2, 1, True), (3, 0, True)):
            late.append({**key, "value": float(value), "quality": quality})
            await store.ingest(late[-1:], TENANT)
            await store.archive(to_datetime(T + 9 * DAY), to, drop=drop)
            expected = await never_archived(world, late, tmp_path)
            assert same(await exported(store, root), expected)


async def test_what_changes_between_sealing_and_dropping_is_sealed_again(
    deployment: Deployment, tmp_path: Path
) -> None:
    root, to = tmp_path / "exports", str(tmp_path / "archive")
    world, draw = World(4), random.Random(4)
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 9 * DAY), to)
        late = world.late(draw, T + 9 * DAY)
        await store.ingest(late, TENANT)
        expected = await never_archived(world, late, tmp_path)
        done = await store.archive(to_datetime(T + 9 * DAY), to, drop=True)
        assert {"sealed", "verified", "dropped"} == {step["action"] for step in done["steps"]}
        assert same(await exported(store, root), expected)


@settings(ON_STORES, max_examples=4)
@given(
    seed=st.integers(0, 1_000),
    days=st.integers(1, DAYS + 2),
    rows=st.sampled_from((30, 200, 10**6)),
)
def test_wherever_it_is_cut(seed: int, days: int, rows: int) -> None:
    async def example(root: Path) -> None:
        world, draw = World(seed), random.Random(seed)
        async with MEMORY.open(root, **KEPT) as store:
            await load(store, world)
            to = str(root / "archive")
            await store.archive(to_datetime(T + days * DAY), to, drop=True)
            late = world.late(draw, T + DAYS * DAY)
            await store.ingest(late, TENANT)
            expected = await never_archived(world, late, root)
            assert same(await exported(store, root / "exports"), expected)
            await store.archive(to_datetime(T + (days + 2) * DAY), to, drop=True)
            assert same(await exported(store, root / "exports"), expected)

    with pytest.MonkeyPatch.context() as patch, folder() as root:
        patch.setattr(archiver, "LAYER_ROWS", rows)
        patch.setattr(archive_table, "DROP_ROWS", rows)
        run(example(Path(root)))


async def test_an_answer_that_reads_what_is_archived_says_so(
    deployment: Deployment, tmp_path: Path
) -> None:
    world = World(6)
    asked = {"tenant_id": TENANT, "feature_set": "forecast_basic"}
    old = to_datetime(T + 5 * DAY)
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 9 * DAY), str(tmp_path / "archive"))
        assert not (await store.get(asset_id="a", timestamp=old, exact=True, **asked)).degraded
        await store.archive(to_datetime(T + 9 * DAY), str(tmp_path / "archive"), drop=True)
        dropped = (await store.archives())["dropped_before"]["observations"]
        answer = await store.get(asset_id="c", timestamp=old, **asked)
        assert answer.degraded
        assert answer.reason is not None
        assert f"observations before {dropped} are archived" in answer.reason
        assert {*answer.features} == {"hour_of_day", "day_of_week", "is_weekend"}
        both = await store.get_batch(asset_ids=["a", "c"], timestamp=old, **asked)
        assert both["c"].reason == answer.reason
        explained = await store.explain(asset_id="c", timestamp=old, **asked)
        assert explained["reason"] == answer.reason
        causes = {one["name"]: one["cause"] for one in explained["features"]}
        assert causes["lag_1h"] == "archived"
        assert causes["hour_of_day"] is None
        assert not (await store.get(asset_id="c", **asked)).degraded


async def test_an_archive_that_ends_leaves_nothing_behind(
    deployment: Deployment, tmp_path: Path
) -> None:
    root, to = tmp_path / "exports", tmp_path / "archive"
    world = World(9)
    late = world.late(random.Random(9), T + 9 * DAY)
    old = {"tenant_id": TENANT, "feature_set": "forecast_basic", "asset_id": "c"}
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 9 * DAY), str(to), drop=True)
        await store.ingest(late, TENANT)
        expected = await never_archived(world, late, tmp_path)
        file = next((to / "observations" / f"tenant={TENANT}").rglob("*.parquet"))
        content = file.read_bytes()
        file.write_bytes(content[:100])
        with pytest.raises(StorageError, match="unarchive --lost"):
            await store.unarchive()
        file.write_bytes(content)
        assert same(await exported(store, root), expected)
        done = await store.unarchive()
        assert {step["action"] for step in done["steps"]} == {"returned", "removed"}
        assert await store.archives() == {"dropped_before": {}, "layers": []}
        assert [one for one in to.rglob("*") if one.is_file()] == []
        assert same(await exported(store, root), expected)
        assert not (await store.get(timestamp=to_datetime(T + 5 * DAY), **old)).degraded
        assert (await store.unarchive())["steps"] == []
        await store.archive(to_datetime(T + 9 * DAY), str(to), drop=True)
        assert same(await exported(store, root), expected)


async def test_an_archive_that_is_lost_is_given_up_with_its_reason(
    deployment: Deployment, tmp_path: Path
) -> None:
    world, to = World(10), tmp_path / "archive"
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 9 * DAY), str(to), drop=True)
        dropped = parse_time((await store.archives())["dropped_before"]["observations"])
        shutil.rmtree(to)
        with pytest.raises(StoreError, match="archived rows cannot be read"):
            await exported(store, tmp_path / "exports")
        with pytest.raises(InvalidInput, match="lost"):
            await store.unarchive(lost="")
        done = await store.unarchive(lost="the disk broke")
        assert {step["action"] for step in done["steps"]} == {"forgotten"}
        (record, *_) = (await store.audit(what="unarchive"))["records"]
        assert record["details"]["lost"] == "the disk broke"
        found = await exported(store, tmp_path / "exports")
        assert min(found[0]["timestamp"].to_pylist()) >= to_datetime(dropped)


REMOVALS: dict[str, dict[str, Any]] = {
    "tenant": {},
    "asset": {"asset_ids": ["a"]},
    "series": {"series": "load"},
    "window": {
        "start_time": to_datetime(T + 2 * DAY + HOUR), "end_time": to_datetime(T + 10 * DAY),
        "weather": True,
    },
}  # fmt: skip


def goes(row: Row, removal: dict[str, Any], weather: bool = False) -> bool:
    at = row["timestamp"]
    if weather and "series" in removal:
        return False
    return (
        row["asset_id"] in removal.get("asset_ids", [row["asset_id"]])
        and (weather or row["feature_type"] == removal.get("series", row["feature_type"]))
        and removal.get("start_time", at) <= at
        and ("end_time" not in removal or at < removal["end_time"])
    )


@pytest.mark.parametrize("name", REMOVALS)
async def test_what_is_removed_is_gone_from_the_archive(
    deployment: Deployment, tmp_path: Path, name: str
) -> None:
    if not deployment.lasts or (deployment is not FILE and name != "window"):
        pytest.skip("all of them on a database file, and one on each server")
    world, removal = World(7), REMOVALS[name]
    late = world.late(random.Random(7), T + 9 * DAY)
    async with deployment.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 9 * DAY), str(tmp_path / "archive"), drop=True)
        await store.ingest(late, TENANT)
        await store.archive(to_datetime(T + 9 * DAY), str(tmp_path / "archive"), drop=True)
        told = await store.delete(TENANT, dry_run=True, **removal)
        done = await store.delete(TENANT, **removal)
        assert told["removed"]["archive"] == done["removed"]["archive"] > 0
        again = await store.delete(TENANT, **removal)
        assert again["removed"].get("archive", 0) == 0
        found = await exported(store, tmp_path / "exports")
        files = [*(tmp_path / "archive" / "observations" / f"tenant={TENANT}").rglob("*.parquet")]
    tables = [pq.ParquetFile(one).read() for one in files]
    left = [row for table in tables for row in table.to_pylist()]
    assert not any(goes(row, removal) for row in left)
    async with MEMORY.open(tmp_path, **KEPT) as store:
        rows = [row for row in world.rows if not goes(row, removal)]
        weather = [row for row in world.weather if not goes(row, removal, weather=True)]
        for some, land in ((rows, store.ingest), (weather, store.ingest_weather)):
            if some:
                await land(some, TENANT)
        late = [row for row in late if not goes(row, removal)]
        if late:
            await store.ingest(late, TENANT)
        if name in ("series", "window"):
            await store.assign_weather_source(
                tenant_id=TENANT, source_id="station", asset_ids=["a"],
                valid_from=to_datetime(T + DAY),
            )  # fmt: skip
        assert same(found, await exported(store, tmp_path / "others"))


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(PLAIN, marks=pytest.mark.postgresql),
        pytest.param(TIMESCALEDB, marks=pytest.mark.timescaledb),
    ],
    ids=str,
)
async def test_retention_leaves_what_is_not_archived(server: Deployment, tmp_path: Path) -> None:
    world = World(8)
    kept = {**KEPT, "retention_features": "30d"}
    async with server.open(tmp_path, **kept) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 2 * DAY), str(tmp_path / "archive"))
        before = await exported(store, tmp_path / "exports")
        steps = await maintain(store.settings, at_once=True)
        assert any("ai-hub archive --drop" in step["said"] for step in steps)
        assert not any(step["action"] == "delete" for step in steps)
        assert same(await exported(store, tmp_path / "exports"), before)


async def test_the_files_say_all_that_other_programs_need(tmp_path: Path) -> None:
    world = World(5)
    async with MEMORY.open(tmp_path, **KEPT) as store:
        await load(store, world)
        await store.archive(to_datetime(T + 40 * DAY), str(tmp_path / "archive"), drop=True)
    files = [*(tmp_path / "archive" / "observations" / f"tenant={TENANT}").rglob("*.parquet")]
    table = pa.concat_tables([pq.ParquetFile(one).read() for one in files])
    assert {*table["tenant_id"].to_pylist()} == {TENANT}
    found = {
        (row["asset_id"], row["feature_type"], row["timestamp"]): (row["value"], row["quality"])
        for row in table.to_pylist()
    }
    given_rows = {
        (row["asset_id"], row["feature_type"], row["timestamp"]): (row["value"], row["quality"])
        for row in world.rows
    }
    assert found == given_rows
    assert len(table) == len(given_rows)


async def test_what_is_refused(tmp_path: Path) -> None:
    async with MEMORY.open(tmp_path, **KEPT) as store:
        to = str(tmp_path / "archive")
        with pytest.raises(InvalidInput, match="before: got '9999"):
            await store.archive(to_datetime(parse_time("9999-01-02T00:00:00Z")), to)
        with pytest.raises(InvalidInput, match="drop: got True"):
            await store.archive(to_datetime(T), to, TENANT, drop=True)
        async with store._open.store.archive.alone():
            with pytest.raises(Busy):
                await store.archive(to_datetime(T), to)
        assert await store.archive(to_datetime(T), to) == {
            "before": "2025-03-01T00:00:00Z", "to": to, "steps": []
        }  # fmt: skip
