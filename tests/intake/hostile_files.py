"""Files as people have them, made from readings that are known.

`hostile_file(seed)` draws how a file is written: what separates its cells, its marks, encoding,
times, quotes, order, what stands around and between the rows, and how much of that is said. It
keeps what every row means, so that a reader can be held to it: a file is stored as the truth, or it
is refused, or rows of it are, and counted.
"""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import pyarrow as pa

from ai_hub.intake.options import BatchKind
from intake.hostile_cells import (
    SHAPES,
    by_times,
    digits_of,
    said_of_columns,
    times_as_texts,
    times_of_sheets,
    values_as_texts,
)
from intake.hostile_draft import Draft, Reading, Row
from intake.hostile_readings import (
    OFFSETS,
    ZONES,
    days_of,
    disguised,
    readings_of,
    vintages_of,
)
from intake.spreadsheets import Cell, spreadsheet

NOTES = ("", "", "ok", "moved, then back", '5" pipe', '"checked" by AB', "a;b|c\td", "it's 1.5")
OPEN = ('"estimated', '"', '"a,b', '""" ')
SPANS = (("first", "second"), ("a", "", "b, c"))


@dataclass(frozen=True, slots=True)
class HostileFile:
    """A file and what it means.

    `said` are the options of reading that are given with it. `truth` has an entry for every row
    (for every cell of a wide one), None for a row that says nothing. `lines` is how many lines of
    the text are neither blank nor before the first row. `sure`: all is said and nothing is broken,
    so every reading has to be stored. `disguised`: what it means is beyond telling. `columns` and
    `frame_truth` are the same as a frame of texts, without what stands between the rows.
    """

    data: bytes
    kind: BatchKind
    said: Mapping[str, object]
    truth: list[Reading | None]
    lines: int
    sure: bool
    disguised: bool
    columns: dict[str, list[Cell]]
    frame_truth: list[Reading | None]
    story: str


def hostile_file(seed: int) -> HostileFile:
    """The file of a seed."""
    draft = Draft(Random(seed))
    shape = draft.draw("shape", "long", "long", "long", "assets", "times", "vintages")
    if shape == "vintages":
        draft.kind = "weather"
    if draft.happens("local times", 0.7):
        draft.meaning["timezone"] = draft.draw("zone", *ZONES, *OFFSETS)
    sheet = shape != "vintages" and draft.happens("sheet", 0.1)
    if draft.timezone is None and (sheet or shape == "times"):
        draft.meaning["timezone"] = "UTC"
    days = (
        draft.timezone is not None and shape in ("long", "assets") and draft.happens("dates", 0.1)
    )
    names = ["m1", "m2", "1001"]
    if draft.happens("letters"):
        names += ["Büro 3", "a;b,c"]
    digits = digits_of(draft)
    value = float if sheet else values_as_texts(draft, digits)
    found = vintages_of if shape == "vintages" else days_of if days else readings_of
    readings = found(draft, names, digits)
    if shape == "times":
        header, rows = by_times(draft, readings, value)
    else:
        times = (times_of_sheets if sheet else times_as_texts)(draft, days)
        header, rows = SHAPES[shape](draft, readings, times, value)
    columns = dict(
        zip(header, map(list, zip(*(row.cells for row in rows), strict=True)), strict=True)
    )
    frame_truth = [reading for row in rows for reading in row.truth]
    if sheet:
        data, lines = _sheet(draft, header, rows), len(rows)
        rows = [row for row in rows if any(row.cells)]
    else:
        text, rows, lines = _text(draft, header, rows)
        data = text.encode(_encoding(draft))
    dialect, all_said = _said(draft)
    truth = [reading for row in rows for reading in row.truth]
    data = _packed(draft, data)
    return HostileFile(
        data,
        draft.kind,
        {**said_of_columns(shape, header), **dialect, **draft.meaning},
        truth,
        lines,
        all_said and not draft.broken and not draft.vague,
        draft.disguised or disguised([reading for reading in truth if reading is not None]),
        columns,
        frame_truth,
        " ".join(draft.story),
    )


# What stands around them


def _text(draft: Draft, header: list[str], rows: list[Row]) -> tuple[str, list[Row], int]:
    """The text, its rows with those that were put between them, and the lines that these have."""
    random = draft.random
    delimiter = draft.draw("delimiter", ",", ";", "\t", "|")
    end = draft.draw("line end", "\n", "\n", "\r\n", "\r")
    quoted = draft.happens("all quoted")
    draft.dialect["delimiter"] = delimiter
    if delimiter == "," and draft.dialect["thousands"] == ".":
        draft.hidden |= {"decimal", "thousands"}  # between commas a point is a decimal point

    def line(cells: Sequence[Cell]) -> str:
        return delimiter.join(_cell(str(cell), delimiter, quoted) for cell in cells)

    parts: list[str] = []
    if draft.happens("lines before"):
        parts += ["Load profile", *([""] * random.randint(0, 2)), f"sep={delimiter}"]
        draft.dialect["skip_lines"] = str(len(parts))
    if "wide" not in draft.dialect and draft.happens("capitals", 0.05):
        header = [name.upper() for name in header]
    if comments := draft.happens("comments", 0.1):
        draft.dialect["comment"] = "#"
    parts.append(line(header))
    draft.dialect["units_row"] = "false"
    if draft.happens("units", 0.1):
        draft.dialect["units_row"] = "true"
        parts.append(line(["", *("kWh" for _ in header[1:])]))
    wide = len(rows[0].truth)
    if draft.happens("lines that are no rows"):
        again = line([" ".join(name.split()) for name in header])
        for junk in ("Total", line(["Total", *[""] * (len(header) - 2), "7"]), again):
            rows.insert(random.randint(0, len(rows)), Row([], [None], junk))
    if header[-1].lower() == "note":
        rows = _noted(draft, rows, line, delimiter, end)
    count = 0
    for row in rows:
        if comments and random.random() < 0.1:
            parts.append("# a remark" + delimiter * random.randint(0, 3))
        if random.random() < 0.02:
            parts.append("")
        written = row.line if row.line is not None else line(row.cells)
        count += sum(bool(part) for part in written.split(end))
        parts.append(written)
    # A line of a wide file that has all its cells is a row for each of them.
    whole = [
        row if row.cells or delimiter not in str(row.line) else replace(row, truth=[None] * wide)
        for row in rows
    ]
    return end.join(parts) + ("" if draft.happens("no end") else end), whole, count


def _noted(
    draft: Draft, rows: list[Row], line: Callable[[Sequence[Cell]], str], delimiter: str, end: str
) -> list[Row]:
    """Rows with notes; some have quotes that are never closed, or go on over several lines."""
    random = draft.random
    if not draft.happens("notes", 0.5):
        return rows
    opened = draft.happens("open quotes", 0.4)
    spans = draft.happens("several lines")
    draft.broken |= opened or spans

    def noted(row: Row) -> Row:
        if row.line is not None:
            return row
        if opened and random.random() < 0.15:
            return replace(row, line=line(row.cells[:-1]) + delimiter + random.choice(OPEN))
        if spans and random.random() < 0.15:
            return replace(row, cells=[*row.cells[:-1], end.join(random.choice(SPANS))])
        return replace(row, cells=[*row.cells[:-1], random.choice(NOTES)])

    return [noted(row) for row in rows]


def _cell(cell: str, delimiter: str, quoted: bool) -> str:
    quoted |= cell[:1] == '"' or any(mark in cell for mark in (delimiter, "\n", "\r"))
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if quoted else cell


def _sheet(draft: Draft, header: list[str], rows: list[Row]) -> bytes:
    before: list[list[Cell]] = [["Load profile"], []] if draft.happens("lines before") else []
    table = [
        *before,
        [*header],
        *([None if cell == "" else cell for cell in row.cells] for row in rows),
    ]
    draft.dialect = {
        name: value
        for name, value in draft.dialect.items()
        if name in ("wide", "time_column", "time_format")
    }
    return spreadsheet({"Notes": [["of no use"]], "Data": table})


def _encoding(draft: Draft) -> str:
    encodings = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1")
    draft.dialect["encoding"] = draft.draw("encoding", *encodings)
    return draft.dialect["encoding"]


def _packed(draft: Draft, data: bytes) -> bytes:
    packed = draft.draw("packed", "no", "no", "no", "no", "gzip", "bzip2", "zstd", "zip")
    if packed == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("load.csv", data)
        return buffer.getvalue()
    return {"no": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "zstd": _zstd}[packed](data)


def _zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def _said(draft: Draft) -> tuple[dict[str, str], bool]:
    """The options of the dialect that are given, and whether that is all of them."""
    how = draft.draw("said", "all", "all", "nothing", "nothing", "something")
    said = {
        name: value
        for name, value in draft.dialect.items()
        if how == "all"
        or name in draft.hidden
        or (how == "something" and draft.random.random() < 0.5)
    }
    return said, how == "all"
