"""Files with local times: wall-clock readings of one zone, as UTC.

A reading that the clock skipped is refused. One that it repeats is taken by file order: the first
pass is before the clock went back; once that would not be after the row before it of the same
series, it is the second pass.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, LAST_INSTANT, parse_time
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import TIME
from ai_hub.intake.columns import Mask, bools, id_texts, is_naive, nulls, plain, stored_micros
from ai_hub.intake.marks import mark_cell

# A reading is microseconds since this, as if its zone were UTC: so it has the bounds of instants.
_LOCAL_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_LOCAL_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$"

_Folds = tuple[int, int]
_Micros = NDArray[np.int64]


class LocalClock:
    """Turns the wall-clock times of one IANA zone into UTC, batch after batch of a file.

    `repeats`: equal times follow each other in a series (as issue times do), so that an equal
    reading is the same instant and not the second pass. Raises InvalidInput for an unknown zone.
    """

    def __init__(self, timezone: str, repeats: bool = False) -> None:
        try:
            self._zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
            expected = "an IANA time zone such as Europe/Berlin"
            raise InvalidInput("timezone", timezone, expected) from None
        self._name = timezone
        self._repeats = repeats
        self._last: dict[Hashable, int] = {}
        self._blocks: dict[tuple[int, int], _Folds | None] = {}

    def to_utc(self, times: Any, series: Sequence[Any]) -> pa.Array:
        """`times` (texts or naive timestamps) as UTC; `series`: the columns that name a series.

        Times with an offset, and what is no time at all, are kept as they are. Skipped readings
        become texts that the check refuses with the reason.
        """
        raw = plain(times)
        if pa.types.is_string(raw.type):
            micros, naive, known = _text_times(raw)
        elif is_naive(raw.type):
            micros, over = stored_micros(raw)
            known = ~nulls(raw) & ~over & (micros >= FIRST_INSTANT) & (micros <= LAST_INSTANT)
            naive = known
        else:
            return raw
        rows = np.flatnonzero(naive)
        before, after = self._folds(micros[rows], (DAY, HOUR, 1))
        utc = micros.copy()
        utc[rows] -= before
        skipped = rows[before < after]
        known[skipped] = False
        repeated = before > after
        self._resolve(
            utc, known, [id_texts(plain(s)) for s in series], rows[repeated], before, after, rows
        )
        return self._column(raw, utc, known, skipped)

    def _folds(self, local: _Micros, spans: Sequence[int]) -> tuple[_Micros, _Micros]:
        """The offset of every reading in µs, for the first pass and the second.

        Looks at whole days first and only where the offset changes at hours, then at readings.
        """
        span, *finer = spans
        starts, block = np.unique(local // span, return_inverse=True)
        found = [self._block(int(start) * span, span) for start in starts]
        folds = np.array([f or (0, 0) for f in found], dtype=np.int64).reshape(-1, 2)[block]
        before, after = folds[:, 0].copy(), folds[:, 1].copy()
        unsure = np.flatnonzero(np.array([f is None for f in found], dtype=np.bool_)[block])
        if len(unsure):
            before[unsure], after[unsure] = self._folds(local[unsure], finer)
        return before, after

    def _block(self, start: int, span: int) -> _Folds | None:
        if (start, span) not in self._blocks:
            ends = [self._offsets(max(start, FIRST_INSTANT)), self._offsets(start + span - 1)]
            plain_block = len({offset for end in ends for offset in end}) == 1 or span == 1
            self._blocks[start, span] = ends[0] if plain_block else None
        return self._blocks[start, span]

    def _offsets(self, local: int) -> _Folds:
        reading = (_LOCAL_EPOCH + local * _MICROSECOND).replace(tzinfo=self._zone)
        first, second = (reading.replace(fold=fold).utcoffset() for fold in (0, 1))
        assert first is not None
        assert second is not None
        return first // _MICROSECOND, second // _MICROSECOND

    def _resolve(
        self,
        utc: _Micros,
        known: Mask,
        series: Sequence[pa.Array],
        repeated: _Micros,
        before: _Micros,
        after: _Micros,
        rows: _Micros,
    ) -> None:
        """Chooses the pass of every repeated reading, in `utc`, and remembers where series end."""
        valid = np.flatnonzero(known)
        if not len(valid):
            return
        groups = _groups(series, valid)
        order = np.argsort(groups, kind="stable")
        ordered = groups[order]
        starts = np.append(True, ordered[1:] != ordered[:-1])
        names = {
            int(ordered[place]): tuple(s[int(valid[order[place]])].as_py() for s in series)
            for place in np.flatnonzero(starts)
        }
        if len(repeated):
            previous = np.full(len(utc), -1)
            previous[valid[order[1:]]] = np.where(starts[1:], -1, valid[order[:-1]])
            group_of = dict(zip(valid.tolist(), groups.tolist(), strict=True))
            later = dict(zip(rows.tolist(), (before - after).tolist(), strict=True))
            for row in repeated.tolist():
                prior = int(previous[row])
                name = names[group_of[row]]
                last = int(utc[prior]) if prior >= 0 else self._last.get(name, FIRST_INSTANT - DAY)
                if utc[row] < last or (utc[row] == last and not self._repeats):
                    utc[row] += later[row]
        ends = order[np.append(starts[1:], True)]
        for place in ends:
            self._last[names[int(groups[place])]] = int(utc[valid[place]])

    def _column(self, raw: pa.Array, utc: _Micros, known: Mask, skipped: _Micros) -> pa.Array:
        instants = pa.array(utc, mask=~known)
        if not (~known & ~nulls(raw)).any():
            return instants.cast(TIME)
        texts = raw.cast(pa.string())
        if len(skipped):
            expected = f"a local time that exists: the clock of {self._name} skipped this one"
            marks = [mark_cell(texts[int(row)].as_py(), expected) for row in skipped]
            mask = np.zeros(len(raw), dtype=np.bool_)
            mask[skipped] = True
            texts = pc.replace_with_mask(texts, pa.array(mask), pa.array(marks, pa.string()))
        iso = pc.binary_join_element_wise(
            instants.cast(pa.timestamp("us")).cast(pa.string()), "Z", ""
        )
        return pc.if_else(pa.array(known), iso, texts)


def _groups(series: Sequence[pa.Array], rows: _Micros) -> _Micros:
    """A number per row, equal where the series is."""
    groups = np.zeros(len(rows), dtype=np.int64)
    for names in series:
        encoded = names.take(pa.array(rows)).dictionary_encode()
        codes = np.asarray(pc.fill_null(encoded.indices, len(encoded.dictionary)))
        groups = groups * (len(encoded.dictionary) + 1) + codes
        # Dense again, so that the product of many names cannot overflow.
        groups = np.unique(groups, return_inverse=True)[1]
    return groups


def _text_times(raw: pa.Array) -> tuple[_Micros, Mask, Mask]:
    """Texts as microseconds, which of them are local (the rest has an offset), which are times."""
    regular = pc.fill_null(pc.match_substring_regex(raw, _LOCAL_ISO), False)
    try:
        instants = pc.if_else(regular, raw, None).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        regular = pa.array(np.zeros(len(raw), dtype=np.bool_))
        instants = pa.nulls(len(raw), pa.timestamp("us"))
    micros, _ = stored_micros(instants)
    micros = micros.copy()
    known = ~nulls(instants) & (micros >= FIRST_INSTANT)
    naive = known.copy()
    rest = np.flatnonzero(~bools(regular) & ~nulls(raw))
    if len(rest):
        encoded = raw.take(pa.array(rest)).dictionary_encode()
        codes = np.asarray(encoded.indices)
        parsed = [_parsed(text) for text in encoded.dictionary.to_pylist()]
        micros[rest] = np.array([p[0] if p else 0 for p in parsed], dtype=np.int64)[codes]
        naive[rest] = np.array([p is not None and p[1] for p in parsed], dtype=np.bool_)[codes]
        known[rest] = np.array([p is not None for p in parsed], dtype=np.bool_)[codes]
    return micros, naive, known


def _parsed(text: str) -> tuple[int, bool] | None:
    """A text as (microseconds, whether it is local), or None if it is no time."""
    try:
        local = datetime.fromisoformat(text.strip()).tzinfo is None
    except ValueError:
        return None
    stamped = text.strip()
    if local:
        # Read as if it were UTC: the one reader of times then also rounds nanoseconds.
        stamped += "Z" if len(stamped) > 10 else "T00:00Z"
    try:
        return parse_time(stamped, rounding="up"), local
    except InvalidInput:
        return None
