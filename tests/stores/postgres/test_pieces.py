"""Which times are refreshed in one step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY, HOUR
from ai_hub.stores.postgres import pieces as cut
from ai_hub.stores.postgres.pieces import pieces, spans


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], []),
        ([(5 * HOUR + 1, 6 * HOUR + 1)], [(5 * HOUR, 7 * HOUR)]),
        ([(-(1 << 62), 100 * DAY)], [(HOUR, 90 * DAY)]),
        ([(0, HOUR)], []),
        ([(90 * DAY, 91 * DAY)], []),
        ([(40 * DAY, 41 * DAY), (3 * DAY, 4 * DAY), (5 * DAY - 1, 5 * DAY)],
         [(3 * DAY, 5 * DAY), (40 * DAY, 41 * DAY)]),
        ([(3 * DAY, 9 * DAY), (4 * DAY, 5 * DAY)], [(3 * DAY, 9 * DAY)]),
    ],
)  # fmt: skip
def test_what_is_to_be_refreshed(
    found: Sequence[tuple[int, int]], expected: Sequence[tuple[int, int]]
) -> None:
    assert spans(found, HOUR, 1, 90 * DAY + 1) == list(expected)


@st.composite
def chunks(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Chunks one after the other, with gaps."""
    at, made = 0, []
    widths = st.sampled_from((HOUR, DAY, 7 * DAY, 30 * DAY, 400 * DAY))
    for _ in range(draw(st.integers(0, 8))):
        at += draw(st.sampled_from((0, 0, DAY, 500 * DAY)))
        width = draw(widths)
        made.append((at, at + width, draw(st.integers(0, 4 * cut._PIECE_BYTES))))
        at += width
    return made


@given(chunks(), st.integers(-3 * DAY // HOUR, 900 * DAY // HOUR), st.integers(0, 90 * DAY // HOUR))
def test_pieces_are_a_span_in_order(
    there: list[tuple[int, int, int]], first: int, hours: int
) -> None:
    start, end = first * HOUR, (first + hours) * HOUR
    found = pieces(start, end, there)
    assert sum(past - since for since, past in found) == end - start
    assert all(since < past for since, past in found)
    assert all(a[1] == b[0] and a[1] % DAY == 0 for a, b in itertools.pairwise(found))
    if found:
        assert (found[0][0], found[-1][1]) == (start, end)


@given(st.integers(1, 60), st.integers(0, cut._PIECE_BYTES))
def test_a_piece_is_about_a_chunk(weeks: int, size: int) -> None:
    there = [(i * 7 * DAY, (i + 1) * 7 * DAY, size) for i in range(weeks)]
    assert pieces(0, weeks * 7 * DAY, there) == [(start, past) for start, past, _ in there]


@given(st.integers(2, 7))
def test_a_large_chunk_is_cut_by_days(times: int) -> None:
    found = pieces(0, 7 * DAY, [(0, 7 * DAY, times * cut._PIECE_BYTES)])
    assert len(found) == times


def test_small_chunks_are_refreshed_together() -> None:
    there = [(i * HOUR, (i + 1) * HOUR, 1000) for i in range(24 * 21)]
    assert pieces(0, 21 * DAY, there) == [(0, 7 * DAY), (7 * DAY, 14 * DAY), (14 * DAY, 21 * DAY)]
