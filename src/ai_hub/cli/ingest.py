"""Commands that bring data in: `ingest`, `ingest-weather` and `weather-source`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import BAD_INPUT
from ai_hub.cli.finding import opened
from ai_hub.cli.options import Assets, Json, Tenant, Url, instant
from ai_hub.cli.output import counted, document, progress, say, table, tell
from ai_hub.errors import InvalidInput

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.pipeline import Told
    from ai_hub.intake.result import IngestResult

_OPTIONS = {
    "timestamp": "--timestamp-column",
    "asset_id": "--asset-column or --asset-id",
    "tenant_id": "--tenant-column or --tenant",
    "value": "--value-column",
    "weather": "--column",
}
"""The options that help where a column is missing."""

File = Annotated[
    Path,
    typer.Argument(help="A .csv, .tsv (both also .gz), .parquet or .pq file.", metavar="FILE"),
]
FileTenant = Annotated[
    str | None,
    typer.Option("--tenant", metavar="ID", help="The tenant; needed unless a column names it."),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="The zone of times that have no offset, such as Europe/Berlin.",
    ),
]
AssetId = Annotated[
    str | None,
    typer.Option("--asset-id", metavar="ID", help="The asset of every row, if no column names it."),
]


def _column_option(option: str, what: str) -> Any:
    return typer.Option(option, metavar="NAME", help=f"The file's column with {what}.")


TimestampColumn = Annotated[str | None, _column_option("--timestamp-column", "the times")]
AssetColumn = Annotated[str | None, _column_option("--asset-column", "the asset ids")]
TenantColumn = Annotated[str | None, _column_option("--tenant-column", "the tenants")]


def ingest(
    file: File,
    tenant: FileTenant = None,
    timestamp_column: TimestampColumn = None,
    asset_column: AssetColumn = None,
    value_column: Annotated[str | None, _column_option("--value-column", "the readings")] = None,
    feature_type_column: Annotated[
        str | None, _column_option("--feature-type-column", "the names of the series")
    ] = None,
    quality_column: Annotated[
        str | None, _column_option("--quality-column", "the quality (below 1: not to be used)")
    ] = None,
    tenant_column: TenantColumn = None,
    asset_id: AssetId = None,
    feature_type: Annotated[
        str | None,
        typer.Option(
            "--feature-type", metavar="NAME", help="The series of every row, if no column names it."
        ),
    ] = None,
    timezone: Timezone = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Land meter readings from a CSV or Parquet file.

    Columns timestamp, asset_id and value are needed; feature_type, quality and tenant_id are
    optional. Options map other names. Sending a file again is safe.

    Example: ai-hub ingest load.csv --tenant acme --timestamp-column time --timezone Europe/Berlin
    """
    columns = {
        "timestamp": timestamp_column,
        "asset_id": asset_column,
        "tenant_id": tenant_column,
        "value": value_column,
        "feature_type": feature_type_column,
        "quality": quality_column,
    }
    constants = {"asset_id": asset_id, "feature_type": feature_type}
    source = _source(file, columns, constants, timezone, tenant)
    _run(source, "observations", url, as_json)


def ingest_weather(
    file: File,
    tenant: FileTenant = None,
    timestamp_column: TimestampColumn = None,
    asset_column: AssetColumn = None,
    issued_at_column: Annotated[
        str | None, _column_option("--issued-at-column", "the issue times of forecasts")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="OURS=NAME",
            help="The file's name of one of our columns, such as temperature=temp; repeatable. "
            "Ours: temperature (°C), humidity (%), solar_irradiance (W/m²), wind_speed (m/s), "
            "cloud_cover (%), precipitation (mm).",
        ),
    ] = None,
    tenant_column: TenantColumn = None,
    asset_id: AssetId = None,
    timezone: Timezone = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Land weather from a CSV or Parquet file.

    It is the weather of assets, or of stations that assets share (see weather-source). Columns
    timestamp, asset_id (of either) and at least one measurement are needed.

    Example: ai-hub ingest-weather jfk.csv --tenant acme --asset-id JFK --column temperature=temp
    """
    columns: dict[str, str | None] = {
        "timestamp": timestamp_column,
        "asset_id": asset_column,
        "tenant_id": tenant_column,
        "issued_at": issued_at_column,
        **_measurements(column or ()),
    }
    source = _source(file, columns, {"asset_id": asset_id}, timezone, tenant)
    _run(source, "weather", url, as_json)


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
class _Source:
    """A file and how to read it; `constants` are columns that it does not have."""

    file: Path
    columns: Mapping[str, str]
    constants: Mapping[str, str]
    timezone: str | None
    tenant_id: str | None

    def complete(self, part: Any) -> Any:
        """A part of the file with the columns that options gave."""

        for name, value in self.constants.items():
            if name in part.column_names:
                option = "--" + name.replace("_", "-")
                expected = f"no such option for a file that has a column {name}"
                raise InvalidInput(option, value, expected)
            part = part.append_column(name, [[value] * part.num_rows])
        return part


def _source(
    file: Path,
    columns: Mapping[str, str | None],
    constants: Mapping[str, str | None],
    timezone: str | None,
    tenant_id: str | None,
) -> _Source:
    from ai_hub.definitions.values import MAX_ID_LENGTH, MAX_SERIES_LENGTH, check_id

    given = {name: value for name, value in constants.items() if value is not None}
    for name, value in given.items():
        limit = MAX_SERIES_LENGTH if name == "feature_type" else MAX_ID_LENGTH
        check_id("--" + name.replace("_", "-"), value, limit)
    if tenant_id is not None:
        check_id("--tenant", tenant_id)
    mapped = {name: theirs for name, theirs in columns.items() if theirs is not None}
    return _Source(file, mapped, given, timezone, tenant_id)


def _measurements(texts: list[str] | tuple[()]) -> dict[str, str | None]:
    from ai_hub.definitions.kinds import WEATHER_COLUMNS

    found: dict[str, str | None] = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if ours not in WEATHER_COLUMNS or not equals or not theirs:
            expected = f"OURS=NAME with one of {', '.join(WEATHER_COLUMNS)}"
            raise InvalidInput("--column", text, expected)
        if ours in found:
            raise InvalidInput("--column", text, f"{ours} once")
        found[ours] = theirs
    return found


def _run(source: _Source, kind: BatchKind, url: str | None, as_json: bool) -> None:
    acknowledged: list[IngestResult] = []
    try:
        with progress(source.file.name, quiet=as_json) as show:

            def told(result: IngestResult, fraction: float) -> None:
                acknowledged.append(result)
                show(fraction, result.rows)

            result = asyncio.run(_land(source, kind, url, told))
    except BaseException:
        if acknowledged:
            tell(
                f"{counted(acknowledged[-1].accepted, 'row')} in "
                f"{counted(len(acknowledged), 'batch', 'batches')} of {source.file} were "
                "acknowledged and are stored. Sending the file again is safe.",
                style="yellow",
            )
        raise
    if as_json:
        document(result.document())
    else:
        _report(source.file, result)
    if result.rejected and not result.accepted:
        raise typer.Exit(BAD_INPUT)


async def _land(source: _Source, kind: BatchKind, url: str | None, told: Told) -> IngestResult:
    from ai_hub.config import Settings
    from ai_hub.intake.files import read_file
    from ai_hub.intake.pipeline import ingest_parts

    parts = read_file(source.file, source.columns, source.timezone)
    # The file is looked at first: a wrong name is no reason to create a database.
    first = await asyncio.to_thread(next, parts)
    async with opened(Settings.load(), url) as backend:
        return await ingest_parts(
            chain((first,), parts),
            partial(_checked, source, kind),
            lambda batch: backend.land(batch, kind),
            told,
        )


def _checked(source: _Source, kind: BatchKind, rows: Any, first: int) -> Batch:
    from ai_hub.intake.checks import check_rows

    try:
        return check_rows(kind, source.complete(rows), source.tenant_id, first)
    except InvalidInput as error:
        option = _OPTIONS.get(error.field)
        if option is None:
            raise
        hint = f"Name it with {option}."
        raise InvalidInput(error.field, error.value, error.expected, hint) from None


def _report(file: Path, result: IngestResult) -> None:
    style = "green" if result.accepted else "red"
    say(
        f"{file}: {counted(result.accepted, 'row')} accepted ({result.replaced:,} replaced older "
        f"values), {result.rejected:,} rejected.",
        style=style,
    )
    if result.aged:
        tell(
            f"Older than the database keeps such rows: {counted(result.aged, 'row')} (see "
            "AI_HUB_RETENTION_... and `ai-hub status`). They are stored, but `ai-hub maintain` "
            "will delete them after a notice period, unless retention is made longer.",
            style="yellow",
        )
    if result.reasons:
        title = f"Rejected rows (the first {len(result.reasons)}; rows count from 0)"
        rows = [(r.row, r.field, r.value, r.why) for r in result.reasons]
        table(("row", "field", "value", "why"), rows, title, stderr=True)
