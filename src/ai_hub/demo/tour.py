"""The demo as a person takes it: fill a database, export, ask for a vector, serve."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from ai_hub.config import Settings, masked
from ai_hub.definitions.values import HOUR, iso, to_datetime
from ai_hub.demo.data import STATIONS, load, meter_ids, station_of, weather
from ai_hub.errors import ConfigError, InvalidInput
from ai_hub.feature_store import FeatureStore

TENANT = "demo"
FEATURE_SET = "forecast_advanced"


@dataclass(frozen=True, slots=True)
class Tour:
    """What the demo made: a program gets it as JSON."""

    database: str
    tenant_id: str
    meters: int
    readings: int
    weather_rows: int
    export: dict[str, Any]
    asset_id: str
    features: dict[str, Any]
    missing: list[str]
    timestamp: str


async def fill(settings: Settings, meters: int, days: int, say: Console) -> Tour:
    """Ingest the data, export a training set and ask for a first vector."""
    path = settings.database_path
    is_new = path is not None and not path.exists()
    async with FeatureStore(settings) as store:
        if is_new:
            say.print(f"Created {path}, an empty database.", style="dim")
        now = store.now()
        hour = now - now % HOUR
        with _step(say, f"{meters} meters, {days} days of hourly load"):
            readings = await store.ingest(load(meters, days, hour), TENANT)
        with _step(say, f"The weather of {len(STATIONS)} stations"):
            rows = await store.ingest_weather(weather(days, hour), TENANT)
            for station, assets in station_of(meters).items():
                await store.assign_weather_source(
                    tenant_id=TENANT, source_id=station, asset_ids=assets
                )
        with _step(say, f"A training set of {FEATURE_SET}, what to learn 24 hours ahead"):
            export = await store.export_features_to_parquet(
                TENANT,
                FEATURE_SET,
                to_datetime(hour - days * 24 * HOUR),
                to_datetime(hour),
                output_path=settings.export_root / f"demo_{FEATURE_SET}.parquet",
                horizons=["24h"],
            )
        asset_id = meter_ids(1)[0]
        answer = await store.get(tenant_id=TENANT, asset_id=asset_id, feature_set=FEATURE_SET)
        return Tour(
            settings.database_url,
            TENANT,
            meters,
            readings.accepted,
            rows.accepted,
            export,
            asset_id,
            answer.features,
            list(answer.missing),
            iso(now - now % settings.granularity.step.micros),
        )


def run(
    settings: Settings, meters: int, days: int, serving: bool = True, as_json: bool = False
) -> None:
    """Fill the demo database, show what is in it and, if `serving`, serve it."""
    say = Console(stderr=as_json, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if settings.database_path is None:
        expected = "a file, such as duckdb:///demo.duckdb: the server opens it after the demo"
        raise InvalidInput("database", masked(settings.database_url), expected)
    if serving:
        _check_port(settings)
    tour = asyncio.run(fill(settings, meters, days, say))
    _show(tour, say)
    if as_json:
        Console(highlight=False).print_json(data=asdict(tour))
    if serving:
        from ai_hub.http import serve

        serve(settings, lambda: _invite(settings, say))


def _check_port(settings: Settings) -> None:
    """Before the work is done: whether the server will be able to listen."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigError(
            f"port: got {settings.port} on {settings.host}, expected one that is free "
            f"({error.strerror}). Choose another with --port."
        ) from error


@contextmanager
def _step(say: Console, what: str) -> Iterator[None]:
    started = perf_counter()
    yield
    say.print(f"{what}: {perf_counter() - started:.1f} s")


def _show(tour: Tour, say: Console) -> None:
    export = tour.export
    say.print(f"{tour.readings:,} readings and {tour.weather_rows:,} weather rows are stored.")
    say.print(
        f"{export['storage_path']}: {export['row_count']:,} rows, {export['file_size_mb']:.1f} MB"
    )
    say.print(f"\n{tour.asset_id}, {FEATURE_SET} as of {tour.timestamp}:", style="bold")
    drawn = Table()
    drawn.add_column("feature")
    drawn.add_column("value", justify="right")
    for name, value in tour.features.items():
        shown = f"{value:,.3f}" if isinstance(value, float) else str(value)
        drawn.add_row(name, f"{shown} (filled)" if name in tour.missing else shown)
    say.print(drawn, soft_wrap=False)


def _invite(settings: Settings, say: Console) -> None:
    url = f"http://{settings.host}:{settings.port}"
    json = "-H 'Content-Type: application/json'"
    one = f'{{"tenant_id": "{TENANT}", "asset_id": "meter-001", "feature_set": "{FEATURE_SET}"}}'
    two = (
        f'{{"tenant_id": "{TENANT}", "asset_ids": ["meter-001", "meter-002"], '
        '"feature_set": "anomaly_detection"}'
    )
    say.print(f"\nServing on {url} (API: {url}/docs). Ctrl-C stops. Try:\n")
    for line in (
        f"curl -X POST {url}/ai/features/get {json} -d '{one}'",
        f"curl -X POST {url}/ai/features/batch {json} -d '{two}'",
        f"curl {url}/ai/features/sets",
        f"curl '{url}/ai/features/exports?tenant_id={TENANT}'",
    ):
        say.print(line)
