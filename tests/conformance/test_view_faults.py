"""What is wrong with a view: refused when a set is applied, missing and counted when served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as pa
import pytest

from ai_hub import Derived, FeatureSet, FeatureStore, FromView, Lag, Rolling
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime
from ai_hub.errors import InvalidDefinition, InvalidInput, RegistryConflict, StoreRefused
from conformance.kit import PLAIN, Deployment, observation
from conformance.own_views import KEYS, execute, insert, row

T = parse_time("2025-10-09T14:30:00Z")
SCORES = FeatureSet(
    "own",
    1,
    (
        "hour_of_day",  # type: ignore[arg-type]
        FromView("score", "scores", "score"),
        FromView("other", "others", "score", "2h"),
        Lag("lag", "1h"),
        Derived("both", "score + lag"),
    ),
)
ROWS = f"CREATE TABLE score_rows ({KEYS}, score FLOAT8)"
SCORE_VIEW = "CREATE VIEW scores AS SELECT * FROM score_rows"
OTHERS = f"CREATE TABLE others ({KEYS}, score FLOAT8)"
WHOLE = {"hour_of_day": 14, "score": 4.5, "other": 2.5, "lag": 10.0, "both": 14.5}


async def prepared(store: FeatureStore, *more: str) -> None:
    """Two assets with a reading, the first with a row of each view."""
    await store.ingest([observation(name, T - HOUR, 10.0) for name in "ab"], "t")
    await execute(
        store, ROWS, SCORE_VIEW, OTHERS, *insert("score_rows", [row(T, "t", "a", 4.5)]),
        *insert("others", [row(T, "t", "a", 2.5)]), *more,
    )  # fmt: skip


async def asked(store: FeatureStore, asset: str = "a", name: str = "own") -> Any:
    return await store.get(
        tenant_id="t", asset_id=asset, feature_set=name, timestamp=to_datetime(T)
    )


def faults(store: FeatureStore) -> dict[tuple[str, str], int]:
    """How often each feature had no value for which reason."""
    return {(name, why): n for (_, name, why), n in store.measured().view_faults.items()}


async def test_answers_are_never_cached_nor_made_beforehand(
    any_cache: Deployment, tmp_path: Path
) -> None:
    async with any_cache.open(tmp_path) as store:
        await prepared(store)
        await store.apply([SCORES])
        for score in (4.5, 5.5, 6.5):
            await execute(store, f"UPDATE score_rows SET score = {score}")
            answer = await asked(store)
            assert (answer.features["score"], answer.cache_hit) == (score, False)
        warmed = await store.warm_feature_cache(tenant_id="t", asset_ids=["a"], feature_set="own")
        assert (warmed["warmed"], warmed["computed"]) == (0, 0)
        stats = await store.cache_stats()
        assert not stats.entries
        assert stats.hits == 0


async def test_a_view_that_is_another_or_gone_has_no_values_and_leaves_the_rest(
    deployment: Deployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with deployment.open(tmp_path) as store:
        await prepared(store)
        await store.apply([SCORES])
        assert (await asked(store)).features == WHOLE
        spine = pa.table({"asset_id": ["a"], "timestamp": pa.array([T], pa.timestamp("us", "UTC"))})
        for statement, why, words in (
            ("CREATE OR REPLACE VIEW scores AS SELECT timestamp, tenant_id, asset_id, score + 1 AS "
             "score FROM score_rows", "changed", "says something else"),
            ("DROP VIEW scores", "gone", "is not there"),
        ):  # fmt: skip
            await execute(store, statement)
            with caplog.at_level(logging.WARNING):
                answer = await asked(store)
            assert answer.missing == ("score", "both")
            assert answer.features == WHOLE | {"score": 0.0, "both": 0.0}
            assert faults(store)["score", why] == 1
            assert "view without a value" in caplog.text
            batch = await store.get_batch(
                tenant_id="t", asset_ids=["a", "b"], feature_set="own", timestamp=to_datetime(T)
            )
            assert batch["a"].features == answer.features
            assert faults(store)["score", why] == 3
            with pytest.raises(StoreRefused, match=f"the view scores {words}"):
                await store.get_training_set(spine, "own", tenant_id="t")
        await execute(store, SCORE_VIEW)
        assert (await asked(store)).features == WHOLE
        # A table's columns are what it says.
        await execute(store, "ALTER TABLE others ADD COLUMN more FLOAT8")
        assert (await asked(store)).missing == ("other",)
        assert faults(store)["other", "changed"] == 1


async def test_a_changed_view_is_another_version(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await prepared(store, "CREATE VIEW top AS SELECT * FROM scores")
        one = FeatureSet("own", 1, (FromView("score", "top", "score"),))
        await store.apply([one])
        assert [change.action for change in (await store.plan([one])).changes] == ["none"]
        before = store.registry.get("own@1").features[0]
        assert isinstance(before, FromView)
        # It is the view below that changes.
        await execute(
            store,
            "CREATE OR REPLACE VIEW scores AS SELECT timestamp, tenant_id, asset_id, score * 2 AS "
            "score FROM score_rows",
        )
        planned = await store.plan([one])
        assert not planned.is_allowed
        (difference,) = planned.changes[0].differences
        with pytest.raises(RegistryConflict) as refused:
            await store.apply([one])
        assert str(refused.value) == (
            "version: got 'own@1', expected a version whose definition is unchanged. Raise the "
            "version: apply the new definition as own@2.\n"
            "own@1 is there and differs:\n"
            f"  ~ score.definition: {before.definition} -> {difference.after}"
        )
        assert (await asked(store)).missing == ("score",)
        await store.apply([replace(one, version=2)])
        assert (await asked(store, name="own@2")).features == {"score": 9.0}
        assert (await asked(store, name="own@1")).missing == ("score",)


async def test_several_rows_of_the_newest_time_are_null_and_counted(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await prepared(store, *insert("score_rows", [row(T, "t", "a", 4.5)]))
        await store.apply([SCORES])
        assert (await asked(store)).missing == ("score", "both")
        assert faults(store) == {("score", "several"): 1}
        assert (await asked(store, "b")).missing == ("score", "other", "both")
        assert faults(store) == {("score", "several"): 1}
        spine = pa.table(
            {
                "asset_id": ["a", "b", "a"],
                "timestamp": pa.array([T, T, T - MINUTE], pa.timestamp("us", "UTC")),
            }
        )
        found = await store.get_training_set(spine, "own", tenant_id="t")
        assert found.several == {"score": 1}
        assert faults(store) == {("score", "several"): 2}
        record = await store.export_features_to_parquet(
            "t", "own", spine=spine, output_path=tmp_path / "exports" / "own.parquet"
        )
        assert record["row_count"] == 3
        assert faults(store) == {("score", "several"): 3}


async def test_what_cannot_be_read_is_refused_when_it_is_applied(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await prepared(
            store,
            "CREATE VIEW no_zone AS SELECT timestamp::TIMESTAMP AS timestamp, tenant_id, asset_id, "
            "score FROM score_rows",
            "CREATE VIEW no_asset AS SELECT timestamp, tenant_id, score FROM score_rows",
        )
        cases = (
            ("nowhere", "score", "view: got 'nowhere', expected a view or table of this database"),
            ("a.b", "score", "view: got 'a.b', expected a view or table of this database"),
            ("scores", "size", "column: got 'size', expected a column of scores: score"),
            ("scores", "asset_id", "column: got 'asset_id', expected a column of numbers, or of "
             "true and false, not of "),
            ("no_zone", "score", "view: got 'no_zone', expected a view with a column timestamp of "
             "times with a time zone, not "),
            ("no_asset", "score", "view: got 'no_asset', expected a view with a column asset_id of "
             "texts, not none"),
        )  # fmt: skip
        for view, column, words in cases:
            wanted = FeatureSet("own", 1, (FromView("score", view, column),))
            for change in (store.plan, store.apply):
                with pytest.raises(InvalidDefinition) as refused:
                    await change([wanted])
                assert str(refused.value).startswith(f"own@1.score.{words}"), refused.value
        assert [one.name for one in store.registry.sets() if one.name == "own"] == []
        with pytest.raises(InvalidInput, match=r"own@1\.score\.view: got 'scores'.* Apply the set"):
            store.register(SCORES)
        frozen = FromView("score", "scores", "score", definition="0" * 16)
        with pytest.raises(InvalidInput, match=r"definition: got '0{16}', expected [0-9a-f]{16}"):
            await store.apply([FeatureSet("own", 1, (frozen,))])


SLOW = {
    "postgresql": (
        "CREATE TABLE delay AS SELECT 0.0::float8 AS seconds",
        "CREATE VIEW slow AS SELECT s.* FROM score_rows s, (SELECT pg_sleep(seconds) FROM delay "
        "OFFSET 0) AS d",
        "UPDATE delay SET seconds = 30",
    ),
    "duckdb": (
        "CREATE TABLE delay AS SELECT 1 AS i",
        "CREATE VIEW slow AS SELECT s.* FROM score_rows s WHERE (SELECT count(*) FROM delay a, "
        "delay b, delay c WHERE hash(a.i, b.i, c.i) = 1) < 1000",
        "INSERT INTO delay SELECT * FROM range(5000)",
    ),
}


async def test_a_slow_view_leaves_the_rest(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path, view_timeout="1s") as store:
        table, view, slower = SLOW[store.settings.database_url.partition("://")[0]]
        await prepared(
            store,
            table,
            view,
            *insert("score_rows", [row(T - HOUR, "t", name, 1.0) for name in "ab"]),
        )
        one = replace(SCORES, features=(*SCORES.features, FromView("late", "slow", "score")))
        await store.apply([one])
        assert (await asked(store)).features == WHOLE | {"late": 4.5}
        await execute(store, slower)
        answer = await asked(store)
        assert answer.missing == ("late",)
        assert answer.features == WHOLE | {"late": 0.0}
        assert faults(store) == {("late", "slow"): 1}
        with pytest.raises(InvalidDefinition, match=r"late\.view: .*does not answer within"):
            await store.apply([replace(one, version=2)])


@pytest.mark.postgresql
async def test_a_view_that_may_not_be_read(tmp_path: Path) -> None:
    async with PLAIN.open(tmp_path) as store:
        await prepared(store)
        await store.apply([SCORES])
        await execute(
            store,
            "DROP ROLE IF EXISTS view_reader",
            "CREATE ROLE view_reader LOGIN PASSWORD 'reader'",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO view_reader",
            "REVOKE SELECT ON scores FROM view_reader",
        )
        url = store.settings.database_url
        reader = f"postgresql://view_reader:reader@{url.rpartition('@')[2]}"
        async with FeatureStore(replace(store.settings, database_url=reader)) as other:
            assert (await asked(other)).missing == ("score", "both")
            assert faults(other) == {("score", "refused"): 1}
            with pytest.raises(InvalidDefinition, match=r"score\.view: .*may read\. Grant"):
                await other.plan([SCORES])
        connection = await asyncpg.connect(url)
        await connection.execute("DROP OWNED BY view_reader; DROP ROLE view_reader")
        await connection.close()


async def test_views_are_read_on_the_snapshot_of_the_answer(
    deployment: Deployment, tmp_path: Path
) -> None:
    """What a view says of readings is what the readings say, while others come in."""
    chosen = FeatureSet(
        "own", 1, (FromView("seen", "readings", "value"), Rolling("last", "last", "24h"))
    )
    async with deployment.open(tmp_path) as store:
        await store.ingest([observation("a", T - DAY // 2, 0.0)], "t")
        await execute(store, "CREATE VIEW readings AS SELECT * FROM ai_features")
        await store.apply([chosen])

        async def write() -> None:
            for i in range(1, 25):
                await store.ingest([observation("a", T - DAY // 2 + i * MINUTE, float(i))], "t")

        async def read() -> Sequence[Any]:
            return [await asked(store) for _ in range(25)]

        _, answers = await asyncio.gather(write(), read())
        for answer in answers:
            assert answer.features["seen"] == answer.features["last"]
