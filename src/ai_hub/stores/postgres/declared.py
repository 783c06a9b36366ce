"""How long each relation keeps its rows, as its database declares it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ai_hub.config import KEYS, Settings, variable
from ai_hub.config_values import kept_for, width_text
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, Duration, iso
from ai_hub.errors import InvalidInput
from ai_hub.stores.audit_log import noted
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.migrate import check
from ai_hub.stores.postgres.migrations import RETENTION_SETTINGS, interval, retention_of
from ai_hub.stores.postgres.session import Connection, session

# A Duration is at most a hundred years: rows that are kept for longer are kept for ever.
_DECLARED = """
SELECT relation, told_at, deleted_before, set_at, CASE WHEN keep <= INTERVAL '100 years'
    THEN (extract(epoch FROM keep) * 1000000)::bigint END AS keep
FROM ai_hub_retention ORDER BY relation
"""


@dataclass(frozen=True, slots=True)
class Declared:
    """A row of ai_hub_retention; times in microseconds.

    `told_at`: when maintenance first told of it; `set_at`: when `ai-hub retention set` said it.
    """

    relation: str
    keep: Duration | None
    told_at: int | None = None
    deleted_before: int | None = None
    set_at: int | None = None

    @property
    def text(self) -> str:
        """How long it is kept, as settings write it."""
        return width_text(self.keep)

    @property
    def has_arrivals(self) -> bool:
        """Whether its rows say when they came in; rows of aggregates do not."""
        return self.relation not in ("hourly_features", "daily_features")

    def ignored(self, settings: Settings) -> str | None:
        """A sentence where the settings say something by name that does not count."""
        setting = RETENTION_SETTINGS[self.relation]
        wanted = retention_of(self.relation, settings)
        if self.set_at is None or not settings.says(setting) or wanted == self.keep:
            return None
        text = KEYS[setting].text(wanted)
        return (
            f"{variable(setting)} ({settings.sources[setting]}) says {text}, which changes "
            f"nothing: ai-hub retention set said {self.text} at {iso(self.set_at)}. Unset the "
            f"one, or run ai-hub retention set {self.relation} {text}"
        )


async def declared(on: Connection) -> list[Declared]:
    """What a database declares, by relation. `on` is a session of ours."""
    return [
        Declared(
            row["relation"],
            None if row["keep"] is None else Duration(row["keep"]),
            row["told_at"],
            row["deleted_before"],
            row["set_at"],
        )
        for row in await on.fetch(_DECLARED)
    ]


async def retention(settings: Settings) -> list[dict[str, Any]]:
    """What a database declares, as the members of a JSON document. Raises StoreError."""
    async with session(settings) as connection:
        await check(connection)
        return [_document(one) for one in await declared(connection)]


async def set_retention(settings: Settings, relation: str, keep: object) -> dict[str, Any]:
    """Declare how long a relation keeps its rows, whatever settings say from now on.

    What it declares then, and `before`. Nothing is deleted: maintenance tells of it first. Raises
    InvalidInput for a relation or a time that is none, and StoreError.
    """
    try:
        wanted = kept_for(keep)
    except ValueError as error:
        raise InvalidInput("keep", keep, str(error)) from None
    async with session(settings) as connection:
        await check(connection)
        async with connection.transaction():
            await connection.execute("LOCK TABLE ai_hub_retention IN SHARE ROW EXCLUSIVE MODE")
            known = {one.relation: one for one in await declared(connection)}
            if relation not in known:
                raise InvalidInput("relation", relation, f"one of {', '.join(known)}")
            await connection.execute(f"SELECT ai_hub_keep($1, {interval(wanted)})", relation)
            await connection.execute(
                "UPDATE ai_hub_retention SET set_at = $2 WHERE relation = $1",
                relation,
                time.time_ns() // 1_000,
            )
            (now,) = [one for one in await declared(connection) if one.relation == relation]
            before = known[relation].text
            record = noted("retention-set", None, 1, relation=relation, keep=now.text, was=before)
            await write_audit(connection, [record])
    return _document(now) | {"before": before}


def _document(one: Declared) -> dict[str, Any]:
    return {
        "relation": one.relation,
        "keep": one.text,
        "set_at": shown_time(one.set_at),
        "told_at": shown_time(one.told_at),
        "deleted_before": shown_time(one.deleted_before),
    }


def shown_time(micros: int | None) -> str | None:
    """A time as a document has it; -infinity and infinity are none."""
    if micros is None or not FIRST_INSTANT <= micros <= LAST_INSTANT:
        return None
    return iso(micros)
