"""Spark gives the rows that the reference and the local engine give, however it spreads them.

Run by `tests/test_spark.py` with the interpreter of an environment of its own; with
SPARK_REMOTE=local[2] through Spark Connect.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from adbc_driver_postgresql import dbapi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark import cloudpickle
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from ai_hub import Attribute, Calendar, FeatureSet, FromView, InvalidInput, Latest
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    HOUR,
    LAST_INSTANT,
    to_datetime,
    to_micros,
)
from ai_hub.definitions.vocabulary import Missing
from ai_hub.export.recipe import Recipe
from ai_hub.export.worker import training_batches
from ai_hub.spark import archived, training_set
from ai_hub.spark.training import _work
from ai_hub.testing import feature_sets, frequency_times, observed_times, policies
from conformance import test_archive as history
from conformance.kit import FILE, PLAIN, TIMESCALEDB, Deployment, run
from conformance.rows import ATTRIBUTES, Pair, check_row, chosen_targets, pairs, tables_of
from conformance.worlds import World, worlds
from servers import require, stop_all

# Workers run this interpreter, and find the tests' sources.
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.shuffle.partitions": "3",
    "spark.sql.session.timeZone": "America/St_Johns",
}


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    builder = SparkSession.builder
    remote = os.environ.get("SPARK_REMOTE")
    builder = builder.master("local[2]") if remote is None else builder.remote(remote)
    for key, value in _SETTINGS.items():
        if remote is None or key.startswith("spark.sql"):
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    stop_all()


# A job of Spark takes seconds, however little there is to do: each has many worlds in it.
FEW = settings(
    max_examples=5,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
KEYS = [("tenant_id", "ascending"), ("asset_id", "ascending"), ("timestamp", "ascending")]


def together(tables: list[pa.Table]) -> pa.Table:
    """Tables of several tenants as one."""
    return pa.concat_tables(
        table.append_column("tenant_id", pa.array([f"tenant-{i}"] * len(table), pa.string()))
        for i, table in enumerate(tables)
    )


def frame(spark: Any, table: pa.Table) -> Any:
    if not len(table):
        # Connect takes no table without rows.
        return spark.createDataFrame([], from_arrow_schema(table.schema))
    # Spark takes an empty chunk for the end of a table.
    return spark.createDataFrame(table.combine_chunks())


@FEW
@given(
    feature_set=feature_sets(asset_zone=True, max_size=12),
    wanted=chosen_targets(),
    missing=policies(),
    some=st.lists(worlds(), min_size=8, max_size=8),
    slice_rows=st.sampled_from((None, 2, 7, 1_000)),
    partitions=st.sampled_from((1, 2, 5)),
    rows=st.sampled_from(("observations", "spine", "frequency")),
    data=st.data(),
)
def test_any_partitions_and_slices_give_the_references_rows(
    spark: Any,
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    missing: Missing | None,
    some: list[World],
    slice_rows: int | None,
    partitions: int,
    rows: str,
    data: st.DataObject,
) -> None:
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    every = [tables_of(world) for world in some]
    given = {name: frame(spark, together([one[name] for one in every])) for name in every[0]}
    how: dict[str, Any] = {"horizons": wanted, "missing": missing, "indicators": True}
    expected: list[tuple[int, Pair]] = []
    start = some[0].instants[some[0].assets[0]][0] - 3 * HOUR
    end = start + 5 * HOUR
    match rows:
        case "spine":
            each = [data.draw(pairs(world)) for world in some]
            expected = [(i, pair) for i, mine in enumerate(each) for pair in mine]
            table = pa.table(
                {
                    "tenant_id": [f"tenant-{i}" for i, _ in expected],
                    "asset_id": [asset for _, (asset, _) in expected],
                    "timestamp": pa.array([t for _, (_, t) in expected], pa.timestamp("us", "UTC")),
                    "label": range(len(expected)),
                }
            )
            given["spine"] = frame(spark, table)
        case "frequency":
            how |= {"frequency": "1h", "start_time": to_datetime(start)}
            how |= {"end_time": to_datetime(end)}
    recipe = Recipe.of(feature_set, **how | {"spine": ["label"] if rows == "spine" else None})
    for i, world in enumerate(some if rows != "spine" else ()):
        for asset in world.assets:
            history = world.history(asset)
            times = (
                frequency_times(recipe.feature_set, history, start, end, HOUR)
                if rows == "frequency"
                else observed_times(recipe.feature_set, history, FIRST_INSTANT, LAST_INSTANT)
            )
            expected += [(i, (asset, t)) for t in times]
    made = training_set(feature_set=feature_set, slice_rows=slice_rows, **given, **how)
    found = made.toArrow().to_pylist()
    places = [(int(r["tenant_id"].removeprefix("tenant-")), pair_of(r)) for r in found]
    assert sorted(places) == sorted(expected)
    for (i, pair), row in zip(places, found, strict=True):
        assert rows != "spine" or expected[row["label"]] == (i, pair)
        row = row | {"tenant_id": "tenant-1"}
        check_row(recipe.feature_set, wanted, missing, some[i], pair, row)


def pair_of(row: dict[str, Any]) -> Pair:
    return row["asset_id"], to_micros(row["timestamp"])


def hours(assets: int, rows: int, start: int = -40 * DAY) -> pa.Table:
    """Hourly observations with gaps, about 1970."""
    draws = np.random.default_rng(0)
    time = np.sort(draws.choice(rows * 2, (assets, rows)), axis=1) * HOUR + start
    ids = np.repeat([f"meter-{i}" for i in range(assets)], rows)
    table = pa.table(
        {
            "timestamp": pa.array(time.ravel(), pa.timestamp("us", "UTC")),
            "asset_id": ids,
            "value": draws.random(assets * rows),
        }
    )
    found = table.group_by(["asset_id", "timestamp"]).aggregate([("value", "min")])
    return found.rename_columns(["asset_id", "timestamp", "value"])


WEATHER = FeatureSet("w", 1, (Latest("t", "temperature"), "lag_1h", "rolling_avg_24h"))


def test_the_rows_are_those_of_the_local_engine(spark: Any) -> None:
    observed = hours(6, 900)
    weather = pa.table(
        {
            "timestamp": observed["timestamp"],
            "asset_id": [f"station-{i % 2}" for i in range(len(observed))],
            "issued_at": pa.array(
                [t.as_py() - timedelta(hours=i % 5) for i, t in enumerate(observed["timestamp"])],
                pa.timestamp("us", "UTC"),
            ),
            "temperature": [float(i % 90) for i in range(len(observed))],
        }
    )
    weather = weather.group_by(["asset_id", "timestamp", "issued_at"]).aggregate(
        [("temperature", "min")]
    )
    weather = weather.rename_columns(["asset_id", "timestamp", "issued_at", "temperature"])
    sources = pa.table(
        {
            "asset_id": [f"meter-{i}" for i in range(5)],
            "source_id": [f"station-{i % 2}" for i in range(5)],
        }
    )
    tables = {"observations": observed, "weather": weather, "weather_sources": sources}
    how: dict[str, Any] = {"horizons": ["24h"], "indicators": True, "tenant_id": "acme"}
    local = pa.Table.from_batches(training_batches(feature_set=WEATHER, **tables, **how))
    given = {name: frame(spark, table) for name, table in tables.items()}
    for slice_rows in (100, None):
        made = training_set(feature_set=WEATHER, slice_rows=slice_rows, **given, **how)
        found = made.toArrow().sort_by(KEYS)
        assert found.column_names == local.column_names
        for name in local.column_names:
            ours, theirs = found[name].to_pylist(), local[name].to_pylist()
            assert ours == (pytest.approx(theirs, rel=1e-9) if name.startswith("roll") else theirs)
    said = json.loads(made.schema["timestamp"].metadata["ai_hub"])
    assert said["ai_hub.fingerprint"] == WEATHER.fingerprint


def test_one_long_asset_beside_many_short_ones(spark: Any, tmp_path: Path) -> None:
    long, short = 2_500_000, 100
    minutes = np.arange(long) * (HOUR // 60) - long // 2 * (HOUR // 60)
    hourly = np.tile(np.arange(short) * HOUR, 1_000)
    draws = np.random.default_rng(0)
    observed = pa.table(
        {
            "timestamp": pa.array(np.append(minutes, hourly), pa.timestamp("us", "UTC")),
            "asset_id": pa.DictionaryArray.from_arrays(
                np.append(np.full(long, 1_000), np.repeat(np.arange(1_000), short)),
                [f"meter-{i:04}" for i in range(1_001)],
            ),
            "value": np.round(draws.random(long + 1_000 * short), 3),
        }
    )
    pq.write_table(observed.take(draws.permutation(len(observed))), tmp_path / "readings.parquet")
    how: dict[str, Any] = {"feature_set": "forecast_basic", "horizons": ["24h"]}
    local = pa.Table.from_batches(training_batches(observed, tenant_id="acme", **how))
    readings = spark.read.parquet(str(tmp_path / "readings.parquet"))
    training_set(readings, tenant_id="acme", **how).write.parquet(str(tmp_path / "train"))
    found = pq.read_table(tmp_path / "train").sort_by(KEYS)
    assert len(found) == long + 1_000 * short
    assert found.column_names == local.column_names
    for name in local.column_names:
        ours, theirs = found[name], local[name].cast(found.schema.field(name).type)
        if name.startswith("rolling"):
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-9)
        else:
            assert ours.equals(theirs), name


def test_slices_have_the_attributes_of_their_asset(spark: Any) -> None:
    # Two that are cut, and one that is not.
    observed = hours(3, 300).slice(0, 650)
    rows = [
        {"asset_id": f"meter-{i}", "key": key, "valid_from": to_datetime(since), "text": zone,
         "number": None if zone else float(i + since % 7)}
        for i in range(3)
        for since in (FIRST_INSTANT, -20 * DAY, 1)
        for key, zone in (("timezone", ("Europe/Berlin", "Asia/Tokyo")[since == 1]),
                          ("capacity", None))
    ]  # fmt: skip
    attributes = pa.Table.from_pylist(rows, ATTRIBUTES)
    zoned = FeatureSet(
        "zoned", 1, (Calendar("hour", "hour_of_day", "@asset"), Attribute("capacity", "capacity"))
    )
    tables = {"observations": observed, "attributes": attributes}
    local = pa.Table.from_batches(training_batches(feature_set=zoned, tenant_id="acme", **tables))
    given = {name: frame(spark, table) for name, table in tables.items()}
    for spine in (None, frame(spark, observed.select(["asset_id", "timestamp"]))):
        made = training_set(
            feature_set=zoned, tenant_id="acme", slice_rows=100, spine=spine, **given
        )
        found = made.toArrow().sort_by(KEYS).select(["hour", "capacity"])
        assert found.to_pylist() == local.select(["hour", "capacity"]).to_pylist()


def test_labels_of_a_spine_come_back_as_they_are(spark: Any) -> None:
    observed = hours(2, 50)
    spine = pa.table(
        {
            "kind": pa.array([{"a": 1, "b": ["x", None]}, None]),
            "value": [7, 8],
            "asset_id": ["meter-1", "nobody"],
            "timestamp": observed["timestamp"].slice(60, 2),
        }
    )
    made = training_set(
        frame(spark, observed), "forecast_basic", tenant_id="acme", spine=frame(spark, spine)
    )
    assert made.columns[:5] == ["timestamp", "tenant_id", "asset_id", "value", "kind"]
    found = made.toArrow().sort_by("value").select(["kind", "value", "asset_id", "timestamp"])
    assert found.to_pylist() == spine.to_pylist()


# What a database has beside its archive; on PostgreSQL with what was taken back since.
LIVE = {
    "file": "SELECT * FROM timeseries_data",
    "postgresql": "SELECT tenant_id, asset_id, feature_type, timestamp, value, 1 AS quality "
    "FROM ai_features UNION ALL "
    "SELECT tenant_id, asset_id, feature_type, timestamp, NULL, 0 FROM ai_hub_archive_gone",
}


def read(deployment: Deployment, folder: Path, query: str) -> pa.Table:
    """What a query of the database gives."""
    url = deployment.url(folder)
    if deployment is FILE:
        with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as file:
            return file.execute(query).to_arrow_table()
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()


@pytest.mark.parametrize("deployment", [FILE, PLAIN, TIMESCALEDB], ids=str)
def test_an_archive_and_live_rows_are_one_history(
    spark: Any, deployment: Deployment, tmp_path: Path
) -> None:
    if deployment is not FILE:
        require("plain" if deployment is PLAIN else "timescaledb")
    url, local = str(tmp_path / "archive"), tmp_path / "exports" / "local.parquet"
    end = to_datetime(history.T + 20 * DAY)
    how: dict[str, Any] = {"feature_set": "forecast_advanced", "horizons": ["24h"]}
    how |= {"start_time": to_datetime(history.T), "end_time": end}

    dropped: dict[str, datetime] = {}

    async def made() -> dict[str, pa.Table]:
        world, draw = history.World(), random.Random(5)
        async with deployment.open(tmp_path, **history.KEPT) as store:
            await history.load(store, world)
            await store.archive(to_datetime(history.T + 9 * DAY), url, drop=True)
            await store.ingest(world.late(draw, history.T + 9 * DAY), history.TENANT)
            await store.archive(to_datetime(history.T + 6 * DAY), url, drop=True)
            await store.ingest(world.late(draw, history.T + 9 * DAY), history.TENANT)
            exports = {}
            for tenant in (history.TENANT, history.OTHER):
                await store.export_features_to_parquet(tenant, output_path=local, force=True, **how)
                exports[tenant] = pq.read_table(local)
            for kind, at in (await store.archives())["dropped_before"].items():
                dropped[kind] = datetime.fromisoformat(at)
            return exports

    expected = run(made())
    # Of a layer that was never finished, or is being removed.
    part = next(Path(url).rglob("day=*/**/*.parquet"))
    shutil.copy(part, part.with_name("unfinished.parquet"))
    live = LIVE["file" if deployment is FILE else "postgresql"]
    rows = frame(spark, read(deployment, tmp_path, live))
    weather = frame(spark, read(deployment, tmp_path, "SELECT * FROM weather_features"))
    sources = read(
        deployment, tmp_path,
        "SELECT tenant_id, asset_id, source_id, valid_from FROM asset_weather_source",
    )  # fmt: skip
    found = training_set(
        archived(spark, url, live=rows, dropped_before=dropped["observations"]),
        weather=archived(spark, url, "weather", live=weather, dropped_before=dropped["weather"]),
        weather_sources=frame(spark, sources),
        **how,
    ).toArrow()
    for tenant, mine in expected.items():
        theirs = found.filter(pc.equal(found["tenant_id"], tenant)).sort_by(KEYS)
        assert theirs.num_rows == mine.num_rows
        assert_same(theirs, mine)
    alone = archived(spark, url, tenant_id=history.OTHER)
    assert {row["tenant_id"] for row in alone.toArrow().to_pylist()} == {history.OTHER}
    with pytest.raises(InvalidInput, match=r"archive.*a folder manifests below it"):
        archived(spark, str(tmp_path / "exports"))
    with pytest.raises(InvalidInput, match="dropped_before"):
        archived(spark, url, live=rows)


def test_the_command_writes_what_the_store_exports(tmp_path: Path) -> None:
    local, train = tmp_path / "local.parquet", tmp_path / "train"
    start, end = to_datetime(history.T + DAY), to_datetime(history.T + 8 * DAY)

    async def made() -> pa.Table:
        async with FILE.open(tmp_path, **history.KEPT) as store:
            await history.load(store, history.World(7))
            await store.export_features_to_parquet(
                history.TENANT, "forecast_advanced", start_time=start, end_time=end,
                horizons=["24h"], indicators=True, output_path=local,
            )  # fmt: skip
            return pq.read_table(local)

    expected = run(made())
    tables = {
        "--source": LIVE["file"],
        "--weather": "SELECT * FROM weather_features",
        "--weather-sources": "SELECT * FROM asset_weather_source",
    }
    files: list[str] = []
    for option, query in tables.items():
        file = tmp_path / f"{option.strip('-')}.parquet"
        pq.write_table(read(FILE, tmp_path, query), file, coerce_timestamps="us")
        files += [option, str(file)]
    environment = {name: text for name, text in os.environ.items() if name != "SPARK_REMOTE"}
    ran = subprocess.run(
        [Path(sys.executable).with_name("ai-hub"), "export", "--engine", "spark", *files,
         "--tenant", history.TENANT, "--set", "forecast_advanced", "--horizon", "24h",
         "--start", start.isoformat(), "--end", end.isoformat(), "--indicators",
         "--output", str(train), "--json"],
        env=environment | {"AI_HUB_DATABASE_URL": FILE.url(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["status"], said["row_count"]) == ("completed", len(expected))
    assert (train / "_SUCCESS").exists()
    found = pq.read_table(train).sort_by(KEYS)
    assert pq.read_schema(next(train.glob("*.parquet"))).field("timestamp").type == pa.timestamp(
        "us", "UTC"
    )
    assert_same(found, expected)


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """Equal, but for how sums of floats are rounded."""
    assert found.column_names == expected.column_names
    for name in expected.column_names:
        ours, theirs = found[name].to_pylist(), expected[name].to_pylist()
        assert ours == (pytest.approx(theirs, rel=1e-9) if "roll" in name else theirs), name


def test_what_cannot_be_read_is_refused(spark: Any) -> None:
    observed = frame(spark, hours(1, 5))
    view = FeatureSet("v", 1, (FromView("f", "plans", "load", "24h"),))
    with pytest.raises(InvalidInput, match="without features of views"):
        training_set(observed, view, tenant_id="acme")
    with pytest.raises(InvalidInput, match="a column named tenant_id, or tenant_id="):
        training_set(observed, "forecast_basic")
    local = observed.withColumn("timestamp", observed["timestamp"].cast("timestamp_ntz"))
    with pytest.raises(InvalidInput, match=r"observations\.timestamp.*type timestamp"):
        training_set(local, "forecast_basic", tenant_id="acme")
    with pytest.raises(InvalidInput, match="a column named value"):
        training_set(observed.drop("value"), "forecast_basic", tenant_id="acme")
    with pytest.raises(InvalidInput, match="slice_rows"):
        training_set(observed, "forecast_basic", tenant_id="acme", slice_rows=0)


def test_workers_without_the_package_say_so(spark: Any, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    for version, expected in (("0.0.1", "have ai-hub-feature-store"), (None, "PYSPARK_PYTHON")):
        sent.write_bytes(cloudpickle.dumps(_work(pickle.dumps(None), version or "1", True)))
        hidden = "" if version else "sys.modules['ai_hub'] = None"
        program = (
            f"import pickle, sys; from pyspark import cloudpickle\n{hidden}\n"
            f"list(pickle.load(open({str(sent)!r}, 'rb'))(iter([])))"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert expected in ran.stderr
