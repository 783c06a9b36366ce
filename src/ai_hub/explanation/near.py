"""The names nearest to one that nothing is stored of, among very many, in little time."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from difflib import get_close_matches

MOST = 3
"""Names that are told, at most."""
_AROUND = 100
"""Names in the order of the alphabet, on either side, whose likeness is measured."""
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def nearest(wanted: str, names: Sequence[str]) -> list[str]:
    """The names nearest to `wanted`, best first: the same but for case, punctuation and leading
    zeros; one edit away; alike and near in the alphabet. `names` are sorted."""
    folded, bare = wanted.casefold(), _bare(wanted)
    same = [name for name in names if _bare(name) == bare and bare]
    close = [name for name in names if _is_one_edit_away(name.casefold(), folded)]
    place = bisect_left(names, wanted)
    beside = names[max(0, place - _AROUND) : place + _AROUND]
    alike = get_close_matches(wanted, beside, MOST, 0.75)
    # Those with the same case first: ids that differ in nothing else are rare, and confusing.
    same.sort(key=lambda name: name.casefold() != folded)
    found = dict.fromkeys(name for name in (*same, *close, *alike) if name != wanted)
    return [*found][:MOST]


def is_same(one: str, other: str) -> bool:
    """Whether two names differ in nothing but case, punctuation and leading zeros."""
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    """A name without what people leave out or write otherwise."""
    return _ZEROS.sub("", "".join(filter(str.isalnum, name.casefold())))


def _is_one_edit_away(one: str, other: str) -> bool:
    """Whether a letter more, fewer or another, or two that changed places, make the difference."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    length = min(len(one), len(other))
    start = next((i for i in range(length) if one[i] != other[i]), length)
    if len(one) > len(other):
        return one[start + 1 :] == other[start:]
    if len(one) < len(other):
        return one[start:] == other[start + 1 :]
    swapped = one[start : start + 2] == other[start : start + 2][::-1]
    return one[start + 1 :] == other[start + 1 :] or (
        swapped and one[start + 2 :] == other[start + 2 :]
    )
