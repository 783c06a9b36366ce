"""Commands that bring data in: `ingest`, `ingest-weather` and `weather-source`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import BAD_INPUT
from ai_hub.cli.options import Assets, Json, Tenant, Url
from ai_hub.cli.output import counted, document, progress, say, table, tell

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document, Fate, Kind
    from ai_hub.cli.output import Progress
    from ai_hub.intake.batch import Batch

_Check = Callable[[Any, str | None, int], "Batch"]
_OPTIONS = {
    "timestamp": "--timestamp-column",
    "asset_id": "--asset-column or --asset-id",
    "tenant_id": "--tenant-column or --tenant",
    "value": "--value-column",
    "weather": "--column",
}
"""What helps where a column is not there."""

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
    typer.Option("--asset-id", metavar="ID", help="The asset of every row, if no column says it."),
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
            "--feature-type", metavar="NAME", help="The series of every row, if no column says it."
        ),
    ] = None,
    timezone: Timezone = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Land meter readings from a CSV or Parquet file.

    Columns timestamp, asset_id and value are needed, feature_type, quality and tenant_id are
    taken if there; options map other names. Sending a file again is safe.

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
    source: Annotated[
        str, typer.Option("--source", metavar="STATION", help="The station to take weather from.")
    ],
    asset: Assets,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let assets share the weather of a station.

    Example: ai-hub weather-source --tenant acme --source JFK --asset meter-001 --asset meter-002
    """
    from ai_hub.cli.finding import opened
    from ai_hub.config import Settings

    request = {"tenant_id": tenant, "source_id": source, "asset_ids": asset}

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.assign_weather_source(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    else:
        say(
            f"{counted(found['assets'], 'asset')} of {tenant}: weather from {source} "
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
        from ai_hub.errors import InvalidInput

        for name, value in self.constants.items():
            if name in part.column_names:
                option = "--" + name.replace("_", "-")
                expected = f"no such option for a file with a column of it ({name})"
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
    from ai_hub.errors import InvalidInput

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


@dataclass(slots=True)
class _Counts:
    """What became of a file's rows so far."""

    accepted: int = 0
    replaced: int = 0
    unchanged: int = 0
    rejected: int = 0
    aged: int = 0
    batches: int = 0
    reasons: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows dealt with."""
        return self.accepted + self.rejected

    def add(self, batch: Batch, fate: Fate) -> None:
        """Count a batch that was acknowledged."""
        from ai_hub.intake.batch import MAX_REASONS

        self.accepted += batch.accepted
        self.replaced += fate.replaced
        self.unchanged += fate.unchanged
        self.aged += fate.aged
        self.rejected += batch.rejected
        self.batches += 1
        more = ({"row": r.row, "field": r.field, "value": r.value, "why": r.why}
                for r in batch.reasons)  # fmt: skip
        self.reasons = [*self.reasons, *more][:MAX_REASONS]

    def document(self) -> dict[str, Any]:
        """The counts as the HTTP route gives them."""
        return {
            "accepted": self.accepted,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "aged": self.aged,
            "reasons": self.reasons,
        }


def _run(source: _Source, kind: Kind, url: str | None, as_json: bool) -> None:
    counts = _Counts()
    try:
        with progress(source.file.name, quiet=as_json) as show:
            asyncio.run(_land(source, kind, url, counts, show))
    except BaseException:
        if counts.batches:
            tell(
                f"{counted(counts.accepted, 'row')} in "
                f"{counted(counts.batches, 'batch', 'batches')} of {source.file} were "
                "acknowledged and are stored. Sending the file again is safe.",
                style="yellow",
            )
        raise
    if as_json:
        document(counts.document())
    else:
        _report(source.file, counts)
    if counts.rejected and not counts.accepted:
        raise typer.Exit(BAD_INPUT)


async def _land(
    source: _Source, kind: Kind, url: str | None, counts: _Counts, show: Progress
) -> None:
    from ai_hub.cli.finding import opened
    from ai_hub.config import Settings
    from ai_hub.intake.checks import check_observations, check_weather
    from ai_hub.intake.files import read_file
    from ai_hub.intake.pipeline import landing

    check: _Check = check_observations if kind == "observations" else check_weather
    parts = read_file(source.file, source.columns, source.timezone)
    # The file is looked at first: a wrong name is no reason to create a database.
    first = await asyncio.to_thread(next, parts, None)
    fractions: list[float] = []

    def batches() -> Iterator[Batch]:
        done = 0
        for rows, fraction in chain(() if first is None else (first,), parts):
            batch = _checked(check, source, rows, done)
            done += batch.sent
            fractions.append(fraction)
            yield batch

    async with opened(Settings.load(), url) as backend:
        async for batch, fate in landing(batches(), lambda batch: backend.land(batch, kind)):
            counts.add(batch, fate)
            show(fractions[counts.batches - 1], counts.rows)


def _checked(check: _Check, source: _Source, rows: Any, first: int) -> Batch:
    from ai_hub.errors import InvalidInput

    try:
        return check(source.complete(rows), source.tenant_id, first)
    except InvalidInput as error:
        option = _OPTIONS.get(error.field)
        if option is None:
            raise
        hint = f"Say what stands for it with {option}."
        raise InvalidInput(error.field, error.value, error.expected, hint) from None


def _report(file: Path, counts: _Counts) -> None:
    style = "green" if counts.accepted else "red"
    say(
        f"{file}: {counted(counts.accepted, 'row')} accepted ({counts.replaced:,} replaced older "
        f"values), {counts.rejected:,} rejected.",
        style=style,
    )
    if counts.aged:
        tell(
            f"Already older than the database keeps such rows: {counted(counts.aged, 'row')} (see "
            "AI_HUB_RETENTION_... and `ai-hub status`). They are stored, and `ai-hub maintain` "
            "will delete them after a notice period, unless you keep them longer.",
            style="yellow",
        )
    if counts.reasons:
        title = f"Rejected rows (the first {len(counts.reasons)}; rows count from 0)"
        rows = [(r["row"], r["field"], r["value"], r["why"]) for r in counts.reasons]
        table(("row", "field", "value", "why"), rows, title, stderr=True)
