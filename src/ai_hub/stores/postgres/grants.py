"""Roles that see the rows of some tenants alone; the work is a function of the database."""

from __future__ import annotations

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import check_id
from ai_hub.errors import StoreRefused
from ai_hub.stores.audit_log import noted
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.migrate import check
from ai_hub.stores.postgres.session import session


async def grant_tenant(settings: Settings, role: str, tenant_id: str) -> list[str]:
    """Let a role read a tenant's rows; the views and functions in the schema of its name.

    Raises StoreError: StoreRefused for a role that is not there, or that sees more already.
    """
    check_id("tenant_id", tenant_id)
    async with session(settings) as connection:
        await check(connection)
        try:
            async with connection.transaction():
                rows = await connection.fetch(
                    "SELECT name FROM ai_hub_grant_tenant($1, $2) AS name", role, tenant_id
                )
                await write_audit(connection, [noted("grant-tenant", tenant_id, 1, role=role)])
        except asyncpg.InvalidParameterValueError as error:
            raise StoreRefused(str(error)) from error
    return [row["name"] for row in rows]
