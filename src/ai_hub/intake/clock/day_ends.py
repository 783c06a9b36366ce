"""Files in which 00:00 is the end of the day that it stands under, and not its start."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY, HOUR
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import ID_FIELDS
from ai_hub.intake.clock.wall_times import WallTimes
from ai_hub.intake.columns import Mask, plain
from ai_hub.intake.ids import id_texts

Ints = NDArray[np.int64]

# A clock that goes back is no disorder; and of ten rows one may be late.
_BACK = 3 * HOUR
_LATE = 10
_TIME = "time"


class DayEnds:
    """Refuses rows where a 00:00 stands behind the other times of its date, part after part.

    Where rows are in order, as `23:45; 00:00` of one date and then the next date, 00:00 is most
    likely the end of that day, which would be stored a day early. It could also be a late row.
    """

    def __init__(self) -> None:
        # The last rows of each series, which the next part goes on from.
        self._before: pa.Table | None = None

    def see(self, part: pa.Table, times: Mapping[str, WallTimes]) -> None:
        """The next part, and its times by column. Raises InvalidInput for such a 00:00."""
        stamps = times["timestamp"]
        rows = np.flatnonzero(stamps.local & ~stamps.dates)
        if not len(rows):
            return
        names = sorted(ID_FIELDS & {*part.column_names})
        columns = {name: id_texts(plain(part.column(name))).take(pa.array(rows)) for name in names}
        if "issued_at" in times:
            columns["issued_at"] = pa.array(times["issued_at"].micros[rows])
        names = list(columns)
        table = pa.table(columns | {_TIME: pa.array(stamps.micros[rows])})
        if self._before is not None:
            table = pa.concat_tables([self._before, table], promote_options="default")
        codes = _codes(table.select(names))
        order = np.argsort(codes, kind="stable")
        series, local = codes[order], np.asarray(table.column(_TIME))[order]
        # A line that is there twice says nothing more.
        kept = np.append(True, (series[1:] != series[:-1]) | (local[1:] != local[:-1]))
        order, series, local = order[kept], series[kept], local[kept]
        _check(series, local)
        last = np.append(series[2:] != series[:-2], [True, True])[-len(order) :]
        self._before = table.take(pa.array(order[last]))


def _check(series: Ints, local: Ints) -> None:
    """Looks at times by series, in the order in which most of them run."""
    if not (local % DAY == 0).any():
        return
    steps = np.diff(local)[series[1:] == series[:-1]]
    rise = int((steps > 0).sum()) - int((steps < 0).sum())
    for ordered, fits in ((slice(None), rise >= 0), (slice(None, None, -1), rise <= 0)):
        if fits:
            _check_rising(series[ordered], local[ordered])


def _check_rising(series: Ints, local: Ints) -> None:
    ends = np.flatnonzero(_ends(series, local))
    steps = np.diff(local)
    steps[series[1:] != series[:-1]] = 0
    back = steps < -_BACK
    if not len(ends) or _LATE * (int(back.sum()) - len(ends)) > len(ends) + int((steps > 0).sum()):
        return
    shown = np.array([local[ends[0] - 1], local[ends[0]]]).astype("datetime64[us]")
    raise InvalidInput(
        "timestamp",
        [str(time.astype("datetime64[m]")) for time in shown],
        "times that rise within a date",
        "A 00:00 behind the other times of its date could be the end of that day, or a late row "
        "of its start. If it is the end, write it as 24:00 or under the next date, or take the "
        "column of the starts (--interval-start); if it is the start, sort the rows.",
    )


def _ends(series: Ints, local: Ints) -> Mask:
    """Which times are a 00:00 behind a time of their date, with a later date or nothing after."""
    size = len(local)
    date = local // DAY
    other = np.append(True, series[1:] != series[:-1])
    first = other | np.append(True, date[1:] != date[:-1])
    starts = np.flatnonzero(first)
    # How the rows of a date that stand together begin.
    begins = np.repeat(local[starts] % DAY, np.diff(starts, append=size))
    before, after = np.roll(local, 1), np.roll(local, -1)
    last = np.roll(other, -1)
    found: Mask = (local % DAY == 0) & ~first & (before >= local + DAY // 2) & (begins > 0)
    found &= last | ((np.roll(date, -1) > date) & (after % DAY > 0))
    return found


def _codes(ids: pa.Table) -> Ints:
    """A number per row, equal where all the ids are."""
    codes = np.zeros(len(ids), dtype=np.int64)
    for column in ids.columns:
        encoded = pc.dictionary_encode(plain(column), null_encoding="encode")
        found = codes * len(encoded.dictionary) + np.asarray(encoded.indices)
        codes = np.unique(found, return_inverse=True)[1] if codes.any() else found
    return codes
