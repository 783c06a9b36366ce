"""Whose features a batch may have changed, of which there may be a million."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from ai_hub.definitions.values import Entity

if TYPE_CHECKING:
    import pyarrow as pa

_FEW = 10_000
_AT_ONCE = 1_000
_PAIR = ["tenant_id", "asset_id"]


def pairs_of(batch: pa.Table) -> pa.Table:
    """The tenants and assets of a batch, each pair once. Of many rows it takes least memory where
    they are sorted by these."""
    if batch.num_rows <= _FEW:
        # Threads pay for many alone: for few, whoever asks waits until another thread runs.
        return batch.group_by(_PAIR, use_threads=False).aggregate([])
    import pyarrow as pa

    from ai_hub.stores.arrays import run_starts

    pairs = batch.select(_PAIR)
    pairs = pairs.take(pa.array(run_starts(pairs, _PAIR)))
    return pairs if _ascend(pairs) else pairs.group_by(_PAIR).aggregate([])


def _ascend(pairs: pa.Table) -> bool:
    """Whether each pair is behind the one before it."""
    import pyarrow.compute as pc

    size = pairs.num_rows - 1
    tenant, asset = ((pairs[name].slice(1), pairs[name].slice(0, size)) for name in _PAIR)
    behind = pc.and_(pc.equal(*tenant), pc.greater(*asset))
    return bool(pc.all(pc.or_(pc.greater(*tenant), behind)).as_py())


def touched(pairs: pa.Table, also: Collection[Entity] = ()) -> Collection[Entity]:
    """The entities of some pairs, and others; each once, but for `also` of very many."""
    many = _Many(pairs, also)
    return many if len(many) > _FEW else frozenset(many)


def tenants_of(entities: Collection[Entity]) -> frozenset[str]:
    """The tenants of some entities."""
    if isinstance(entities, _Many):
        return entities.tenants()
    return frozenset(entity.tenant_id for entity in entities)


class _Many(Collection[Entity]):
    """Entities that are made when it is their turn: as objects they would take much memory, and
    long to be let go of."""

    def __init__(self, pairs: pa.Table, also: Collection[Entity]) -> None:
        self._pairs = pairs
        self._also = also

    def __len__(self) -> int:
        pairs: int = self._pairs.num_rows
        return pairs + len(self._also)

    def __iter__(self) -> Iterator[Entity]:
        yield from self._also
        for start in range(0, self._pairs.num_rows, _AT_ONCE):
            some = self._pairs.slice(start, _AT_ONCE).to_pydict()
            for tenant_id, asset_id in zip(some["tenant_id"], some["asset_id"], strict=True):
                yield Entity(tenant_id, asset_id)

    def tenants(self) -> frozenset[str]:
        """Each once, without making entities."""
        pairs = self._pairs["tenant_id"].unique().to_pylist()
        return frozenset(pairs) | {entity.tenant_id for entity in self._also}

    def __contains__(self, one: object) -> bool:
        return any(one == entity for entity in self)
