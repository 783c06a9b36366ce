"""Commands about training sets: `export` and `exports`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import FAILED, Stop
from ai_hub.cli.finding import opened
from ai_hub.cli.jobs import cancel, report, resume, told, watch
from ai_hub.cli.options import (
    Json,
    Missing_,
    Model,
    SomeAssets,
    Tenant,
    Url,
    instant,
    missing_policy,
)
from ai_hub.cli.output import Progress, counted, document, nothing, progress, say, table
from ai_hub.cli.spark import (
    Attributes,
    Definitions,
    Engine,
    Source,
    Weather,
    WeatherSources,
    export_by_spark,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ai_hub.cli.backend import Document, Output


_MOST_RECORDS = 10_000


def export(
    tenant: Tenant,
    feature_set: Annotated[
        str | None,
        typer.Option("--set", metavar="NAME", help="The feature set; see `ai-hub sets`."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="The first time, with an offset (Z is UTC)."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="The last time, included.")
    ] = None,
    spine: Annotated[
        str | None,
        typer.Option(
            "--spine",
            metavar="FILE",
            help="A row for each of this CSV or Parquet file (asset_id, timestamp, labels), in its "
            "order, and no range.",
        ),
    ] = None,
    asset: SomeAssets = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH|URL",
            help="The Parquet file (or folder) to write, by default a new one in the export root; "
            "or s3://, gs:// or az://bucket/prefix, below which a new folder is made.",
        ),
    ] = None,
    parts: Annotated[
        bool,
        typer.Option(
            "--parts",
            help="Write a folder: Parquet files of a million rows or so, and manifest.json.",
        ),
    ] = False,
    partition_by: Annotated[
        list[str] | None,
        typer.Option(
            "--partition-by",
            metavar="WORD",
            help="With --parts, or a URL: folders by month, or by asset_bucket, as Hive names "
            "them; repeatable, the first is the outer one.",
        ),
    ] = None,
    buckets: Annotated[
        int | None,
        typer.Option(
            "--buckets", metavar="COUNT", help="How many there are of asset_bucket; 16 by default."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a file that no export wrote, too."),
    ] = False,
    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="parquet, or delta: --output is a Delta table then."
        ),
    ] = "parquet",
    compression: Annotated[
        str, typer.Option("--compression", metavar="NAME", help="snappy or zstd.")
    ] = "snappy",
    missing: Missing_ = None,
    model: Model = None,
    horizon: Annotated[
        list[str] | None,
        typer.Option(
            "--horizon",
            metavar="WIDTH",
            help="Add a target: the series this far ahead, such as 24h; repeatable.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="NAME=WIDTH,...",
            help="Add a target with a name of its own: peak=24h,stat=max,window=6h,min_count=3 or "
            "next=15m,tolerance=5m; repeatable.",
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
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="Print the id and end: a server writes it. See `ai-hub exports watch`."
        ),
    ] = False,
    engine: Engine = "local",
    source: Source = None,
    weather: Weather = None,
    weather_sources: WeatherSources = None,
    attributes: Attributes = None,
    definitions: Definitions = None,
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
        "start_time": None if start is None else instant(start, "--start", "up"),
        "end_time": None if end is None else instant(end, "--end"),
        "asset_ids": asset or None,
        "compression": compression,
        "missing": missing_policy(missing),
        "model": model,
        "horizons": [*(horizon or ()), *_targets(target or ())] or None,
        "indicators": indicators or None,
        "frequency": frequency,
        "parts": parts or None,
        "partition_by": partition_by or None,
        "buckets": buckets,
        "format": None if format == "parquet" else format,
    }
    request = {key: value for key, value in given.items() if value is not None}
    files = {"observations": source, "weather": weather, "weather_sources": weather_sources,
             "attributes": attributes}  # fmt: skip
    if _is_by_spark(engine, files, definitions):
        files["spine"] = spine
        asked = request | ({"detach": True} if detach else {})
        export_by_spark(asked, files, definitions, output, force, url, as_json)
        return
    _check_rows(request, spine)
    if detach:
        if spine is not None or force:
            option = "--force" if force else "--spine"
            raise Stop(f"{option}: expected without --detach, as a server writes the file")
        return told(asyncio.run(_detached(request, _place(output), url)), as_json)
    with progress(f"Exporting {feature_set or model}", quiet=as_json) as show:
        record = asyncio.run(_export(request, spine, _place(output), force, url, show))
    # A server answers a spine with its rows; the files of other exports are where it is.
    here = url is None or record.get("export_id") is None
    path = record["storage_path"]
    where = None if path is None else _near(path) if here else f"{path} on {url}"
    report(record, as_json, where)


def _place(output: str | None) -> Output:
    """A path, or a text that is a URL."""
    from ai_hub.storage.url import is_url

    return None if output is None else output if is_url(output) else Path(output)


def _targets(given: Sequence[str]) -> list[str]:
    from ai_hub.errors import InvalidInput

    for text in given:
        if "=" not in text:
            raise InvalidInput("--target", text, "NAME=WIDTH,... such as peak=24h,stat=max")
    return [*given]


def _is_by_spark(engine: str, files: Mapping[str, str | None], definitions: str | None) -> bool:
    """Whether Spark reads the history, and not what is stored here."""
    from ai_hub.errors import InvalidInput

    if engine not in ("local", "spark"):
        raise InvalidInput("--engine", engine, "local or spark")
    given = {"source" if name == "observations" else name: path for name, path in files.items()}
    for name, path in (given | {"definitions": definitions}).items():
        if engine == "local" and path is not None:
            raise InvalidInput(f"--{name.replace('_', '-')}", path, "none without --engine spark")
    return engine == "spark"


def _check_rows(request: Document, spine: str | None) -> None:
    """Rows are those of a range or those of a spine."""
    from ai_hub.errors import InvalidInput

    if "feature_set" not in request and "model" not in request:
        raise InvalidInput("--set", None, "a feature set (or --model MODEL@VERSION)")
    options = {"start_time": "--start", "end_time": "--end", "asset_ids": "--asset",
               "frequency": "--frequency"}  # fmt: skip
    for field, option in options.items():
        if spine is not None and field in request:
            raise InvalidInput(option, request[field], "none with --spine, which says each row")
    for field in ("start_time", "end_time"):
        if spine is None and field not in request:
            raise InvalidInput(options[field], None, "a time (or --spine FILE)")


async def _export(
    request: Document,
    spine: str | None,
    output: Output,
    force: bool,
    url: str | None,
    show: Progress,
) -> Document:
    from ai_hub.config import Settings

    async with opened(Settings.load(), url) as backend:
        if spine is None:
            return await backend.export(request, output, force, show)
        return await backend.training_set(request, Path(spine), output, force, show)


async def _detached(request: Document, output: Output, url: str | None) -> Document:
    from ai_hub.config import Settings

    async with opened(Settings.load(), url) as backend:
        return await backend.detach(request, output)


commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


for command in (watch, cancel, resume):
    commands.command()(command)


@commands.callback()
def exports(
    context: typer.Context,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only exports of this tenant.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")
    ] = 100,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List exports, or watch, cancel, resume or verify them.

    Example: ai-hub exports --tenant acme
    """
    if context.invoked_subcommand is not None:
        return
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
    if not found["exports"]:
        nothing("There are no exports.")
    if as_json:
        return
    columns = ("started", "tenant", "feature set", "status", "rows", "MB", "file")
    keys = ("started_at", "tenant_id", "feature_set", "status", "row_count", "file_size_mb",
            "storage_path")  # fmt: skip
    table(columns, [[_shown(one, key) for key in keys] for one in found["exports"]])


@commands.command()
def verify(
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only exports of this tenant.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the files of exports with their checksums.

    Of the newest 10,000 exports those that completed and that no other replaced, on the machine
    that has the files, and in object storage. Ends with 1 if a file is missing, unreadable or
    changed.

    Example: ai-hub exports verify
    """
    from ai_hub.config import Settings
    from ai_hub.export.place import Places
    from ai_hub.export.verify import WRONG, to_verify
    from ai_hub.export.verify import verify as look

    settings = Settings.load()

    async def work() -> Document:
        async with opened(settings, None) as backend:
            return await backend.exports(tenant, _MOST_RECORDS)

    records = [one for one in asyncio.run(work())["exports"] if to_verify(one)]
    places, found = Places.of(settings), []
    with progress("Verifying", quiet=as_json, unit="files") as show:
        for done, record in enumerate(records):
            found.append(record | {"file": look(places, record)})
            show((done + 1) / len(records), done + 1)
    wrong = [one for one in found if one["file"] in WRONG]
    if as_json:
        document({"exports": found})
    else:
        for one in found:
            if one["file"] != "ok":
                say(f"{_near(one['storage_path'])}: {one['file']} ({one['export_id']})", "red")
        say(f"{counted(len(found), 'file')}, {len(wrong):,} of them wrong.")
    if wrong:
        raise typer.Exit(FAILED)
    if not found:
        nothing()


def _shown(record: Document, key: str) -> object:
    # Seconds are enough to tell exports apart.
    if key == "started_at":
        return record[key][:19].replace("T", " ") + "Z"
    return _near(record[key]) if key == "storage_path" and record[key] else record[key]


def _near(path: str) -> str:
    """A path as seen from the working directory where it is below it; a URL as it is."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
