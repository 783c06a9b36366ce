"""Rows of a training set that an export wrote: checked against a feature set, and sampled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ai_hub.definitions.document import read_set
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.freezing import frozen
from ai_hub.definitions.values import HOUR
from ai_hub.engines.arrays import Ints
from ai_hub.errors import InvalidInput, named
from ai_hub.export.rows import KEYS, VALUE
from ai_hub.export.training_set import TrainingSet

Data: TypeAlias = str | Path | pa.Table | TrainingSet
"""A Parquet file of an export, or what is in it."""

_OURS = "a training set of ai-hub, which says its feature set"
_EXPORT = "`ai-hub export` writes one; files that other programs wrote anew do not say it."


@dataclass(frozen=True)
class _Group:
    """A row group of a file."""

    file: pq.ParquetFile
    place: int

    @property
    def num_rows(self) -> int:
        return int(self.file.metadata.row_group(self.place).num_rows)

    def read(self, names: list[str]) -> pa.Table:
        return self.file.read_row_group(self.place, columns=names)


@dataclass(frozen=True)
class _Whole:
    """A table in memory."""

    table: pa.Table

    @property
    def num_rows(self) -> int:
        return int(self.table.num_rows)

    def read(self, names: list[str]) -> pa.Table:
        return self.table.select(names)


_Part = _Group | _Whole


@dataclass(frozen=True)
class TrainingRows:
    """A training set that is open: what it says of itself, and its columns to read from."""

    said: Mapping[str, str]
    names: tuple[str, ...]
    parts: Sequence[_Part]

    def read(self, names: Sequence[str], rows: Ints | None = None) -> pa.Table:
        """Some columns of some rows (in order; by default of all), a part of the file at a time."""
        found, start = [], 0
        for part in self.parts:
            size = part.num_rows
            here = slice(0, 0)
            if rows is not None:
                here = slice(*np.searchsorted(rows, [start, start + size]))
            if rows is None or here.start < here.stop:
                table = part.read(list(names))
                found.append(table if rows is None else table.take(pa.array(rows[here] - start)))
            start += size
        return pa.concat_tables(found, promote_options="permissive")

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(part.num_rows for part in self.parts)

    @property
    def label(self) -> str:
        """The feature set, as name@version."""
        return f"{self.said['ai_hub.feature_set']}@{self.said['ai_hub.version']}"

    @property
    def fingerprint(self) -> str:
        """The feature set's definition, in short."""
        return self.said["ai_hub.fingerprint"]

    @property
    def feature_set(self) -> FeatureSet:
        """The feature set that it was made with, holidays as the library has them now."""
        own = self.said["ai_hub.feature_set"]
        definitions = json.loads(self.said["ai_hub.definitions"])
        views = {one["view"]: one["definition"] for one in definitions if "view" in one}
        for one in definitions:
            one.pop("holidays", None)
        found = {
            "name": own or "features",
            "version": int(self.said["ai_hub.version"] or 1),
            "features": definitions,
            "on_violation": self.said.get("ai_hub.on_violation", "report"),
        }
        return frozen(read_set(found), views=views)

    def check_is_of(self, described: Mapping[str, Any]) -> None:
        """Raise InvalidInput unless it is of that version of a set, as it is defined now.

        `described` is what `FeatureStore.described` gives.
        """
        label = f"{described['name']}@{described['version']}"
        if (self.label, self.fingerprint) != (label, described["fingerprint"]):
            raise InvalidInput(
                "data",
                f"{self.label} (fingerprint {self.fingerprint})",
                f"rows of {label} (fingerprint {described['fingerprint']})",
                "Name the set that the model was trained with, or export its rows anew.",
            )

    def target(self, wanted: str | None) -> str | None:
        """The column that a model forecasts: the one asked for, else the only target or label.

        None where there is no such column. Raises InvalidInput where there are several.
        """
        if wanted is not None:
            if wanted not in self.names:
                expected = f"a column of the data: {named(self._labels) or named(self.names)}"
                raise InvalidInput("target", wanted, expected)
            return wanted
        if len(self._labels) > 1:
            raise InvalidInput("target", None, f"one of {named(self._labels)}")
        return self._labels[0] if self._labels else None

    @property
    def _labels(self) -> list[str]:
        """The columns that are neither keys, nor value, nor of features."""
        features = [one["name"] for one in json.loads(self.said["ai_hub.definitions"])]
        known = {*KEYS, VALUE, *features, *(f"{name}__missing" for name in features)}
        return [name for name in self.names if name not in known]

    def sample(self, target: str | None, count: int, seed: int) -> Ints:
        """The rows to look at, in order: at most `count` of those that have a target."""
        rows = np.arange(self.count)
        if target is not None:
            rows = rows[pc.is_valid(self.read([target]).column(0)).to_numpy()]
        if len(rows) > count:
            rows = np.random.default_rng(seed).choice(rows, count, replace=False)
        return np.sort(rows)

    def in_time(self, names: Sequence[str], rows: Ints) -> tuple[pa.Table, Ints]:
        """Some columns of some rows in the order of time, and the times."""
        table = self.read([*dict.fromkeys((*names, "timestamp"))], rows)
        time = _micros(table["timestamp"])
        order = np.argsort(time, kind="stable")
        return table.select([*names]).take(pa.array(order)), time[order]

    def step(self) -> int:
        """The usual time between readings of an asset in the first part, in microseconds."""
        keys = self.parts[0].read(["asset_id", "timestamp"])
        ids = keys["asset_id"].cast(pa.string()).combine_chunks().dictionary_encode()
        asset, at = ids.indices.to_numpy(), _micros(keys["timestamp"])
        order = np.lexsort((at, asset))
        steps = np.diff(at[order])
        steps = steps[(np.diff(asset[order]) == 0) & (steps > 0)]
        return int(np.median(steps)) if len(steps) else HOUR


@contextmanager
def opened(data: Data) -> Iterator[TrainingRows]:
    """The rows of a training set. Raises InvalidInput for what no export wrote, and OSError."""
    if isinstance(data, TrainingSet):
        data = data.to_arrow()
    if isinstance(data, pa.Table):
        yield _rows(data.schema, data.schema.metadata, "a table", [_Whole(data)])
        return
    path = Path(data)
    with path.open("rb") as stream:
        try:
            file = pq.ParquetFile(stream)
        except pa.ArrowInvalid:
            raise InvalidInput("data", str(path), f"a Parquet file: {_OURS}", _EXPORT) from None
        groups = [_Group(file, place) for place in range(file.num_row_groups)]
        yield _rows(file.schema_arrow, file.metadata.metadata, str(path), groups)


def _micros(column: pa.ChunkedArray) -> Ints:
    time = column.cast(pa.timestamp("us", "UTC"), safe=False)
    return np.asarray(time.cast(pa.int64()).to_numpy(), np.int64)


def _rows(
    schema: pa.Schema, metadata: Mapping[bytes, bytes] | None, what: str, parts: Sequence[_Part]
) -> TrainingRows:
    ours = {key: text for key, text in (metadata or {}).items() if key.startswith(b"ai_hub.")}
    said = {key.decode(): text.decode() for key, text in ours.items()}
    wanted = ("feature_set", "version", "fingerprint", "definitions")
    if not all(f"ai_hub.{name}" in said for name in wanted):
        raise InvalidInput("data", what, _OURS, _EXPORT)
    return TrainingRows(said, tuple(schema.names), parts)
