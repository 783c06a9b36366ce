"""What a person does to a database beside using it: migrate it, keep it in shape, look inside.

For databases on PostgreSQL. Its drivers are imported when they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_hub.config import Settings

if TYPE_CHECKING:
    from ai_hub.stores.postgres_migrate import Report


async def migrate(settings: Settings, dry_run: bool = False) -> Report:
    """Bring the database of the settings to this release, or say what that would run.

    Raises StoreError: NotMigrated or StoreRefused where a person has to do something first.
    """
    from ai_hub.stores import postgres_migrate

    return await postgres_migrate.migrate(settings.database_url, settings, dry_run)


def migration_script(settings: Settings) -> str:
    """One file for psql that does on any server what `migrate` does; needs no database."""
    from ai_hub.stores.migration_script import script

    return script(settings)
