"""The files of a layer: written part by part, with the manifest as the commit, and read again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ai_hub.archive.layer import Kind, Layer, Part, bucket_of
from ai_hub.archive.rows import SCHEMAS, extents_of, micros, order_of, ranks, same_rows
from ai_hub.definitions.values import DAY, FIRST_INSTANT, LAST_INSTANT
from ai_hub.errors import ObjectMissing, StorageError
from ai_hub.storage.base import Storage

BUCKET_ROWS = 1_048_576
"""Rows of a part, about."""
_GROUP_ROWS = 65_536
_AT_ONCE = 4


def write_layer(storage: Storage, layer: Layer, table: pa.Table) -> Layer:
    """Write the rows of a layer, and its manifest once all parts are there. Raises StorageError.

    Before the manifest nobody knows of them, and there is one manifest of a layer.
    """
    written = write_parts(storage, layer, table)
    commit(storage, written)
    return written


def write_parts(
    storage: Storage, layer: Layer, table: pa.Table, buckets: int | None = None
) -> Layer:
    """The layer with some rows in parts of its own, in so many buckets (None: what they need).

    Each is read again, and raises StorageError where its rows are others."""
    days = micros(table["timestamp"]) // DAY
    most = int(np.unique(days, return_counts=True)[1].max()) if len(days) else 0
    buckets = buckets or 1 << max(0, (-(-most // BUCKET_ROWS) - 1).bit_length())
    assets, code = ranks(table["asset_id"])
    bucket = np.array([bucket_of(one, buckets) for one in assets], np.int64)[code]
    order = order_of(layer.kind, table, buckets)
    place = days * buckets + bucket
    place = place if order is None else place[order]
    cuts = [0, *(np.flatnonzero(np.diff(place)) + 1).tolist(), len(place)]
    spans = [(a, b) for a, b in pairwise(cuts) if b > a]

    def write(span: tuple[int, int]) -> Part:
        first, end = span
        day, own = divmod(int(place[first]), buckets)
        rows = table.slice(first, end - first) if order is None else table.take(order[first:end])
        part = _write_part(storage, layer, rows, day * DAY, own)
        _check_part(storage, layer.kind, part, rows)
        return part

    with ThreadPoolExecutor(_AT_ONCE, "ai-hub-archive") as pool:
        parts = tuple(pool.map(write, spans))
    return replace(layer, buckets=buckets, parts=parts, extents=extents_of(layer.kind, table))


def commit(storage: Storage, layer: Layer) -> None:
    """Write the manifest of a layer: from then on it is there. Raises ObjectExists."""
    storage.put(layer.manifest_name, layer.manifest(), new=True)


def _write_part(storage: Storage, layer: Layer, rows: pa.Table, day: int, bucket: int) -> Part:
    name = layer.part_name(day, bucket)
    whole = rows.append_column("tenant_id", _constant(layer.tenant_id, len(rows)))
    whole = whole.append_column("layer", pa.array(np.full(len(rows), layer.number, np.int64)))
    with storage.writer(name) as sink:
        pq.write_table(
            whole,
            sink,
            row_group_size=_GROUP_ROWS,
            compression="zstd",
            compression_level=1,
            use_dictionary=["asset_id", "feature_type", "tenant_id", "layer", "quality"],
            column_encoding={
                name: "DELTA_BINARY_PACKED"
                for name in ("timestamp", "issued_at")
                if name in rows.column_names
            },
            store_schema=False,
        )
    return Part(name, day, bucket, len(rows), sink.size, sink.checksum)


def _check_part(storage: Storage, kind: Kind, part: Part, rows: pa.Table) -> None:
    found = read_part(
        storage, kind, part, FIRST_INSTANT, LAST_INSTANT, None, None, rows.column_names
    )
    if not same_rows(rows, found):
        raise StorageError(
            f"{part.name} below {storage.url} does not have the rows that were written: nothing "
            "of it is used; run it again"
        )


def _constant(text: str, size: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([text]))


def read_layer(
    storage: Storage,
    layer: Layer,
    first: int,
    last: int,
    asset_ids: Collection[str] | None = None,
    series: str | None = None,
    columns: Collection[str] | None = None,
) -> Iterator[pa.Table]:
    """The rows of a layer about [first, last], of some assets and one series (None: all of them),
    part by part. Raises StorageError."""
    wanted = SCHEMAS[layer.kind].names if columns is None else list(columns)
    buckets = None
    if asset_ids is not None:
        buckets = {bucket_of(one, layer.buckets) for one in asset_ids}
    parts = [one for one in layer.within(first, last) if buckets is None or one.bucket in buckets]
    with ThreadPoolExecutor(_AT_ONCE, "ai-hub-archive") as pool:
        read = pool.map(
            lambda part: read_part(
                storage, layer.kind, part, first, last, asset_ids, series, wanted
            ),
            parts,
        )
        yield from read


def read_part(
    storage: Storage,
    kind: Kind,
    part: Part,
    first: int,
    last: int,
    asset_ids: Collection[str] | None,
    series: str | None,
    columns: Collection[str],
) -> pa.Table:
    """The rows of a part, by its row groups that may have some. Raises StorageError for a file
    that is not as it was written."""
    schema = SCHEMAS[kind]
    needed = [*columns, *(["feature_type"] if series is not None else [])]
    ids = [name for name in ("asset_id", "feature_type") if name in schema.names]
    try:
        opened = storage.open(part.name)
    except ObjectMissing as error:
        raise _changed(storage, part, "there is none") from error
    with closing(opened) as file:
        try:
            found = pq.ParquetFile(file, read_dictionary=ids)
        except pa.ArrowInvalid as error:
            raise _changed(storage, part, str(error)) from error
        if found.metadata.num_rows != part.rows:
            rows = f"{found.metadata.num_rows:,} rows and not {part.rows:,}"
            raise _changed(storage, part, f"it has {rows}")
        groups = _groups(found.metadata, asset_ids)
        table = found.read_row_groups(groups, columns=list(dict.fromkeys(needed)))
    if series is not None:
        table = table.filter(pc.equal(table["feature_type"].cast(pa.string()), series))
    if part.day < first or part.day + DAY - 1 > last:
        time = micros(table["timestamp"])
        table = table.filter(pa.array((time >= first) & (time <= last)))
    if asset_ids is not None and len(groups) and len(table):
        known = pc.is_in(table["asset_id"].cast(pa.string()), pa.array([*asset_ids], pa.string()))
        table = table.filter(known)
    return table.select(list(columns))


def _changed(storage: Storage, part: Part, why: str) -> StorageError:
    return StorageError(
        f"{part.name} below {storage.url} is not the file that was archived ({why}): put it back "
        "from a copy, or give the archive up (ai-hub unarchive --lost REASON)"
    )


def _groups(metadata: pq.FileMetaData, asset_ids: Collection[str] | None) -> list[int]:
    """The row groups that may have rows of some assets."""
    if asset_ids is None:
        return list(range(metadata.num_row_groups))
    ordered = sorted(asset_ids)
    place = metadata.schema.names.index("asset_id")
    found = []
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group).column(place).statistics
        if known is None or not known.has_min_max or _any_between(ordered, known.min, known.max):
            found.append(group)
    return found


def _any_between(ordered: list[str], low: str, high: str) -> bool:
    at = int(np.searchsorted(np.array(ordered, object), low))
    return at < len(ordered) and ordered[at] <= high


def remove_layer(storage: Storage, layer: Layer, keep: Iterable[str] = ()) -> None:
    """Remove the files of a layer but those to keep: the manifest first. Raises StorageError."""
    kept = {*keep}
    storage.delete([layer.manifest_name])
    storage.delete(one.name for one in layer.parts if one.name not in kept)


def remove_unfinished(storage: Storage, layer: Layer) -> None:
    """Remove what a process left of a layer that has no manifest. Raises StorageError."""
    give_up_uploads(storage, layer)
    ending = f"/{layer.id}.parquet"
    storage.delete([one.name for one in storage.list(layer.folder) if one.name.endswith(ending)])


def give_up_uploads(storage: Storage, layer: Layer) -> None:
    """Remove what a process left of files of a layer that it was writing. Raises StorageError."""
    endings = f"/{layer.id}.parquet", f"/{layer.id}.json"
    for below in (layer.folder, layer.manifest_name.rpartition("/")[0]):
        for upload in storage.uploads(below) or ():
            if upload.name.endswith(endings):
                storage.abort(upload)
