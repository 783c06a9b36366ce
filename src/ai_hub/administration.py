"""What an administrator does to a database: migrate it, maintain it, look at it.

Only PostgreSQL needs the first two. Drivers are imported when they are needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, assert_never

from ai_hub.config import Settings
from ai_hub.definitions.values import Duration, check_id
from ai_hub.errors import InvalidInput, NoDatabase, StoreError

if TYPE_CHECKING:
    from ai_hub.doctor.line import Line
    from ai_hub.stores.postgres.migrate import Report
    from ai_hub.stores.query import Found


async def migrate(settings: Settings, dry_run: bool = False) -> Report:
    """Bring the database of the settings to this release, or say what that would run.

    Raises StoreError: NotMigrated or StoreRefused where a person has to do something first.
    """
    from ai_hub.stores.postgres import migrate as postgres_migrate

    return await postgres_migrate.migrate(settings.database_url, settings, dry_run)


def migration_script(settings: Settings) -> str:
    """One file for psql that does on any server what `migrate` does; needs no database."""
    from ai_hub.stores.postgres.migration_script import script

    return script(settings)


async def grant_tenant(settings: Settings, role: str, tenant_id: str) -> list[str]:
    """Let a role of the server read a tenant's rows, and no others, with SQL.

    Gives the names of the views and functions in the schema of the role's name. Raises StoreError.
    """
    from ai_hub.stores.postgres.grants import grant_tenant as grant

    return await grant(settings, role, tenant_id)


async def retention(settings: Settings) -> list[dict[str, Any]]:
    """How long the database keeps the rows of each relation. Raises StoreError."""
    from ai_hub.stores.postgres import declared

    return await declared.retention(settings)


async def set_retention(settings: Settings, relation: str, keep: object) -> dict[str, Any]:
    """Declare how long a relation keeps its rows (None: for ever), whatever settings say later.

    What is declared then, and what was `before`. Raises InvalidInput and StoreError.
    """
    from ai_hub.stores.postgres import declared

    return await declared.set_retention(settings, relation, keep)


async def maintain(
    settings: Settings,
    at_once: bool = False,
    rebuild: tuple[int, int] | None = None,
    within: Duration | None = None,
    connections: int = 2,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Refresh aggregates, delete what is older than its retention, compress; what was done.

    Each step has an `action`, a `relation`, a sentence (`said`) and a `count`; `tell` is called
    with each when it is done. `at_once` deletes without a notice period. What follows from rows of
    `rebuild`, [start, end) in microseconds since 1970, is computed anew. What does not end `within`
    a time is left for the next run. So many `connections` work side by side. Raises StoreError.
    """
    from ai_hub.stores.postgres.maintain import maintain as once
    from ai_hub.stores.postgres.retention import Step

    def told(step: Step) -> None:
        if tell is not None:
            tell(asdict(step))

    steps = await once(
        settings, at_once=at_once, rebuild=rebuild, within=within, connections=connections,
        tell=told,
    )  # fmt: skip
    return [asdict(step) for step in steps]


async def maintain_every(
    settings: Settings,
    pause: Duration,
    done: Callable[[list[dict[str, Any]]], None],
    failed: Callable[[str], None],
    connections: int = 2,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Maintain again and again, until cancelled, also after a failure.

    A run begins a `pause` after the one before, or at once where that took longer; none begins a
    step that would not end within the pause.
    """
    while True:
        began = time.monotonic()
        try:
            done(await maintain(settings, within=pause, connections=connections, tell=tell))
        except StoreError as error:
            failed(str(error))
        await asyncio.sleep(max(pause.seconds / 100, began + pause.seconds - time.monotonic()))


async def run_query(settings: Settings, text: str, most: int | None = None) -> Found:
    """Run one SQL statement that changes nothing; in a database file also one that makes or drops
    a view. At most so many of its rows. Raises InvalidInput and StoreError."""
    match settings.store_kind:
        case "embedded":
            from ai_hub.stores.embedded.query import run_query as run_embedded

            path = settings.database_path
            if path is None:
                expected = "a database file, or PostgreSQL"
                raise InvalidInput("database_url", settings.database_url, expected)
            if not path.exists():
                raise NoDatabase.at(settings.database_name)
            return await asyncio.to_thread(run_embedded, str(path), text, most)
        case "postgres":
            from ai_hub.stores.postgres.query import run_query as run_postgres

            return await run_postgres(settings, text, most)
        case unknown:
            assert_never(unknown)


async def doctor(settings: Settings, tenant_id: str | None = None) -> list[Line]:
    """What is wrong, and what mends it; no store is opened for that, so that nothing changes.

    Raises InvalidInput, and StoreLocked where another process has the file.
    """
    from ai_hub.doctor.examination import examine

    tenant = None if tenant_id is None else check_id("tenant_id", tenant_id)
    return await examine(settings, lambda: time.time_ns() // 1_000, tenant)


async def status(settings: Settings, exact: bool = False) -> dict[str, Any]:
    """What the database is like, as the members of a JSON document. Raises StoreError.

    `exact` counts the rows of each series and reads its times, which takes long on PostgreSQL.
    """
    match settings.store_kind:
        case "embedded":
            from ai_hub.stores.embedded.status import status as embedded_status

            return await asyncio.to_thread(embedded_status, settings)
        case "postgres":
            from ai_hub.stores.postgres.status import status as postgres_status

            return await postgres_status(settings, exact)
        case unknown:
            assert_never(unknown)
