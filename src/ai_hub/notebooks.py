"""What a notebook shows of a value: a small table of HTML, whatever is in it escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MOST_ROWS = 20
"""Rows of a table; more of them are counted."""


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a caption; None is an empty cell."""
    all_of = list(rows)
    lines = [_row("td", one) for one in all_of[:MOST_ROWS]]
    if more := len(all_of) - MOST_ROWS:
        lines += [f'<tr><td colspan="{len(header)}">and {more:,} more</td></tr>'] * (more > 0)
    return (
        f'<table><caption style="text-align:left">{escape(caption)}</caption>'
        f"<thead>{_row('th', header)}</thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _row(tag: str, cells: Sequence[object]) -> str:
    told = ("" if cell is None else escape(str(cell)) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in told) + "</tr>"
