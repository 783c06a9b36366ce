"""A training set in memory: the rows of a spine in their order, and the features of each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from ai_hub.drift.sample import Sample
from ai_hub.engines.arrays import Ints, Points
from ai_hub.errors import ExportFailed, OutOfRange
from ai_hub.export.drafts import AnyDraft
from ai_hub.export.frame import Frame
from ai_hub.export.job import PART_ROWS, Compression, SpineJob, check_compression
from ai_hub.export.layout import Layout
from ai_hub.export.output import output_of
from ai_hub.export.parquet import Written, ordered, read_ahead
from ai_hub.export.place import Places
from ai_hub.export.rows import SEVERAL, Counts, Values, arrow_column
from ai_hub.export.threads import Workers, threads
from ai_hub.stores.base import Chunk, ScanRequest

_ID = pa.dictionary(pa.int32(), pa.string())
_TOGETHER = 16_384
"""Rows that are computed at once: what is made of them on the way stays close to the processor."""


@dataclass(frozen=True)
class TrainingSet(Frame):
    """The rows of a spine in their order, each with the features that serving gives at its time.

    Columns: timestamp, tenant_id and asset_id, the series at t (`value`, unless the spine has one),
    the spine's labels, the features in the set's order, targets, and where features were missing.
    What came with the spine is as it came; everything else is as in an exported file.
    """

    _places: Places = field(default_factory=Places)

    @property
    def violations(self) -> dict[str, int]:
        """How many rows are outside their range, by feature."""
        found: dict[str, int] = json.loads(self.metadata["ai_hub.violations"])
        return found

    @property
    def several(self) -> dict[str, int]:
        """In how many rows a feature is null since a view has several rows of the newest time."""
        found: dict[str, int] = json.loads(self.metadata.get(SEVERAL, "{}"))
        return found

    def _repr_html_(self) -> str:
        said = self.metadata
        label = said.get("ai_hub.feature_set") or "features"
        version = said.get("ai_hub.version")
        return self._shown(
            f"{label}{f'@{version}' if version else ''}: {len(self):,} rows of "
            f"{said.get('ai_hub.tenant_id')}, missing values: {said.get('ai_hub.policy')}"
        )

    def to_parquet(
        self, path: str | Path, *, compression: Compression = "snappy", force: bool = False
    ) -> None:
        """Write it to a Parquet file: `snappy` or `zstd`.

        The file is written beside its place and then moved there. Raises InvalidInput where a file
        is that no export wrote (unless `force`), ExportFailed when it cannot be written.
        """
        check_compression(compression)
        place = self._places.place(Path(path), force)
        with place.draft(uuid.uuid4().hex, make_folder=False) as draft:
            write_training_set(self, draft, compression)
            draft.publish()


def write_training_set(
    found: TrainingSet,
    draft: AnyDraft,
    compression: Compression,
    workers: Workers | None = None,
    layout: Layout | None = None,
) -> Written:
    """Write a training set to a file, or a folder, under way, encoded by `workers`; a folder may
    have a `layout`. Raises ExportFailed."""
    table, said = found.to_arrow(), found.metadata

    def describe(rows: int, _: Counts) -> dict[str, str]:
        return {**said, "ai_hub.row_count": str(rows)}

    try:
        with (
            output_of(draft, table.schema, describe, compression, layout) as output,
            nullcontext(workers) if workers else Workers() as own,
        ):
            made = (
                own.submit(output.make, table.slice(first, PART_ROWS))
                for first in range(0, max(1, len(table)), PART_ROWS)
            )
            with closing(ordered(made, own.count + 1)) as groups:
                for group in groups:
                    output.add(group, Counts())
            output.end()
    except pa.ArrowNotImplementedError as error:
        raise ExportFailed(f"spine: Parquet has no form for one of its columns: {error}") from error
    except OSError as error:
        raise ExportFailed(f"output_path: {draft.place.path} cannot be written: {error}") from error
    return Written(len(found), found.violations, found.several)


def training_set(
    job: SpineJob,
    scan: Callable[[ScanRequest], Generator[Chunk, None, None]],
    progress: Callable[[int], None] = lambda rows: None,
    sample: Sample | None = None,
) -> TrainingSet:
    """Compute a spine's rows: one walk over the history, each part scattered to where it belongs.

    `progress` is told the rows computed so far; it may raise to stop. A `sample` draws from them.
    Raises OutOfRange for the
    first row with a value outside its range, if the set rejects such.
    """
    spine = job.spine
    fields = job.rows.fields(every=False)
    columns = {field.name: _empty(field, len(spine)) for field in fields}
    counts = Counts()
    rejected: dict[int, OutOfRange] = {}
    done = 0
    with threads("read") as pool:
        for start, end, asset_ids in spine.parts(job.rows.reach):
            request = job.rows.scan_request(start, end, asset_ids)
            with closing(scan(request)) as chunks:
                for chunk, places, points in read_ahead(_pieces(job, chunks), pool):
                    rows = spine.rows[places]
                    found = job.rows.columns(chunk, points)
                    for name, values in found.columns.items():
                        columns[name][rows] = values
                    counts.add(found.counts())
                    if sample is not None:
                        sample.add(job.rows.drawn(sample, chunk, points, found))
                    for mask in found.violations.values() if job.rows.rejects else ():
                        first = int(np.where(mask, rows, len(spine)).argmin())
                        rejected[int(rows[first])] = job.rows.rejected(chunk, points, found, first)
                    done += len(rows)
                    progress(done)
    if rejected:
        raise rejected[min(rejected)]
    return TrainingSet(_table(job, fields, columns, counts))


def _pieces(
    job: SpineJob, chunks: Generator[Chunk, None, None]
) -> Iterator[tuple[Chunk, Ints, Points]]:
    """The places of the spine that each chunk is for, a bounded number of them at a time."""
    for chunk in chunks:
        for places, points in job.spine.places(chunk, _TOGETHER):
            yield chunk, places, points


def _empty(field: pa.Field, size: int) -> Values:
    if pa.types.is_boolean(field.type):
        return np.zeros(size, bool)
    if pa.types.is_integer(field.type) and not field.nullable:
        return np.zeros(size, np.int64)
    return np.full(size, np.nan)


def _table(
    job: SpineJob, fields: list[pa.Field], columns: dict[str, Values], counts: Counts
) -> pa.Table:
    """The spine's columns and ours, in the order of an export."""
    spine = job.spine.table
    own = {name: (spine.schema.field(name), spine.column(name)) for name in spine.column_names}
    tenant = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(job.spine), np.int32)), pa.array([job.rows.tenant_id])
    )
    given = {"tenant_id": (pa.field("tenant_id", _ID), tenant), **own}
    keys = [given.pop(name) for name in ("timestamp", "tenant_id", "asset_id")]
    made = {}
    for own_field in fields:
        made[own_field.name] = (own_field, arrow_column(own_field, columns.pop(own_field.name)))
    value = [(given if "value" in given else made).pop("value")]
    everything = [*keys, *value, *given.values(), *made.values()]
    metadata = (spine.schema.metadata or {}) | {
        key.encode(): text.encode()
        for key, text in job.rows.metadata(job.range, len(job.spine), counts).items()
    }
    return pa.table(
        [column for _, column in everything],
        schema=pa.schema([field for field, _ in everything], metadata),
    )
