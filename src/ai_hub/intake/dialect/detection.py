"""How the times and numbers of a table are written, found out from its cells.

The first rows are looked at. Where they leave a doubt that later rows could settle, or prove
something that later rows could contradict, all rows are. What then has two readings is refused,
with both of them shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import AS_THEY_CAME, FIELDS, ID_FIELDS, TIME_FIELDS
from ai_hub.intake.columns import plain
from ai_hub.intake.dialect.contest import Contest, Verdict
from ai_hub.intake.dialect.dialect import Dialect, said
from ai_hub.intake.dialect.numbers import (
    FORMATS,
    NumberFormat,
    Point,
    decisive,
    has_padded,
    has_small,
    marked,
)
from ai_hub.intake.dialect.time_formats import ISO, ISO_PATTERN, TimeFormat
from ai_hub.intake.dialect.time_shapes import time_candidates
from ai_hub.intake.dialect.wide import LABEL_FORMAT

NUMBER_FIELDS = FIELDS - TIME_FIELDS - ID_FIELDS


@dataclass(frozen=True, slots=True)
class Formats:
    """How the cells of each column are written; `why` has the cell that proved what, by option."""

    times: Mapping[str, TimeFormat] = field(default_factory=dict)
    numbers: NumberFormat = field(default_factory=NumberFormat)
    why: Mapping[str, str] = field(default_factory=dict)

    def with_times(self, table: pa.Table) -> pa.Table:
        """`table` with its times as ISO 8601 or as what type they came in.

        Where other texts came, AS_THEY_CAME are added.
        """
        for name, written in self.times.items():
            if name in table.column_names and (texts := _times(table, name, written)) is not None:
                found = written.iso(texts)
                if found is not texts:
                    place = table.column_names.index(name)
                    table = table.set_column(place, name, found)
                    table = table.append_column(AS_THEY_CAME[name], texts)
        return table

    def with_numbers(self, table: pa.Table) -> pa.Table:
        """`table` with its numbers as texts with a decimal point, or as what type they came in."""
        if self.numbers.plain:
            return table
        for place, name in enumerate(table.column_names):
            if name in NUMBER_FIELDS and (texts := _texts(table, name)) is not None:
                table = table.set_column(place, name, self.numbers.pointed(texts))
        return table


class Detection:
    """The search for formats: `see_times` and `see_numbers` show it the first rows and, while
    `unsettled`, all of them; `formats` is what came of it.

    What the dialect says is not searched for. `point` says how sure a decimal point is where no
    cell speaks for or against one.
    """

    def __init__(self, dialect: Dialect, point: Point) -> None:
        self._dialect = dialect
        self._sure = point
        self._small: set[str] = set()
        self._marked: set[str] = set()
        self._said: dict[str, TimeFormat] = {}
        self._times: dict[str, Contest[TimeFormat]] = {}
        candidates = [
            one
            for one in FORMATS
            if dialect.decimal in (None, one.decimal) and dialect.thousands in (None, one.thousands)
        ]
        self._numbers = Contest(candidates, lambda one, texts: one.read(texts))
        self._padded = False
        self._free = dialect.decimal is None and dialect.thousands is None
        self._number = "value"
        self._point: str | None = None

    def see_times(self, table: pa.Table) -> None:
        """Shows the columns of times, as they came; the first table says what to look for."""
        for name in sorted(TIME_FIELDS & {*table.column_names}):
            if name not in self._said and name not in self._times:
                self._begin(name, table)
            if name in self._times and (texts := _texts(table, name)) is not None:
                self._times[name].see(texts)

    def see_numbers(self, table: pa.Table) -> None:
        """Shows the columns of numbers, as they came."""
        for name in sorted(NUMBER_FIELDS & {*table.column_names}):
            texts = _texts(table, name)
            if texts is None:
                continue
            # Mostly it is plain to see. Only where it is not, all ways are tried on all cells.
            proof = decisive(texts) if self._free and self._numbers.silent else None
            if proof is not None:
                self._point = proof
                continue
            if has_small(texts):
                self._small.add(name)
            if len(texts := marked(texts)):
                self._number = name if self._numbers.silent else self._number
                self._marked.add(name)
                self._padded |= has_padded(texts)
                self._numbers.see(texts)

    @property
    def unsettled(self) -> bool:
        """Whether rows that have not been seen could decide, or speak against what is decided."""
        if any(contest.open for contest in self._times.values()):
            return True
        if not self._numbers.open:
            return False
        if self._numbers.silent:
            return self._point is None and self._sure is Point.OPEN
        winner = self._verdict().winner
        return winner is None or not winner.plain

    def formats(self) -> Formats:
        """How the columns are written. Raises InvalidInput for what can be read in two ways, and
        for what no one way reads all of."""
        faults: list[InvalidInput] = []
        times, why = dict(self._said), {}
        for name, contest in self._times.items():
            seen = contest.verdict()
            if seen.winner is None:
                faults.append(_time_fault(name, seen))
            else:
                times[name] = seen.winner
            if seen.proof is not None:
                why["time_format"] = seen.proof
        verdict = self._verdict()
        numbers = verdict.winner
        if numbers is None and verdict.rivals[:1] == (NumberFormat(),) and self._is_point():
            numbers = NumberFormat()
        if numbers is None:
            faults.append(_number_fault(self._number, verdict))
        if verdict.proof is not None:
            why["decimal"] = verdict.proof
        if faults:
            raise _all_of(faults)
        return Formats(times, numbers or NumberFormat(), why)

    def _is_point(self) -> bool:
        """Whether a point that could group digits is taken for a decimal one all the same."""
        return self._sure is Point.SURE or (
            self._sure is Point.LIKELY and not self._small & self._marked
        )

    def _verdict(self) -> Verdict[NumberFormat]:
        if self._point is not None:
            if self._numbers.silent:
                return Verdict(NumberFormat(), self._point)
            self._numbers.see(pa.array([self._point]))
            self._point = None
        verdict = self._numbers.verdict()
        if self._padded and self._dialect.decimal is None and verdict.winner is not None:
            return Verdict(NumberFormat())  # where the comma is no decimal one, nothing is
        return verdict

    def _begin(self, name: str, table: pa.Table) -> None:
        """Begins with a column of times: its format is said, or plain to see, or searched for."""
        if (said_format := self._said_for(name, table)) is not None:
            self._said[name] = said_format
        elif (texts := _texts(table, name)) is not None:
            cells = texts.drop_null()
            if pc.all(pc.match_substring_regex(cells, ISO_PATTERN), min_count=0).as_py():
                self._said[name] = TimeFormat(ISO)
                return
            found = time_candidates(cells.unique().to_pylist())
            found = [one for one in found if one.read(cells).known.any()]
            if found:
                self._times[name] = Contest(found, _read_times)
            else:
                self._said[name] = TimeFormat(ISO)

    def _said_for(self, name: str, table: pa.Table) -> TimeFormat | None:
        """The format that the dialect says, if it says one of this column."""
        if self._dialect.time_format is None:
            return None
        written = TimeFormat(self._dialect.time_format)
        if self._dialect.wide == "times" and written.dates:
            written = TimeFormat(f"{written.text} {LABEL_FORMAT}")
        if name == "timestamp":
            return written
        # Issue times may be written in a way of their own.
        texts = _times(table, name, written)
        return written if texts is None or written.read(texts).known.any() else None


def _texts(table: pa.Table, name: str) -> pa.Array | None:
    """A column of texts as one array; None if it is of another type."""
    values = plain(table.column(name))
    return values if pa.types.is_string(values.type) else None


def _times(table: pa.Table, name: str, written: TimeFormat) -> pa.Array | None:
    """A column of times as texts; None if it is of a type that needs no format."""
    values = plain(table.column(name))
    if written.text != ISO and pa.types.is_floating(values.type):
        cells = (None if cell is None else f"{cell:.6f}" for cell in values.to_pylist())
        values = pa.array(cells, pa.string())
    if written.text != ISO and pa.types.is_integer(values.type):
        values = values.cast(pa.string())
    return values if pa.types.is_string(values.type) else None


def _read_times(
    written: TimeFormat, texts: pa.Array
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    times = written.read(texts)
    return times.micros, times.known


def _time_fault(name: str, verdict: Verdict[TimeFormat]) -> InvalidInput:
    if verdict.mixed is not None:
        advice = "Say which rows to take with --time-format; the others are then rejected."
        return _mixed(name, verdict.mixed, "times that are all written in one way", advice)
    readings = [
        (said(time_format=rival.text), [_shown(rival, cell) for cell in verdict.cells])
        for rival in verdict.rivals
    ]
    return _two_readings(name, verdict.cells, readings)


def _shown(written: TimeFormat, cell: str) -> str:
    text: str = written.iso(pa.array([cell]))[0].as_py()
    return text.replace(".000000", "").replace(" ", "T")


def _number_fault(name: str, verdict: Verdict[NumberFormat]) -> InvalidInput:
    if verdict.mixed is not None:
        advice = "Say which to take with --decimal and --thousands; the others are then rejected."
        return _mixed(name, verdict.mixed, "numbers that are all written in one way", advice)
    readings = []
    for rival in verdict.rivals:
        marks = {"thousands": rival.thousands} if rival.thousands else {}
        values = rival.read(pa.array(verdict.cells))[0].tolist()
        readings.append(
            (said(decimal=rival.decimal, **marks), [f"{value:.15g}" for value in values])
        )
    return _two_readings(name, verdict.cells, readings)


def _mixed(name: str, cells: tuple[str, str], expected: str, advice: str) -> InvalidInput:
    return InvalidInput(name, list(cells), expected, advice)


def _two_readings(
    name: str, cells: Sequence[str], readings: Sequence[tuple[str, Sequence[str]]]
) -> InvalidInput:
    first, second = (f"{', '.join(values)} ({words})" for words, values in readings)
    hint = f"No row says which of two it is: {first}, or {second}. Say which."
    return InvalidInput(name, list(cells), "a file that can be read in one way alone", hint)


def _all_of(faults: Sequence[InvalidInput]) -> InvalidInput:
    first, *others = faults
    hint = " ".join([first.hint, *(f"Also {other}" for other in others)])
    return InvalidInput(first.field, first.value, first.expected, hint)
