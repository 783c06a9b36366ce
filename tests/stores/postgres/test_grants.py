"""A role that was given a tenant sees that tenant's rows, and nothing of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

import servers
from ai_hub.config import Settings
from ai_hub.errors import InvalidInput, StoreRefused
from ai_hub.stores.postgres.grants import grant_tenant
from servers import Kind, Server

ROLE = 'An "a" %'
RELATIONS = ("timeseries_data", "ai_features", "weather_features", "asset_weather_source",
             "asset_attributes", "feature_exports", "hourly_features", "daily_features",
             "forecast_basic_features", "forecast_advanced_features",
             "anomaly_detection_features")  # fmt: skip
ROWS = """
INSERT INTO timeseries_data (timestamp, tenant_id, asset_id, value)
SELECT h, t, 'a', extract(hour FROM h)
FROM generate_series('2025-10-01Z'::timestamptz, '2025-10-09Z', '1 hour') AS h,
  unnest(ARRAY['one', 'two', 'o''ne']) AS t;
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT timestamp, tenant_id, asset_id, value FROM timeseries_data;
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value) VALUES
  ('2025-10-10Z', 'one', 'a', 1e200), ('2025-10-10 01:00Z', 'one', 'a', -1e200);
INSERT INTO weather_features (timestamp, issued_at, tenant_id, asset_id, temperature)
SELECT '2025-10-08Z', '2025-10-08Z', t, 's', 7 FROM unnest(ARRAY['one', 'two']) AS t;
INSERT INTO asset_weather_source (tenant_id, asset_id, source_id)
SELECT t, 'a', 's' FROM unnest(ARRAY['one', 'two']) AS t;
INSERT INTO asset_attributes (tenant_id, asset_id, key, number)
SELECT t, 'a', 'area', 9 FROM unnest(ARRAY['one', 'two']) AS t;
INSERT INTO feature_exports (tenant_id, feature_set)
SELECT t, 'forecast_basic' FROM unnest(ARRAY['one', 'two']) AS t
"""
LEAKY = """
CREATE FUNCTION pg_temp.told(seen text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE NOTICE 'seen %', seen; RETURN true; END $$
"""


@dataclass(frozen=True)
class Place:
    """A database of some tenants, and the role."""

    server: Server
    url: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def settings(self) -> Settings:
        return Settings(database_url=self.url)

    async def seen(self, *statements: str) -> list[Any]:
        """The rows of the last statement, as the role is given them."""
        connection = await asyncpg.connect(self.url, user=ROLE)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
        pytest.param("apache", marks=pytest.mark.timescaledb),
    ],
)
def server(request: pytest.FixtureRequest, installation: object) -> Server:
    kind: Kind = request.param
    running = servers.server(kind)
    running.role(ROLE.replace('"', '""'))
    return running


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    url = server.fresh()
    made = Place(server, url)
    server.psql(made.name, script=ROWS)
    yield made
    server.discard(url)


async def test_it_sees_the_rows_of_its_tenant(place: Place) -> None:
    names = await grant_tenant(place.settings, ROLE, "one")
    assert set(RELATIONS) <= set(names)
    for relation in RELATIONS:
        assert await place.seen(f"SELECT DISTINCT tenant_id FROM {relation}") == [("one",)]
        ours = f"SELECT count(*) FROM public.{relation} WHERE tenant_id = 'one'"
        assert await place.seen(f"SELECT count(*) FROM {relation}") == place.server.sql(
            ours, place.name
        )


async def test_functions_and_views_give_what_they_give_the_owner(place: Place) -> None:
    """Also of values too large to square, for which a view asks a function that reads rows."""
    await grant_tenant(place.settings, ROLE, "one")
    for query in (
        "SELECT * FROM get_lag_features('one', 'a', '2025-10-08Z', ARRAY[1, 24])",
        "SELECT * FROM get_rolling_features('one', 'a', '2025-10-08Z', 24)",
        "SELECT * FROM forecast_basic_features WHERE tenant_id = 'one' ORDER BY timestamp",
        "SELECT * FROM forecast_advanced_features WHERE tenant_id = 'one' ORDER BY timestamp",
        "SELECT * FROM anomaly_detection_features WHERE tenant_id = 'one' ORDER BY timestamp",
    ):
        theirs = await place.seen(query)
        connection = await asyncpg.connect(place.url)
        assert theirs == [tuple(row) for row in await connection.fetch(query)]
        assert len(theirs) > 0
        await connection.close()


async def test_it_sees_nothing_of_others(place: Place) -> None:
    await grant_tenant(place.settings, ROLE, "one")
    for function in (
        "get_lag_features('two', 'a', '2025-10-08Z', ARRAY[1])",
        "get_rolling_features('two', 'a', '2025-10-08Z', 24)",
        "ai_hub_raw_window('two', 'a', 'value', '2025-10-01Z', '2025-10-08Z')",
    ):
        rows = await place.seen(f"SELECT * FROM {function}")
        assert all(value is None for row in rows for value in row)
    chunks = place.server.sql(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = '_timescaledb_internal' AND relkind = 'r' AND relname LIKE '%hyper%'",
        place.name,
    )
    assert bool(chunks) == (place.server.kind != "plain")
    own = [(f"public.{relation}",) for relation in (*RELATIONS, "ai_hub_tenants", "feature_sets")]
    for (relation,) in (*own, *chunks):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await place.seen(f"SELECT * FROM {relation}")
    for statement in (
        "INSERT INTO ai_features SELECT * FROM ai_features",
        "DELETE FROM ai_features",
        f"CREATE TABLE {quoted(ROLE)}.mine ()",
        "SELECT ai_hub_grant_tenant(current_user, 'two')",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await place.seen(statement)


async def test_a_condition_that_tells_is_not_asked_about_others(place: Place) -> None:
    await grant_tenant(place.settings, ROLE, "one")
    for relation in RELATIONS:
        connection = await asyncpg.connect(place.url, user=ROLE)
        told: list[str] = []
        connection.add_log_listener(lambda _, message, told=told: told.append(message.message))
        await connection.execute(LEAKY)
        await connection.fetch(f"SELECT * FROM {relation} WHERE pg_temp.told(tenant_id)")
        await connection.close()
        assert set(told) == {"seen one"}


async def test_a_second_tenant_comes_to_the_first(place: Place) -> None:
    for tenant in ("one", "o'ne", "one"):
        await grant_tenant(place.settings, ROLE, tenant)
    seen = await place.seen("SELECT DISTINCT tenant_id FROM ai_features ORDER BY 1")
    assert seen == [("o'ne",), ("one",)]


async def test_who_would_see_more_is_refused(place: Place) -> None:
    with pytest.raises(StoreRefused, match="CREATE ROLE nobody LOGIN"):
        await grant_tenant(place.settings, "nobody", "one")
    with pytest.raises(StoreRefused, match="sees all tenants"):
        await grant_tenant(place.settings, "ai_hub", "one")
    with pytest.raises(InvalidInput, match="tenant_id"):
        await grant_tenant(place.settings, ROLE, "")
    place.server.sql("GRANT SELECT ON ai_features TO PUBLIC", place.name)
    with pytest.raises(StoreRefused, match="REVOKE SELECT ON ai_features FROM"):
        await grant_tenant(place.settings, ROLE, "one")
    place.server.sql("REVOKE SELECT ON ai_features FROM PUBLIC", place.name)
    place.server.sql(f"CREATE SCHEMA AUTHORIZATION {quoted(ROLE)}", place.name)
    with pytest.raises(StoreRefused, match="schema of that name"):
        await grant_tenant(place.settings, ROLE, "one")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
