"""Recent rows in memory, which a process that owns its database may remember.

Online answers read the newest days of an asset again and again. Here they are sorted arrays, kept
up to date by the one writer: it merges what landed after the commit, before the acknowledgement.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ai_hub.definitions.values import DAY
from ai_hub.engines.arrays import Floats, Ints

Key = tuple[Literal["series", "weather"], str, str, str]
"""What rows are of: kind, tenant, asset or source, and the series or the weather columns."""

_MAX_ROWS = 4_000_000
"""Of one value, which take 16 bytes each; those of a table of several count for more."""
_KEY_ROWS = 50
"""How many rows take as much memory as a key beside its own: there may be many that have none."""
_MAX_NUMBERS = 200_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Every stored row of one key from `since` on, sorted by time and issue.

    `values` has a column for each of the table's; `width` is the history that was asked for.
    """

    since: int
    width: int
    time: Ints
    issued: Ints
    values: Floats

    def between(self, first: int, last: int) -> slice:
        """The rows whose time is in [first, last]."""
        low, high = np.searchsorted(self.time, (first, last + 1))
        return slice(int(low), int(high))


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that landed under one key, sorted; `usable` is False for a row to be removed."""

    time: Ints
    issued: Ints
    values: Floats
    usable: np.ndarray


class Recent:
    """Rows by key, bounded, the least recently used leaving first. Safe to use from any thread.

    A reader takes a number before it reads the database and keeps what it read under it: if the
    key was written since, what it read may be old and is not kept.
    """

    def __init__(self, max_rows: int = _MAX_ROWS) -> None:
        self._lock = threading.Lock()
        self._rows: OrderedDict[Key, Rows] = OrderedDict()
        self._held = 0
        self._max_rows = max_rows
        self._last = 0
        self._floor = 0
        self._written: dict[Key, int] = {}

    def begin(self) -> int:
        """The number of the newest write: take it before reading what is to be kept."""
        with self._lock:
            return self._last

    def find(self, keys: Sequence[Key], since: int) -> list[Rows | None]:
        """The rows of each key if they reach back to `since`."""
        with self._lock:
            found = []
            for key in keys:
                rows = self._rows.get(key)
                if rows is not None and rows.since > since:
                    rows = None
                if rows is not None:
                    self._rows.move_to_end(key)
                found.append(rows)
            return found

    def keep(self, begun: int, read: Mapping[Key, Rows]) -> None:
        """Keep rows read after `begun` was taken, where nothing was written under their key."""
        with self._lock:
            for key, rows in read.items():
                if self._written.get(key, self._floor) <= begun:
                    self._put(key, rows)
            while self._held > self._max_rows:
                self._held -= _size(self._rows.popitem(last=False)[1])

    def merge(self, changes: Mapping[Key, Change | None]) -> None:
        """What landed under some keys, after its commit; None: too much, forget the key."""
        with self._lock:
            self._last += 1
            if len(self._written) + len(changes) > _MAX_NUMBERS:
                self._written.clear()
                self._floor = self._last
            for key, change in changes.items():
                self._written[key] = self._last
                rows = self._rows.get(key)
                if rows is None:
                    continue
                if change is None:
                    self._held -= _size(self._rows.pop(key))
                else:
                    self._put(key, _trimmed(_merged(rows, change)))

    def forget(self, kind: Literal["series", "weather"], tenants: Collection[str]) -> None:
        """What landed, after its commit, under more keys of some tenants than are named."""
        with self._lock:
            self._last += 1
            self._written.clear()
            self._floor = self._last
            for key in [key for key in self._rows if key[0] == kind and key[1] in tenants]:
                self._held -= _size(self._rows.pop(key))

    def _put(self, key: Key, rows: Rows) -> None:
        before = self._rows.get(key)
        self._held += _size(rows) - (0 if before is None else _size(before))
        self._rows[key] = rows


def _size(rows: Rows) -> int:
    """As how many rows of one value it counts."""
    columns: int = rows.values.shape[1]
    return len(rows.time) * ((2 + columns) // 2) + _KEY_ROWS


def _merged(rows: Rows, change: Change) -> Rows:
    """The rows after a change: a later row of a time (and issue) replaces an earlier one."""
    inside = change.time >= rows.since
    time = np.concatenate((rows.time, change.time[inside]))
    issued = np.concatenate((rows.issued, change.issued[inside]))
    values = np.concatenate((rows.values, change.values[inside]))
    usable = np.concatenate((np.ones(len(rows.time), bool), change.usable[inside]))
    order = np.lexsort((issued, time))
    time, issued = time[order], issued[order]
    # Sorting is stable, so of equal keys the last is the newest write.
    newest = np.append((np.diff(time) != 0) | (np.diff(issued) != 0), True)[: len(time)]
    kept = newest & usable[order]
    return replace(rows, time=time[kept], issued=issued[kept], values=values[order][kept])


def _trimmed(rows: Rows) -> Rows:
    """Without rows that are older than what requests need."""
    if not len(rows.time):
        return rows
    since = int(rows.time[-1]) - rows.width - DAY
    if since - rows.since <= rows.width + DAY:
        return rows
    low = int(np.searchsorted(rows.time, since))
    return replace(
        rows, since=since, time=rows.time[low:], issued=rows.issued[low:], values=rows.values[low:]
    )
