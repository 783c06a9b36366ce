"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import typer

from ai_hub.cli.failure import NOTHING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_A_FILE = 200


class Progress(Protocol):
    """Told how far a command is: a fraction (None: unknown) and the rows done."""

    def __call__(self, fraction: float | None, rows: int) -> None:
        """Show it."""


def console(stderr: bool = False) -> Console:
    """A console that takes texts as they are: an id may look like markup."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _WIDTH_OF_A_FILE
    return made


def say(text: str, style: str | None = None) -> None:
    """Print a line of the result."""
    console().print(text, style=style)


def tell(text: str, style: str | None = None) -> None:
    """Print a line beside the result."""
    console(stderr=True).print(text, style=style)


def nothing(sentence: str | None = None) -> NoReturn:
    """End the command with the exit code, and a sentence if any, that nothing was there."""
    if sentence is not None:
        tell(sentence, style="yellow")
    raise typer.Exit(NOTHING)


def document(value: object) -> None:
    """Print the one JSON document of `--json`; plain ASCII, so any pipe takes it."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str | None = None,
    stderr: bool = False,
) -> None:
    """Print a table; numbers stand to the right."""
    from rich.table import Table

    shown = [list(row) for row in rows]
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for place, name in enumerate(columns):
        numbers = any(isinstance(row[place], int | float) for row in shown)
        drawn.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in shown:
        drawn.add_row(*(cell(value) for value in row))
    console(stderr).print(drawn, soft_wrap=False)


def cell(value: object) -> str:
    """A value as tables show it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e15 else repr(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    # A control character in what a file held must not reach the terminal.
    return str(value) if str(value).isprintable() else ascii(value)


def counted(number: int, noun: str, several: str = "") -> str:
    """`1 row`, `2,000 rows`; `several` is the plural where it is not a plain s."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


@contextmanager
def progress(label: str, quiet: bool, unit: str = "rows") -> Iterator[Progress]:
    """A progress bar on standard error that counts units; none where nobody looks at it."""
    err = console(stderr=True)
    if quiet or not err.is_terminal:
        yield lambda fraction, rows: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn(f"{{task.fields[rows]:,}} {unit}"),
        TimeElapsedColumn(),
    ]
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=None, rows=0)

        def show(fraction: float | None, rows: int) -> None:
            if fraction is None:
                bar.update(task, rows=rows)
            else:
                bar.update(task, total=1.0, completed=fraction, rows=rows)

        yield show
