"""How hostile files write what they say: values, times, ids, and which cells stand where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from intake.hostile_draft import Draft, Reading, Row
from intake.hostile_readings import Readings, without_value
from intake.spreadsheets import Cell

NOTHING = ("", "NA", "n/a", "-", "?", "null")
SENTINELS = ("-9999", "missing")
BLANKS = ("{}", "{} ", " {}", "  {}", "{}\N{NO-BREAK SPACE}")

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)

Value = Callable[[float], Cell]
Times = Callable[[Reading], list[Cell]]
"""The cells of a time: one, or a date and a time of day."""


def digits_of(draft: Draft) -> int:
    """How many digits values have behind the mark."""
    digits = draft.random.choice([0, 1, 2, 3, 3])
    draft.story.append(f"digits={digits}")
    return digits


def values_as_texts(draft: Draft, digits: int) -> Value:
    decimal = draft.draw("decimal", ".", ",")
    thousands = draft.draw("thousands", "", "", "", *sorted({".", ",", " ", "'"} - {decimal}))
    draft.dialect |= {"decimal": decimal, "thousands": thousands or "none"}
    padded = " " if draft.happens("padded", 0.1) else ""

    def value(number: float) -> Cell:
        text = f"{number:,.{digits}f}" if thousands else f"{number:.{digits}f}"
        return padded + text.translate({ord(","): thousands, ord("."): decimal}) + padded

    return value


def times_as_texts(draft: Draft, days: bool) -> Times:
    """`days`: a date stands for a time."""
    return _instants(draft) if draft.timezone is None else _local(draft, days)


def _instants(draft: Draft) -> Times:
    written = draft.draw(
        "times", "iso Z", "iso +01:00", "epoch-s", "epoch-ms", "epoch-us", "%d.%m.%Y %H:%M %z"
    )
    draft.dialect["time_format"] = "iso" if written.startswith("iso") else written
    if written.startswith("epoch"):
        unit = {"epoch-s": 1, "epoch-ms": 1_000, "epoch-us": 1_000_000}[written]
        return lambda reading: [str(int(reading.stamp.timestamp()) * unit)]
    if written == "iso Z":
        return lambda reading: [reading.stamp.strftime("%Y-%m-%dT%H:%M:%SZ")]
    if written == "iso +01:00":
        return lambda reading: [(reading.stamp + _HOUR).strftime("%Y-%m-%d %H:%M+01:00")]
    return lambda reading: [(reading.stamp + _HOUR).strftime("%d.%m.%Y %H:%M +01:00")]


def _local(draft: Draft, days: bool) -> Times:
    date = draft.draw("date", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%y", "%d-%b-%Y")
    if days:
        draft.dialect["time_format"] = "iso" if date == "%Y-%m-%d" else date
        return lambda reading: [reading.stamp.strftime(date)]
    clock = draft.draw("clock", "%H:%M", "%H:%M:%S", "%I:%M %p")
    written = f"{date} {clock}"
    parted = draft.happens("two columns")
    late = clock == "%H:%M" and draft.happens("24:00")
    draft.dialect["time_format"] = "iso" if written.startswith("%Y-%m-%d %H") else written
    if parted:
        draft.dialect["time_column"] = "clock"

    def cells(reading: Reading) -> list[Cell]:
        local = reading.stamp
        parts: list[Cell] = [local.strftime(date), local.strftime(clock)]
        if late and local.time() == datetime.min.time():
            parts = [(local - _DAY).strftime(date), "24:00"]
        return parts if parted else [" ".join(map(str, parts))]

    return cells


def times_of_sheets(draft: Draft, days: bool) -> Times:
    if days:
        return lambda reading: [reading.stamp.date()]
    parted = draft.happens("two columns")
    if parted:
        draft.dialect["time_column"] = "clock"

    def cells(reading: Reading) -> list[Cell]:
        local = reading.stamp
        return [local.date(), local.time()] if parted else [local]

    return cells


def missing(draft: Draft, value: Value) -> Callable[[Cell, Reading], tuple[Cell, Reading | None]]:
    """Turns some values into what says that there is none."""
    share = 0.1 if draft.happens("nothing in some cells") else 0.0
    nothing: list[Cell] = [*NOTHING]
    if draft.happens("sentinels"):
        share = 0.1
        token = draft.draw("null", *SENTINELS)
        draft.meaning["null"] = [token]
        nothing += [token, f" {token} "] if token == "missing" else [token, value(float(token))]

    def cell(written: Cell, reading: Reading) -> tuple[Cell, Reading | None]:
        if draft.random.random() < share:
            return draft.random.choice(nothing), without_value(reading)
        return written, reading

    return cell


def ids(draft: Draft) -> Callable[[str], str]:
    """How ids are written: some with blanks around them."""
    if not draft.happens("blanks around ids"):
        return str
    return lambda name: draft.random.choice(BLANKS).format(name)


# Which cells stand where


def long(
    draft: Draft, readings: Readings, times: Times, value: Value
) -> tuple[list[str], list[Row]]:
    """A row for each reading."""
    named = draft.draw("value", "kWh", "Value", "Energy\n(kWh)", "value ")
    clock = ["clock"] if "time_column" in draft.dialect else []
    cell_of, id_of = missing(draft, value), ids(draft)
    rows = []
    for reading in (reading for several in readings for reading in several):
        cell, truth = cell_of(value(reading.value or 0.0), reading)
        rows.append(Row([*times(reading), id_of(reading.asset), cell, ""], [truth]))
    if draft.happens("asset by asset"):
        rows.sort(key=lambda row: str(row.cells[-3]).strip())
    return ["time", *clock, "meter", named, "note"], rows


def vintages(
    draft: Draft, readings: Readings, times: Times, value: Value
) -> tuple[list[str], list[Row]]:
    """A row for each time of each issue of a forecast, whose own times are in UTC."""
    clock = ["clock"] if "time_column" in draft.dialect else []
    cell_of, id_of = missing(draft, value), ids(draft)
    rows = []
    for reading in (reading for several in readings for reading in several):
        assert reading.issued is not None
        cell, truth = cell_of(value(reading.value or 0.0), reading)
        issued = f"{reading.issued:%Y-%m-%dT%H:%M:%SZ}"
        rows.append(Row([*times(reading), issued, id_of(reading.asset), cell, ""], [truth]))
    return ["time", *clock, "issued", "station", "temp", "note"], rows


def by_assets(
    draft: Draft, readings: Readings, times: Times, value: Value
) -> tuple[list[str], list[Row]]:
    """A row for each time, with a column for each asset."""
    draft.dialect["wide"] = "assets"
    clock = ["clock"] if "time_column" in draft.dialect else []
    cell_of, id_of = missing(draft, value), ids(draft)
    rows = []
    for several in readings:
        cells = [cell_of(value(reading.value or 0.0), reading) for reading in several]
        written = [*times(several[0]), *(cell for cell, _ in cells)]
        rows.append(Row(written, [truth for _, truth in cells]))
    return ["time", *clock, *(id_of(reading.asset) for reading in readings[0])], rows


def by_times(draft: Draft, readings: Readings, value: Value) -> tuple[list[str], list[Row]]:
    """A row for every asset and day, with all times of a day, of which one that comes twice stands
    there once."""
    draft.dialect["wide"] = "times"
    ends = draft.happens("24:00", 0.3)
    date = draft.draw("date", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y")
    draft.dialect["time_format"] = "iso" if date == "%Y-%m-%d" else date
    draft.vague |= draft.changes
    found: dict[tuple[str, str], dict[str, Reading]] = {}
    for reading in (reading for several in readings for reading in several):
        local = reading.stamp
        day, label = local.strftime(date), local.strftime("%H:%M")
        if ends and label == "00:00":
            day, label = (local - _DAY).strftime(date), "24:00"
        found.setdefault((reading.asset, day), {})[label] = reading
    labels = _labels({label for of_day in found.values() for label in of_day})
    cell_of, id_of = missing(draft, value), ids(draft)
    rows = []
    for (asset, day), of_day in found.items():
        cells = [
            cell_of(value(of_day[label].value or 0.0), of_day[label])
            if label in of_day
            else ("", None)
            for label in labels
        ]
        written = [day, id_of(asset), *(cell for cell, _ in cells)]
        rows.append(Row(written, [truth for _, truth in cells]))
    return ["day", "meter", *labels], rows


def _labels(some: set[str]) -> list[str]:
    """All the times of a day that are on the grid of some, which may include 24:00."""
    minutes = sorted({60 * int(label[:2]) + int(label[3:]) for label in some})
    step = min((b - a for a, b in pairwise(minutes)), default=60)
    first = 0 if "24:00" not in some else step
    grid = range(first + (minutes[0] - first) % step, 24 * 60 + (first > 0), step)
    return [f"{minute // 60:02}:{minute % 60:02}" for minute in sorted({*grid, *minutes})]


Shape = Callable[[Draft, Readings, Times, Value], tuple[list[str], list[Row]]]
SHAPES: dict[str, Shape] = {"long": long, "assets": by_assets, "vintages": vintages}


def said_of_columns(shape: str, header: Sequence[str]) -> dict[str, object]:
    """The options that say where our columns are."""
    if shape == "times":
        return {"timestamp_column": "day", "asset_column": "meter"}
    if shape == "assets":
        return {"timestamp_column": "time"}
    if shape == "long":
        value = header[-2].strip()
        return {"timestamp_column": "time", "asset_column": "meter", "value_column": value}
    return {
        "timestamp_column": "time",
        "issued_at_column": "issued",
        "asset_column": "station",
        "column": ["temperature=temp"],
    }
