"""A sample of rows: so many of all that are drawn from, in whatever order and parts they come.

Each row has a rank by a hash of its asset and time, and those of the lowest ranks are kept. So it
is the same rows however the work was cut, and each row is as likely as any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.drift.baseline import Baseline, Gathering
from ai_hub.drift.sketch import Sketch
from ai_hub.engines.arrays import Floats, Ints, Mask, Masks
from ai_hub.errors import InvalidInput

MOST_ROWS = 8_760
"""The rows of a sample: those of a year of one asset, an hour each."""
_LAST = np.uint64(2**64 - 1)
_KIND = b"sample 1"
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
# What a column of the table that is kept is of; the name of the feature follows.
_TIME, _VALUE, _VIOLATION = "time", "value ", "violation "
Ranks = NDArray[np.uint64]


class Drawn(NamedTuple):
    """Some rows: ranks, times in microseconds, columns (NaN where missing), and where these are
    outside what they may be; and of how many they were drawn."""

    rank: Ranks
    time: Ints
    columns: dict[str, Floats]
    violations: Masks
    of_rows: int

    def of(self, rows: NDArray[np.bool_]) -> Drawn:
        """Some of them."""
        return Drawn(
            self.rank[rows],
            self.time[rows],
            {name: column[rows] for name, column in self.columns.items()},
            {name: mask[rows] for name, mask in self.violations.items()},
            self.of_rows,
        )


class Sample:
    """Draws from rows of some features; `draw` may be called from several threads at a time."""

    def __init__(self, features: Sequence[str], most: int = MOST_ROWS) -> None:
        self.features = tuple(features)
        self.rows = 0
        """All rows that were drawn from."""
        self._most = most
        self._below = _LAST
        self._drawn: list[Drawn] = []
        self._count = 0

    def draw(
        self,
        assets: Sequence[str],
        code: Ints,
        time: Ints,
        columns: Mapping[str, NDArray[np.generic]],
        missing: Masks,
        violations: Masks,
    ) -> Drawn:
        """Those of some rows that may be kept; `code` is the place of each row's asset."""
        rank = ranks(assets, code, time)
        chosen = _lowest(rank, self._most, self._below)
        found = {}
        for name in self.features:
            values = columns[name][chosen].astype(np.float64)
            if name in missing:
                values[missing[name][chosen]] = np.nan
            found[name] = values
        wrong = {name: mask[chosen] for name, mask in violations.items() if name in found}
        return Drawn(rank[chosen], time[chosen], found, wrong, len(time))

    def add(self, drawn: Drawn) -> None:
        """Take what was drawn; from one thread at a time."""
        self.rows += drawn.of_rows
        self._drawn.append(drawn)
        self._count += len(drawn.rank)
        if self._count > 2 * self._most:
            self._shrink()

    def to_bytes(self) -> bytes:
        """The sample as it is kept, an Arrow table; the sample has rows.

        That takes a millisecond; the baseline of it is made when it is asked for.
        """
        (drawn,) = self._kept()
        columns: dict[str, NDArray[Any]] = {_TIME: drawn.time}
        columns |= {_VALUE + name: column for name, column in drawn.columns.items()}
        columns |= {_VIOLATION + name: mask for name, mask in drawn.violations.items()}
        table = pa.table(columns, metadata={"kind": _KIND})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=_COMPRESSED) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    def sketch(self) -> Sketch:
        """The sketch of the sample."""
        sketch = Sketch(self.features)
        for drawn in self._kept():
            sketch.add(drawn.time, drawn.columns, drawn.violations)
        return sketch

    def _kept(self) -> list[Drawn]:
        self._shrink()
        return self._drawn

    def _shrink(self) -> None:
        if len(self._drawn) > 1:
            self._drawn = [_joined(self._drawn, self.features)]
        for drawn in self._drawn:
            chosen = _lowest(drawn.rank, self._most, _LAST)
            if not chosen.all():
                self._drawn = [drawn.of(chosen)]
                self._below = self._drawn[0].rank.max()
        self._count = sum(len(drawn.rank) for drawn in self._drawn)


def baseline_of(data: bytes, clock: Collection[str]) -> Baseline:
    """The baseline of a sample that was kept; `clock` are features that the clock alone decides.

    Raises InvalidInput for bytes that are no sample.
    """
    try:
        table = pa.ipc.open_stream(data).read_all()
    except pa.ArrowInvalid as error:
        raise _no_sample(data) from error
    if (table.schema.metadata or {}).get(b"kind") != _KIND:
        raise _no_sample(data)
    columns = {name: table[name].to_numpy() for name in table.column_names}

    def of(what: str) -> dict[str, NDArray[Any]]:
        named = columns.items()
        return {name.removeprefix(what): one for name, one in named if name.startswith(what)}

    values = of(_VALUE)
    gathering = Gathering([*values], clock)
    gathering.add(columns[_TIME], values, of(_VIOLATION))
    return gathering.baseline()


def _no_sample(data: bytes) -> InvalidInput:
    hint = "Make a baseline anew: ai-hub drift baseline --tenant TENANT --set NAME"
    return InvalidInput("baseline", f"{len(data)} bytes", "what is kept of a sample", hint)


def ranks(assets: Sequence[str], code: Ints, time: Ints) -> Ranks:
    """A number for each row that looks drawn, by its asset and time alone."""
    seeds = np.array([crc32(asset_id.encode()) for asset_id in assets], np.uint64)
    mixed: Ranks = seeds[code] ^ time.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    # The end of splitmix64.
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _lowest(rank: Ranks, most: int, below: np.uint64) -> NDArray[np.bool_]:
    """Where the lowest ranks are, up to `below`; more than `most` only where some are equal."""
    if len(rank) > most:
        below = min(below, np.partition(rank, most - 1)[most - 1])
    chosen: NDArray[np.bool_] = rank <= below
    return chosen


def _joined(parts: Sequence[Drawn], features: Sequence[str]) -> Drawn:
    wrong = dict.fromkeys(name for part in parts for name in part.violations)
    return Drawn(
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.time for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in features},
        {name: np.concatenate([_mask(part, name) for part in parts]) for name in wrong},
        sum(part.of_rows for part in parts),
    )


def _mask(part: Drawn, name: str) -> Mask:
    return part.violations.get(name, np.zeros(len(part.rank), np.bool_))
