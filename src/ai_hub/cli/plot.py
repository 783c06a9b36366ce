"""The command that draws the history of an asset: `plot`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.finding import opened
from ai_hub.cli.options import Json, Tenant, Url, instant
from ai_hub.cli.output import cell, console, document, nothing, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_hub.cli.backend import Backend, Document

_DAYS = 30
_WIDTH_OF_A_FILE = 100
_NARROWEST, _EDGE = 20, 10
"""Characters of a chart, and of the values at its left."""
_HIGH, _LOWER = 12, 7
"""Lines of the readings, and of a feature."""


def plot(
    tenant: Tenant,
    asset: Annotated[str, typer.Option("--asset", metavar="ID", help="The asset.")],
    features: Annotated[
        str | None,
        typer.Option("--features", metavar="NAME,...", help="Features of the set, by commas."),
    ] = None,
    feature_set: Annotated[
        str, typer.Option("--set", metavar="NAME", help="The feature set; name@version.")
    ] = "forecast_basic",
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="The first time; 30 days before by default."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="The end; by default the last reading."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw to this PNG file."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Draw the readings of an asset and features of it.

    In the terminal, or to a PNG file (which needs the extra `importance`): gaps are seen, and where
    a feature was missing and filled. Sentences and a table say the same.

    Example: ai-hub plot --tenant acme --asset meter-001 --features lag_24h,rolling_avg_24h
    """
    from ai_hub.charts.chart import chart_of, said
    from ai_hub.config import Settings

    if output is not None:
        from ai_hub.importance.plot import check_plot_path

        check_plot_path(output)
    request = {"tenant_id": tenant, "asset_id": asset, "feature_set": feature_set}
    given = {"start_time": None if start is None else instant(start, "--from", "up"),
             "end_time": None if end is None else instant(end, "--to")}  # fmt: skip
    named = dict.fromkeys(filter(None, map(str.strip, (features or "").split(","))))
    # Without a feature the readings alone.
    wanted: list[Document] = [{"feature": one} for one in named] or [{}]

    async def work() -> tuple[list[Document], bool]:
        async with opened(Settings.load(), url) as backend:
            times, is_known = await _range(backend, request, given)
            return [await backend.chart(request | times | one) for one in wanted], is_known

    charts, is_known = asyncio.run(work())
    chart = chart_of(charts)
    if as_json:
        document(chart)
    if not is_known:
        nothing(f"{cell(tenant)} has no readings of {cell(asset)}.")
    if output is not None:
        from ai_hub.charts.picture import draw

        draw(chart, output)
    if as_json:
        return
    say(f"{chart['asset_id']} of {chart['tenant_id']}, {_label(chart)}", "bold")
    for sentence in said(chart):
        say(sentence)
    if output is None:
        for line in _lines(chart):
            say(line)
    _table(chart)
    if output is not None:
        say(f"{output}: the chart as a picture", "green")


async def _range(
    backend: Backend, request: Document, given: dict[str, str | None]
) -> tuple[Document, bool]:
    """From when to when, as far as it was said; by default up to the last reading, or now of an
    asset that has none. And whether it has any."""
    from ai_hub.cli.vectors import stored_asset
    from ai_hub.definitions.values import DAY, iso, parse_time

    known = await stored_asset(backend, request["tenant_id"], request["asset_id"])
    last = max((one["last"] for one in known["series"]), default=None) if known else None
    end = given["end_time"] or last or iso(time.time_ns() // 1_000)
    start = given["start_time"] or iso(parse_time(end) - _DAYS * DAY)
    return {"start_time": start, "end_time": end}, last is not None


def _label(chart: Document) -> str:
    return f"{chart['feature_set']}@{chart['version']}"


def _lines(chart: Document) -> list[str]:
    """Readings and features below each other, as wide as the terminal."""
    from ai_hub.charts.chart import line
    from ai_hub.definitions.values import SECOND, parse_time
    from ai_hub.page.spans import stretches

    out = console()
    width = max(_NARROWEST, (out.width if out.is_terminal else _WIDTH_OF_A_FILE) - _EDGE - 1)
    ends = tuple(parse_time(chart[name]) / SECOND for name in ("start_time", "end_time"))
    gaps = chart["gaps"]
    points = line(chart["readings"], gaps)
    lines = _panel(chart["series"], points, gaps, ("░", "gap"), ends, width, _HIGH)
    for one in chart["features"]:
        mark = ("▒", "missing")
        lines += _panel(one["name"], line(one), stretches(one), mark, ends, width, _LOWER)
    first, last = (chart[name].partition(".")[0].removesuffix("Z").replace("T", " ")
                   for name in ("start_time", "end_time"))  # fmt: skip
    return [*lines, " " * (_EDGE + 1) + first + last.rjust(width - len(first))]


def _panel(
    name: str,
    points: Sequence[tuple[float, float | None]],
    marks: Sequence[Sequence[float]],
    mark: tuple[str, str],
    ends: tuple[float, ...],
    width: int,
    height: int,
) -> list[str]:
    """A line with its name above, the values of its edges at the left, and marks below."""
    from ai_hub.charts.braille import drawn, marked
    from ai_hub.page.words import rounded

    start, end = ends
    rows, low, high = drawn(points, start, end, width, height)
    edges = [""] * height
    if any(value is not None for _, value in points):
        edges[0], edges[-1] = rounded(high), rounded(low)
        if low == high:
            edges = ["" if place != height // 2 else rounded(low) for place in range(height)]
    lines = [" " * (_EDGE + 1) + cell(name)]
    lines += [f"{edge:>{_EDGE}}┤{row}" for edge, row in zip(edges, rows, strict=True)]
    if marks:
        lines.append(f"{mark[1]:>{_EDGE}} {marked(marks, start, end, width, mark[0])}".rstrip())
    return lines


def _table(chart: Document) -> None:
    """What there is in each part of the time, and what of it was missing."""
    from ai_hub.definitions.values import SECOND, parse_time

    rows: list[list[object]] = []
    for part in chart["parts"]:
        start, end = (parse_time(part[name]) / SECOND for name in ("start", "end"))
        row: list[object] = [part["start"].partition(".")[0].removesuffix("Z").replace("T", " "),
                             part["readings"], part["low"], part["mean"], part["high"]]  # fmt: skip
        for one in chart["features"]:
            pairs = zip(one["time"], one["missing"], strict=True)
            some = [missing for at, missing in pairs if start <= at < end]
            row.append(f"{100 * sum(some) / len(some):.0f} %" if some else "-")
        rows.append(row)
    lacking = [f"{one['name']} missing" for one in chart["features"]]
    table(("from", "readings", "lowest", "mean", "highest", *lacking), rows)
