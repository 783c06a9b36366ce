"""A history is what was: series as they are stored, features as training rows have them, weather as
it was known then."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Lag, Latest, Rolling
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime, to_micros
from ai_hub.errors import InvalidInput, UnknownFeature
from conformance.kit import Deployment, observation

T = parse_time("2025-10-09T14:00:00Z")
START, END = to_datetime(T - 2 * DAY), to_datetime(T)
LOAD = FeatureSet(
    "load", 1,
    (
        Lag("lag_1h", "1h"),
        Rolling("mean_day", "mean", "24h", min_count=20),
        Latest("warm", "temperature"),
        Derived("over", "lag_1h / mean_day"),
    ),
)  # fmt: skip


async def fill(store: FeatureStore) -> None:
    readings = [
        observation(asset, T - n * HOUR, 10 + math.sin(n), quality=int(n != 30))
        for asset in ("a", "b")
        for n in range(90)
        if asset == "a" or not 10 < n < 20
    ]
    half = [observation("a", T - n * HOUR + 30 * MINUTE, float(n), "water") for n in range(1, 50)]
    both = [observation("a", T - n * HOUR, float(n), "water") for n in range(5)]
    await store.ingest([*readings, *half, *both], "t")
    await store.ingest_weather(
        [
            {"asset_id": "a", "timestamp": to_datetime(T - n * HOUR), "temperature": 20.0 - n}
            for n in range(0, 60, 2)
        ]
        + [
            # Of an hour to come: known from 3 h before on, and from 1 h before on otherwise.
            {
                "asset_id": "a",
                "timestamp": to_datetime(T - 5 * HOUR),
                "issued_at": to_datetime(T - 5 * HOUR - ahead * HOUR),
                "temperature": 50.0 + ahead,
            }
            for ahead in (3, 1)
        ],
        "t",
    )


def keyed(table: pa.Table) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["asset_id"], to_micros(row["timestamp"])): row for row in table.to_pylist()}


async def test_features_of_a_history_are_those_of_training_rows(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, LOAD) as store:
        await fill(store)
        for how in ({}, {"frequency": "15m"}, {"missing": "keep"}):
            path = tmp_path / f"{len(how)}{'_'.join(how)}.parquet"
            asked: dict[str, Any] = {"indicators": True, **how}
            await store.export_features_to_parquet(
                "t", "load", START, END, path, ["a", "b"], **asked
            )
            expected = keyed(pq.read_table(path))
            found = await store.history("t", ["b", "a"], START, END, feature_set="load", **asked)
            rows = keyed(found.to_arrow())
            assert [*rows] == sorted(rows) == [*expected]
            assert found.features == LOAD.feature_names
            for key, row in rows.items():
                assert row == {name: expected[key][name] for name in row}
        answer = await store.get(
            tenant_id="t", asset_id="a", feature_set="load", timestamp=to_datetime(T - 7 * HOUR)
        )
        one = (
            await store.history(
                "t", ["a"], to_datetime(T - 7 * HOUR), to_datetime(T - 7 * HOUR),
                feature_set="load@1", features=["over", "lag_1h"],
            )
        ).to_arrow()  # fmt: skip
        assert one.column_names == ["timestamp", "asset_id", "value", "lag_1h", "over"]
        assert one["over"][0].as_py() == pytest.approx(answer.features["over"], rel=1e-12)


async def test_series_and_weather_are_what_was_stored_and_known(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, LOAD) as store:
        await fill(store)
        found = await store.history(
            "t", ["a", "nobody"], to_datetime(T - 6 * HOUR), END,
            series=["water", "value"], weather=["temperature"],
        )  # fmt: skip
        assert (found.series, found.weather) == (("water", "value"), ("weather_temperature",))
        rows = keyed(found.to_arrow())
        halves = [T - 6 * HOUR + n * 30 * MINUTE for n in range(13)]
        assert [*rows] == [("a", at) for at in halves]
        for place, at in enumerate(halves):
            row, ago = rows["a", at], 6 - place / 2
            whole = place % 2 == 0
            assert row["value"] == (pytest.approx(10 + math.sin(ago)) if whole else None)
            assert row["water"] == (math.ceil(ago) if not whole or ago < 5 else None)
        # A measurement of at most an hour ago, and else what is newest: the forecast of 5 h before
        # the end, of its last issue.
        known = [rows["a", T - n * HOUR]["weather_temperature"] for n in (6, 5, 4)]
        assert known == [14.0, 51.0, 16.0]
        alone = await store.history("t", ["a"], START, END, series=[], weather=True)
        assert len(alone) == 49 - 1  # one reading is of no quality
        assert alone.series == ()
        assert len(alone.weather) == 6
        named = await store.history("t", ["a"], START, END, features=["hour_of_day"])
        assert named.to_arrow().column_names == ["timestamp", "asset_id", "value", "hour_of_day"]


async def test_a_history_is_a_frame_of_bounded_size(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path, LOAD) as store:
        await fill(store)
        found = await store.history("t", ["b", "a"], START, END, feature_set="load", weather=True)
        assert len(found) == len(found.to_pandas()) == len(found.to_polars()) == 48 + 39
        assert str(found.to_pandas()["timestamp"].dtype) == "datetime64[us, UTC]"
        assert "87 rows of t from 2025-10-07T14:00:00Z" in found._repr_html_()
        assert found.metadata["ai_hub.fingerprint"] == LOAD.fingerprint
        with pytest.raises(InvalidInput, match="more than 86 rows"):
            await store.history("t", ["b", "a"], START, END, limit=86)
        with pytest.raises(InvalidInput, match="more than 87 rows"):
            await store.history("t", ["a"], START, END, frequency="1s", limit=87)
        assert not len(await store.history("t", ["a"], END, END, series=["none"]))
        with pytest.raises(UnknownFeature, match=r"^features: got .lag_2h"):
            await store.history("t", ["a"], START, END, feature_set="load", features=["lag_2h"])
        for field, wrong in {
            "series": {"series": [""]},
            "start_time": {"start_time": to_datetime(T + 2)},
            "weather": {"weather": ["snow"]},
            "frequency": {"frequency": "often"},
            "limit": {"limit": 0},
            "asset_ids": {"asset_ids": "a"},
        }.items():
            asked: dict[str, Any] = {"asset_ids": ["a"], "start_time": START, **wrong}
            with pytest.raises(InvalidInput, match=f"^{field}: "):
                await store.history("t", end_time=END, **asked)
        many = [f"m{n}" for n in range(10_000)]
        with pytest.raises(InvalidInput, match=r"^series: got '11 of 10,000"):
            await store.history("t", many, START, END, series=[*"abcdefghijk"])
        for series in ("lag_1h", "asset_id"):
            with pytest.raises(InvalidInput, match=f"^series: got '{series}'"):
                await store.history("t", ["a"], START, END, series=[series], feature_set="load")
