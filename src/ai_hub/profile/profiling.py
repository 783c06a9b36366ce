"""The profile of an export: its columns one by one, from one pass over the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import iso
from ai_hub.engines.arrays import Floats, Mask
from ai_hub.errors import InvalidInput, named
from ai_hub.profile.distribution import Distribution, Histogram, Together
from ai_hub.profile.source import Source, source_of, summed


def profile_of(
    place: str | Path,
    targets: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """What is in an export, as plain values: `place` is its file, its folder or a URL of either.

    Of each column the share that is `missing` (None where nothing says what was filled in), mean,
    standard deviation, extremes, `quantiles`, a `histogram`, and Pearson's `correlation` with each
    target: those of `targets`, by default all targets and labels that are numbers. It is read in
    batches, so that memory does not grow with the rows. Raises InvalidInput, StorageError.
    """
    source = source_of(place)
    with summed(source):
        return _profiled(source, targets, progress)


def _profiled(
    source: Source, targets: Sequence[str], progress: Callable[[int, int], None]
) -> dict[str, Any]:
    of = _targets(source, targets)
    columns = {name: _Column(source, name) for name in source.columns}
    numbers = [name for name, one in columns.items() if one.is_number]
    together = {(name, one): Together() for one in of for name in numbers if name != one}
    keys = _Keys()
    done = 0
    for batch in source.batches():
        values = {name: _values(batch.column(name)) for name in numbers}
        for name, column in columns.items():
            column.add(batch, values.get(name))
        for (name, one), both in together.items():
            x, y = values[name], values[one]
            both.add(x.value, y.value, x.there & y.there)
        keys.add(batch)
        done += len(batch)
        progress(done, source.rows)
    told = [
        column.told()
        | {"correlation": {one: together[name, one].correlation() for one in of if name != one
                           and column.is_number}}
        for name, column in columns.items()
    ]  # fmt: skip
    said = {name: source.said.get(f"ai_hub.{name}") for name in _SAID}
    return {
        "export": source.name, **said, "rows": source.rows, **keys.told(), "targets": of,
        "columns": told,
    }  # fmt: skip


_SAID = ("tenant_id", "feature_set", "version", "fingerprint", "policy")


class _Values:
    """Numbers, and where there are some."""

    def __init__(self, value: Floats, there: Mask) -> None:
        self.value = value
        self.there = there


class _Column:
    """A column, added up."""

    def __init__(self, source: Source, name: str) -> None:
        kind = source.schema.field(name).type
        self.name = name
        self.is_number = _is_number(kind)
        self._source = source
        self._kind = str(kind.value_type) if pa.types.is_dictionary(kind) else str(kind)
        self._indicator = source.indicators.get(name)
        self._found = Distribution()
        self._rows = 0
        self._missing = 0

    def add(self, batch: pa.RecordBatch, values: _Values | None) -> None:
        """Some rows more."""
        self._rows += len(batch)
        if values is not None:
            self._found.add(values.value[values.there])
        if self._indicator is not None:
            self._missing += pc.sum(batch.column(self._indicator)).as_py() or 0
        elif values is not None:
            self._missing += int((~values.there).sum())
        else:
            self._missing += batch.column(self.name).null_count

    def told(self) -> dict[str, Any]:
        """It as plain values."""
        found, unknown = self._found, self._source.may_be_filled(self.name) or not self._rows
        there = found.count > 0
        return {
            "name": self.name,
            "role": self._source.role(self.name),
            "type": self._kind,
            "missing": None if unknown else self._missing / self._rows,
            "count": found.count if self.is_number else self._rows - self._missing,
            "mean": found.mean if there else None,
            "std": found.std,
            "min": found.low if there else None,
            "max": found.high if there else None,
            "quantiles": found.quantiles(),
            "histogram": _plain(found.histogram()),
        }


class _Keys:
    """How many assets there are, and from when to when."""

    def __init__(self) -> None:
        self._assets: set[tuple[str, str]] = set()
        self._first: int | None = None
        self._last: int | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        if "asset_id" in names:
            keys = [name for name in ("tenant_id", "asset_id") if name in names]
            table = pa.table({name: batch.column(name).cast(pa.string()) for name in keys})
            some = table.group_by(keys).aggregate([])
            self._assets.update(tuple(one.values()) for one in some.to_pylist())
        if "timestamp" in names and pa.types.is_timestamp(batch.schema.field("timestamp").type):
            time = batch.column("timestamp").cast(pa.timestamp("us", "UTC"), safe=False)
            ends = pc.min_max(time.cast(pa.int64()))
            first, last = ends["min"].as_py(), ends["max"].as_py()
            if first is not None:
                self._first = first if self._first is None else min(self._first, first)
                self._last = last if self._last is None else max(self._last, last)

    def told(self) -> dict[str, Any]:
        return {
            "assets": len(self._assets),
            "start_time": None if self._first is None else iso(self._first),
            "end_time": None if self._last is None else iso(self._last),
        }


def _targets(source: Source, wanted: Sequence[str]) -> list[str]:
    """The columns to correlate with. Raises InvalidInput for what is none, or no number."""
    numbers = [name for name in source.columns if _is_number(source.schema.field(name).type)]
    for name in wanted:
        if name not in numbers:
            raise InvalidInput("target", name, f"a column of numbers: {named(numbers)}")
    found = wanted or [name for name in numbers if source.role(name) in ("target", "label")]
    return list(dict.fromkeys(found))


def _values(column: pa.Array) -> _Values:
    """The numbers of a column; what is null, NaN or infinite is not there."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    value = np.asarray(
        column.cast(pa.float64(), safe=False).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    )
    return _Values(value, np.isfinite(value))


def _is_number(kind: pa.DataType) -> bool:
    of = pa.types
    return bool(of.is_boolean(kind) or of.is_integer(kind) or of.is_floating(kind)
                or of.is_decimal(kind))  # fmt: skip


def _plain(found: Histogram | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found) | {"counts": list(found.counts)}
