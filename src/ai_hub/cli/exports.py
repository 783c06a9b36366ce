"""Commands about training sets: `export` and `exports`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.finding import opened
from ai_hub.cli.options import (
    Json,
    Missing_,
    SomeAssets,
    Tenant,
    Url,
    instant,
    missing_policy,
)
from ai_hub.cli.output import Progress, counted, document, progress, say, table

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document


def export(
    tenant: Tenant,
    feature_set: Annotated[
        str, typer.Option("--set", metavar="NAME", help="The feature set; see `ai-hub sets`.")
    ],
    start: Annotated[
        str,
        typer.Option("--start", metavar="TIME", help="The first time, with an offset (Z is UTC)."),
    ],
    end: Annotated[str, typer.Option("--end", metavar="TIME", help="The last time, included.")],
    asset: SomeAssets = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The Parquet file to write; by default a new one in the export root.",
        ),
    ] = None,
    compression: Annotated[
        str, typer.Option("--compression", metavar="NAME", help="snappy or zstd.")
    ] = "snappy",
    missing: Missing_ = None,
    horizon: Annotated[
        list[str] | None,
        typer.Option(
            "--horizon",
            metavar="WIDTH",
            help="Add a target: the series this far ahead, such as 24h; repeatable.",
        ),
    ] = None,
    indicators: Annotated[
        bool,
        typer.Option(
            "--indicators", help="Add a column for each feature that says where it was missing."
        ),
    ] = False,
    frequency: Annotated[
        str | None,
        typer.Option(
            "--frequency",
            metavar="WIDTH",
            help="A row for every step of this width, such as 1h, not for every reading.",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write a training set to a Parquet file.

    Its rows are the vectors that serving would have given at their times.

    Example: ai-hub export --tenant acme --set forecast_basic --start 2025-01-01T00:00:00Z
    --end 2025-10-01T00:00:00Z --horizon 24h --output train.parquet
    """  # fmt: skip
    given = {
        "tenant_id": tenant,
        "feature_set": feature_set,
        "start_time": instant(start, "--start", "up"),
        "end_time": instant(end, "--end"),
        "asset_ids": asset or None,
        "compression": compression,
        "missing": missing_policy(missing),
        "horizons": horizon or None,
        "indicators": indicators or None,
        "frequency": frequency,
    }
    request = {key: value for key, value in given.items() if value is not None}
    with progress(f"Exporting {feature_set}", quiet=as_json) as show:
        record = asyncio.run(_export(request, output, url, show))
    if as_json:
        document(record)
    else:
        _report(record, url)


async def _export(
    request: Document, output: Path | None, url: str | None, show: Progress
) -> Document:
    from ai_hub.config import Settings

    async with opened(Settings.load(), url) as backend:
        return await backend.export(request, output, show)


def _report(record: Document, url: str | None) -> None:
    if record["status"] == "no_data":
        say("No rows in that range, so no file was written.", "yellow")
        return
    where = _near(record["storage_path"]) if url is None else f"{record['storage_path']} on {url}"
    rows = counted(record["row_count"], "row")
    say(f"{where}: {rows}, {record['file_size_mb']:,.2f} MB", "green")


def exports(
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only exports of this tenant.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")
    ] = 100,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the exports, the newest first.

    Example: ai-hub exports --tenant acme
    """
    from ai_hub.config import Settings
    from ai_hub.definitions.values import check_id

    if tenant is not None:
        check_id("--tenant", tenant)

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.exports(tenant, limit)

    found = asyncio.run(work())
    if as_json:
        document(found)
        return
    columns = ("started", "tenant", "feature set", "status", "rows", "MB", "file")
    keys = ("started_at", "tenant_id", "feature_set", "status", "row_count", "file_size_mb",
            "storage_path")  # fmt: skip
    table(columns, [[_shown(one, key) for key in keys] for one in found["exports"]])


def _shown(record: Document, key: str) -> object:
    # Seconds are enough to tell exports apart.
    if key == "started_at":
        return record[key][:19].replace("T", " ") + "Z"
    return _near(record[key]) if key == "storage_path" and record[key] else record[key]


def _near(path: str) -> str:
    """A path as seen from the working directory where it is below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
