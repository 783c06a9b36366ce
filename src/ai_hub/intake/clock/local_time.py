"""Local times of a file, a body or a frame, as UTC; and stamps of a start, moved to the end.

Readers call it so:

    clock = LocalClock(options, whole)     # options: a RowOptions; whole: see below
    for part in parts:                     # pa.Table, in file order, our column names
        part = clock.to_utc(part)          # a table of the same rows and columns

`to_utc` converts `timestamp` and `issued_at`: ISO texts, naive or aware timestamps, dates. A reader
turns other spellings into one of these first. It looks at tenant_id, asset_id and feature_type,
where they are there, to tell series apart. What is no time stays as it is, for the check to refuse.
With no zone and no step to add, the table comes back as it came. Where a reader keeps AS_THEY_CAME
in columns, faults show these, and they are not in the table that comes back.

`whole` is called at most once, at the first part with a reading that the clock showed twice: it
gives the tables of the whole source again, from its first row, the same rows in the same order
(their TIME_FIELDS and ID_FIELDS suffice). A source that cannot be read twice is to be kept
somewhere first. None: the one part is all there is (a body, a frame); `in_utc` is that in one call.
Kept meanwhile are the rows within two days of such readings: 32 bytes each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.intake.batch import AS_THEY_CAME, TIME
from ai_hub.intake.cells import plain_cells
from ai_hub.intake.clock.around_changes import AroundChanges
from ai_hub.intake.clock.day_ends import DayEnds
from ai_hub.intake.clock.passes import UNTOLD
from ai_hub.intake.clock.wall_times import WallTimes
from ai_hub.intake.clock.zone import Zone
from ai_hub.intake.columns import Mask, nulls, plain
from ai_hub.intake.marks import mark_cell, with_remarks
from ai_hub.intake.result import Remark
from ai_hub.intake.row_options import RowOptions
from ai_hub.intake.times import NO_ZONE, WITH_OFFSET, YEARS

Ints = NDArray[np.int64]

Whole = Callable[[], Iterable[pa.Table]]

# In the order in which they are decided.
_FIELDS = ("issued_at", "timestamp")


def in_utc(table: pa.Table, options: RowOptions) -> pa.Table:
    """All the rows of a body or a frame, with their times in UTC."""
    return LocalClock(options).to_utc(table)


class LocalClock:
    """Turns the times of a source into UTC, part after part, as RowOptions say."""

    def __init__(self, options: RowOptions, whole: Whole | None = None) -> None:
        self._options = options
        self._whole = whole
        self._zone = None if options.timezone is None else Zone(options.timezone)
        self._around: dict[str, AroundChanges] | None = None
        self._day_ends = DayEnds()
        self._rows = 0

    def to_utc(self, part: pa.Table) -> pa.Table:
        """The next part, its times in UTC; a time at fault becomes a text that says so.

        Raises InvalidInput for a 00:00 that could be either end of its day.
        """
        came = {
            name: plain(part.column(column))
            for name, column in AS_THEY_CAME.items()
            if column in part.column_names
        }
        part = part.drop_columns([AS_THEY_CAME[name] for name in came])
        if self._zone is None and self._options.interval_start is None and not came:
            return part
        names = [name for name in _FIELDS if name in part.column_names]
        columns = {name: plain_cells(name, part.column(name)) for name in names}
        times = {name: WallTimes.of(raw) for name, raw in columns.items()}
        if self._zone is not None and "timestamp" in times:
            self._day_ends.see(part, times)
        if self._zone is not None and self._around is None:
            asked = [self._concerns(self._zone, name, found) for name, found in times.items()]
            if any(asked):
                self._around = self._look_around(self._zone, part)
        for name, raw in columns.items():
            utc = self._column(name, raw, times[name], came.get(name))
            part = part.set_column(part.column_names.index(name), name, utc)
        if "timestamp" in times and times["timestamp"].dates.any():
            part = self._with_remark(part)
        self._rows += len(part)
        return part

    def _step(self, name: str) -> int:
        """The width of the intervals that stamps name the end of, in microseconds."""
        step = self._options.interval_end
        return step.micros if step is not None and name == "timestamp" else 0

    def _concerns(self, zone: Zone, name: str, times: WallTimes) -> bool:
        local = times.micros[times.local & ~times.dates]
        reach = self._step(name)
        return any(
            ((local >= change.start) & (local <= change.end + reach)).any()
            for change in zone.changes(local, 1)
            if change.repeats
        )

    def _look_around(self, zone: Zone, part: pa.Table) -> dict[str, AroundChanges]:
        around = {name: AroundChanges(zone, self._step(name)) for name in _FIELDS}
        row = 0
        for table in [part] if self._whole is None else self._whole():
            for name in _FIELDS:
                if name in table.column_names:
                    other = _FIELDS[1 - _FIELDS.index(name)]
                    around[name].look(table, name, other, row)
            row += len(table)
        for one in around.values():
            one.decide()
        return around

    def _column(
        self, name: str, raw: pa.Array, times: WallTimes, came: pa.Array | None
    ) -> pa.Array:
        utc = times.micros.copy()
        known = times.known.copy()
        faults: dict[int, str] = {}
        if self._zone is None:
            known &= ~times.local
            if came is not None:
                local = np.flatnonzero(times.local).tolist()
                faults |= dict.fromkeys(local, f"{WITH_OFFSET}{NO_ZONE}")
        else:
            self._clear(self._zone, name, times, utc, known, faults)
        if name == "timestamp":
            self._move(times, utc, known)
        beyond = known & ((utc < FIRST_INSTANT) | (utc > LAST_INSTANT))
        faults |= dict.fromkeys(np.flatnonzero(beyond).tolist(), f"{YEARS}")
        return _built(raw, utc, known & ~beyond, faults, raw if came is None else came)

    def _clear(
        self,
        zone: Zone,
        name: str,
        times: WallTimes,
        utc: Ints,
        known: Mask,
        faults: dict[int, str],
    ) -> None:
        """Sets the instants of local times; those that cannot be told are not known, and why."""
        days = np.flatnonzero(times.dates)
        utc[days], exist = zone.day_starts(times.micros[days])
        rows = np.flatnonzero(times.local & ~times.dates)
        local = times.micros[rows]
        first, second = zone.offsets(local)
        utc[rows] = local - first
        skipped = first < second
        step = self._step(name)
        if step and skipped.any():
            # The end of an interval, as its start on the clock plus the step.
            starts = local[skipped] - step
            before, after = zone.offsets(starts)
            utc[rows[skipped]] = starts - before + step
            skipped[skipped] = before != after
        lost = np.append(rows[skipped], days[~exist])
        expected = f"a local time that exists: the clock of {zone.name} skipped this one"
        faults |= dict.fromkeys(lost.tolist(), expected)
        known[lost] = False
        told = self._told(name, len(known))
        decided, instants = (told[0], told[1]) if told else (rows[:0], rows[:0])
        settled = np.zeros(len(known), dtype=np.bool_)
        settled[decided[instants != UNTOLD]] = True
        utc[decided[instants != UNTOLD]] = instants[instants != UNTOLD]
        # A row beyond those that were looked at cannot be told either.
        vague = np.zeros(len(known), dtype=np.bool_)
        vague[rows[first > second]] = True
        vague[decided] = True
        vague &= ~settled
        if self._options.ambiguous == "reject":
            expected = (
                f"a local time that comes once, or rows about it that show which one it is: the "
                f"clock of {zone.name} showed it twice. Write its offset, or say which one to take "
                "(--ambiguous, ambiguous=)"
            )
            faults |= dict.fromkeys(np.flatnonzero(vague).tolist(), expected)
            known[vague] = False
        elif self._options.ambiguous == "later":
            late = vague[rows]
            utc[rows[late]] = local[late] - second[late]

    def _told(self, name: str, size: int) -> tuple[Ints, Ints] | None:
        """The rows of this part (from 0) whose pass was looked for, and their instants."""
        if self._around is None:
            return None
        return self._around[name].between(self._rows, self._rows + size)

    def _move(self, times: WallTimes, utc: Ints, known: Mask) -> None:
        """Moves the instants of starts to the ends of their intervals."""
        step = self._options.interval_start
        if step is None:
            return
        if not step.is_period:
            utc[known] += step.micros
            return
        assert self._zone is not None
        rows = np.flatnonzero(known & ~times.dates)
        started = utc[rows]
        offset = self._zone.offsets_at(started)
        later = step.on_the_wall(started + offset)
        first, second = self._zone.offsets(later)
        # In a repeated hour the end is in the half that the start is in, else the first time.
        now_first, now_second = self._zone.offsets(started + offset)
        in_second = (now_first > now_second) & (offset == now_second)
        utc[rows] = later - np.where(in_second, second, first)
        days = np.flatnonzero(known & times.dates)
        utc[days], _ = self._zone.day_starts(step.on_the_wall(times.micros[days]))

    def _with_remark(self, part: pa.Table) -> pa.Table:
        options = self._options
        if self._zone is None or options.interval_start or options.interval_end:
            return part
        said = (
            f"timestamp: dates are taken as the first instant of their day in {self._zone.name}. "
            "A value about the day as a whole is known only at its end, so features would see it a "
            "day early: if it is one, say interval_start=P1D (or interval_end=P1D if the dates "
            "name the ends)."
        )
        return with_remarks(part, Remark("dates", "timestamp", said))


def _built(
    raw: pa.Array, utc: Ints, known: Mask, faults: dict[int, str], came: pa.Array
) -> pa.Array:
    """Instants as timestamps; as texts where a row has none but something was sent.

    A fault shows what `came`.
    """
    instants = pa.array(utc, mask=~known)
    if not (~known & ~nulls(raw)).any():
        return instants.cast(TIME)
    texts = raw.cast(pa.string())
    if faults:
        mask = np.zeros(len(raw), dtype=np.bool_)
        mask[list(faults)] = True
        shown = came.cast(pa.string())
        marks = [mark_cell(str(shown[row].as_py()), faults[row]) for row in sorted(faults)]
        texts = pc.replace_with_mask(texts, pa.array(mask), pa.array(marks, pa.string()))
    iso = pc.binary_join_element_wise(instants.cast(pa.timestamp("us")).cast(pa.string()), "Z", "")
    return pc.if_else(pa.array(known), iso, texts)
