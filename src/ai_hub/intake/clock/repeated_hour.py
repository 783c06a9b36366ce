"""Which pass of a repeated hour each reading of a file belongs to, as far as the file shows it.

When a clock goes back, the local times of a stretch come twice: a first pass, then a second. The
readings of a series show which is which by their order in the file, by the two that share a local
time, and by their step. What they do not show stays untold: a guess would move readings by an hour.

Times here are relative: local times to the start of the stretch, whose length is `length`, and
instants to the first pass of that start. So the instant of a reading is its local time up to the
first pass, and `length` more from the second pass on.

Here whole files are looked at at once, and series in plain order are told; `passes` looks at the
others one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai_hub.intake.clock.passes import LEAST_ROWS, MARGIN, UNTOLD, Shown, passes_shown

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FEW_ROWS = 6
_MOST_KNOWN = 4_096
_SERIES_AT_A_TIME = 1_000


def tell_passes(series: Ints, local: Ints, length: int, step: int = 0) -> Ints:
    """The instants of readings around one repeated stretch, UNTOLD where the file does not say.

    `series` numbers the series of each row, `local` is its local time; rows are in file order.
    With a `step`, rows name the ends of intervals of that length. Such a file has what the clock
    showed then, or what it showed at the start plus the step.
    """
    if not len(local):
        return local
    order = np.argsort(series, kind="stable")
    rows = local[order]
    bounds = np.flatnonzero(np.diff(series[order], prepend=-1, append=-1))
    told = np.empty_like(rows)
    disorder = False
    known: dict[bytes, Shown] = {}
    # Some series at a time, so that what is needed meanwhile stays small.
    for first in range(0, len(bounds) - 1, _SERIES_AT_A_TIME):
        some = bounds[first : first + _SERIES_AT_A_TIME + 1]
        part = slice(some[0], some[-1])
        told[part], out_of_order = _tell(rows[part], some - some[0], length, step, known)
        disorder |= out_of_order
    if disorder:
        # Where a file is out of order, a few rows may be in order by chance.
        few = np.repeat(np.diff(bounds) < _FEW_ROWS, np.diff(bounds))
        told[few & (rows >= 0) & (rows < length + step)] = UNTOLD
    back = np.empty_like(told)
    back[order] = told
    return back


def _tell(
    rows: Ints, bounds: Ints, length: int, step: int, known: dict[bytes, Shown]
) -> tuple[Ints, bool]:
    """The instants of the rows of some series, and whether they are out of order."""
    told = np.where(rows < length, rows, rows + length)
    if step and length % step:
        inside = np.logical_or.reduceat((rows >= 0) & (rows < length + step), bounds[:-1])
        settled, disorder = ~inside, False
    else:
        settled, disorder = _tell_plain(rows, told, bounds, length, step)
    for group in np.flatnonzero(~settled):
        part = slice(bounds[group], bounds[group + 1])
        # Meters that one system reads miss the same rows.
        key = rows[part].tobytes()
        shown = known.get(key) or _shown(rows[part], length, step, known)
        if len(known) < _MOST_KNOWN:
            known[key] = shown
        told[part] = shown.instants
        disorder |= shown.disorder
    return told, disorder


def _tell_plain(rows: Ints, told: Ints, bounds: Ints, length: int, step: int) -> tuple[Mask, bool]:
    """Sets `told` for series in plain order; which series are settled, and if orders differ."""
    sizes = np.diff(bounds)
    ends_twice = np.add.reduceat((rows == length).astype(np.int64), bounds[:-1]) > 1
    inside = (rows >= 0) & (rows < length + step)
    idle = ~(np.logical_or.reduceat(inside, bounds[:-1]) | ends_twice)
    enough = sizes >= LEAST_ROWS
    clock = _plain(rows, bounds, length)
    # Ends of intervals as the start plus the step: the stretch is a step later on the clock. If
    # nobody said that they are such ends, the least of steps finds them by the end coming twice.
    ends = _plain(rows - (step or 1), bounds, length)
    # A reading of the step after the stretch may then be the end of one that began in it.
    after = (rows >= length) & (rows < length + step)
    unsure = np.logical_or.reduceat(after, bounds[:-1]) | (ends.pairs > 0)
    by_clock = enough & clock.told & ((clock.pairs > 0) | ~unsure)
    by_ends = enough & ends.told & (ends.pairs > 0) & ~by_clock
    vague = np.zeros(len(sizes), dtype=np.bool_)
    if not step:
        # One pair may as well be a line too many, and one too few.
        vague = by_ends & ends_twice & (ends.pairs == 1)
        by_ends &= ends_twice & ~vague
    for chosen, found, shift in ((by_clock, clock, 0), (by_ends, ends, step or 1)):
        of_row = np.repeat(chosen, sizes)
        told[of_row] = found.instants[of_row] + shift
    told[np.repeat(vague, sizes) & (rows >= 0) & (rows <= length)] = UNTOLD
    forward = (by_clock & clock.forward) | (by_ends & ends.forward)
    backward = (by_clock & clock.backward) | (by_ends & ends.backward)
    return idle | by_clock | by_ends | vague, bool(forward.any() and backward.any())


class _Plain(NamedTuple):
    """Of each series: what its rows are if they run forward in time, or backward.

    `repeated` of its rows have a time that comes twice; in `told` ones these are `pairs`, and one
    of the two orders fits. `instants` are of rows.
    """

    forward: Mask
    backward: Mask
    repeated: Ints
    instants: Ints

    @property
    def told(self) -> Mask:
        return self.forward ^ self.backward

    @property
    def pairs(self) -> Ints:
        return self.repeated // 2


def _plain(rows: Ints, bounds: Ints, length: int) -> _Plain:
    sizes = np.diff(bounds)
    series = np.repeat(np.arange(len(sizes)), sizes)
    repeated = (rows >= 0) & (rows < length)
    by_time = np.lexsort((rows, series))
    fresh = np.diff(rows[by_time], prepend=0) != 0
    fresh[bounds[:-1]] = True
    firsts = np.flatnonzero(fresh)
    counts = np.diff(firsts, append=len(rows))
    count, place = np.empty_like(rows), np.empty_like(rows)
    count[by_time] = np.repeat(counts, counts)
    place[by_time] = np.arange(len(rows)) - np.repeat(firsts, counts)
    paired = np.logical_and.reduceat(~repeated | (count == 2), bounds[:-1])
    later = np.where(rows < length, 0, length)
    forwards = rows + np.where(repeated, place * length, later)
    backwards = rows + np.where(repeated, (1 - place) * length, later)
    number = np.add.reduceat(repeated.astype(np.int64), bounds[:-1])
    paired &= (number != 2) | _stepwise(forwards, repeated, bounds, length)
    forward = paired & _rising(forwards, bounds)
    backward = paired & _rising(-backwards, bounds)
    return _Plain(
        forward,
        backward,
        number,
        np.where(np.repeat(forward, sizes), forwards, backwards),
    )


def _stepwise(instants: Ints, repeated: Mask, bounds: Ints, length: int) -> Mask:
    """Of each series with one pair whether its step is that from pass to pass.

    It is a line doubled otherwise. Where there is no step beside those to the pair, both of these.
    """
    steps = np.abs(np.diff(instants, append=0))
    steps[bounds[1:] - 1] = 0
    beside = repeated | np.append(repeated[1:], False)
    most = np.iinfo(np.int64).max

    def least(rows: Mask) -> Ints:
        found: Ints = np.minimum.reduceat(np.where(rows & (steps > 0), steps, most), bounds[:-1])
        return found

    others = least(~beside)
    within = repeated & np.append(repeated[1:], False)
    touching = np.where(beside & ~within & (steps > 0), steps, length)
    both = np.logical_and.reduceat(touching == length, bounds[:-1])
    found: Mask = np.where(others == most, both, others == length)
    return found


def _rising(instants: Ints, bounds: Ints) -> Mask:
    """Of each series whether its instants rise from row to row."""
    rises = np.diff(instants, append=0) > 0
    rises[bounds[1:] - 1] = True
    found: Mask = np.logical_and.reduceat(rises, bounds[:-1])
    return found


def _shown(rows: Ints, length: int, step: int, known: dict[bytes, Shown]) -> Shown:
    """What one series shows whose rows are in no plain order."""
    copies = _copies(rows, length + step)
    if copies is not None:
        instants = np.empty_like(rows)
        bounds = np.array([0, copies.shape[1]])
        instants[copies], disorder = _tell(rows[copies[0]], bounds, length, step, known)
        return Shown(instants, 0, not disorder, disorder)
    if not step:
        return passes_shown(rows, length)
    if length % step and (found := _by_step(rows, length, step)) is not None:
        return found
    clock = passes_shown(rows, length)
    starts = passes_shown(rows - step, length)
    moved = np.where(starts.instants == UNTOLD, UNTOLD, starts.instants + step)
    ends = starts._replace(instants=moved)
    better, worse = sorted((clock, ends), key=lambda shown: shown.unexplained)
    if better.ordered and worse.unexplained - better.unexplained >= MARGIN:
        return better
    both = np.where(clock.instants == ends.instants, clock.instants, UNTOLD)
    return clock._replace(instants=both, disorder=clock.disorder and ends.disorder)


def _copies(rows: Ints, end: int) -> Ints | None:
    """The places of each copy where the rows are the same ones several times over.

    So are files in which every line is doubled, and those that hold one export twice. There have to
    be rows before 0 or from `end` on, which come once otherwise.
    """
    _, counts = np.unique(rows[(rows < 0) | (rows >= end)], return_counts=True)
    times = int(np.gcd.reduce(counts))
    if times < 2 or len(rows) % times:
        return None
    places = np.arange(len(rows))
    for copies in (places.reshape(-1, times).T, places.reshape(times, -1)):
        if (rows[copies] == rows[copies[0]]).all():
            return copies
    return None


def _by_step(rows: Ints, length: int, step: int) -> Shown | None:
    """What ends of intervals show whose step puts one pass alone where all the others are."""
    by_clock = _on_step(rows, length, step, 0)
    by_starts = _on_step(rows, length, step, step)
    if by_clock is None and by_starts is None:
        return None
    if by_clock is None or by_starts is None:
        told = by_starts if by_clock is None else by_clock
    else:
        told = np.where(by_clock == by_starts, by_clock, UNTOLD)
    assert told is not None
    return Shown(told, 0, True, False)


def _on_step(rows: Ints, length: int, step: int, shift: int) -> Ints | None:
    """The instants of rows where the sure ones are all on one grid; None where they are not."""
    first = np.where(rows - shift < length, rows, rows + length)
    second = np.where(rows - shift < 0, rows, rows + length)
    sure = first[first == second] % step
    if len(sure) < LEAST_ROWS or (sure != sure[0]).any():
        return None
    fits = first % step == sure[0], second % step == sure[0]
    told: Ints = np.where(fits[0] == fits[1], UNTOLD, np.where(fits[0], first, second))
    told[first == second] = first[first == second]
    return told
