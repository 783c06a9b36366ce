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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

import pyarrow as pa

from ai_hub.intake.dialect import Dialect
from intake.spreadsheets import Cell, spreadsheet

ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "America/St_Johns",
)
CLOCK_CHANGES = False
"""Whether local times may be those around a change of the clock."""

NOTHING = ("", "NA", "n/a", "-", "?", "null")
NOTES = ("", "", "ok", "moved, then back", '5" pipe', '"checked" by AB', "a;b|c\td", "it's 1.5")
OPEN = ('"estimated', '"', '"a,b', '""" ')
SPANS = (("first", "second"), ("a", "", "b, c"))
MANY_ROWS = 3_000
"""More than the sample that is looked at first."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a cell says."""

    at: datetime
    asset: str
    value: float


@dataclass(frozen=True, slots=True)
class HostileFile:
    """A file and what it means.

    `truth` has an entry for every row (for every cell of a wide one), None for a row that says
    nothing. `lines` is how many lines of the text are neither blank nor before the first row.
    `sure`: all is said and nothing is broken, so every reading has to be stored.
    """

    data: bytes
    columns: dict[str, str]
    dialect: Dialect
    timezone: str | None
    truth: list[Reading | None]
    lines: int
    sure: bool
    story: str


@dataclass(frozen=True, slots=True)
class _Row:
    """Cells, and what they mean; `line` is what stands there where it is no row at all."""

    cells: list[Cell]
    truth: list[Reading | None]
    line: str | None = None


@dataclass(slots=True)
class _Draft:
    """A file while it is made: the draws so far, in words, and what the options would say."""

    random: Random
    story: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=lambda: {"wide", "time_column", "comment"})
    """Options that no cell shows, and that have to be said."""
    timezone: str | None = None
    broken: bool = False

    def draw(self, axis: str, *choices: str) -> str:
        choice = self.random.choice(choices)
        self.story.append(f"{axis}={choice!r}")
        return choice

    def happens(self, axis: str, share: float = 0.2) -> bool:
        found = self.random.random() < share
        if found:
            self.story.append(axis)
        return found


def hostile_file(seed: int) -> HostileFile:
    """The file of a seed."""
    draft = _Draft(Random(seed))
    if draft.happens("local times", 0.5):
        draft.timezone = draft.draw("zone", *ZONES)
    names = ["m1", "m2", "1001"]
    if draft.happens("letters"):
        names += ["Büro 3", "a;b,c"]
    sheet = draft.happens("sheet", 0.1)
    value, digits = _values(draft, typed=sheet)
    readings = _readings(draft, names, digits)
    shape = draft.draw("shape", "long", "long", "long", "assets", "times")
    if shape == "times":
        header, rows = _by_times(draft, readings, value)
    else:
        time = _typed_times(draft) if sheet else _times(draft)
        header, rows = (_long if shape == "long" else _by_assets)(draft, readings, time, value)
    if sheet:
        data, lines = _sheet(draft, header, rows), len(rows)
        rows = [row for row in rows if any(row.cells)]
    else:
        text, rows, lines = _text(draft, header, rows)
        data = text.encode(_encoding(draft))
    columns = (
        {"timestamp": "time"} if shape != "times" else {"timestamp": "day", "asset_id": "meter"}
    )
    if shape == "long":
        columns |= {"asset_id": "meter", "value": header[-2].strip()}
    said, sure = _said(draft)
    truth = [reading for row in rows for reading in row.truth]
    data = _packed(draft, data)
    story = " ".join(draft.story)
    return HostileFile(data, columns, said, draft.timezone, truth, lines, sure, story)


# What is read


def _readings(draft: _Draft, names: Sequence[str], digits: int) -> list[list[Reading]]:
    """The readings of all assets at one time after the other, in the order of the file."""
    random = draft.random
    steps, step = random.randint(1, 30), timedelta(minutes=random.choice([15, 30, 60]))
    if draft.happens("many rows", 0.05):
        steps, step = MANY_ROWS, timedelta(minutes=5)
    # In January and July no clock changes, and in 250 hours from there none either.
    start = datetime(2025, random.choice([1, 7]), random.randint(2, 14), tzinfo=UTC)
    if CLOCK_CHANGES and draft.timezone is not None and draft.happens("change of the clock", 0.5):
        changes = clock_changes(draft.timezone)
        if changes:
            start = random.choice(changes) - steps // 2 * step
    scale = random.choice([0, 1, 3, 5])
    draft.story.append(f"scale={scale}")
    found = [
        [
            Reading(start + place * step, name, round(random.uniform(-0.2, 1) * 10**scale, digits))
            for name in names
        ]
        for place in range(steps)
    ]
    order = draft.draw("order", "oldest first", "oldest first", "newest first", "shuffled")
    if order == "newest first":
        found.reverse()
    elif order == "shuffled":
        random.shuffle(found)
    if draft.happens("a row twice"):
        found.insert(random.randint(0, len(found)), random.choice(found))
    if draft.happens("a late row"):
        found.insert(random.randint(0, len(found)), found.pop(random.randrange(len(found))))
    return found


@lru_cache
def clock_changes(timezone: str) -> list[datetime]:
    """The instants of 2025 at which the clock of a zone goes forward or back."""
    zone = ZoneInfo(timezone)
    minutes = (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(17_520))
    return [
        at
        for at in minutes
        if at.astimezone(zone).utcoffset()
        != (at - timedelta(minutes=30)).astimezone(zone).utcoffset()
    ]


# How times and values are written


def _values(draft: _Draft, typed: bool) -> tuple[Callable[[float], Cell], int]:
    """How a value is written, and how many digits it has behind the mark."""
    digits = draft.random.choice([0, 1, 2, 3, 3])
    draft.story.append(f"digits={digits}")
    if typed:
        return lambda number: number, digits
    decimal = draft.draw("decimal", ".", ",")
    thousands = draft.draw("thousands", "", "", "", *sorted({".", ",", " ", "'"} - {decimal}))
    draft.options |= {"decimal": decimal, "thousands": thousands or "none"}
    padded = " " if draft.happens("padded", 0.1) else ""

    def value(number: float) -> Cell:
        text = f"{number:,.{digits}f}" if thousands else f"{number:.{digits}f}"
        return padded + text.translate({ord(","): thousands, ord("."): decimal}) + padded

    return value, digits


_Times = Callable[[datetime], list[Cell]]


def _times(draft: _Draft) -> _Times:
    """The cells of a time: one, or a date and a time of day."""
    return _instants(draft) if draft.timezone is None else _local(draft, ZoneInfo(draft.timezone))


def _instants(draft: _Draft) -> _Times:
    written = draft.draw(
        "times", "iso Z", "iso +01:00", "epoch-s", "epoch-ms", "epoch-us", "%d.%m.%Y %H:%M %z"
    )
    draft.options["time_format"] = "iso" if written.startswith("iso") else written
    if written.startswith("epoch"):
        unit = {"epoch-s": 1, "epoch-ms": 1_000, "epoch-us": 1_000_000}[written]
        return lambda at: [str(int(at.timestamp()) * unit)]
    if written == "iso Z":
        return lambda at: [at.strftime("%Y-%m-%dT%H:%M:%SZ")]
    later = timedelta(hours=1)
    if written == "iso +01:00":
        return lambda at: [(at + later).strftime("%Y-%m-%d %H:%M+01:00")]
    return lambda at: [(at + later).strftime("%d.%m.%Y %H:%M +01:00")]


def _local(draft: _Draft, zone: ZoneInfo) -> _Times:
    date = draft.draw("date", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%y", "%d-%b-%Y")
    clock = draft.draw("clock", "%H:%M", "%H:%M:%S", "%I:%M %p")
    late = clock == "%H:%M" and draft.happens("24:00")
    parted = draft.happens("two columns")
    iso = date == "%Y-%m-%d" and clock != "%I:%M %p"
    draft.options["time_format"] = "iso" if iso else f"{date} {clock}"
    if parted:
        draft.options["time_column"] = "clock"

    def cells(at: datetime) -> list[Cell]:
        local = at.astimezone(zone).replace(tzinfo=None)
        parts: list[Cell] = [local.strftime(date), local.strftime(clock)]
        if late and local.time() == datetime.min.time():
            parts = [(local - _DAY).strftime(date), "24:00"]
        return parts if parted else [" ".join(map(str, parts))]

    return cells


def _typed_times(draft: _Draft) -> _Times:
    if draft.timezone is None:
        draft.timezone = "UTC"
    zone = ZoneInfo(draft.timezone)
    parted = draft.happens("two columns")
    if parted:
        draft.options["time_column"] = "clock"

    def cells(at: datetime) -> list[Cell]:
        local = at.astimezone(zone).replace(tzinfo=None)
        return [local.date(), local.time()] if parted else [local]

    return cells


def _missing(draft: _Draft) -> Callable[[Cell, Reading], tuple[Cell, Reading | None]]:
    """Turns some values into what says that there is none."""
    share = 0.1 if draft.happens("nothing in some cells") else 0.0

    def cell(written: Cell, reading: Reading) -> tuple[Cell, Reading | None]:
        if draft.random.random() < share:
            return draft.random.choice(NOTHING), None
        return written, reading

    return cell


# Which cells stand where


def _long(
    draft: _Draft, readings: list[list[Reading]], time: _Times, value: Callable[[float], Cell]
) -> tuple[list[str], list[_Row]]:
    named = draft.draw("value", "kWh", "Value", "Energy\n(kWh)", "value ")
    clock = ["clock"] if "time_column" in draft.options else []
    missing = _missing(draft)
    rows = []
    for reading in (reading for several in readings for reading in several):
        cell, truth = missing(value(reading.value), reading)
        rows.append(_Row([*time(reading.at), reading.asset, cell, ""], [truth]))
    if draft.happens("asset by asset"):
        rows.sort(key=lambda row: str(row.cells[-3]))
    return ["time", *clock, "meter", named, "note"], rows


def _by_assets(
    draft: _Draft, readings: list[list[Reading]], time: _Times, value: Callable[[float], Cell]
) -> tuple[list[str], list[_Row]]:
    draft.options["wide"] = "assets"
    clock = ["clock"] if "time_column" in draft.options else []
    missing = _missing(draft)
    rows = []
    for several in readings:
        cells = [missing(value(reading.value), reading) for reading in several]
        times = time(several[0].at)
        rows.append(_Row([*times, *(cell for cell, _ in cells)], [truth for _, truth in cells]))
    return ["time", *clock, *(reading.asset for reading in readings[0])], rows


def _by_times(
    draft: _Draft, readings: list[list[Reading]], value: Callable[[float], Cell]
) -> tuple[list[str], list[_Row]]:
    """A row for every asset and day. The times of a day are the wall clock's in summer or winter:
    at a change of the clock some would stand for none or for two, so there are none of these."""
    draft.options["wide"] = "times"
    draft.timezone = draft.timezone or "UTC"
    zone = ZoneInfo(draft.timezone)
    ends = draft.happens("24:00", 0.3)
    date = draft.draw("date", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y")
    draft.options["time_format"] = "iso" if date == "%Y-%m-%d" else date
    found: dict[tuple[str, str], dict[str, Reading]] = {}
    for reading in (reading for several in readings for reading in several):
        local = reading.at.astimezone(zone)
        day, label = local.strftime(date), local.strftime("%H:%M")
        if ends and label == "00:00":
            day, label = (local.replace(tzinfo=None) - _DAY).strftime(date), "24:00"
        found.setdefault((reading.asset, day), {})[label] = reading
    labels = sorted({label for of_day in found.values() for label in of_day})
    missing = _missing(draft)
    rows = []
    for (asset, day), of_day in found.items():
        cells = [
            missing(value(of_day[label].value), of_day[label]) if label in of_day else ("", None)
            for label in labels
        ]
        rows.append(_Row([day, asset, *(cell for cell, _ in cells)], [truth for _, truth in cells]))
    return ["day", "meter", *labels], rows


# What stands around them


def _text(draft: _Draft, header: list[str], rows: list[_Row]) -> tuple[str, list[_Row], int]:
    """The text, its rows with those that were put between them, and the lines that these have."""
    random = draft.random
    delimiter = draft.draw("delimiter", ",", ";", "\t", "|")
    end = draft.draw("line end", "\n", "\n", "\r\n", "\r")
    quoted = draft.happens("all quoted")
    draft.options["delimiter"] = delimiter
    if delimiter == "," and draft.options["thousands"] == ".":
        draft.hidden |= {"decimal", "thousands"}  # between commas a point is a decimal point

    def line(cells: Sequence[Cell]) -> str:
        return delimiter.join(_cell(str(cell), delimiter, quoted) for cell in cells)

    parts: list[str] = []
    if draft.happens("lines before"):
        parts += ["Load profile", *([""] * random.randint(0, 2)), f"sep={delimiter}"]
        draft.options["skip_lines"] = str(len(parts))
    if "wide" not in draft.options and draft.happens("capitals", 0.05):
        header = [name.upper() for name in header]
    if comments := draft.happens("comments", 0.1):
        draft.options["comment"] = "#"
    parts.append(line(header))
    draft.options["units_row"] = "false"
    if draft.happens("units", 0.1):
        draft.options["units_row"] = "true"
        parts.append(line(["", *("kWh" for _ in header[1:])]))
    wide = len(rows[0].truth)
    if draft.happens("lines that are no rows"):
        again = line([" ".join(name.split()) for name in header])
        for junk in ("Total", line(["Total", *[""] * (len(header) - 2), "7"]), again):
            rows.insert(random.randint(0, len(rows)), _Row([], [None], junk))
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
    draft: _Draft, rows: list[_Row], line: Callable[[Sequence[Cell]], str], delimiter: str, end: str
) -> list[_Row]:
    """Rows with notes; some have quotes that are never closed, or go on over several lines."""
    random = draft.random
    if not draft.happens("notes", 0.5):
        return rows
    opened = draft.happens("open quotes", 0.4)
    spans = draft.happens("several lines")
    draft.broken |= opened or spans

    def noted(row: _Row) -> _Row:
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


def _sheet(draft: _Draft, header: list[str], rows: list[_Row]) -> bytes:
    before: list[list[Cell]] = [["Load profile"], []] if draft.happens("lines before") else []
    table = [
        *before,
        [*header],
        *([None if cell == "" else cell for cell in row.cells] for row in rows),
    ]
    draft.options = {
        name: value
        for name, value in draft.options.items()
        if name in ("wide", "time_column", "time_format")
    }
    return spreadsheet({"Notes": [["of no use"]], "Data": table})


def _encoding(draft: _Draft) -> str:
    encodings = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1")
    draft.options["encoding"] = draft.draw("encoding", *encodings)
    return draft.options["encoding"]


def _packed(draft: _Draft, data: bytes) -> bytes:
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


def _said(draft: _Draft) -> tuple[Dialect, bool]:
    """The options that are given, and whether that is all and the file is sound."""
    how = draft.draw("said", "all", "all", "nothing", "nothing", "something")
    said: dict[str, str | int | bool | None] = {
        name: value
        for name, value in draft.options.items()
        if how == "all"
        or name in draft.hidden
        or (how == "something" and draft.random.random() < 0.5)
    }
    return Dialect.of(said), how == "all" and not draft.broken
