"""Sorted rows of every kind in one stream: the training rows of each asset once it is whole.

An engine that spreads rows over workers hands each one such a stream, so that none ever holds more
than a part of an asset, however long that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, iso
from ai_hub.engines.arrays import Ints
from ai_hub.errors import ExportFailed
from ai_hub.export.recipe import Recipe, Window
from ai_hub.stores.arrays import micros_of
from ai_hub.stores.chunks import CHUNK_ROWS
from ai_hub.stores.tables import Tables

WEATHER, ATTRIBUTE, EDGES, SPINE, OBSERVATION = range(5)
"""The kinds of rows, in the order in which a worker wants them."""
KEYS = ("tenant_id", "source_id", "share", "window_start", "window_end", "asset_id")
"""What rows are sorted by, and by kind and timestamp behind that.

The assets of one share of those that read one source come together, its weather (of no asset, "")
before them. Of an asset cut into slices, `window_start` to `window_end` is one of them.
"""
_WITHIN = ("kind", "timestamp")
Coming = Literal["sorted", "together", "any"]
"""How rows come: by all of that; those of each asset one after another, without weather, of which
no asset is longer than a worker can hold; or anyhow."""


class Entity(NamedTuple):
    """Which asset, in which slice, with whose weather; what a stream has no column of is left."""

    tenant_id: str
    source_id: str = ""
    share: int = 0
    window_start: int = FIRST_INSTANT
    window_end: int = LAST_INSTANT
    asset_id: str = ""

    @property
    def group(self) -> Entity:
        """What it shares with the assets beside it."""
        return self._replace(asset_id="")

    @property
    def is_whole(self) -> bool:
        """Whether it is no slice."""
        return (self.window_start, self.window_end) == (FIRST_INSTANT, LAST_INSTANT)


class Run(NamedTuple):
    """The rows of one asset that came together."""

    of: Entity
    rows: pa.Table


def training_stream(
    recipe: Recipe, batches: Iterable[pa.RecordBatch], order: Coming = "sorted"
) -> Iterator[pa.RecordBatch]:
    """The training rows of all assets of a stream.

    An engine may have lost the order on the way: rows are then gathered and sorted here, as those
    in no order all are. Raises ExportFailed where rows come too late for that.
    """
    assets = _Assets(recipe)
    check = _Together() if order == "together" else _Order()
    incoming = (pa.Table.from_batches([batch]) for batch in batches if batch.num_rows)
    for table in incoming:
        if order != "any" and (runs := check.taken(table)) is not None:
            for run in runs:
                yield from assets.feed(run)
        else:
            rest = pa.concat_tables(chain(check.held, [table], incoming))
            check.held = []
            for run in assets.before_all(runs_of(_sorted(rest))):
                yield from assets.feed(run)
    for run in check.left():
        yield from assets.feed(run)
    yield from assets.end()


def runs_of(table: pa.Table) -> list[Run]:
    """The rows of a sorted table, by asset."""
    starts = np.flatnonzero(_changes(table))
    names = [name for name in KEYS if name in table.column_names]
    columns = (table[name].take(pa.array(starts)).to_pylist() for name in names)
    keys = [Entity(**dict(zip(names, key, strict=True))) for key in zip(*columns, strict=True)]
    ends = [*starts[1:].tolist(), len(table)]
    return [
        Run(key, table.slice(start, end - start))
        for key, start, end in zip(keys, starts.tolist(), ends, strict=True)
    ]


def _changes(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where another asset begins."""
    found = np.zeros(len(table), bool)
    found[:1] = True
    for name in KEYS:
        if name in table.column_names:
            column = table[name].combine_chunks()
            found[1:] |= np.asarray(pc.not_equal(column[1:], column[:-1]))
    return found


def _sorted(table: pa.Table) -> pa.Table:
    names = [name for name in (*KEYS, *_WITHIN) if name in table.column_names]
    return table.sort_by([(name, "ascending") for name in names])


def _within(table: pa.Table) -> Ints:
    """Kind and time as one number, which orders the rows of an asset."""
    time = micros_of(table["timestamp"]) - FIRST_INSTANT
    return time if "kind" not in table.column_names else _kinds(table) * (1 << 59) + time


def _kinds(table: pa.Table) -> Ints:
    return np.asarray(table["kind"], np.int64)


class _Order:
    """Whether rows come in order, from one batch to the next too."""

    def __init__(self) -> None:
        self.held: list[pa.Table] = []
        self._last: tuple[Entity, int] | None = None

    def taken(self, table: pa.Table) -> list[Run] | None:
        """The rows of a batch by asset; None if they do not follow those before them."""
        changes, at = _changes(table), _within(table)
        inside = np.diff(at) >= 0
        if not (inside | changes[1:]).all():
            return None
        runs = runs_of(table)
        first = np.flatnonzero(changes).tolist()
        begins = [(run.of, int(at[row])) for run, row in zip(runs, first, strict=True)]
        before = [] if self._last is None else [self._last]
        if any(a > b for a, b in zip([*before, *begins], [*before, *begins][1:], strict=False)):
            return None
        self._last = (runs[-1].of, int(at[-1]))
        return runs

    def left(self) -> list[Run]:
        """What was held back until all rows have come."""
        return []


class _Together:
    """Rows that come asset by asset: each is held until it is whole, and then sorted."""

    def __init__(self) -> None:
        self.held: list[pa.Table] = []
        self._now: Entity | None = None
        self._seen: set[Entity] = set()

    def taken(self, table: pa.Table) -> list[Run] | None:
        """The assets that are whole with a batch; None if an asset comes a second time."""
        runs = runs_of(table)
        begun = [run.of for run in runs[runs[0].of == self._now :]]
        if len({*begun}) < len(begun) or not self._seen.isdisjoint(begun):
            return None
        self._seen.update(begun)
        whole = []
        for run in runs:
            if run.of != self._now:
                whole += self.left()
                self._now = run.of
            self.held.append(run.rows)
        return whole

    def left(self) -> list[Run]:
        """The asset that was coming."""
        if not self.held:
            return []
        assert self._now is not None
        rows, self.held = pa.concat_tables(self.held), []
        return [Run(self._now, rows.take(pa.array(np.argsort(_within(rows), kind="stable"))))]


@dataclass
class _Assets:
    """What came and is not given out yet: whole assets, and the one that is coming."""

    recipe: Recipe
    group: Entity | None = None
    weather: list[pa.Table] = field(default_factory=list)
    whole: list[pa.Table] = field(default_factory=list)
    coming: list[pa.Table] = field(default_factory=list)
    now: Entity | None = None
    given_to: int | None = None
    waiting: list[Entity] = field(default_factory=list)
    given: set[Entity] = field(default_factory=set)

    def __post_init__(self) -> None:
        needs = self.recipe.needs()
        self._has_weather = bool(needs.weather)
        self._has_edges = needs.edges is not None
        self._back, self._ahead = needs.lookback, needs.lookahead
        self._most = 2 * CHUNK_ROWS

    def before_all(self, runs: list[Run]) -> list[Run]:
        """The runs of all that is still to come, sorted, in the order in which to feed them: with
        what is held already, and what belongs to it first."""
        held: list[pa.Table] = []
        if self.given_to is None:
            held = [*self.whole, *self.coming]
            self.whole, self.coming, self.waiting, self.now = [], [], [], None
        begun = {one.group for one in self.given}
        if self.now is not None:
            begun.add(self.now.group)
        for run in runs:
            late = run.of in self.given or run.of.group in self.given or run.of in begun
            if run.of == self.now:
                late = bool(_within(run.rows)[0] < _within(self.coming[-1])[-1])
            if late:
                raise ExportFailed(_late(run))
        if held:
            rest = pa.concat_tables([*held, *(run.rows for run in runs)])
            runs = runs_of(_sorted(rest))
        return sorted(runs, key=lambda run: (run.of.group != self.group, run.of != self.now))

    def feed(self, run: Run) -> Iterator[pa.RecordBatch]:
        """Take rows of the asset that is coming, or of the next one."""
        if run.of != self.now:
            yield from self._close()
            if self.group is not None and not self._joins(run.of):
                yield from self._flush()
                if self._has_weather and run.of.group != self.group:
                    self.given.add(self.group)
                    self.weather = []
            self.group, self.now = run.of.group, run.of
        if self._has_weather and run.of.asset_id == "":
            self.weather.append(run.rows)
            return
        self.coming.append(run.rows)
        if sum(map(len, self.coming)) >= self._most:
            yield from self._part()

    def end(self) -> Iterator[pa.RecordBatch]:
        """What is left once all rows have come."""
        yield from self._close()
        yield from self._flush()

    def _joins(self, other: Entity) -> bool:
        """Whether an asset may be computed together with those before it."""
        assert self.group is not None
        return other.is_whole and other.group == self.group

    def _close(self) -> Iterator[pa.RecordBatch]:
        """The asset that was coming is whole."""
        if self.now is None or not self.coming:
            return
        rows, self.coming = self.coming, []
        if self.given_to is None and self.now.is_whole:
            self.whole += rows
            self.waiting.append(self.now)
            if sum(map(len, self.whole)) >= CHUNK_ROWS:
                yield from self._flush()
            return
        start = self.now.window_start if self.given_to is None else self.given_to + 1
        self.given_to, self._most = None, 2 * CHUNK_ROWS
        self.given.add(self.now)
        yield from self._rows(pa.concat_tables(rows), (start, self.now.window_end))

    def _flush(self) -> Iterator[pa.RecordBatch]:
        """The rows of whole assets."""
        if self.whole:
            table, self.whole = pa.concat_tables(self.whole), []
            self.given.update(self.waiting)
            self.waiting = []
            yield from self._rows(table, None)

    def _part(self) -> Iterator[pa.RecordBatch]:
        """The rows of the asset that is coming whose whole history is there already."""
        assert self.now is not None
        yield from self._flush()
        table = pa.concat_tables(self.coming)
        time = micros_of(table["timestamp"])
        observed = np.full(len(table), True)
        if "kind" in table.column_names:
            observed = _kinds(table) == OBSERVATION
        start = self.now.window_start if self.given_to is None else self.given_to + 1
        # Of the last instant there may be more rows.
        ready = min(int(time[-1]) - self._ahead - 1, self.now.window_end)
        if observed[-1] and ready >= start:
            yield from self._rows(table, (start, ready))
            self.given_to = ready
            table = table.filter(pa.array(~observed | (time > ready - self._back)))
        self.coming = [table]
        self._most = len(table) + max(len(table), CHUNK_ROWS)

    def _rows(self, table: pa.Table, window: Window | None) -> Iterator[pa.RecordBatch]:
        """The training rows of assets whose history a table holds."""
        assert self.group is not None
        kinds = _kinds(table) if "kind" in table.column_names else None

        def of(kind: int) -> pa.Table:
            return table.filter(pa.array(kinds == kind))

        edges = spine = attributes = None
        if kinds is not None and self._has_edges:
            mine = of(EDGES)
            times = micros_of(mine["timestamp"]).tolist(), micros_of(mine["last"]).tolist()
            edges = dict(zip(mine["asset_id"].to_pylist(), zip(*times, strict=True), strict=True))
        if kinds is not None and "key" in table.column_names:
            attributes = of(ATTRIBUTE).rename_columns({"timestamp": "valid_from"})
        if self.recipe.has_spine:
            spine = _spine(of(SPINE), window)
            if not len(spine):
                return
        tables = Tables(
            table if kinds is None else of(OBSERVATION),
            self._source(),
            self._mappings(table),
            attributes,
            edges,
        )
        yield from self.recipe.batches(self.group.tenant_id, tables, spine, window)

    def _source(self) -> pa.Table | None:
        """The weather that all assets at hand read."""
        if not self.weather:
            return None
        assert self.group is not None
        table = pa.concat_tables(self.weather)
        place = table.column_names.index("asset_id")
        return table.set_column(place, "asset_id", pa.repeat(self.group.source_id, len(table)))

    def _mappings(self, table: pa.Table) -> dict[str, tuple[tuple[int, str], ...]]:
        if not self._has_weather:
            return {}
        assert self.group is not None
        always = ((FIRST_INSTANT, self.group.source_id),)
        return dict.fromkeys(pc.unique(table["asset_id"]).to_pylist(), always)


def _spine(rows: pa.Table, window: Window | None) -> pa.Table:
    """The rows of a spine as they came, those in a window."""
    if window is not None:
        time = micros_of(rows["timestamp"])
        rows = rows.filter(pa.array((time >= window[0]) & (time <= window[1])))
    found = rows.select(["timestamp", "asset_id"])
    if "labels" in rows.column_names:
        labels = rows["labels"].combine_chunks()
        for place, label in enumerate(labels.type):
            found = found.append_column(label, labels.flatten()[place])
    return found


def _late(run: Run) -> str:
    of = run.of.asset_id or f"the weather of {run.of.source_id}"
    at = iso(int(micros_of(run.rows["timestamp"])[0]))
    return (
        f"rows of {of} (tenant {run.of.tenant_id}) at {at} came after what follows them was given "
        "out: the engine does not keep rows in the order that it was asked for. With "
        "in_order=False each worker sorts its rows by itself."
    )
