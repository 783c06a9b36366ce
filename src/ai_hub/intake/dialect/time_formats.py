"""How times are written: ISO 8601, seconds since 1970, or directives as of strptime.

A column of texts in, ISO 8601 texts out: local where no offset was written, with a Z where one
was, a date where there is no time of day. 24:00 is 00:00 of the next day in every format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY, HOUR, MINUTE, SECOND
from ai_hub.errors import InvalidInput
from ai_hub.intake.marks import mark_cell

ISO = "iso"
EPOCHS = {"epoch-s": SECOND, "epoch-ms": 1_000, "epoch-us": 1}

_EXPECTED = (
    "iso, epoch-s, epoch-ms, epoch-us, or directives for a day and perhaps a time, "
    "such as '%d.%m.%Y %H:%M'"
)
_SHORTHANDS = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%e": "%d", "%B": "%b"}
# A number next to another one has all its digits; one that stands alone may lack its zero.
_NUMBERS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3}
_WORDS = {
    "f": r"(?P<f>\d+)",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
    "b": r"(?P<b>[A-Za-z]{3,9})",
    "z": r"(?P<z>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)",
}
ISO_PATTERN = (
    r"^(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)(?:[Tt ](?P<H>\d\d)(?::(?P<M>\d\d)"
    r"(?::(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?)?(?:(?P<z>[Zz]|[+-]\d\d(?::?\d\d)?))?)?$"
)
_EPOCH_PATTERN = r"^(?P<sign>-?)(?P<whole>\d{1,18})(?:\.(?P<f>\d*))?$"
_ISO_24 = (
    r"^\s*(?P<day>\d{4}-\d\d-\d\d)[T ]24:00(?::00(?:\.0+)?)?(?P<zone>[Zz]|[+-]\d\d:?\d\d)?\s*$"
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)

# What a format that was found out, and not said, may mean: no meter has other times.
_LIKELY = {ISO: (1900, 2101), **dict.fromkeys(EPOCHS, (2000, 2101))}

_Micros = NDArray[np.int64]
_Mask = NDArray[np.bool_]


class Times(NamedTuple):
    """Texts as times: microseconds (on the wall clock where not `zoned`), and which are times."""

    micros: _Micros
    known: _Mask
    zoned: _Mask


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """`iso`, `epoch-s`, `epoch-ms`, `epoch-us`, or a text with directives as of strptime.

    A * stands for any text, such as the end of an interval. `likely`: the format was found out
    from the file, so that times outside 1900 to 2100 (epochs: 2000 to 2100) are none.
    Raises InvalidInput for any other text.
    """

    text: str
    likely: bool = False

    def __post_init__(self) -> None:
        if self.text != ISO and self.text not in EPOCHS:
            _pattern(self.text)

    @property
    def dates(self) -> bool:
        """Whether it has no time of day."""
        return "%" in self.text and not {"H", "I"} & set(re.findall(r"%(.)", _full(self.text)))

    def read(self, texts: pa.Array) -> Times:
        """The times of `texts`; a null, and what is not written so, is none."""
        texts = pc.utf8_trim_whitespace(texts)
        if self.text in EPOCHS:
            times = _epochs(texts, EPOCHS[self.text])
        else:
            pattern = ISO_PATTERN if self.text == ISO else _pattern(self.text)
            times = _civil(pc.extract_regex(texts, pattern))
        if not self.likely:
            return times
        first, end = (
            np.datetime64(str(year), "us").astype(np.int64)
            for year in _LIKELY.get(self.text, _LIKELY[ISO])
        )
        return times._replace(known=times.known & (times.micros >= first) & (times.micros < end))

    def iso(self, texts: pa.Array) -> pa.Array:
        """`texts` as ISO 8601; a text with digits that is none is marked for the check to refuse.

        Anything else, such as `NA`, is left for the check to judge.
        """
        if self.text == ISO:
            return _next_midnight(texts)
        times = self.read(texts)
        written = pa.array(times.micros, mask=~times.known)
        if self.dates:
            found = pc.cast(written.cast(pa.timestamp("us")), pa.date32()).cast(pa.string())
        else:
            zones = pa.array(np.where(times.zoned, "Z", ""), pa.string())
            stamps = written.cast(pa.timestamp("us")).cast(pa.string())
            found = pc.binary_join_element_wise(stamps, zones, "")
        odd = np.flatnonzero(~times.known & _has_digits(texts))
        if len(odd):
            mask = np.zeros(len(texts), dtype=np.bool_)
            mask[odd] = True
            expected = f"a time written as {self.text}"
            marks = [mark_cell(texts[int(row)].as_py(), expected) for row in odd]
            texts = pc.replace_with_mask(texts, pa.array(mask), pa.array(marks, pa.string()))
        return pc.if_else(pa.array(times.known), found, texts)


def _has_digits(texts: pa.Array) -> _Mask:
    """Which texts have a digit and are no marks already."""
    found: _Mask = np.asarray(
        pc.fill_null(pc.match_substring_regex(texts, r"^[^\x00-\x02]*\d"), False)
    )
    return found


def _full(text: str) -> str:
    for short, full in _SHORTHANDS.items():
        text = text.replace(short, full)
    return text


@lru_cache(maxsize=256)
def _pattern(text: str) -> str:
    """The regular expression of a format; InvalidInput if it is none."""
    if not isinstance(text, str):
        raise InvalidInput("time_format", text, _EXPECTED)
    tokens = re.findall(r"%.|[^%]|%", _full(text))
    seen = [token[1:] for token in tokens if token[0] == "%" and token != "%%"]
    day = ({"d"} <= {*seen} and {"m", "b"} & {*seen}) or "j" in seen
    hours = {"H", "I"} & {*seen}
    sound = (
        all(name in _NUMBERS or name in _WORDS for name in seen)
        and len(seen) == len(set(seen))
        and day
        and {"Y", "y"} & {*seen}
        and len(hours) <= 1
        and ("I" in hours) == ("p" in seen)
        and (hours or not {"M", "S", "f"} & {*seen})
    )
    if not sound:
        hint = "" if "%" in text else "A day is %d, a month %m, a year %Y, an hour %H, a minute %M."
        raise InvalidInput("time_format", text, _EXPECTED, hint)
    parts = [_part(tokens, place) for place in range(len(tokens))]
    return f"^{''.join(parts)}$"


def _part(tokens: list[str], place: int) -> str:
    token = tokens[place]
    if token == "*":
        return ".*?"
    if token.isspace():
        return r"\s+" if not (place and tokens[place - 1].isspace()) else ""
    if token[0] != "%" or token in ("%%", "%"):
        return re.escape(token[-1])
    name = token[1]
    if name in _WORDS:
        return _WORDS[name]
    beside = [*tokens[max(place - 1, 0) : place], *tokens[place + 1 : place + 2]]
    packed = any(other[0] == "%" and other[1:] in _NUMBERS for other in beside)
    digits = _NUMBERS[name]
    fixed = packed or name in "Yy"
    return rf"(?P<{name}>\d{{{digits if fixed else 1},{digits}}})"


def _epochs(texts: pa.Array, unit: int) -> Times:
    """Numbers as so many units since 1970; what is finer than a microsecond is rounded up."""
    found = pc.extract_regex(texts, _EPOCH_PATTERN)
    known = _valid(found)
    whole = _numbers(found, "whole")
    fraction = _fraction(found, unit)
    negative = np.asarray(pc.equal(pc.fill_null(found.field("sign"), ""), "-"))
    limit = np.iinfo(np.int64).max // unit - 1
    known &= whole <= limit
    micros = np.where(known, whole, 0) * unit + fraction
    # A negative one is cut off, which is up as well; it then lacks what was rounded up.
    micros = np.where(negative, -micros, micros)
    return Times(np.where(known, micros, 0), known, known.copy())


def _fraction(found: pa.StructArray, unit: int) -> _Micros:
    """The digits after the point as microseconds of a unit of so many, rounded up."""
    if "f" not in [field.name for field in found.type]:
        return np.zeros(len(found), dtype=np.int64)
    digits = pc.fill_null(found.field("f"), "")
    kept = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 9, "0"), 0, 9)
    nanos = np.asarray(kept.cast(pa.int64())) * unit  # of 1e9: finer than any microsecond
    micros = -(-nanos // 1_000_000_000)
    more = pc.match_substring_regex(pc.utf8_slice_codeunits(digits, 9, None), "[1-9]")
    exact = nanos % 1_000_000_000 == 0
    rounded: _Micros = micros + np.where(np.asarray(more) & exact, 1, 0)
    return rounded


def _civil(found: pa.StructArray) -> Times:
    """The groups of a match as times of the calendar; what is no day or hour is none."""
    known = _valid(found)
    names = {field.name for field in found.type}
    year = _numbers(found, "Y") if "Y" in names else _century(_numbers(found, "y"))
    known &= (year >= 1) & (year <= 9999)
    if "j" in names:
        day, month, length = _numbers(found, "j"), np.ones_like(year), _length(year, 12)
    else:
        month = _month(found) if "b" in names else _numbers(found, "m")
        known &= (month >= 1) & (month <= 12)
        month = np.where(known, month, 1)
        day, length = _numbers(found, "d"), _length(np.where(known, year, 1970), 1, month)
    known &= (day >= 1) & (day <= length)
    hour, fits = _hour(found, names)
    minute, second = (_numbers(found, name) if name in names else 0 * year for name in "MS")
    fraction = _fraction(found, SECOND)
    within = minute * MINUTE + second * SECOND + fraction
    known &= fits & (minute < 60) & (second < 60) & ((hour < 24) | (within == 0))
    year, month = np.where(known, year, 1970), np.where(known, month, 1)
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]")
    micros = (first.astype(np.int64) + day - 1) * DAY + hour * HOUR + within
    zoned = np.zeros(len(known), dtype=np.bool_)
    if "z" in names:
        offset, zoned, valid = _offset(found.field("z"))
        known &= valid
        micros = micros - offset
    return Times(np.where(known, micros, 0), known, zoned & known)


def _valid(found: pa.StructArray) -> _Mask:
    return np.asarray(found.is_valid()).copy()


def _numbers(found: pa.StructArray, name: str) -> _Micros:
    texts = found.field(name)
    filled = pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), "0", texts)
    return np.asarray(filled.cast(pa.int64()))


def _century(year: _Micros) -> _Micros:
    """Two digits as of POSIX: 69 to 99 are of the last century."""
    return np.where(year >= 69, year + 1900, year + 2000)


def _length(year: _Micros, months: int, month: _Micros | int = 1) -> _Micros:
    """The days of so many months from a month on."""
    start = (year - 1970) * 12 + month - 1
    first, end = (
        at.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        for at in (start, start + months)
    )
    length: _Micros = end - first
    return length


def _month(found: pa.StructArray) -> _Micros:
    texts = pc.utf8_lower(pc.fill_null(found.field("b"), ""))
    names = [*_MONTHS, *(name[:3] for name in _MONTHS), "sept"]
    months = np.array([*range(1, 13), *range(1, 13), 9, 0], dtype=np.int64)
    places = pc.fill_null(pc.index_in(texts, pa.array(names)), len(names))
    read: _Micros = months[np.asarray(places)]
    return read


def _hour(found: pa.StructArray, names: set[str]) -> tuple[_Micros, _Mask]:
    """The hour, 0 to 24, and where it is one."""
    if "I" in names:
        hour = _numbers(found, "I")
        later = np.asarray(pc.starts_with(pc.utf8_lower(pc.fill_null(found.field("p"), "")), "p"))
        return hour % 12 + np.where(later, 12, 0), (hour >= 1) & (hour <= 12)
    if "H" in names:
        hour = _numbers(found, "H")
        return hour, hour <= 24
    none = np.zeros(len(found), dtype=np.int64)
    return none, none == 0


def _offset(texts: pa.Array) -> tuple[_Micros, _Mask, _Mask]:
    """Offsets in microseconds, where one is written, and where it is one or is not written."""
    written = pc.fill_null(texts, "")
    encoded = written.dictionary_encode()
    read = [_one_offset(text) for text in encoded.dictionary.to_pylist()]
    codes = np.asarray(encoded.indices)
    micros = np.array([offset or 0 for offset in read], dtype=np.int64)[codes]
    valid = np.array([offset is not None for offset in read], dtype=np.bool_)[codes]
    return micros, np.asarray(pc.not_equal(written, "")), valid


def _one_offset(text: str) -> int | None:
    if text.upper() in ("", "Z", "UTC", "GMT"):
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].strip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * HOUR + minutes * MINUTE) * (-1 if text[0] == "-" else 1)


def _next_midnight(texts: pa.Array) -> pa.Array:
    """ISO texts with 24:00 as 00:00 of the next day, the others as they are."""
    if not pc.any(pc.match_substring(texts, "24:00")).as_py():
        return texts
    if not any(pc.any(pc.match_substring(texts, hour)).as_py() for hour in ("T24:00", " 24:00")):
        return texts  # but minutes and seconds
    rows = pc.fill_null(pc.match_substring_regex(texts, _ISO_24), False)
    found = pc.extract_regex(texts.filter(rows), _ISO_24)
    days, zones = (pc.struct_field(found, name) for name in ("day", "zone"))
    known = TimeFormat("%Y-%m-%d").read(days)
    following = pa.array(known.micros + DAY, mask=~known.known).cast(pa.timestamp("us"))
    dates = following.cast(pa.date32()).cast(pa.string())
    moved = pc.binary_join_element_wise(dates, "T00:00:00", zones, "")
    # What is 24:00 of no day stays as it is, and the check refuses it.
    moved = pc.if_else(pa.array(known.known), moved, texts.filter(rows))
    return pc.replace_with_mask(texts, rows, moved)
