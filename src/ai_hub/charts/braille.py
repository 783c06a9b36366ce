"""A line drawn in braille: a character has two columns of four dots."""

from __future__ import annotations

from collections.abc import Sequence

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
Point = tuple[float, float | None]
"""A time and a value; None where there is none."""


def drawn(
    points: Sequence[Point],
    start: float,
    end: float,
    width: int,
    height: int,
) -> tuple[list[str], float, float]:
    """A line through points over [start, end] in so many characters, from above, with the values at
    its lower and upper edge. It is broken where there is no value."""
    there = [value for _, value in points if value is not None]
    low, high = min(there, default=0.0), max(there, default=0.0)
    rows, columns = 4 * height, 2 * width
    cells = [[0] * width for _ in range(height)]
    span = end - start or 1.0

    def place(point: Point) -> tuple[int, int] | None:
        time, value = point
        if value is None:
            return None
        far = 0.5 if high == low else (value - low) / (high - low)
        column = min(columns - 1, max(0, int((time - start) / span * columns)))
        return column, rows - 1 - round(far * (rows - 1))

    def dot(column: int, row: int) -> None:
        cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]

    before: tuple[int, int] | None = None
    for point in points:
        here = place(point)
        if here is not None:
            for column, row in _between(before or here, here):
                dot(column, row)
        before = here
    return ["".join(chr(_BLANK | one) for one in row) for row in cells], low, high


def marked(
    spans: Sequence[Sequence[float]], start: float, end: float, width: int, mark: str
) -> str:
    """Spans of [start, end] as marks below a chart; however short, each is seen."""
    found = [" "] * width
    scale = width / (end - start or 1.0)
    for first, last in spans:
        left = min(width - 1, max(0, int((first - start) * scale)))
        right = min(width - 1, max(left, int((last - start) * scale - 1e-9)))
        found[left : right + 1] = mark * (right + 1 - left)
    return "".join(found)


def _between(one: tuple[int, int], other: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots of a straight line, both ends included."""
    (x0, y0), (x1, y1) = one, other
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    return [
        (round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps))
        for step in range(steps + 1)
    ]
