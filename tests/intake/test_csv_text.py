"""Lines as rows: quotes that never close, cells of several lines, and every line accounted for."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake import csv_text
from ai_hub.intake.csv_text import Lines, Shape, count_lines, read_tables
from ai_hub.intake.marks import read_mark

Rows = list[list[str | None]]


@given(st.lists(st.sampled_from(["a", "b,", "\n", "\r", "\r\n", "\n\n"]), max_size=40))
def test_a_block_of_very_many_lines_is_read_in_parts(pieces: list[str]) -> None:
    block = "".join(pieces).encode()
    parts = [*csv_text._parts(block, 3)]
    assert b"".join(parts) == block
    counts = [csv_text.count_lines(part) for part in parts]
    assert sum(counts) == csv_text.count_lines(block)
    assert max(counts) <= 3


def read(data: bytes, shape: Shape, size: int = 1 << 20) -> tuple[Rows, Lines]:
    lines = Lines()
    tables = list(read_tables(io.BytesIO(data), shape, lines, "file", size))
    lines.check("file")
    return [list(row.values()) for table in tables for row in table.to_pylist()], lines


def refused(rows: Rows) -> list[bool]:
    return [(mark := read_mark(row[0])) is not None and mark.whole_row for row in rows]


FOUR = Shape(4, (0, 1, 2))
NOTED = "t{0},m1,{0},{1}\n"


def test_two_quotes_that_never_close_cost_their_two_lines() -> None:
    notes = ["x"] * 50_000
    notes[10] = '"checked" by AB'
    notes[20] = notes[49_990] = '"estimated'
    data = "".join(NOTED.format(place, note) for place, note in enumerate(notes)).encode()
    rows, lines = read(data, FOUR)
    assert (len(rows), lines.rows, lines.continued) == (50_000, 50_000, 0)
    assert [place for place, bad in enumerate(refused(rows)) if bad] == [20, 49_990]
    assert rows[10] == ["t10", "m1", "10"]


@pytest.mark.parametrize(
    "notes",
    [
        ['"estimated', "x", "x", '"'],  # as CSV has it, one row of four lines
        ['"', "x", '"'],
        ['"a', 'b"'],
        ['"', "x", "x"],
        ["x", "x", '"'],
    ],
)
def test_lines_that_could_be_rows_of_their_own_are(notes: list[str]) -> None:
    data = "".join(NOTED.format(place, note) for place, note in enumerate(notes)).encode()
    rows, lines = read(data, FOUR)
    assert (lines.rows, lines.continued) == (len(notes), 0)
    assert not all(refused(rows))


def test_a_cell_of_several_lines_that_is_not_read_is_part_of_its_row() -> None:
    data = b't0,m1,1,"moved\nto, hall 2\n\nby AB"\nt1,m1,2,x\n'
    rows, lines = read(data, FOUR)
    assert rows == [["t0", "m1", "1"], ["t1", "m1", "2"]]
    assert (lines.total, lines.rows, lines.continued) == (5, 2, 3)


def test_a_cell_of_several_lines_that_is_read_is_no_row() -> None:
    rows, lines = read(b't0,"m\n1",1,x\nt1,m1,2,x\n', FOUR)
    assert (lines.rows, refused(rows)) == (3, [True, True, False])


def test_comments_and_blank_lines_are_counted() -> None:
    data = b"# one\nt0,m1,1,x\n\n  # two\r\n\r\nt1,m1,2,x"
    rows, lines = read(data, Shape(4, (0, 1, 2), comment="#"))
    assert len(rows) == 2
    assert (lines.total, lines.rows, lines.blank, lines.comments) == (6, 2, 2, 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_anywhere(end: str) -> None:
    data = end.join(["t0,m1,1,x", "t1,m1,2,x", "", "bad", "t2,m1,3,x"]).encode()
    for size in (1, 5, 11, 1000):
        rows, lines = read(data, FOUR, size)
        assert [row[0] for row in rows if read_mark(row[0]) is None] == ["t0", "t1", "t2"]
        assert (lines.total, lines.blank) == (5, 1)


def test_a_line_that_was_lost_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="2 lines to be accounted for"):
        Lines(total=2, rows=1).check("file")


def test_bytes_of_another_encoding_cost_the_cell_and_say_so() -> None:
    rows, _ = read(b"t0,B\xfcro,1,x\nt1,m1,2,B\xfcro\n", FOUR)
    mark = read_mark(rows[0][1])
    assert mark is not None
    assert (mark.value, mark.whole_row) == ("B\ufffdro", False)
    assert "--encoding" in mark.expected
    assert rows[1] == ["t1", "m1", "2"]


pieces = st.sampled_from(
    ["a", "b", ",", ";", '"', '""', " ", "\n", "\r\n", "\r", "#", "é", "\udcff"]
)
texts = st.lists(pieces, max_size=60).map("".join)


@given(texts, st.sampled_from([",", ";"]), st.integers(2, 4), st.integers(1, 30), st.booleans())
def test_every_line_is_accounted_for_and_no_block_changes_what_is_read(
    text: str, delimiter: str, width: int, size: int, comments: bool
) -> None:
    data = text.encode("utf-8", "surrogateescape")
    shape = Shape(width, (0, width - 1), delimiter, "#" if comments else "")
    rows, lines = read(data, shape)
    assert lines.total == count_lines(data)
    assert lines.rows == len(rows)
    again, _ = read(data, shape, size)
    assert again == rows


@example("\ra\n", 3, 1)  # a return at the very end of the first half
@given(texts, st.integers(3, 7), st.integers(1, 6))
def test_columns_that_are_read_some_at_a_time_are_the_same(
    text: str, width: int, size: int
) -> None:
    data = text.encode("utf-8", "surrogateescape")
    shape = Shape(width, (1, 0, *range(2, width)))
    whole, _ = read(data, shape)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_COLUMNS", 2), ("_FEW_PLACES", 1), ("_MOST_CELLS", size)):
            patch.setattr(csv_text, name, value)
        assert read(data, shape)[0] == whole


@given(texts, st.integers(2, 4))
def test_a_row_is_what_a_strict_reader_reads_of_its_lines(text: str, width: int) -> None:
    data = text.encode("utf-8", "surrogateescape")
    rows, _ = read(data, Shape(width, tuple(range(width))))
    taken = [row for row, bad in zip(rows, refused(rows), strict=True) if not bad]
    lines = [line.decode("utf-8", "surrogateescape") for line in data.splitlines()]
    alone = [next(csv.reader([line], strict=False), []) for line in lines]
    # With all columns read no row has several lines, so each is one of the lines, in order.
    expected = iter(alone)
    for row in taken:
        cells = [cell if read_mark(cell) is None else None for cell in row]
        assert any(matches(cells, line) for line in expected)


def matches(row: list[str | None], line: list[str]) -> bool:
    if len(row) != len(line):
        return False
    return all(
        cell == (other or None) or any("\udc80" <= character <= "\udcff" for character in other)
        for cell, other in zip(row, line, strict=True)
    )


@pytest.mark.parametrize("begin", ["", '"'])
def test_a_line_of_a_million_cells_is_a_row_at_fault_and_not_taken_apart(begin: str) -> None:
    long = begin + "a," * 1_000_000
    rows, lines = read(f"t,m,1,x\n{long}\nt,m,2,x\n".encode(), FOUR)
    assert (lines.rows, refused(rows)) == (3, [False, True, False])
    mark = read_mark(rows[1][0])
    assert mark is not None
    assert mark.expected == "a line of at most 1048576 letters"
