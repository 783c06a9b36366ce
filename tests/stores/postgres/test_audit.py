"""What is done to a PostgreSQL database as a whole leaves audit records, and these end too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_hub.access.actor import user
from ai_hub.administration import grant_tenant, set_retention
from ai_hub.definitions.values import DAY, HOUR, to_datetime
from ai_hub.errors import StoreError
from ai_hub.stores.postgres import audit_log
from ai_hub.stores.postgres.maintain import MAINTENANCE_LOCK
from conformance.kit import observation
from servers import Kind
from stores.postgres.maintained import TENANT, World, opened
from stores.postgres.test_retention import days, kind, now

__all__ = ["kind"]

KEEP_RAW = {"retention_features": "none", "retention_raw": "none"}


async def told(world: World, what: str) -> list[dict[str, Any]]:
    found = (await world.store.audit(what=what))["records"]
    assert {one["who"] for one in found} <= {user()}
    assert {one["tenant_id"] for one in found} <= {None}
    return [{"count": one["count"], **one["details"]} for one in found]


async def test_retention_says_what_it_deleted(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, retention_raw="none", retention_features="90d") as world:
        await world.store.ingest(days(900, 25), TENANT)
        await world.maintain(now())
        assert await told(world, "retention") == []
        await world.maintain(now() + 8 * DAY)
        gone = [one for one in await told(world, "retention") if one["relation"] == "ai_features"]
        if kind == "plain":
            assert sum(one["count"] for one in gone) == 25
            assert {one["unit"] for one in gone} == {"row"}
        else:
            assert {(one["count"], one["unit"]) for one in gone} == {(1, "chunk")}
        before = len(await told(world, "retention"))
        await world.maintain(now() + 9 * DAY)
        assert len(await told(world, "retention")) == before


async def test_maintenance_says_what_it_did(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, **KEEP_RAW) as world:
        start = now() - 40 * DAY
        await world.store.ingest(
            [observation("a", start + i * HOUR, float(i)) for i in range(200)], TENANT
        )
        await world.maintain(now())
        done = await told(world, "maintain")
        if kind == "timescaledb":
            assert done[0]["refresh hourly_features"] >= 1
            assert done[0]["count"] == sum(
                number for name, number in done[0].items() if name != "count"
            )
        else:
            assert done == []


async def test_maintenance_that_fails_says_so(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, retention_audit="30d", **KEEP_RAW) as world:
        start = now() - 40 * DAY
        await world.store.ingest(
            [observation("a", start + i * HOUR, float(i)) for i in range(200)], TENANT
        )
        # What is deleted last cannot be.
        await world.sql.execute(
            "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'they stay'; END $$"
        )
        await world.sql.execute(
            "CREATE TRIGGER stay BEFORE DELETE ON ai_hub_audit EXECUTE FUNCTION stay()"
        )
        with pytest.raises(StoreError, match="they stay"):
            await world.maintain(now())
        (failed,) = await told(world, "maintain")
        assert "they stay" in failed["failed"]
        assert (failed["count"] > 0) is (kind == "timescaledb")
        assert ("refresh hourly_features" in failed) is (kind == "timescaledb")
        # One that may not begin is none.
        with pytest.raises(StoreError):
            await world.maintain(now())
        await world.sql.execute("SELECT pg_advisory_lock($1)", MAINTENANCE_LOCK)
        await world.maintain(now())
        assert len(await told(world, "maintain")) == 2


async def test_declarations_and_grants_say_who_made_them(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as world:
        settings = world.store.settings
        await set_retention(settings, "ai_features", "400d")
        declared = (await told(world, "retention-set"))[0]
        assert (declared["relation"], declared["keep"]) == ("ai_features", "400d")
        role = f"reader_{kind}"
        await world.sql.execute(f'DROP ROLE IF EXISTS "{role}"')
        await world.sql.execute(f'CREATE ROLE "{role}"')
        try:
            await grant_tenant(settings, role, TENANT)
            (granted,) = (await world.store.audit(TENANT, what="grant-tenant"))["records"]
            assert granted["details"] == {"role": role}
        finally:
            await world.sql.execute(f'DROP OWNED BY "{role}"')
            await world.sql.execute(f'DROP ROLE "{role}"')


async def test_old_records_go_and_that_is_told_of(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_AT_ONCE", 2)
    monkeypatch.setattr(audit_log, "_EXPIRE", audit_log._EXPIRE.replace("20000", "2"))
    async with opened(kind, tmp_path, retention_audit="30d", retention_raw="none") as world:
        await world.sql.execute(
            "INSERT INTO ai_hub_audit (done_at, who, who_id, what, count, details) "
            "SELECT $1, 'x', '', 'ingest', 1, '{}' FROM generate_series(1, 5)",
            now() - 31 * DAY,
        )
        await world.store.ingest([observation("a", now(), 1.0)], TENANT)
        steps = await world.maintain(now())
        (gone,) = [one for one in steps if one.relation == "ai_hub_audit"]
        assert (gone.action, gone.count) == ("delete", 5)
        left = await world.store.audit(end_time=to_datetime(now() - DAY))
        assert left["records"] == []
        counts = [
            one["count"]
            for one in await told(world, "retention")
            if one["relation"] == "ai_hub_audit"
        ]
        assert sum(counts) == 5
        assert len(await told_ingests(world)) == 1


async def told_ingests(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.store.audit(what="ingest"))["records"]
    return found
