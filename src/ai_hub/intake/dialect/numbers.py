"""How numbers are written: the decimal mark, and the mark that groups digits by three."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.intake.marks import mark_cell

WORDS = {".": "point", ",": "comma", " ": "space", "'": "apostrophe", "": "none"}
"""The marks as options name them."""

# A thin or a no-break space, and a typographic apostrophe, are what programs write for these.
_SPACES = " \u00a0\u202f\u2009"
_APOSTROPHES = "'\u2019"
_GROUPS = {"": "", ".": r"\.", ",": ",", " ": f"[{_SPACES}]", "'": f"[{_APOSTROPHES}]"}
_PLAIN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_NO_GROUP = r"^\s*[+-]?(0?\.\d|\d+\.(\d|\d\d|\d{4,})$|\d{4,}\.\d)"
_MARKED = rf"^[+-]?[\d.,{_APOSTROPHES}{_SPACES}]*\d[\d.,]*([eE][+-]?\d+)?$"
_MARK = rf"[.,]|\d[{_APOSTROPHES}{_SPACES}]\d"


class Point(Enum):
    """Whether the point of a number such as 1.234, of which nothing else is known, is a decimal
    point: it is as likely as not; it is unless whole numbers below 1000 stand beside it, as they
    do where points group digits; it surely is."""

    OPEN = "open"
    LIKELY = "likely"
    SURE = "sure"


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The marks of numbers: `decimal` is a point or a comma, `thousands` may be empty."""

    decimal: str = "."
    thousands: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is what the check reads anyway."""
        return self.decimal == "." and not self.thousands

    def fits(self, texts: pa.Array) -> NDArray[np.bool_]:
        """Which texts are numbers written so."""
        found: NDArray[np.bool_] = np.asarray(
            pc.fill_null(pc.match_substring_regex(_trimmed(texts), self._pattern()), False)
        )
        return found

    def read(self, texts: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The numbers of `texts` (0 where there is none), and which are numbers."""
        known = self.fits(texts)
        plain = pc.if_else(pa.array(known), self._rewritten(texts), "0")
        return plain.cast(pa.float64()).to_numpy(zero_copy_only=False), known

    def pointed(self, texts: pa.Array) -> pa.Array:
        """`texts` with a decimal point and no groups.

        A text that is a number only if written otherwise is marked for the check to refuse;
        anything else, such as `NA`, is left for the check to judge.
        """
        if self.plain:
            return texts
        fits = self.fits(texts)
        otherwise = np.asarray(pc.fill_null(pc.match_substring_regex(texts, _PLAIN), False))
        odd = np.flatnonzero(otherwise & ~fits)
        found = pc.if_else(pa.array(fits), self._rewritten(texts), texts)
        if len(odd):
            mask = np.zeros(len(texts), dtype=np.bool_)
            mask[odd] = True
            expected = f"a number with a decimal {WORDS[self.decimal]}"
            marks = [mark_cell(texts[int(row)].as_py(), expected) for row in odd]
            found = pc.replace_with_mask(found, pa.array(mask), pa.array(marks, pa.string()))
        return found

    def _pattern(self) -> str:
        group, mark = _GROUPS[self.thousands], re.escape(self.decimal)
        whole = rf"([1-9]\d{{0,2}}({group}\d{{3}})+|\d+)" if group else r"\d+"
        return rf"^[+-]?({whole}({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?$"

    def _rewritten(self, texts: pa.Array) -> pa.Array:
        texts = _trimmed(texts)
        if self.thousands:
            texts = pc.replace_substring_regex(texts, _GROUPS[self.thousands], "")
        return texts if self.decimal == "." else pc.replace_substring(texts, ",", ".")


FORMATS = tuple(
    NumberFormat(decimal, thousands)
    for thousands in ("", ".", ",", " ", "'")
    for decimal in (".", ",")
    if decimal != thousands
)
"""Every way of writing numbers that can be found out; the simplest first."""


def decisive(texts: pa.Array) -> str | None:
    """A cell that proves a decimal point, if all of `texts` are numbers that may have one."""
    try:
        texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    proofs = texts.filter(pc.match_substring_regex(texts, _NO_GROUP))
    return proofs[0].as_py() if len(proofs) else None


def has_small(texts: pa.Array) -> bool:
    """Whether there is a whole number from 1 to 999, which would have no group."""
    small = pc.match_substring_regex(texts, r"^\s*[+-]?[1-9]\d{0,2}\s*$")
    return bool(pc.any(small, min_count=0).as_py())


def has_padded(texts: pa.Array) -> bool:
    """Whether there is a comma behind digits that begin with zeros, which people do not write.

    It may part a field of a fixed width from a code: `+0056,5` is 5.6 °C of quality 5 in NOAA ISD.
    """
    padded = pc.match_substring_regex(_trimmed(texts), r"^[+-]?0\d+,\d*$")
    return bool(pc.any(padded, min_count=0).as_py())


def marked(texts: pa.Array) -> pa.Array:
    """Those of `texts` that look like numbers and have a mark that could mean several things."""
    texts = _trimmed(texts)
    for pattern in (_MARK, _MARKED):
        texts = texts.filter(pc.fill_null(pc.match_substring_regex(texts, pattern), False))
    return texts


def _trimmed(texts: pa.Array) -> pa.Array:
    return pc.utf8_trim(texts, characters=f"\t{_SPACES}")
