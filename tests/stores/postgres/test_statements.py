"""To `pg_stat_statements` what is asked again with other values is no other statement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import servers
from ai_hub import FeatureStore
from ai_hub.administration import status
from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, HOUR, parse_time, to_datetime
from conformance.kit import observation

pytestmark = pytest.mark.postgresql
T = parse_time("2025-10-09T14:30:00Z")
LIBRARY = "pg_stat_statements"


@pytest.fixture(
    params=["plain", pytest.param("timescaledb", marks=pytest.mark.timescaledb)],
)
def counting(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    """A server that counts statements."""
    server = servers.Server(request.param)
    try:
        if not server.sql(
            "SELECT FROM pg_available_extensions WHERE name = $1", "postgres", LIBRARY
        ):
            pytest.skip(f"this PostgreSQL has no {LIBRARY}")
        ((loaded,),) = server.sql("SHOW shared_preload_libraries")
        both = ", ".join(filter(None, (loaded, LIBRARY)))
        server.sql(f"ALTER SYSTEM SET shared_preload_libraries = {both}")
        server.restart()
        yield server
    finally:
        server.stop()


async def test_statements_are_as_many_as_there_are_kinds_of_them(
    counting: servers.Server, tmp_path: Path
) -> None:
    url = counting.fresh()
    database = url.rpartition("/")[2]
    counting.sql(f"CREATE EXTENSION {LIBRARY}", database)
    settings = Settings(database_url=url, export_root=tmp_path)

    def statements() -> set[str]:
        found = counting.sql(
            f"SELECT query FROM {LIBRARY} WHERE query NOT LIKE '%{LIBRARY}%'", database
        )
        return {text for (text,) in found}

    async def everything(store: FeatureStore, tenant: str, shift: int) -> None:
        at = T + shift
        assets = [f"{tenant}-{place}" for place in range(3)]
        rows = [observation(one, at - HOUR, 1.0) for one in assets]
        await store.ingest(rows, tenant)
        await store.ingest_weather(
            [{"timestamp": to_datetime(at), "asset_id": assets[0], "temperature": shift}], tenant
        )
        await store.ingest_attributes([{"asset_id": assets[1], "capacity": shift}], tenant)
        await store.assign_weather_source(
            tenant_id=tenant, source_id=assets[0], asset_ids=assets[1:]
        )
        for name in ("forecast_basic", "forecast_advanced"):
            await store.get_features(tenant, assets[0], to_datetime(at), None, name)
            await store.get_batch_features(tenant, assets, name, to_datetime(at))
            for chosen in (None, assets[:2]):
                made = await store.export_features_to_parquet(
                    tenant,
                    name,
                    to_datetime(at) - timedelta(hours=2),
                    to_datetime(at),
                    None,
                    chosen,
                )
                assert made["row_count"] == len(chosen or assets)
        await store.assets(tenant)
        await store.seen_assets(tenant, to_datetime(at) - timedelta(days=1))
        await status(settings)

    async with FeatureStore(settings) as store:
        await everything(store, "tenant-0", 0)
        before, new = statements(), {""}
        # Where values make statements, each turn has some; those of a slow export come once.
        for turn in range(1, 5):
            if not new:
                break
            await everything(store, f"tenant-{turn}", turn * (7 * DAY + HOUR + 7))
            new = statements() - before
            before |= new
        assert not new
