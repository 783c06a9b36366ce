"""Which times maintenance refreshes in one step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from ai_hub.definitions.values import DAY

_APART = DAY
"""Spans that lie closer together than this are refreshed as one."""
_PIECE = 7 * DAY
_WIDE = 366 * DAY
"""A chunk of more is what rows far apart share (time_chunks.py): most of its time has no row."""
_PIECE_BYTES = 256 << 20
"""What one refresh computes anew: about a chunk, as it is declared, and less of a large one."""

Span = tuple[int, int]
"""From a time up to another one, which is not part of it."""


def pieces(first: int, end: int, chunks: Iterable[tuple[int, int, int]]) -> list[Span]:
    """[first, end) in order, about a chunk each: small ones together, large ones by days.

    Each chunk is a first time, the one past it, and its bytes; in order.
    """
    edges, held = [first], 0
    for start, past, size in chunks:
        days = max(1, (past - start) // DAY)
        weeks = 1 if past - start > _WIDE else -(-(past - start) // _PIECE)
        count = min(days, max(-(-size // _PIECE_BYTES), weeks))
        for i in range(count):
            at = (start + i * days // count * DAY) // DAY * DAY
            full = held + size // count > _PIECE_BYTES or at - edges[-1] >= _PIECE
            if edges[-1] < at < end and full:
                edges.append(at)
                held = 0
            held += size // count
    return list(itertools.pairwise([*edges, end])) if first < end else []


def spans(found: Iterable[Span], unit: int, since: int, until: int) -> list[Span]:
    """Spans as whole hours or days of [since, until), ascending, those close together as one.

    Nothing before `since`: rows were deleted there, and a refresh would empty it.
    """
    first, last = -(-since // unit) * unit, until // unit * unit
    joined: list[Span] = []
    for start, end in sorted(found):
        start, end = max(first, start // unit * unit), min(last, -(-end // unit) * unit)
        if start >= end:
            continue
        if joined and start - joined[-1][1] < _APART:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined
