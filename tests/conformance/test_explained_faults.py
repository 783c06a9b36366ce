"""Why a value is missing that is nobody's reading: retention, views, and a store that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.administration import maintain
from ai_hub.config import Settings
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Calendar, FromView, Lag
from ai_hub.definitions.values import DAY, HOUR, iso, parse_time, to_datetime
from ai_hub.errors import UnknownFeature, UnknownFeatureSet
from ai_hub.explanation.asked import Asked
from ai_hub.explanation.explaining import Explainer
from ai_hub.serving.reader import Reader
from ai_hub.testing.sets import HOLIDAYS
from conformance.kit import PLAIN, TIMESCALEDB, Deployment, observation
from conformance.kit import run as in_a_loop
from conformance.own_views import KEYS, execute, insert, row
from conformance.test_explain import LASTING, ran
from servers import Server

NOW = time.time_ns() // 1_000
T = NOW - NOW % HOUR
OLD = T - 200 * DAY
VIEW = 'CREATE OR REPLACE VIEW "scores" AS SELECT * FROM score_rows'
OWN = FeatureSet("own", 1, (FromView("score", "scores", "score"), Lag("lag", "1h")))


async def explained(store: FeatureStore, at: int, feature: str, name: str = "own") -> Any:
    asked = {
        "tenant_id": "acme", "asset_id": "a", "feature_set": name, "timestamp": to_datetime(at),
    }  # fmt: skip
    found = await store.explain(**asked, feature_names=[feature])
    (one,) = found["features"]
    assert one["name"] == feature
    answer = await store.get(**asked)
    assert one["value"] == answer.features[feature]
    assert one["missing"] is (feature in answer.missing)
    return one


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(PLAIN, marks=pytest.mark.postgresql, id="plain"),
        pytest.param(TIMESCALEDB, marks=pytest.mark.timescaledb, id="timescaledb"),
    ],
)
def test_beyond_retention(
    kept: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [observation("a", OLD - 24 * HOUR, 5.0), observation("a", T, 6.0)]
    commands: list[str] = []

    async def begin() -> None:
        async with kept.open(tmp_path) as store:
            await store.ingest(rows, "acme")
            assert not (await explained(store, OLD, "lag_24h", "forecast_basic"))["missing"]
            for _ in range(2):  # it tells of rows first
                await maintain(store.settings, True)
            await store.invalidate_feature_cache("acme", "a")
            one = await explained(store, OLD, "lag_24h", "forecast_basic")
            assert one["cause"] == "beyond_retention", one["why"]
            assert "it keeps them for 90d" in one["why"]
            commands.extend(part for part in one["why"].split("`") if part.startswith("ai-hub "))
            assert commands[0] == one["command"]

    in_a_loop(begin())
    monkeypatch.setenv("AI_HUB_DATABASE_URL", kept.url(tmp_path))
    file = tmp_path / "again.csv"
    file.write_text(f"timestamp,asset_id,value\n{iso(OLD - 24 * HOUR)},a,5\n")
    for command in commands:
        ran(command, {"FILE": str(file)})

    async def end() -> None:
        async with kept.open(tmp_path) as store:
            await maintain(store.settings, True)
            one = await explained(store, OLD, "lag_24h", "forecast_basic")
            assert (one["value"], one["why"]) == (5.0, None)

    in_a_loop(end())


async def test_a_view_of_ones_own(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest([observation("a", T - HOUR, 1.0)], "acme")
        await execute(store, f"CREATE TABLE score_rows ({KEYS}, score FLOAT8)", VIEW)
        await store.apply([OWN])
        one = await explained(store, T, "score")
        assert one["cause"] == "view"
        assert "has no row of this asset" in one["why"]
        await execute(store, *insert("score_rows", [row(T - 2 * DAY, "acme", "a", 4.5)]))
        one = await explained(store, T, "score")
        assert f"is of {iso(T - 2 * DAY)}, not later than {iso(T - DAY)}" in one["why"]
        await execute(store, *insert("score_rows", [row(T - HOUR, "acme", "a", 5.5)]))
        one = await explained(store, T, "score")
        assert (one["value"], one["why"], one["rows"]["count"]) == (5.5, None, 1)
        assert one["rows"]["newest"] == [{"timestamp": iso(T - HOUR), "value": 5.5}]
        await execute(store, *insert("score_rows", [row(T - HOUR, "acme", "a", 6.5)]))
        one = await explained(store, T, "score")
        assert "has several rows" in one["why"]
        assert one["rows"]["count"] == 2
        await execute(store, "DELETE FROM score_rows WHERE score = 6.5", "DROP VIEW scores")
        one = await explained(store, T, "score")
        assert "is not there" in one["why"]
        # What is advised, with what the view said in place of the dots.
        assert 'CREATE OR REPLACE VIEW "scores" AS ...' in one["command"]
        await execute(store, VIEW)
        assert (await explained(store, T, "score"))["why"] is None
        other = VIEW.replace("*", "timestamp, tenant_id, asset_id, score + 1 AS score")
        await execute(store, other)
        one = await explained(store, T, "score")
        assert "says something else" in one["why"]
        assert one["command"] == "ai-hub apply FILE"
        await store.apply([replace(OWN, version=2)])
        assert (await explained(store, T, "score", "own@2"))["value"] == 6.5


SLOW = {
    "postgres": (
        "CREATE VIEW scores AS SELECT s.* FROM score_rows s, "
        "(SELECT pg_sleep(seconds) FROM delay OFFSET 0) AS d",
        "UPDATE delay SET seconds = 0.5",
    ),
    "embedded": (
        "CREATE VIEW scores AS SELECT s.* FROM score_rows s WHERE (SELECT count(*) FROM delay a, "
        "delay b, delay c WHERE hash(a.seconds, b.seconds, c.seconds) = 1) < 1000",
        "INSERT INTO delay SELECT range / 100 FROM range(400)",
    ),
}


@pytest.mark.parametrize("lasting", LASTING)
async def test_a_view_that_is_slow(lasting: Deployment, tmp_path: Path) -> None:
    async with lasting.open(tmp_path, view_timeout="30s") as store:
        view, slower = SLOW[store.settings.store_kind]
        await store.ingest([observation("a", T - HOUR, 1.0)], "acme")
        await execute(
            store, f"CREATE TABLE score_rows ({KEYS}, score FLOAT8)",
            "CREATE TABLE delay AS SELECT 0.0::float8 AS seconds", view,
            *insert("score_rows", [row(T - HOUR, "acme", "a", 5.5)]),
        )  # fmt: skip
        await store.apply([OWN])
        await execute(store, slower)
    async with lasting.open(tmp_path, view_timeout="20ms") as store:
        one = await explained(store, T, "score")
        assert one["cause"] == "view"
        assert "have answers wait longer with that setting" in one["why"]
    async with lasting.open(tmp_path, view_timeout="30s") as store:
        one = await explained(store, T, "score")
        assert (one["value"], one["why"]) == (5.5, None)


@pytest.mark.parametrize("lasting", LASTING[1:])
async def test_a_view_that_may_not_be_read(lasting: Deployment, tmp_path: Path) -> None:
    async with lasting.open(tmp_path) as store:
        await store.ingest([observation("a", T - HOUR, 1.0)], "acme")
        await execute(store, f"CREATE TABLE score_rows ({KEYS}, score FLOAT8)", VIEW)
        await execute(store, *insert("score_rows", [row(T - HOUR, "acme", "a", 5.5)]))
        await store.apply([OWN])
        await execute(
            store,
            "CREATE ROLE reads_little LOGIN PASSWORD 'reader'",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reads_little",
            "REVOKE SELECT ON scores FROM reads_little",
        )
        try:
            url = store.settings.database_url
            reader = f"postgresql://reads_little:reader@{url.rpartition('@')[2]}"
            async with FeatureStore(replace(store.settings, database_url=reader)) as other:
                one = await explained(other, T, "score")
                assert one["cause"] == "view"
                assert (
                    "Grant the role of AI_HUB_DATABASE_URL the right to it (SELECT)" in one["why"]
                )
                await execute(store, "GRANT SELECT ON scores TO reads_little")
            async with FeatureStore(replace(store.settings, database_url=reader)) as other:
                one = await explained(other, T, "score")
                assert (one["value"], one["why"]) == (5.5, None)
        finally:
            await execute(store, "DROP OWNED BY reads_little", "DROP ROLE reads_little")


@dataclass
class _Loses:
    """A reader whose database is lost after its first answer."""

    reader: Reader
    lose: Callable[[], object]
    lost: bool = False

    async def exact(self, *of: Any, **how: Any) -> Any:
        found = await self.reader.exact(*of, **how)
        if not self.lost:
            self.lost = True
            self.lose()
        return found


@pytest.mark.postgresql
async def test_while_the_database_is_away(tmp_path: Path) -> None:
    own = Server("plain")
    try:
        asked: dict[str, Any] = {
            "tenant_id": "acme", "asset_id": "a", "feature_set": "forecast_basic",
            "timestamp": to_datetime(T),
        }  # fmt: skip
        settings = Settings(database_url=own.fresh(), patience="1s", export_root=tmp_path)
        async with FeatureStore(settings) as store:
            await store.ingest([observation("a", T - HOUR, 1.0)], "acme")
            with ExitStack() as paused:
                # It is lost after the answer, before what explains it.
                parts = store._open
                reader = _Loses(parts.reader, lambda: paused.enter_context(own.paused()))
                explainer = Explainer(reader, parts.store, store.now)  # type: ignore[arg-type]
                spec = store.specs.one_set("forecast_basic", None, None)
                asked_for = Asked("acme", "a", T, (), settings.granularity)
                found = await explainer.explain(spec, asked_for)
            assert found["degraded"]
            assert "lag_1h" in found["missing"]
            with own.paused():
                found = await store.explain(**asked)
            assert found["degraded"]
            assert found["missing"] == ["lag_1h", "lag_24h", "rolling_avg_24h"]
            for one in found["features"]:
                assert (one["cause"] == "degraded") is one["missing"]
            assert "The database did not answer" in found["features"][-1]["why"]
            for _ in range(100):
                found = await store.explain(**asked)
                if not found["degraded"]:
                    break
                await asyncio.sleep(0.1)
            assert found["missing"] == ["lag_24h"]
    finally:
        own.stop()


async def test_what_is_asked_is_checked_as_in_answers(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        asked: dict[str, Any] = {"tenant_id": "t", "asset_id": "a"}
        with pytest.raises(UnknownFeatureSet, match="expected one of anomaly_detection"):
            await store.explain(**asked, feature_set="forecast_basi")
        with pytest.raises(UnknownFeature, match="expected one of hour_of_day"):
            await store.explain(**asked, feature_set="forecast_basic", feature_names=["lag_24"])
        found = await store.explain(**asked, feature_names=["lag_1h", "hour_of_day"])
        assert [one["name"] for one in found["features"]] == ["lag_1h", "hour_of_day"]
        assert (found["feature_set"], found["missing"]) == (None, ["lag_1h"])


async def test_holidays_that_are_not_known_any_more(deployment: Deployment, tmp_path: Path) -> None:
    day = Calendar("holiday", "is_holiday", "Europe/Berlin", country="DE", holidays=HOLIDAYS)
    far = Calendar("far", "month", offset="P12M")
    days = FeatureSet("days", 1, (day, far))
    async with deployment.open(tmp_path, days) as store:
        for at, feature, words in (
            (parse_time("2026-03-01T00:00:00Z"), "holiday", "do not reach this time"),
            (parse_time("9999-03-01T00:00:00Z"), "far", "beyond the years 1 to 9999"),
        ):
            one = await explained(store, at, feature, "days")
            assert one["cause"] == "calendar"
            assert words in one["why"]
        known = await explained(store, parse_time("2025-01-01T12:00:00Z"), "holiday", "days")
        assert (known["value"], known["why"]) == (1.0, None)
