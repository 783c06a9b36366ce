"""Which store a database URL names; its driver is imported here and not before."""

from __future__ import annotations

from ai_hub.config import Settings
from ai_hub.stores.base import OfflineStore


def open_store(settings: Settings) -> OfflineStore:
    """The store that the settings name, open. Blocking. Raises StoreError if it cannot be."""
    from ai_hub.stores.embedded import MEMORY, EmbeddedStore

    path = settings.database_path
    return EmbeddedStore(MEMORY if path is None else path)
