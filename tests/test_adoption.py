"""Tables that others made come over whole, in the order of writing, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import servers
from ai_hub import FeatureSet, FeatureStore, Lag
from ai_hub.adoption import adopt
from ai_hub.config import Settings
from ai_hub.errors import InvalidInput
from ai_hub.stores.postgres import old_tables
from servers import Kind, Server

# As the feature engineering guide makes them: numbers of any size, and no key.
TABLES = """
CREATE TABLE old_raw (timestamp TIMESTAMPTZ NOT NULL, tenant_id VARCHAR(50) NOT NULL,
  asset_id VARCHAR(50) NOT NULL, value NUMERIC NOT NULL, quality INTEGER DEFAULT 1);
CREATE TABLE old_clean (timestamp TIMESTAMPTZ NOT NULL, tenant_id TEXT NOT NULL,
  asset_id TEXT NOT NULL, value NUMERIC NOT NULL, feature_type TEXT NOT NULL);
CREATE TABLE old_weather (timestamp TIMESTAMPTZ NOT NULL, tenant_id TEXT NOT NULL,
  asset_id TEXT NOT NULL, temperature NUMERIC, wind_speed NUMERIC);
"""
HYPERTABLES = """
SELECT create_hypertable('old_raw', 'timestamp', chunk_time_interval => INTERVAL '1 day');
SELECT create_hypertable('old_clean', 'timestamp', chunk_time_interval => INTERVAL '1 day');
"""
# Zeros first, then what counts; a value that is none, and weather that was written twice.
ROWS = """
INSERT INTO old_clean SELECT t, 'one', 'a', 0, 'load'
FROM generate_series(TIMESTAMPTZ '2025-10-01Z', '2025-10-09Z', '15 minutes') AS t;
INSERT INTO old_clean SELECT t, 'one', 'a', extract(epoch FROM t) / 900 % 1000, 'load'
FROM generate_series(TIMESTAMPTZ '2025-10-01Z', '2025-10-09Z', '15 minutes') AS t;
INSERT INTO old_clean VALUES ('2025-10-09 01:00Z', 'one', 'a', 'NaN', 'load');
INSERT INTO old_raw SELECT timestamp, tenant_id, 'b', value,
  CASE WHEN extract(hour FROM timestamp) = 3 THEN 0 WHEN value < 500 THEN 1 END FROM old_clean;
INSERT INTO old_weather VALUES ('2025-10-09 13:00Z', 'one', 'a', 11, 'NaN'),
  ('2025-10-09 13:00Z', 'one', 'a', 12.5, 3);
"""
COUNT = 769
KEPT = "SELECT timestamp, value FROM ai_features WHERE asset_id = $1 ORDER BY timestamp"
NEWEST = """
SELECT timestamp, (array_agg(value::float8 ORDER BY ctid DESC))[1] FROM old_clean
WHERE value <> 'NaN' GROUP BY timestamp ORDER BY timestamp
"""


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def server(request: pytest.FixtureRequest) -> Server:
    kind: Kind = request.param
    return servers.server(kind)


class Stopped(Exception):
    """Of who looks at the progress."""


class Place:
    """A migrated database with the tables of others."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.fresh()
        self.settings = Settings(database_url=self.url)
        self.name = self.url.rpartition("/")[2]
        hyper = HYPERTABLES if server.kind != "plain" else ""
        server.psql(self.name, script=TABLES + hyper + ROWS)

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.server.sql(query, self.name, *arguments)


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    made = Place(server)
    yield made
    server.discard(made.url)


async def test_the_last_row_of_a_key_wins_and_the_rest_is_counted(place: Place) -> None:
    if place.server.kind == "timescaledb":
        place.rows("SELECT add_retention_policy('old_clean', INTERVAL '90 days')")
    found = await adopt(place.settings, "old_clean")
    assert (found.held, found.rows, found.duplicates) == ("observations", 2 * COUNT + 1, COUNT)
    assert found.rejected == 1
    assert found.reasons[0].field == "value"
    assert found.had_retention == (place.server.kind == "timescaledb")
    assert place.rows(KEPT, "a") == place.rows(NEWEST)
    again = await adopt(place.settings, "public.old_clean")
    assert (again.rows, again.duplicates, again.rejected) == (2 * COUNT + 1, COUNT, 1)
    assert not again.had_retention


async def test_quality_and_weather_are_what_they_were(place: Place) -> None:
    await adopt(place.settings, "old_raw")
    found = await adopt(place.settings, "old_weather")
    usable = """
        SELECT count(DISTINCT timestamp) FROM old_raw
        WHERE coalesce(quality, 1) > 0 AND value <> 'NaN'
    """
    assert place.rows("SELECT count(*) FROM ai_features WHERE asset_id = 'b'") == place.rows(usable)
    assert (found.held, found.rows, found.duplicates) == ("weather", 2, 1)
    assert place.rows("SELECT temperature, wind_speed FROM weather_features") == [(12.5, 3.0)]


async def test_it_goes_on_where_it_stopped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_tables, "PIECE_BLOCKS", 2)
    shares: list[float] = []

    def stop(share: float, rows: int) -> None:
        shares.append(share)
        if len(shares) % 3 == 0:
            raise Stopped

    for _ in range(20):
        try:
            found = await adopt(place.settings, "old_clean", told=stop)
            break
        except Stopped:
            continue
    assert len(shares) > 3
    assert all(0 <= share <= 1 for share in shares)
    assert (found.rows, found.duplicates) == (2 * COUNT + 1, COUNT)
    assert place.rows(KEPT, "a") == place.rows(NEWEST)
    more = "INSERT INTO old_clean VALUES ('2025-10-09 02:00Z', 'one', 'a', 7, 'load')"
    place.rows(more)
    assert (await adopt(place.settings, "old_clean")).rows == 2 * COUNT + 2
    assert place.rows(KEPT, "a")[-1][1] == 7.0


@pytest.mark.postgresql
async def test_partitions_and_views_come_over_too() -> None:
    place = Place(servers.server("plain"))
    place.server.psql(
        place.name,
        script="""
        CREATE TABLE parted (LIKE old_clean) PARTITION BY RANGE (timestamp);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2025-10-05Z');
        CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2025-10-05Z') TO (MAXVALUE);
        INSERT INTO parted SELECT * FROM old_clean;
        CREATE VIEW renamed AS SELECT timestamp, tenant_id, 'v' AS asset_id, value FROM old_clean
          WHERE value > 0;
    """,
    )
    assert (await adopt(place.settings, "parted")).rows == 2 * COUNT + 1
    assert place.rows(KEPT, "a") == place.rows(NEWEST)
    assert (await adopt(place.settings, "renamed")).rows > 0
    assert place.rows("SELECT count(*) > 0 FROM ai_features WHERE asset_id = 'v'") == [(True,)]
    place.server.discard(place.url)


@pytest.mark.timescaledb
@pytest.mark.long
async def test_chunks_in_the_columnstore_come_over_too() -> None:
    place = Place(servers.server("timescaledb"))
    place.server.psql(
        place.name,
        script="""
        ALTER TABLE old_clean
          SET (timescaledb.compress, timescaledb.compress_segmentby = 'asset_id');
        SELECT compress_chunk(c)
        FROM show_chunks('old_clean', older_than => '2025-10-05Z'::timestamptz) AS c;
    """,
    )
    assert (await adopt(place.settings, "old_clean")).rows == 2 * COUNT + 1
    recent = "SELECT count(*), sum(value) > 0 FROM ai_features WHERE timestamp >= '2025-10-05Z'"
    assert place.rows(recent) == [(385, True)]
    assert (await adopt(place.settings, "old_clean")).rows == 2 * COUNT + 1
    place.server.discard(place.url)


@pytest.mark.timescaledb
@pytest.mark.long
async def test_a_database_moves_from_plain_postgresql_to_timescaledb() -> None:
    before, after = Place(servers.server("plain")), Place(servers.server("timescaledb"))
    mine = FeatureSet("mine", version=1, features=[Lag("ago", "1h", series="load")])
    async with FeatureStore.open(settings=before.settings) as store:
        await store.apply([mine])
        await store.assign_weather_source(tenant_id="one", source_id="s", asset_ids=["a"])
        await store.ingest_attributes(
            [{"tenant_id": "one", "asset_id": "a", "key": "area", "value": 9.5}]
        )
    await adopt(before.settings, "old_clean")
    for table in ("timeseries_data", "ai_features", "weather_features", "asset_weather_source",
                  "asset_attributes", "feature_exports", "feature_sets", "feature_set_defaults",
                  "feature_models", "feature_rollouts"):  # fmt: skip
        await adopt(after.settings, table, before.url)
    for query in (
        KEPT.replace("$1", "'a'"),
        "SELECT * FROM asset_weather_source",
        "SELECT * FROM asset_attributes",
        "SELECT name, version, fingerprint FROM feature_sets ORDER BY 1",
    ):
        assert after.rows(query) == before.rows(query)
    answers = []
    for place in (before, after):
        async with FeatureStore.open(settings=place.settings) as store:
            at = after.rows("SELECT max(timestamp) FROM ai_features")[0][0]
            answer = await store.get(
                tenant_id="one", asset_id="a", feature_set="mine", timestamp=at
            )
            answers.append(answer.features)
            place.server.discard(place.url)
    assert answers[0] == answers[1] != {"ago": 0.0}


@pytest.mark.postgresql
async def test_what_cannot_come_over_is_named() -> None:
    place = Place(servers.server("plain"))
    place.server.psql(
        place.name,
        script="""
        CREATE TABLE local (timestamp TIMESTAMP, tenant_id TEXT, asset_id TEXT, value FLOAT);
        CREATE TABLE other (id INT);
    """,
    )
    for table, words in {
        "nowhere": "a table or view of the database",
        "ai_features": "ALTER TABLE ai_features RENAME TO old_ai_features",
        "local": "of type timestamptz, not timestamp without time zone",
        "other": "columns timestamp, tenant_id, asset_id and value",
    }.items():
        with pytest.raises(InvalidInput, match=words):
            await adopt(place.settings, table)
    place.server.discard(place.url)
