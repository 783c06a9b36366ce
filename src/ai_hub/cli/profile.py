"""The command about what is in an export: `profile`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import FAILED, Stop
from ai_hub.cli.finding import opened
from ai_hub.cli.following import check_ended, under_way
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import cell, counted, document, nothing, progress, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_hub.cli.backend import Document

_BLOCKS = "▁▂▃▄▅▆▇█"
_FEWEST = 0.0005
"""A share that is told."""
_FIRST = 3


def profile(
    export: Annotated[
        str,
        typer.Argument(
            metavar="EXPORT",
            help="The id of an export, its Parquet file, its folder, or a URL of either.",
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="Correlate with this column; repeatable. By default with all targets and labels.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw the columns to this PNG file."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what is in an export, column by column.

    Its distribution, the share that was missing, and its correlation with the targets, from one
    pass in bounded memory. A picture needs the extra `importance`.

    Example: ai-hub profile train.parquet -o train.png
    """
    from ai_hub.profile.profiling import profile_of

    if output is not None:
        from ai_hub.importance.plot import check_plot_path

        check_plot_path(output)
    place = _place(export, url)
    with progress("Reading", quiet=as_json) as show:
        found = profile_of(
            place, target or (), lambda done, of: show(done / of if of else None, done)
        )
    if output is not None:
        from ai_hub.profile.plot import draw

        draw(found, output)
    if as_json:
        document(found)
    if not found["rows"]:
        nothing(f"There are no rows in {place}.")
    if not as_json:
        _report(found)
        if output is not None:
            say(f"{output}: the columns as a picture", "green")


def _place(export: str, url: str | None) -> str:
    """Where an export is. Raises Stop for one that has no file, or none that can be read here."""
    from ai_hub.config import Settings
    from ai_hub.errors import InvalidInput
    from ai_hub.profile.source import is_place
    from ai_hub.storage.url import is_url

    if is_place(export):
        return export
    if "/" in export or export.endswith(".parquet"):
        raise InvalidInput("export", export, "the path of a file or folder that is there")

    async def ask() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.jobs.record(export)

    record = asyncio.run(ask())
    if under_way(record):
        raise Stop(f"{export} is {record['status']}: ai-hub exports watch {export} waits for it.")
    path: str | None = check_ended(record)["storage_path"]
    if path is None:
        nothing(f"There are no rows in {export}.")
    if not is_url(path) and not Path(path).exists():
        raise Stop(f"{path} is not there, or cannot be read on this machine.", FAILED)
    return path


def _report(found: Document) -> None:
    span = f", {found['start_time']} to {found['end_time']}" if found["start_time"] else ""
    assets = f" of {counted(found['assets'], 'asset')}" if found["assets"] else ""
    say(f"{found['export']}: {counted(found['rows'], 'row')}{assets}{span}", "bold")
    if found["fingerprint"]:
        label = f"{found['feature_set']}@{found['version']}" if found["feature_set"] else "features"
        say(f"{label} of {found['tenant_id']}, missing values: {found['policy']}")
    targets = found["targets"]
    names = ("column", "missing", "mean", "std", "min", "p5", "p50", "p95", "max", "distribution")
    table((*names, *targets), [_row(one, targets) for one in found["columns"]])
    for one in targets:
        _say_what_moves(found, one)
    _say_what_is_missing(found)


def _row(one: Document, targets: Sequence[str]) -> list[object]:
    some = (one["quantiles"].get(share) for share in ("0.05", "0.5", "0.95"))
    numbers = (one["mean"], one["std"], one["min"], *some, one["max"])
    return [
        one["name"],
        "-" if one["missing"] is None else f"{100 * one['missing']:.1f} %",
        *map(_short, numbers),
        _bars(one),
        *(_signed(one["correlation"].get(name)) for name in targets),
    ]


def _short(value: float | None) -> object:
    return None if value is None else float(f"{value:.4g}")


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0.0:+.2f}"


def _bars(one: Document) -> str:
    """A histogram as blocks: a blank is of no value, the lowest one of few."""
    if one["histogram"] is None:
        return ""
    counts = one["histogram"]["counts"]
    if len(counts) == 1:
        return "one value"
    most = max(counts)
    return "".join(_BLOCKS[(count * 8 - 1) // most] if count else " " for count in counts)


def _say_what_moves(found: Document, target: str) -> None:
    known = [
        (one["name"], one["correlation"][target])
        for one in found["columns"]
        if one["role"] != "target" and one["correlation"].get(target) is not None
    ]
    known.sort(key=lambda one: -abs(one[1]))
    if known:
        told = ", ".join(f"{cell(name)} ({value:+.2f})" for name, value in known[:_FIRST])
        say(f"Moves most with {target}: {told}")


def _say_what_is_missing(found: Document) -> None:
    lacking = [one for one in found["columns"] if (one["missing"] or 0) >= _FEWEST]
    if lacking:
        lacking.sort(key=lambda one: -one["missing"])
        told = ", ".join(f"{cell(one['name'])} ({100 * one['missing']:.1f} %)" for one in lacking)
        say(f"Missing: {told}")
    if any(one["missing"] is None for one in found["columns"]):
        say(
            f"Values that were missing were filled ({found['policy']}); which they were, an export "
            "with --indicators says."
        )
