"""Files and bodies of text, Parquet and spreadsheets, read in parts of a bounded number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BATCH_ROWS, FIELDS, ID_FIELDS, TIME_FIELDS, Part
from ai_hub.intake.clock.local_time import LocalClock
from ai_hub.intake.columns import plain
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.assembly import Assembly
from ai_hub.intake.dialect.detection import Detection, Formats
from ai_hub.intake.dialect.dialect import PLAIN, Dialect, said
from ai_hub.intake.dialect.encodings import EIGHT_BITS
from ai_hub.intake.dialect.layout import Wanted
from ai_hub.intake.labels import content_type_of, read_labelled
from ai_hub.intake.marks import mark_cell
from ai_hub.intake.packed import is_spreadsheet, unpack
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.base import Reader
from ai_hub.intake.readers.parquet import MAGIC, ParquetReader
from ai_hub.intake.readers.rows import Rows, RowsReader
from ai_hub.intake.readers.spreadsheet import SpreadsheetReader
from ai_hub.intake.readers.table import TableReader
from ai_hub.intake.readers.text import TextReader
from ai_hub.intake.source import Source, no_file

_NAMED = {".parquet": "Parquet", ".pq": "Parquet", ".xlsx": "spreadsheet"}
_TEXT_OPTIONS = ("delimiter", "encoding", "comment")
_FILE_OPTIONS = (*_TEXT_OPTIONS, "skip_lines", "units_row", "sheet")
_FOREIGN = r"[^\x00-\x7f]"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a file: an option that says it, and the cell that proved it."""

    option: str
    value: str | int | bool
    proof: str | None = None

    def __str__(self) -> str:
        proof = "" if self.proof is None else f" (by {self.proof!r})"
        return said(**{self.option: self.value}) + proof


class DataFile:
    """The rows of a source (or of rows or a table in memory) whose times and numbers were made out.

    `options` say what is not to be found out; `required` are those of our columns that must be
    there. Raises InvalidInput for a source that is of no known kind, lacks a column, or
    can be read in two ways.
    """

    def __init__(
        self,
        source: Source | Rows | pa.Table,
        options: ReadOptions,
        required: Sequence[str] = ("timestamp",),
    ) -> None:
        self.options = options
        self.given = dialect = options.dialect
        wanted = Assembly.wanted(options.names.mapped(), required, dialect)
        self._nothing = has_nothing(source)
        self._reader = reader_of(source, options, wanted)
        self._assembly = Assembly.of(self._reader.layout, dialect)
        self._formats = Formats()
        sample = self._reader.sample(self._assembly.places)
        detection = Detection(dialect, self._reader.point)
        self._show(detection, sample)
        if detection.unsettled:
            for table, _ in self._reader.tables(self._assembly.places):
                self._show(detection, table)
        self._formats = detection.formats()

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the header, as they stand there."""
        return self._reader.layout.names

    @property
    def lines(self) -> Lines | None:
        """What the lines were that `tables` has read so far; None where there are no lines."""
        return self._reader.lines

    @property
    def rows(self) -> int | None:
        """How many rows there are, where the source says so."""
        return self._reader.rows

    def tables(self, only: frozenset[str] = FIELDS) -> Iterator[Part]:
        """All rows, unchecked, in order, as often as it is called.

        Columns have our names: `only` names those that are needed. Times are ISO 8601 texts, or of
        the type that the file has. Names that are not ours stand for empty columns, so that an
        error can say what came.
        """
        assembly = self._assembly.only(only)
        for table, fraction in self._reader.tables(assembly.places):
            yield assembly.with_other_names(self._read(assembly, table)), fraction

    def times(self) -> Iterator[pa.Table]:
        """What tells the times of all rows, as `tables` gives it: their times and ids."""
        return (table for table, _ in self.tables(TIME_FIELDS | ID_FIELDS))

    def parts(self, rows: int = BATCH_ROWS) -> Iterator[Part]:
        """All rows, unchecked, in tables of `rows` rows (the last one may have fewer): times in
        UTC, and the columns that options gave.

        With each table comes the fraction of the source that was read so far, 0 to 1. A source
        that turns out to be damaged raises InvalidInput where the damage is.
        """
        if rows < 1:
            raise InvalidInput("rows", rows, "at least 1")
        if self._nothing:
            yield pa.table({}), 1.0
            return
        clock = LocalClock(self.options.rows, self.times)
        for table, fraction in of_rows(self.tables(), rows):
            yield self.options.names.complete(clock.to_utc(table)), fraction

    def findings(self) -> list[Finding]:
        """What was found out and makes the file other than PLAIN, as the options that say it."""
        return findings_of(self.explicit(), self.given, self._formats.why)

    def explicit(self) -> Dialect:
        """A dialect that says all that was found out, so that nothing has to be."""
        found, formats = self._reader.found, self._formats
        said_of_times = {written.text for written in formats.times.values()}
        numbers = formats.numbers
        times = said_of_times.pop() if len(said_of_times) == 1 else None
        found_too = {
            "decimal": numbers.decimal,
            "thousands": numbers.thousands,
            "time_format": times,
            **found.given(),
        }
        return Dialect.of(found_too | self.given.given())

    def _read(self, assembly: Assembly, table: pa.Table) -> pa.Table:
        table = self._formats.with_times(assembly.joined(table))
        table = self._formats.with_numbers(assembly.spread(table))
        return table if self._reader.letters else with_known_letters(table)

    def _show(self, detection: Detection, table: pa.Table) -> None:
        joined = self._assembly.joined(table)
        detection.see_times(joined)
        detection.see_numbers(self._assembly.spread(joined))


def has_nothing(source: Source | Rows | pa.Table) -> bool:
    """Whether it is a list without rows, which has no columns, and nothing is wrong with it."""
    return (
        not isinstance(source, Source)
        and not len(source)
        and not getattr(source, "column_names", ())
    )


def reader_of(source: Source | Rows | pa.Table, options: ReadOptions, wanted: Wanted) -> Reader:
    """What reads a source, rows or a table in memory; see DataFile for what it raises."""
    dialect = options.dialect
    if isinstance(source, Source):
        return _reader(unpack(source), dialect, wanted)
    _refuse(dialect, _FILE_OPTIONS, "table")
    if has_nothing(source):
        source = pa.table({name: pa.nulls(0) for name in wanted.names()})
    if isinstance(source, Rows):
        return RowsReader(source, options, wanted)
    return TableReader(source, wanted)


def findings_of(explicit: Dialect, given: Dialect, why: Mapping[str, str]) -> list[Finding]:
    """What makes a file other than PLAIN and was not said; `why` has the cells that prove it."""
    known = PLAIN.given() | given.given()
    return [
        Finding(option, value, why.get(option))
        for option, value in explicit.given().items()
        if known.get(option) != value
    ]


def _reader(source: Source, dialect: Dialect, wanted: Wanted) -> Reader:
    """The reader for what the first bytes are; what the name says is only looked at to complain."""
    if source.head().startswith(MAGIC):
        _refuse(dialect, _FILE_OPTIONS, "Parquet file")
        return ParquetReader(source, wanted)
    if is_spreadsheet(source):
        _refuse(dialect, _TEXT_OPTIONS, "spreadsheet")
        return SpreadsheetReader(source, dialect, wanted)
    kind = _NAMED.get(Path(source.name).suffix.lower())
    if kind is not None:
        raise source.wrong(source.name, f"a whole {kind} file, as its name says")
    _refuse(dialect, ("sheet",), "text")
    return TextReader(source, dialect, wanted)


def _refuse(dialect: Dialect, options: Sequence[str], kind: str) -> None:
    for option, value in dialect.given().items():
        if option in options:
            raise InvalidInput(option, value, f"no such option for a {kind}")


def with_known_letters(table: pa.Table) -> pa.Table:
    """`table` without ids whose letters are not known, which become marks."""
    for name in sorted(ID_FIELDS & {*table.column_names}):
        texts = plain(table.column(name))
        foreign = pc.fill_null(pc.match_substring_regex(texts, _FOREIGN), False)
        if pc.any(foreign).as_py():
            expected = f"text in UTF-8 (--encoding {EIGHT_BITS} takes it as it is shown here)"
            marks = [mark_cell(text, expected) for text in texts.filter(foreign).to_pylist()]
            texts = pc.replace_with_mask(texts, foreign, pa.array(marks, pa.string()))
            table = table.set_column(table.column_names.index(name), name, texts)
    return table


def of_rows(parts: Iterator[Part], rows: int) -> Iterator[Part]:
    """The same rows in tables of `rows`; of a file without rows, one empty table.

    A table has fewer where a column goes on with another type, as one of dicts may.
    """
    waiting: list[pa.Table] = []
    size = 0
    yielded = False
    for table, fraction in parts:
        if not size or table.schema == waiting[0].schema:
            # Put together once there are enough: one by one they would be once for each part.
            waiting = waiting if size else []
            waiting.append(table)
        else:
            try:
                waiting = [pa.concat_tables([*waiting, table], promote_options="default")]
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                yield pa.concat_tables(waiting), fraction
                waiting, size = [table], 0
        size += len(table)
        if size >= rows:
            whole = pa.concat_tables(waiting)
            for start in range(0, size - rows + 1, rows):
                yield whole.slice(start, rows), fraction
                yielded = True
            waiting, size = [whole.slice(size - size % rows)], size % rows
    if waiting and (size or not yielded):
        yield pa.concat_tables(waiting), 1.0


def read_labelled_file(path: Path) -> pa.Table:
    """A spine's file, CSV, Parquet or Arrow, with all its columns. Raises InvalidInput."""
    content_type = content_type_of(path.name)
    try:
        return read_labelled(content_type, path.read_bytes())
    except OSError as error:
        raise no_file(path, error) from None
