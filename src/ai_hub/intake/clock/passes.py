"""What the rows of one series, out of any simple order, show of the two passes of a repeated hour.

Times are relative, as in `repeated_hour`. The measure is the longest run: the most rows that can be
in one order of time if each repeated reading may be of either pass. A pass is shown where taking
the other one would explain two rows less, so that no single row out of its place can fake it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

UNTOLD = int(np.iinfo(np.int64).min)
"""Stands for the instant of a reading whose pass the rows do not show."""

LEAST_ROWS = 4
"""Fewer rows are in some order by chance."""

_CONTEXT = 8
MARGIN = 2
_ROWS_A_LATE_ONE = 8
_MOST_DOUBLES = 0.4
_LEAST_A_PASS = 3
_LEAST_GAIN = 1
_GAIN_WITHOUT_PAIRS = 4
_MARGIN_WITHOUT_PAIRS = 6
_GRID_ROWS = 8
_GRID_SIDE = 3
_GRID_FILLED = 0.75


class Shown(NamedTuple):
    """The instants of rows, and how many of them are out of order.

    `ordered`: the rest is in one order; `disorder`: there are rows enough to say that it is not.
    """

    instants: Ints
    unexplained: int
    ordered: bool
    disorder: bool


def passes_shown(rows: Ints, length: int) -> Shown:
    """What the rows of one series around the repeated stretch show, in file order."""
    repeated = (rows >= 0) & (rows < length)
    instants = np.where(repeated, UNTOLD, np.where(rows < length, rows, rows + length))
    near, doubles = _near(rows, repeated, length)
    order = _Order.of(rows[near].tolist(), length)
    # Times about that come again and again: several files in one, not all of them whole.
    mixed = doubles > _MOST_DOUBLES * (len(near) - repeated.sum())
    if not mixed:
        instants[near] = order.instants()
    untold = np.flatnonzero(instants == UNTOLD)
    if len(untold):
        instants[untold] = on_grid(instants[~repeated], rows[untold], length)
    return Shown(
        instants,
        doubles + len(near) - order.longest,
        order.told and not mixed,
        order.disorder or mixed,
    )


def _near(rows: Ints, repeated: Mask, length: int) -> tuple[Ints, int]:
    """The places of the repeated rows and, on either side, of the nearest few times, each once.

    And how many more rows have these times.
    """
    places = [np.flatnonzero(repeated)]
    doubles = 0
    for side, nearest in ((rows < 0, slice(-_CONTEXT, None)), (rows >= length, slice(_CONTEXT))):
        around = np.flatnonzero(side)
        _, first, counts = np.unique(rows[around], return_index=True, return_counts=True)
        places.append(around[first[nearest]])
        doubles += int((counts[nearest] - 1).sum())
    return np.sort(np.concatenate(places)), doubles


class _Row(NamedTuple):
    """The longest run through a row of a known instant, or of the first and of the second pass."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class _Order:
    """Rows in their order of time (`backward`: the file has it the other way round).

    `longest` rows are in that order, `through` says it of the runs through each row. `disorder`:
    most rows are in neither order. `told`: one of the two orders is the rows' own.
    """

    rows: list[int]
    length: int
    backward: bool
    longest: int
    through: list[_Row]
    told: bool
    disorder: bool

    @classmethod
    def of(cls, rows: list[int], length: int) -> _Order:
        """The order that more of the rows are in."""
        orders = (rows, rows[::-1])
        runs = [_runs(order, length) for order in orders]
        longest = [max((max(row) for row in run), default=0) for run in runs]
        backward = longest[1] > longest[0]
        most, least = max(longest), min(longest)
        counts = Counter(row for row in rows if 0 <= row < length)
        # A third reading of one time is a copy in any order.
        whole = len(rows) - sum(count - 2 for count in counts.values() if count > 2)
        ordered = whole - most <= max(1, whole // _ROWS_A_LATE_ONE)
        clear = most - least >= MARGIN or (most == len(rows) and most > least)
        return cls(
            orders[backward],
            length,
            backward,
            most,
            runs[backward],
            ordered and clear and len(rows) >= LEAST_ROWS,
            not ordered and whole > _CONTEXT // 2,
        )

    def instants(self) -> list[int]:
        """The instants of the rows in file order, UNTOLD where they are not shown."""
        told = self._instants() if self.told else self._known()
        return told[::-1] if self.backward else told

    def _known(self) -> list[int]:
        return [
            UNTOLD if 0 <= row < self.length else row if row < 0 else row + self.length
            for row in self.rows
        ]

    def _instants(self) -> list[int]:
        told = self._known()
        repeated = [place for place, row in enumerate(told) if row == UNTOLD]
        if not repeated:
            return told
        counts = Counter(self.rows[place] for place in repeated)
        passes = self._by_pairs(repeated, counts)
        if not passes and self._in_passes(counts):
            passes = self._by_runs(repeated, counts)
        if not passes and self.longest == len(self.rows) and len(counts) == len(repeated):
            passes = self._by_side(repeated)
        for place, later in passes.items():
            told[place] = self.rows[place] + later
        return told

    def _by_pairs(self, repeated: list[int], counts: Counter[int]) -> dict[int, int]:
        """The passes where every time comes twice, and the rows about are in order."""
        if any(count != 2 for count in counts.values()):
            return {}
        seen: set[int] = set()
        passes = {}
        for place in repeated:
            passes[place] = self.length if self.rows[place] in seen else 0
            seen.add(self.rows[place])
        about = range(max(repeated[0] - 3, 0), min(repeated[-1] + 4, len(self.rows)))
        instants = self._known()
        if len(counts) == 1:
            # One pair alone has to be a step of the series apart: it is a line doubled otherwise.
            pair = {self.rows[repeated[0]], self.rows[repeated[0]] + self.length}
            known = {instant for instant in instants if instant != UNTOLD}
            steps = [(b - a, a in pair or b in pair) for a, b in pairwise(sorted(known | pair))
                     if not {a, b} <= pair]  # fmt: skip
            others = [step for step, beside in steps if not beside]
            if (min(others) != self.length) if others else {s for s, _ in steps} != {self.length}:
                return {}
        for place, later in passes.items():
            instants[place] = self.rows[place] + later
        rising = all(instants[place] < instants[place + 1] for place in about[:-1])
        return passes if rising else {}

    def _in_passes(self, counts: Counter[int]) -> bool:
        """Whether two passes explain more of the rows than their being in order of local time.

        That is the order of a file sorted by it, and of one pass alone. Where few readings come in
        both passes, some that came late must not look like a second one.
        """
        tails: list[int] = []
        for row in self.rows:
            place = bisect_right(tails, row)
            tails[place : place + 1] = [row]
        copies = sum(count - 2 for count in counts.values() if count > 2)
        gain = _LEAST_GAIN if _paired(counts) else _GAIN_WITHOUT_PAIRS
        return len(counts) >= _LEAST_A_PASS and self.longest + copies - len(tails) >= gain

    def _by_runs(self, repeated: list[int], counts: Counter[int]) -> dict[int, int]:
        """The passes that clearly longer runs go through; then those of their twins.

        Readings of an even step are told by their twins: one that is alone may have come late, its
        twin be missing, and it fit where it stands. Two side by side may be one line, doubled.
        """
        paired = _paired(counts)
        margin = MARGIN if paired else _MARGIN_WITHOUT_PAIRS
        beside = {row for row, following in pairwise(self.rows) if row == following}
        passes = {}
        for place in repeated:
            row = self.rows[place]
            first, second = self.through[place]
            alone = paired and (counts[row] == 1 or (counts[row] == 2 and row in beside))
            if not alone and max(first, second) == self.longest and abs(first - second) >= margin:
                passes[place] = 0 if first > second else self.length
        told = Counter(self.rows[place] for place in passes)
        of_pass = {(self.rows[place], later) for place, later in passes.items()}
        for place in repeated:
            row = self.rows[place]
            if counts[row] != 2 or not told[row]:
                continue
            later = passes.get(place)
            if told[row] == 2 and (row, self.length - (later or 0)) not in of_pass:
                del passes[place]  # both in one pass
            elif told[row] == 1 and later is None:
                other = 0 if (row, self.length) in of_pass else self.length
                if self.through[place][other > 0] > self.longest - MARGIN:
                    passes[place] = other
        return passes

    def _by_side(self, repeated: list[int]) -> dict[int, int]:
        """The pass of readings that are one step from those on one side only.

        On the other side nothing follows for as long as a pass takes: the series begins or ends
        here. Both passes have to have several readings. A pass that is there as a whole is not
        told: where a day begins or ends with the stretch, those who keep one pass of it have that.
        """
        known = sorted(row for row in self.rows if not 0 <= row < self.length)
        rows = [self.rows[place] for place in repeated]
        steps = Counter(b - a for a, b in pairwise(known) if not a < 0 <= b)
        if not steps:
            return {}
        step, count = steps.most_common(1)[0]
        regular = count >= _LEAST_A_PASS and all(other % step == 0 for other in steps)
        even = self.length % step == 0 and self.length >= _LEAST_A_PASS * step
        if not (regular and even and all(b - a == step for a, b in pairwise(rows))):
            return {}
        begins, ends = rows[0] < step, rows[-1] + step >= self.length
        before = any(-self.length <= row < 0 for row in known)
        after = any(self.length <= row < 2 * self.length for row in known)
        if begins and not ends and not after and rows[0] - step in known:
            return dict.fromkeys(repeated, 0)
        if ends and not begins and not before and rows[-1] + step in known:
            return dict.fromkeys(repeated, self.length)
        return {}


def _paired(counts: Counter[int]) -> bool:
    """Whether most of the times come more than once, as those of an even step do."""
    return 2 * sum(count > 1 for count in counts.values()) >= len(counts)


def _runs(rows: list[int], length: int) -> list[_Row]:
    """The longest rising run of instants through each row, if it is of one pass or the other."""
    choices = [
        (row, row + length) if 0 <= row < length else (row if row < 0 else row + length,)
        for row in rows
    ]
    upto = _rises(choices)
    onward = _rises([tuple(-instant for instant in reversed(c)) for c in reversed(choices)])
    onward = [tuple(reversed(found)) for found in reversed(onward)]
    return [
        _Row(ends[0] + begins[0] - 1, ends[-1] + begins[-1] - 1)
        for ends, begins in zip(upto, onward, strict=True)
    ]


def _rises(choices: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """How long the longest rising run is that ends with each choice of each row."""
    tails: list[int] = []
    found = []
    for instants in choices:
        places = tuple(bisect_left(tails, instant) for instant in instants)
        # The later one first: a run takes a row once.
        for instant, place in zip(reversed(instants), reversed(places), strict=True):
            tails[place : place + 1] = [instant]
        found.append(tuple(place + 1 for place in places))
    return found


def on_grid(known: Ints, rows: Ints, length: int) -> Ints:
    """The instants of rows that only one pass puts on the even step of all known ones.

    The step is none that the stretch is a multiple of: both passes would be on it.
    """
    untold = np.full(len(rows), UNTOLD)
    instants = np.unique(known)
    before = int((instants < 0).sum())
    if len(instants) < _GRID_ROWS or min(before, len(instants) - before) < _GRID_SIDE:
        return untold
    step = int(np.gcd.reduce(np.diff(instants)))
    slots = (instants[-1] - instants[0]) // step + 1
    if length % step == 0 or len(instants) < _GRID_FILLED * slots:
        return untold
    first = (rows - instants[0]) % step == 0
    second = (rows + length - instants[0]) % step == 0
    told: Ints = np.where(first == second, untold, np.where(first, rows, rows + length))
    return told
