"""Which store a database URL names; its driver is imported here and not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from ai_hub.config import Settings
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.checkup import Checkup


async def open_store(settings: Settings) -> OfflineStore:
    """The store that the settings name, open. Raises StoreError if it cannot be."""
    match settings.store_kind:
        case "embedded":
            return await asyncio.to_thread(_embedded, settings)
        case "postgres":
            from ai_hub.stores.postgres.store import PostgresStore

            return await PostgresStore.open(settings)
        case unknown:
            assert_never(unknown)


@asynccontextmanager
async def open_checkup(settings: Settings) -> AsyncIterator[Checkup]:
    """A look at the database that the settings name, which is not opened as a store for that.

    Raises StoreLocked where another process has the file, StoreError where there is none.
    """
    match settings.store_kind:
        case "embedded":
            from ai_hub.stores.embedded.checkup import file_checkup

            async with file_checkup(settings.database_path) as checkup:
                yield checkup
        case "postgres":
            from ai_hub.stores.postgres.checkup import PostgresCheckup

            yield PostgresCheckup(settings)
        case unknown:
            assert_never(unknown)


def _embedded(settings: Settings) -> OfflineStore:
    from ai_hub.stores.embedded.session import MEMORY
    from ai_hub.stores.embedded.store import EmbeddedStore

    path = settings.database_path
    return EmbeddedStore(
        MEMORY if path is None else path,
        settings.export_jobs,
        settings.view_timeout,
        settings.retention_audit,
    )
