"""The weather sources of the embedded store: a table, and all of it in memory beside."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from ai_hub.definitions.values import FIRST_INSTANT, Entity
from ai_hub.stores.embedded.session import (
    Before,
    Cursor,
    Note,
    registered,
    transaction,
    unnoted,
)
from ai_hub.stores.weather_sources import Mappings, source_at

if TYPE_CHECKING:
    import pyarrow as pa


class SourceMap:
    """Which weather source an asset reads when; without a mapping it reads its own rows.

    Readers in other threads see the mappings of an asset as they were before a change, or after it.
    """

    def __init__(self) -> None:
        # By plain tuples, which Python's collector does not look at again and again.
        self._mappings: dict[tuple[str, str], tuple[tuple[int, str | None], ...]] = {}
        self._assets: dict[tuple[str, str], set[str]] = {}
        self._last: tuple[int, str | None] = (0, None)

    def of(self, tenant_id: str, asset_id: str) -> Mappings:
        """The mappings of an asset, by time."""
        return self._mappings.get((tenant_id, asset_id), ())

    def assets_of(self, tenant_id: str, source_id: str) -> frozenset[str]:
        """The assets that read a source at any time, and the asset of that name itself."""
        return frozenset(self._assets.get((tenant_id, source_id), ())) | {source_id}

    def put(self, entity: Entity, since: int, source_id: str | None) -> None:
        """Let an asset read a source from an instant on, until its next mapping."""
        key = (entity.tenant_id, entity.asset_id)
        mine = self._mappings.get(key, ())
        low, high = (side(mine, since, key=itemgetter(0)) for side in (bisect_left, bisect_right))
        if self._last != (since, source_id):
            self._last = (since, source_id)
        # Thousands of assets share the one mapping of a request.
        self._mappings[key] = (*mine[:low], self._last, *mine[high:])
        if source_id is not None:
            # Of a source that was replaced too: a drop too many costs no more than a computation.
            self._assets.setdefault((entity.tenant_id, source_id), set()).add(entity.asset_id)

    def forget(self, entities: Iterable[Entity]) -> None:
        """Let some assets have no mapping any more."""
        for entity in entities:
            # Whoever read a source stays among its assets: a drop too many costs little.
            self._mappings.pop((entity.tenant_id, entity.asset_id), None)


def load_sources(cursor: Cursor) -> SourceMap:
    """The stored map of weather sources."""
    sources = SourceMap()
    rows = cursor.execute(
        "SELECT tenant_id, asset_id, epoch_us(valid_from), source_id FROM asset_weather_source"
    )
    for tenant_id, asset_id, since, source_id in rows.fetchall():
        always = since is None
        sources.put(Entity(tenant_id, asset_id), FIRST_INSTANT if always else since, source_id)
    return sources


def assign_sources(
    cursor: Cursor,
    sources: SourceMap,
    tenant_id: str,
    source_id: str | None,
    asset_ids: Sequence[str],
    valid_from: int | None,
    changed_at: int,
    before: Before,
    note: Note = unnoted,
) -> frozenset[Entity]:
    """Store a mapping of some assets; the entities with a mapping that was not there before."""
    changed: dict[Entity, int] = {}
    for asset_id in dict.fromkeys(asset_ids):
        mappings = sources.of(tenant_id, asset_id)
        if valid_from is None:
            since = changed_at if mappings else FIRST_INSTANT
            holds = source_at(asset_id, mappings, since) == (source_id or asset_id)
        else:
            since = valid_from
            holds = (since, source_id) in mappings
        if not holds:
            changed[Entity(tenant_id, asset_id)] = since
    if changed:
        with registered(cursor, mapped=_table(changed.items())), transaction(cursor):
            _store(cursor, source_id)
            note(cursor, len(changed), 0)
            before(changed.keys())
        for entity, since in changed.items():
            sources.put(entity, since, source_id)
    return frozenset(changed)


def _table(changed: Iterable[tuple[Entity, int]]) -> pa.Table:
    # An opening store should not wait for it.
    import pyarrow as pa

    rows = [(entity.tenant_id, entity.asset_id, since) for entity, since in changed]
    tenant_ids, asset_ids, times = zip(*rows, strict=True)
    # Lists as parameters would keep the interpreter from the event loop while they are bound.
    return pa.table({
        "tenant_id": tenant_ids,
        "asset_id": asset_ids,
        "valid_from": pa.array(times, pa.timestamp("us", "UTC")),
    })  # fmt: skip


def _store(cursor: Cursor, source_id: str | None) -> None:
    """Put the rows of `mapped` in the place of those of the same instants."""
    cursor.execute(
        """
        DELETE FROM asset_weather_source m USING mapped n
        WHERE m.tenant_id = n.tenant_id AND m.asset_id = n.asset_id
          AND coalesce(m.valid_from, make_timestamptz(?::BIGINT)) = n.valid_from
        """,
        [FIRST_INSTANT],
    )
    cursor.execute(
        "INSERT INTO asset_weather_source (tenant_id, asset_id, valid_from, source_id) "
        "SELECT tenant_id, asset_id, valid_from, ? FROM mapped",
        [source_id],
    )
