"""What the attributes of assets are, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_hub.definitions.values import FIRST_INSTANT, Entity
from ai_hub.engines.arrays import AttributeTable

if TYPE_CHECKING:
    import pyarrow as pa

TIMEZONE = "timezone"
"""The attribute whose text is a zone; engines read the number of every other one."""
ATTRIBUTE_COLUMNS = ("tenant_id", "asset_id", "key", "valid_from", "number", "text")

_PART_ROWS = 20_000

Value = float | str | None
"""A number, a text, or nothing any more."""
Changes = tuple[tuple[int, Value], ...]
"""What one attribute of one asset is from which instant on, by time."""


class Key(NamedTuple):
    """One attribute of one asset."""

    tenant_id: str
    asset_id: str
    key: str


class Row(NamedTuple):
    """A stored row: what an attribute is from an instant on; neither number nor text ends it."""

    tenant_id: str
    asset_id: str
    key: str
    valid_from: int
    number: float | None
    text: str | None

    @property
    def value(self) -> Value:
        """The number or the text."""
        return self.text if self.number is None else self.number


def value_at(changes: Changes, t: int) -> Value:
    """What an attribute is at an instant."""
    return next((value for since, value in reversed(changes) if since <= t), None)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a batch does: the rows to store, and how many sent ones replaced or repeated one."""

    rows: tuple[Row, ...]
    replaced: int
    unchanged: int

    @property
    def touched(self) -> frozenset[Entity]:
        """The assets that something changed for."""
        return frozenset(Entity(row.tenant_id, row.asset_id) for row in self.rows)


def parts_of(batch: pa.Table) -> Iterator[pa.Table]:
    """A batch in parts of some thousand rows, all rows of an attribute in one of them."""
    names = list(Key._fields)
    ordered = batch.sort_by([(name, "ascending") for name in names])
    first = 0
    while first < ordered.num_rows:
        last = min(first + _PART_ROWS, ordered.num_rows)
        keys = ordered.select(names)
        while last < ordered.num_rows and keys.slice(last, 1).equals(keys.slice(last - 1, 1)):
            last += 1
        yield ordered.slice(first, last - first)
        first = last


def keys_of(batch: pa.Table) -> list[Key]:
    """The attributes that a batch (schema ATTRIBUTES) is about, each once, sorted."""
    columns = (batch[name].to_pylist() for name in Key._fields)
    return sorted(set(map(Key, *columns)))


def settled(batch: pa.Table, stored: Mapping[Key, Changes], changed_at: int) -> Settled:
    """What a batch does to what is stored of its attributes; see `Store.append_attributes`."""
    keys = list(map(Key, *(batch[name].to_pylist() for name in Key._fields)))
    times = batch["valid_from"].cast("int64").to_pylist()
    pairs = zip(batch["number"].to_pylist(), batch["text"].to_pylist(), strict=True)
    values = [text if number is None else number for number, text in pairs]
    order = sorted(range(len(keys)), key=lambda row: times[row] is not None)
    held = {key: dict(stored.get(key, ())) for key in keys}
    rows: dict[tuple[Key, int], Row] = {}
    replaced = unchanged = 0
    for place in order:
        key, value, since = keys[place], values[place], times[place]
        mine = held[key]
        if since is None:
            since = changed_at if mine else FIRST_INSTANT
            same = value_at(tuple(sorted(mine.items())), since) == value
        else:
            same = since in mine and mine[since] == value
        if same:
            unchanged += 1
            continue
        replaced += since in mine
        mine[since] = value
        text = value if isinstance(value, str) else None
        rows[key, since] = Row(*key, since, None if isinstance(value, str) else value, text)
    return Settled(tuple(rows[key] for key in sorted(rows)), replaced, unchanged)


def attribute_tables(
    keys: Sequence[str], asset_ids: Sequence[str], rows: Iterable[tuple[str, str, int, Value]]
) -> dict[str, AttributeTable]:
    """The table of each key, assets coded by their position; rows are asset, key, since, value."""
    code_of = {asset_id: code for code, asset_id in enumerate(asset_ids)}
    found: dict[str, list[tuple[int, int, Value]]] = {key: [] for key in keys}
    for asset_id, key, since, value in rows:
        if asset_id in code_of:
            found[key].append((code_of[asset_id], since, value))
    return {key: _table(key, mine) for key, mine in found.items()}


def _table(key: str, rows: list[tuple[int, int, Value]]) -> AttributeTable:
    rows.sort(key=lambda row: row[:2])
    entity, since = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2).T.copy()
    values = [value for _, _, value in rows]
    number = np.array([v if isinstance(v, float) else np.nan for v in values], np.float64)
    place: dict[str, int] = {}
    zone = np.full(len(rows), -1, np.int64)
    if key == TIMEZONE:
        for row, value in enumerate(values):
            if isinstance(value, str):
                zone[row] = place.setdefault(value, len(place))
    return AttributeTable(entity, since, number, zone, tuple(place))
