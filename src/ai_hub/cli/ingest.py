"""Commands that bring data in: readings, weather, stations and attributes of assets."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import BAD_INPUT
from ai_hub.cli.finding import opened
from ai_hub.cli.options import Assets, Json, Tenant, Url, instant
from ai_hub.cli.output import counted, document, nothing, progress, say, table, tell
from ai_hub.cli.reading import with_flags
from ai_hub.errors import InvalidInput

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.config import Settings
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.pipeline import Land, Told
    from ai_hub.intake.result import IngestResult, Preview
    from ai_hub.intake.row_files import RowFile

File = Annotated[
    Path,
    typer.Argument(
        help="Text (CSV or the like), Parquet or a spreadsheet, also packed; - is standard input.",
        metavar="FILE",
    ),
]
FileTenant = Annotated[
    str | None,
    typer.Option("--tenant", metavar="ID", help="The tenant; needed unless a column names it."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Land nothing: show the first rows as they would land, what was found out about the "
        "file, and the command line that says it.",
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects", metavar="PATH", help="Write every rejected row with its reason, as CSV."
    ),
]
AllowRejects = Annotated[
    bool,
    typer.Option(
        "--allow-rejects", help="Exit with 0 even where more than half of the rows are rejected."
    ),
]
Bulk = Annotated[
    bool,
    typer.Option(
        "--bulk",
        help="For years of readings: sorted, a million rows at a time, and after a stop "
        "the same command goes on where it was. On PostgreSQL `ai-hub maintain` runs at the end.",
    ),
]
BookmarkPath = Annotated[
    Path | None,
    typer.Option(
        "--bookmark",
        metavar="PATH",
        help="With --bulk: the file that keeps how far it came, if not FILE.bookmark.",
    ),
]
_COMMANDS: Mapping[BatchKind, str] = {
    "observations": "ingest",
    "weather": "ingest-weather",
    "attributes": "ingest-attributes",
}


def ingest(
    file: File,
    tenant: FileTenant = None,
    dry_run: DryRun = False,
    rejects: Rejects = None,
    allow_rejects: AllowRejects = False,
    bulk: Bulk = False,
    bookmark: BookmarkPath = None,
    url: Url = None,
    as_json: Json = False,
    **options: object,
) -> None:
    """Land meter readings from a file.

    Columns timestamp, asset_id and value are needed; feature_type, quality and tenant_id are
    optional. Options map other names and say how the file is written, where it does not show.
    Sending a file again is safe.

    Example: ai-hub ingest load.csv --tenant acme --timestamp-column time --timezone Europe/Berlin
    """
    job = _Job("observations", file, tenant, options, dry_run, rejects, allow_rejects)
    if bookmark is not None and not bulk:
        raise InvalidInput("--bookmark", str(bookmark), "--bulk with it")
    if bulk and not dry_run:
        if rejects is not None:
            expected = "no --bulk beside it, or --dry-run, which writes them all too"
            raise InvalidInput("--rejects", str(rejects), expected)
        job = replace(job, bulk=True, bookmark=bookmark)
    _run(job, url, as_json)


def ingest_weather(
    file: File,
    tenant: FileTenant = None,
    dry_run: DryRun = False,
    rejects: Rejects = None,
    allow_rejects: AllowRejects = False,
    url: Url = None,
    as_json: Json = False,
    **options: object,
) -> None:
    """Land weather from a file.

    It is the weather of assets, or of stations that assets share (see weather-source). Columns
    timestamp, asset_id (of either) and at least one measurement are needed.

    Example: ai-hub ingest-weather jfk.csv --tenant acme --asset-id JFK --column temperature=temp
    """
    job = _Job("weather", file, tenant, options, dry_run, rejects, allow_rejects)
    _run(job, url, as_json)


def ingest_attributes(
    file: File,
    tenant: FileTenant = None,
    dry_run: DryRun = False,
    rejects: Rejects = None,
    allow_rejects: AllowRejects = False,
    url: Url = None,
    as_json: Json = False,
    **options: object,
) -> None:
    """Land attributes of assets from a file.

    An attribute is what an asset has besides readings: a capacity, an area, a timezone. Columns
    asset_id, key and value, or asset_id and one for each key; and optionally valid_from. Without it
    an asset's first value of a key holds always, a later one from now on.

    Example: ai-hub ingest-attributes meters.csv --tenant acme
    """
    job = _Job("attributes", file, tenant, options, dry_run, rejects, allow_rejects)
    _run(job, url, as_json)


def weather_source(
    tenant: Tenant,
    asset: Assets,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="STATION", help="The station to take weather from."),
    ] = None,
    none: Annotated[
        bool, typer.Option("--none", help="Instead of a station: back to weather of their own.")
    ] = False,
    valid_from: Annotated[
        str | None,
        typer.Option(
            "--valid-from",
            metavar="TIME",
            help="From when on, such as 2025-10-09T00:00:00Z. By default always for an asset's "
            "first station, and from now on for a later one.",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let assets share the weather of a station.

    Example: ai-hub weather-source --tenant acme --source JFK --asset meter-001 --asset meter-002
    """
    from ai_hub.config import Settings

    if (source is None) != none:
        raise InvalidInput("--source", source, "either --source or --none")
    request: Document = {"tenant_id": tenant, "source_id": source, "asset_ids": asset}
    if valid_from is not None:
        request["valid_from"] = instant(valid_from, "--valid-from", "up")

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.assign_weather_source(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    else:
        where = "rows of their own" if source is None else source
        say(
            f"{counted(found['assets'], 'asset')} of {tenant}: weather from {where} "
            f"({found['changed']:,} changed)."
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """A file, and what is to be done with it."""

    kind: BatchKind
    file: Path
    tenant_id: str | None
    options: Mapping[str, object]
    dry_run: bool
    rejects: Path | None
    allow_rejects: bool
    bulk: bool = False
    bookmark: Path | None = None


def _run(job: _Job, url: str | None, as_json: bool) -> None:
    acknowledged: list[IngestResult] = []
    try:
        with progress(job.file.name, quiet=as_json) as show:

            def told(result: IngestResult, fraction: float) -> None:
                acknowledged.append(result)
                show(fraction, result.rows)

            result = asyncio.run(_landed(job, url, told))
    except BaseException as error:
        if acknowledged and not job.dry_run:
            again = "Sending the file again is safe."
            if job.bulk:
                again = "The same command goes on behind them."
            tell(
                f"{counted(acknowledged[-1].accepted, 'row')} in "
                f"{counted(len(acknowledged), 'batch', 'batches')} of {job.file} were "
                f"acknowledged and are stored. {again}",
                style="yellow",
            )
        if isinstance(error, InvalidInput):
            raise with_flags(error, job.kind) from None
        raise
    if as_json:
        document(result.document())
    else:
        if result.preview is not None:
            _preview(job, result.preview)
        _report(job, result)
    if not (result.rows or job.bulk):
        nothing()
    if result.rejected > result.rows / 2 and not job.allow_rejects:
        raise typer.Exit(BAD_INPUT)


async def _landed(job: _Job, url: str | None, told: Told) -> IngestResult:
    from ai_hub.config import Settings
    from ai_hub.intake.pipeline import ingest_file
    from ai_hub.intake.rejects import rejects_into

    settings = Settings.load()
    # The file is looked at first: a wrong name is no reason to create a database.
    file = await asyncio.to_thread(_opened, job, settings)
    async with AsyncExitStack() as stack:
        check = None
        if job.rejects is not None:
            check = stack.enter_context(rejects_into(job.rejects, file, job.tenant_id))
        land: Land | None = None
        if not job.dry_run:
            backend = await stack.enter_async_context(opened(settings, url, "make"))

            async def land(batch: Batch) -> IngestResult:
                return await backend.land(batch, job.kind)

            if job.bulk:
                into = url or settings.database_name
                found = await _in_bulk(job, file, into, land, backend.in_chunks, told)
                if settings.on_server and url is None:
                    await _maintained(settings)
                return found
        return await ingest_file(file, job.tenant_id, land, told, check)


async def _in_bulk(
    job: _Job, file: RowFile, into: str, land: Land, in_chunks: bool, told: Told
) -> IngestResult:
    from ai_hub.intake.bookmark import Bookmark
    from ai_hub.intake.bulk import PART_ROWS, ingest_bulk
    from ai_hub.intake.pipeline import checker

    mark = Bookmark.of(job.file, job.bookmark, into, job.tenant_id, file.options.said)
    if done := mark.place.rows:
        tell(f"Going on behind the first {counted(done, 'row')} of {job.file} ({mark.path}).")
    check = checker(file, job.tenant_id)
    return await ingest_bulk(file.parts(PART_ROWS), check, land, mark, in_chunks, told)


async def _maintained(settings: Settings) -> None:
    """Compute the aggregates of what landed, which is stored whether that succeeds or not."""
    from ai_hub.administration import maintain
    from ai_hub.errors import StoreError

    try:
        await maintain(settings)
    except StoreError as error:
        tell(f"The rows are stored; `ai-hub maintain` is still to be run: {error}", style="yellow")


def _opened(job: _Job, settings: Settings) -> RowFile:
    from ai_hub.definitions.values import check_id
    from ai_hub.intake.bookmark import lasting
    from ai_hub.intake.read_options import ReadOptions
    from ai_hub.intake.row_files import row_file
    from ai_hub.intake.source import Source

    if job.tenant_id is not None:
        check_id("--tenant", job.tenant_id)
    if job.rejects is not None and _are_one(job.rejects, job.file):
        raise InvalidInput("--rejects", str(job.rejects), "another file than the one to read")
    if job.bulk:
        lasting(job.file)
    options = ReadOptions.of(job.kind, job.options, settings.valid_ranges)
    return row_file(Source.of_path(job.file), options, options.required(job.tenant_id))


def _are_one(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _preview(job: _Job, preview: Preview) -> None:
    from ai_hub.intake.options import as_command
    from ai_hub.intake.read_options import READ_OPTIONS

    if preview.rows:
        names = list(preview.rows[0])
        rows = [tuple(row[name] for name in names) for row in preview.rows]
        table(names, rows, "The first rows as they would land")
    for found in preview.detected:
        say(f"Found out: {found}")
    words = ["ai-hub", _COMMANDS[job.kind], str(job.file)]
    words += ["--tenant", job.tenant_id] if job.tenant_id is not None else []
    said = as_command(READ_OPTIONS[job.kind], preview.options)
    say(f"All of it said: {shlex.join(words)} {said}".rstrip())


def _report(job: _Job, result: IngestResult) -> None:
    style = "green" if result.accepted else "red"
    landed = "would be accepted" if result.preview is not None else "accepted"
    replaced = [f"{result.replaced:,} replaced older values"] if result.preview is None else []
    if result.duplicates:
        replaced.append(f"{result.duplicates:,} gave way to a later row of the same key")
    said = f" ({', '.join(replaced)})" if replaced else ""
    say(
        f"{job.file}: {counted(result.accepted, 'row')} {landed}{said}, "
        f"{result.rejected:,} rejected.",
        style=style,
    )
    for said in _remarks(result):
        tell(said, style="yellow")
    if result.aged:
        tell(
            f"Older than the database keeps such rows: {counted(result.aged, 'row')} (see "
            "AI_HUB_RETENTION_... and `ai-hub status`). They are stored, but `ai-hub maintain` "
            "will delete them after a notice period, unless retention is made longer.",
            style="yellow",
        )
    if result.reasons:
        title = f"Rejected rows (the first {len(result.reasons)}; rows count from 0)"
        rows = [(r.row, r.field, _as_it_came(r.value), r.why) for r in result.reasons]
        table(("row", "field", "value", "why"), rows, title, stderr=True)
        if job.rejects is not None:
            tell(f"All of them with their reasons: {job.rejects}")


def _remarks(result: IngestResult) -> Iterator[str]:
    """What there is to say of the rows taken, with the counts of cells taken as null."""
    named = {(remark.about, remark.field) for remark in result.remarks}
    for field, count in result.unreadable.items():
        if ("unreadable", field) not in named:
            yield f"{field}: {counted(count, 'cell')} that stand for null."
    counts = {"unreadable": result.unreadable, "outside": result.outside}
    for remark in result.remarks:
        cells = counts.get(remark.about, {}).get(remark.field)
        yield remark.text if cells is None else f"{remark.text} ({counted(cells, 'cell')})"


def _as_it_came(value: object) -> str:
    return "null" if value is None else str(value)
