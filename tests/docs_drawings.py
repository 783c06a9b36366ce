"""The drawings of docs/kinds: what each kind of feature reads, as the reference has it.

A reading is drawn as read if the value is another one without it. `python tests/docs_drawings.py`
draws them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.periods import Period
from ai_hub.definitions.values import DAY, HOUR, parse_time, to_datetime
from ai_hub.engines.reference import (
    AttributeValue,
    History,
    ViewRow,
    WeatherRow,
    value,
    window_of,
)
from ai_hub.engines.reference_clock import step_back
from ai_hub.engines.reference_statistics import Observation

FOLDER = Path(__file__).parents[1] / "docs" / "kinds"
WIDTH, LEFT, RIGHT, TOP, FLOOR, HEIGHT = 720, 20, 20, 34, 112, 150
READ, UNREAD, BAND, INK = "#0b6e99", "#c9d1d9", "#d9eef7", "#24292f"
BERLIN = "Europe/Berlin"


@dataclass(frozen=True)
class Mark:
    """Something at an instant (or from one to another): how high it is, and whether it is read."""

    start: int
    end: int
    height: float
    read: bool


@dataclass(frozen=True)
class Scene:
    """What a drawing shows: marks on an axis of time, bands that are windows, and t."""

    says: str
    t: int
    marks: tuple[Mark, ...]
    bands: tuple[tuple[int, int, str], ...] = ()
    step: int = DAY

    def svg(self) -> str:
        """The drawing."""
        first = min(mark.start for mark in self.marks)
        last = max(self.t, *(mark.end for mark in self.marks))
        scale = (WIDTH - LEFT - RIGHT) / (last - first)

        def x(at: int) -> float:
            return round(LEFT + (at - first) * scale, 1)

        parts = []
        for start, end, said in self.bands:
            a, b = max(x(start), LEFT), x(end)
            parts.append(f'<rect x="{a}" y="{TOP}" width="{round(max(b - a, 2), 1)}" '
                         f'height="{FLOOR - TOP}" fill="{BAND}"/>')  # fmt: skip
            parts.append(_text(min(a, WIDTH - 250), TOP - 6, said))
        for mark in self.marks:
            high = round(6 + mark.height * (FLOOR - TOP - 14), 1)
            wide = max(round((mark.end - mark.start) * scale - 1, 1), 3)
            parts.append(
                f'<rect x="{x(mark.start)}" y="{round(FLOOR - high, 1)}" width="{wide}" '
                f'height="{high}" fill="{READ if mark.read else UNREAD}"/>'
            )
        parts.append(f'<path d="M{LEFT} {FLOOR}H{WIDTH - RIGHT}" stroke="{INK}"/>')
        tick = first - first % self.step + self.step
        while tick <= last:
            parts.append(f'<path d="M{x(tick)} {FLOOR}v5" stroke="{INK}"/>')
            if x(tick) < WIDTH - 60:
                form = "%d %b" if self.step >= DAY else "%H:%M"
                parts.append(_text(x(tick) - 14, FLOOR + 18, to_datetime(tick).strftime(form)))
            tick += self.step
        parts.append(f'<path d="M{x(self.t)} {TOP - 12}V{FLOOR}" stroke="{INK}" '
                     'stroke-dasharray="3 2"/>')  # fmt: skip
        parts.append(_text(min(x(self.t), WIDTH - 12) - 3, TOP - 16, "t"))
        body = "\n  ".join(parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="11">\n  <title>{escape(self.says)}</title>\n'
            f'  <rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n  {body}\n</svg>\n'
        )


def _text(x: float, y: float, said: str) -> str:
    return f'<text x="{round(x, 1)}" y="{y}" fill="{INK}">{escape(said)}</text>'


def _value(i: int) -> float:
    """Values that no two readings near each other share."""
    return round((i * 37 % 101 + i / 1000) / 102, 4)


def _readings(t: int, back: int, step: int, gaps: Sequence[int] = ()) -> list[Observation]:
    count = back // step
    times = [t - k * step for k in range(count, -1, -1) if k not in gaps]
    return [Observation(at, _value(i)) for i, at in enumerate(times)]


def _read(feature: Feature, t: int, readings: list[Observation]) -> tuple[Mark, ...]:
    """The readings, and whether the value at t depends on each."""
    whole = value(feature, t, History({"value": readings}))
    return tuple(
        Mark(
            one.timestamp,
            one.timestamp,
            one.value,
            value(feature, t, History({"value": [o for o in readings if o != one]})) != whole,
        )
        for one in readings
    )


def _band(feature: Rolling | Bucket | Ewm, t: int, said: str) -> tuple[int, int, str]:
    window = window_of(feature, t, History())
    assert window is not None
    return (t - window.length, t, said)


T = parse_time("2025-04-02T09:00:00Z")


def _rolling() -> Scene:
    feature = Rolling("mean_24h", "mean", "24h", "right")
    marks = _read(feature, T, _readings(T, 44 * HOUR, HOUR, (9, 10, 11, 30)))
    band = _band(feature, T, "(t-24h, t]: gaps change nothing in it")
    return Scene("A window of 24 hours that ends at t", T, marks, (band,), 12 * HOUR)


def _lag() -> Scene:
    feature = Lag("yesterday", "24h", "3h")
    marks = _read(feature, T, _readings(T, 44 * HOUR, HOUR, (24, 25)))
    band = (T - 27 * HOUR, T - 24 * HOUR, "(t-24h-3h, t-24h]: the latest reading in it")
    return Scene("The latest reading 24 hours ago, at most 3 hours older", T, marks, (band,),
                 12 * HOUR)  # fmt: skip


def _bucket() -> Scene:
    feature = Bucket("today", "sum", "P1D", tz=BERLIN)
    marks = _read(feature, T, _readings(T, 60 * HOUR, HOUR))
    band = _band(feature, T, "the local day of t, from 00:00 in Berlin (22:00Z) to t")
    return Scene("The local day so far", T, marks, (band,), 12 * HOUR)


def _seasonal() -> Scene:
    t = parse_time("2025-04-09T09:00:00Z")
    feature = Seasonal("same_hour_4w", "mean", "P7D", 4, "7h", tz=BERLIN)
    marks = _read(feature, t, _readings(t, 31 * DAY, 6 * HOUR))
    bands = []
    for k in range(4, 0, -1):
        at = step_back(t, Period(0, 7 * k), BERLIN)
        bands.append((at - 7 * HOUR, at, f"{k} x P7D"))
    return Scene("The same local hour of the four weeks before", t, marks, tuple(bands), 7 * DAY)


def _ewm() -> Scene:
    feature = Ewm("recent", "6h", "30h")
    readings = _readings(T, 44 * HOUR, HOUR)
    read = {mark.start: mark.read for mark in _read(feature, T, readings)}
    marks = tuple(
        Mark(o.timestamp, o.timestamp, 2 ** (-(T - o.timestamp) / (6 * HOUR)), read[o.timestamp])
        for o in readings
    )
    band = _band(feature, T, "[t-30h, t]: the height is the weight, half as much every 6 hours")
    return Scene("The weights of a mean with a halflife of 6 hours", T, marks, (band,), 12 * HOUR)


def _age() -> Scene:
    feature = Age("age", "24h")
    marks = _read(feature, T, _readings(T, 44 * HOUR, HOUR, range(6)))
    bands = ((T - 24 * HOUR, T, "(t-24h, t]: the seconds from the latest reading in it to t"),)
    return Scene("How old the latest reading is", T, marks, bands, 12 * HOUR)


def _latest() -> Scene:
    feature = Latest("temperature", "temperature", "24h")
    rows = [
        WeatherRow(T - k * HOUR, T - k * HOUR - (k % 3) * HOUR, {"temperature": _value(k)})
        for k in range(36, -1, -1)
        if k > 2
    ]
    rows += [WeatherRow(T - k * HOUR, T - 5 * HOUR, {"temperature": _value(k)}) for k in (1, 2)]
    whole = value(feature, T, History(weather=rows))
    marks = tuple(
        Mark(
            row.timestamp,
            row.timestamp,
            row.values["temperature"] or 0.0,
            value(feature, T, History(weather=[o for o in rows if o != row])) != whole,
        )
        for row in rows
    )
    bands = ((T - 24 * HOUR, T, "(t-24h, t]: nothing measured within the hour, so the newest"),)
    return Scene("The newest weather known at t", T, marks, bands, 12 * HOUR)


def _calendar() -> Scene:
    t = parse_time("2025-03-30T18:00:00Z")
    feature = Calendar("local_hour", "hour_of_day", BERLIN)
    first = parse_time("2025-03-29T18:00:00Z")
    marks = tuple(
        Mark(at, at + HOUR, (value(feature, at, History()) or 0) / 23, at == t)
        for at in range(first, t + 1, HOUR)
    )
    bands = ((parse_time("2025-03-30T01:00:00Z"), parse_time("2025-03-30T02:00:00Z"),
              "02:00 is skipped in Berlin: the hour goes from 1 to 3"),)  # fmt: skip
    return Scene("The local hour over a change of the clock", t, marks, bands, 6 * HOUR)


def _attribute() -> Scene:
    t = parse_time("2025-06-20T00:00:00Z")
    changes = (("2025-05-01T00:00:00Z", 0.4), ("2025-06-01T00:00:00Z", 0.8))
    known = [AttributeValue("capacity", v, parse_time(text)) for text, v in changes]
    history, feature = History(attributes=known), Attribute("capacity", "capacity")
    first, now = parse_time("2025-04-15T00:00:00Z"), value(feature, t, history)
    marks = tuple(
        Mark(at, at + DAY, found or 0.0, found is not None and found == now)
        for at in range(first, t, DAY)
        for found in (value(feature, at, history),)
    )
    return Scene("What an attribute is at t: the value with the latest valid_from", t, marks, (),
                 14 * DAY)  # fmt: skip


def _fromview() -> Scene:
    feature = FromView("peak", "peaks", "peak", "24h")
    times = [T - k * HOUR for k in (40, 34, 30, 27, 22, 17, 11, 5)]
    rows = [ViewRow("peaks", at, {"peak": _value(i)}) for i, at in enumerate(times)]
    whole = value(feature, T, History(views=rows))
    marks = tuple(
        Mark(
            row.timestamp,
            row.timestamp,
            row.values["peak"] or 0.0,
            value(feature, T, History(views=[one for one in rows if one != row])) != whole,
        )
        for row in rows
    )
    bands = ((T - 24 * HOUR, T, "(t-24h, t]: the newest row of the view in it"),)
    return Scene("The newest row of a view", T, marks, bands, 12 * HOUR)


def _derived() -> Scene:
    mean, lag = Rolling("mean_12h", "mean", "12h"), Lag("lag_24h", "24h")
    readings = _readings(T, 44 * HOUR, HOUR)
    both = [_read(one, T, readings) for one in (mean, lag)]
    marks = tuple(
        Mark(a.start, a.end, a.height, a.read or b.read) for a, b in zip(*both, strict=True)
    )
    assert Derived("ratio", "lag_24h / mean_12h").inputs == (lag.name, mean.name)
    bands = (
        (T - 25 * HOUR, T - 24 * HOUR, "lag_24h"),
        _band(mean, T, "mean_12h"),
    )
    return Scene("lag_24h / mean_12h reads what its inputs read", T, marks, bands, 12 * HOUR)


SCENES = {
    "age": _age,
    "attribute": _attribute,
    "bucket": _bucket,
    "calendar": _calendar,
    "derived": _derived,
    "ewm": _ewm,
    "fromview": _fromview,
    "lag": _lag,
    "latest": _latest,
    "rolling": _rolling,
    "seasonal": _seasonal,
}

if __name__ == "__main__":
    for name, scene in SCENES.items():
        (FOLDER / f"{name}.svg").write_text(scene().svg(), "utf-8")
