"""A person's query on PostgreSQL, in a transaction that changes nothing."""

from __future__ import annotations

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import iso
from ai_hub.errors import NoDatabase
from ai_hub.stores.postgres.migrations import MISSING
from ai_hub.stores.postgres.session import session
from ai_hub.stores.query import Found, plain, refused

_BARE = "SELECT to_regclass('ai_hub_migrations') IS NULL"
_EXPECTED = "one statement that reads"
_VIEWS = (
    "Views and tables of your own are made with psql, or any other client, by a role that may; "
    "grant SELECT on them to the role of AI_HUB_DATABASE_URL."
)


async def run_query(settings: Settings, text: str, most: int | None = None) -> Found:
    """What a statement gives, at most so many rows. Raises InvalidInput and StoreError."""
    async with session(settings) as connection:
        try:
            async with connection.transaction(readonly=True):
                prepared = await connection.prepare(text)
                columns = prepared.get_attributes()
                if most is None:
                    rows = await prepared.fetch()
                else:
                    rows = await (await prepared.cursor()).fetch(most)
        except asyncpg.ReadOnlySQLTransactionError as error:
            raise refused(text, _EXPECTED, _VIEWS) from error
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError) as error:
            if isinstance(error, asyncpg.InsufficientPrivilegeError):
                raise
            if isinstance(error, asyncpg.UndefinedTableError) and await connection.fetchval(_BARE):
                raise NoDatabase(MISSING) from error
            said = str(error).partition("\n")[0]
            raise refused(text, f"SQL that this database runs ({said})") from error
    # On our connections a time is a number of microseconds.
    times = [column.type.name == "timestamptz" for column in columns]
    return Found(
        tuple(column.name for column in columns),
        tuple(
            tuple(
                iso(value) if is_time and isinstance(value, int) else plain(value)
                for value, is_time in zip(row, times, strict=True)
            )
            for row in rows
        ),
    )
