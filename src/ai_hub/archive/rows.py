"""Rows of an archive in memory: one order for all, what several layers say of a key, and what two
tables differ in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.archive.layer import Extent, Kind, bucket_of
from ai_hub.definitions.values import DAY
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.arrays import Ints

TIME = pa.timestamp("us", "UTC")
_ID = pa.dictionary(pa.int32(), pa.string())
SCHEMAS: dict[Kind, pa.Schema] = {
    "observations": pa.schema([
        ("timestamp", TIME), ("asset_id", _ID), ("feature_type", _ID),
        ("value", pa.float64()), ("quality", pa.int32()),
    ]),
    "weather": pa.schema([
        ("timestamp", TIME), ("issued_at", TIME), ("asset_id", _ID),
        *((name, pa.float64()) for name in WEATHER_COLUMNS),
    ]),
}  # fmt: skip
"""The columns of a kind. An observation of a quality below 1 is none that a feature reads; without
a value it says that there is no row any more."""
KEYS: dict[Kind, tuple[str, ...]] = {
    "observations": ("asset_id", "feature_type", "timestamp"),
    "weather": ("asset_id", "timestamp", "issued_at"),
}
"""What a row is known by, beside its tenant."""
VALUES: dict[Kind, tuple[str, ...]] = {
    "observations": ("value", "quality"),
    "weather": WEATHER_COLUMNS,
}
GONE = 0
"""The quality of a row that is no more."""


def table_of(kind: Kind, tables: Iterable[pa.Table]) -> pa.Table:
    """Some tables in one, with the columns of the kind and one dictionary for each kind of id."""
    schema = SCHEMAS[kind]
    cast = [table.select(schema.names).cast(schema) for table in tables]
    whole = pa.concat_tables([schema.empty_table(), *cast])
    return whole.unify_dictionaries().combine_chunks()


def ranks(column: pa.ChunkedArray, names: Sequence[str] | None = None) -> tuple[list[str], Ints]:
    """The distinct texts of a column (or `names`, which has them all) by code point, and for each
    row the place of its own."""
    whole = column.combine_chunks()
    if not isinstance(whole, pa.DictionaryArray):
        whole = whole.dictionary_encode()
    known = whole.dictionary.to_pylist()
    ordered = sorted({*known}) if names is None else list(names)
    place = {name: i for i, name in enumerate(ordered)}
    table = np.array([place.get(name, -1) for name in known], np.int64)
    indices = np.asarray(whole.indices, np.int64)
    return ordered, table[indices] if len(table) else indices


def micros(column: pa.ChunkedArray) -> Ints:
    """A column of times in microseconds since the epoch."""
    return np.asarray(column.cast(pa.int64()), np.int64)


def in_order(kind: Kind, table: pa.Table) -> pa.Table:
    """Rows by day, asset, series and time; those of one key stay in their order."""
    order = order_of(kind, table)
    return table if order is None else table.take(order)


def order_of(kind: Kind, table: pa.Table, buckets: int = 1) -> Ints | None:
    """The places of rows by day, bucket, asset, series and time, those of one key in their order;
    None where they are in it."""
    time = micros(table["timestamp"])
    assets, code = ranks(table["asset_id"])
    if kind == "observations":
        series, of = ranks(table["feature_type"])
        place = code * len(series) + of
        later = None
    else:
        place, later = code, micros(table["issued_at"])
    keys = [time, place]
    if buckets > 1:
        keys.append(np.array([bucket_of(one, buckets) for one in assets], np.int64)[code])
    keys.append(time // DAY)
    if later is not None:
        keys.insert(0, later)
    return _order(keys)


def _order(keys: list[Ints]) -> Ints | None:
    """The stable order by some keys, the last of them first; None where they are in it."""
    order: Ints | None = None
    for key in keys:
        now = key if order is None else key[order]
        if bool((now[1:] >= now[:-1]).all()):
            continue
        # Small numbers are put in order without comparing them.
        low = now.min()
        small = now.max() - low < 1 << 16
        step = np.argsort((now - low).astype(np.uint16) if small else now, kind="stable")
        order = step if order is None else order[step]
    return order


def newest(kind: Kind, tables: Sequence[pa.Table], gone: bool = False) -> pa.Table:
    """What some tables say together, in order: of each key the row of the first one that has it.

    Rows that say that there is none are left out, unless `gone`.
    """
    table = in_order(kind, table_of(kind, tables))
    same = np.ones(max(0, len(table) - 1), bool)
    for name in KEYS[kind]:
        column = table[name]
        values = micros(column) if pa.types.is_timestamp(column.type) else ranks(column)[1]
        same &= values[1:] == values[:-1]
    if same.any():
        table = table.filter(np.append(True, ~same))
    if kind == "observations" and not gone and table["value"].null_count:
        table = table.filter(table["value"].is_valid())
    return table


def differences(kind: Kind, live: pa.Table, archived: pa.Table, is_part: bool = False) -> pa.Table:
    """The rows of a further layer that makes `archived` equal to `live`, both of unique keys: live
    rows that are not in it, or other ones, and for each that is there no more one that says so;
    not these where what is live `is_part` of it all."""
    if not len(archived):
        return live
    live, archived = in_order(kind, live), in_order(kind, archived)
    if same_rows(live, archived):
        return SCHEMAS[kind].empty_table()
    keys, values = list(KEYS[kind]), list(VALUES[kind])
    mine = plain(live).append_column("mine", pa.array(np.arange(len(live))))
    theirs = plain(archived).append_column("theirs", pa.array(np.arange(len(archived))))
    both = mine.join(
        theirs.rename_columns([n if n in keys else f"old_{n}" for n in theirs.column_names]),
        keys, join_type="full outer",
    )  # fmt: skip
    other = pc.or_(both["mine"].is_null(), both["old_theirs"].is_null())
    for name in values:
        old, new = both[f"old_{name}"], both[name]
        equal = pc.equal(old, new)
        same = pc.fill_null(equal, False)
        other = pc.or_(other, pc.invert(pc.or_(same, pc.and_(old.is_null(), new.is_null()))))
    found = both.filter(other)
    changed = live.take(found["mine"].drop_null())
    if is_part:
        return changed
    missing = archived.take(found.filter(found["mine"].is_null())["old_theirs"])
    return table_of(kind, [changed, gone_rows(kind, missing)])


def same_rows(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same rows in the same order, whatever their dictionaries."""
    return len(one) == len(other) and all(
        _same(one[name], other[name]) for name in one.column_names
    )


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    if not pa.types.is_dictionary(one.type):
        return bool(one.equals(other))
    if not len(one):
        return True
    both = pa.chunked_array([*one.chunks, *other.cast(one.type).chunks], one.type)
    both = both.unify_dictionaries()
    places = np.concatenate([np.asarray(chunk.indices) for chunk in both.chunks])
    return bool(np.array_equal(places[: len(one)], places[len(one) :]))


def gone_rows(kind: Kind, rows: pa.Table) -> pa.Table:
    """Rows that say of the keys of others that there is none."""
    if kind == "weather":
        # A row of weather goes by a removal alone, which rewrites the archive itself.
        return SCHEMAS[kind].empty_table()
    nothing = pa.nulls(len(rows), pa.float64())
    quality = pa.array(np.full(len(rows), GONE), pa.int32())
    place = rows.schema.get_field_index
    rows = rows.set_column(place("value"), "value", nothing)
    return rows.set_column(place("quality"), "quality", quality)


def plain(table: pa.Table) -> pa.Table:
    """With ids as texts, whatever their dictionaries."""
    for name in ("asset_id", "feature_type"):
        if name in table.column_names:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].cast(pa.string()))
    return table


def extents_of(kind: Kind, table: pa.Table) -> tuple[Extent, ...]:
    """What there is of each asset's series."""
    if not len(table):
        return ()
    time = micros(table["timestamp"])
    assets, code = ranks(table["asset_id"])
    names, of = [""], np.zeros(len(table), np.int64)
    usable = np.ones(len(table), bool)
    if kind == "observations":
        names, of = ranks(table["feature_type"])
        usable = np.asarray(pc.fill_null(table["quality"], GONE), np.int64) >= 1
    pair = code * len(names) + of
    size = len(assets) * len(names)
    rows = np.bincount(pair[usable], minlength=size)
    gone = np.bincount(pair[~usable], minlength=size)
    first = np.full(size, np.iinfo(np.int64).max)
    last = np.full(size, np.iinfo(np.int64).min)
    np.minimum.at(first, pair[usable], time[usable])
    np.maximum.at(last, pair[usable], time[usable])
    return tuple(
        Extent(
            assets[i // len(names)], names[i % len(names)],
            int(rows[i]), int(gone[i]), int(first[i]), int(last[i]),
        )
        for i in np.flatnonzero(rows + gone).tolist()
    )  # fmt: skip
