"""The bulk read on real servers: whatever its parts, it is what is stored, once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import asyncpg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.config import Settings
from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    HOUR,
    id_fault,
    parse_time,
    to_datetime,
)
from ai_hub.errors import NotMigrated, StoreRefused, StoreUnavailable
from ai_hub.stores import chunks
from ai_hub.stores.base import Chunk, ScanRequest
from ai_hub.stores.postgres import grouped_rows, scan_part, scan_sql
from ai_hub.stores.postgres import scan as scans
from ai_hub.stores.postgres import snapshot as snapshots
from ai_hub.stores.postgres.scan import scan_chunks
from ai_hub.stores.postgres.snapshot import Snapshot
from ai_hub.stores.weather_sources import source_at
from servers import Server, apart, server

T = parse_time("2025-03-29T12:00:00Z")
SPAN = 40 * DAY
TENANT = 'it\'s a \\ 100% "tenant"; --'
ASSETS = (
    "meter-001", "it's", "a\\'b\\", '"; --', "{a,b}", "NULL", "$1", "%s_", "ä€😀", "A b", "a b",
    "\ufffd", "\U00010000", "x" * 256,
)  # fmt: skip
SERIES = ("value", "lo'ad\\", "price")
COLUMNS = ("temperature", "humidity")

Observed = tuple[str, str, int, float]
Known = tuple[str, int, int, float | None, float | None]


@dataclass(frozen=True)
class Stored:
    """A database and what is in it of the tenant."""

    url: str
    observations: tuple[Observed, ...]
    weather: tuple[Known, ...]
    mappings: dict[str, list[tuple[int, str | None]]]

    def series(self, name: str, asset: str, first: int, last: int) -> list[tuple[int, float]]:
        return sorted(
            (at, value)
            for series, owner, at, value in self.observations
            if (series, owner) == (name, asset) and first <= at <= last
        )

    def source_at(self, asset: str, t: int) -> str:
        return source_at(asset, self.mappings.get(asset, ()), t)

    def known(self, source: str, first: int, last: int) -> list[tuple[Any, ...]]:
        rows = [row[1:] for row in self.weather if row[0] == source]
        return sorted(
            (at, issued, *values)
            for at, issued, *values in rows
            if first <= at <= last and issued <= last
        )


def made() -> tuple[list[Observed], list[Known], dict[str, list[tuple[int, str | None]]]]:
    random = np.random.default_rng(5)
    observations: list[Observed] = []
    for asset in ASSETS:
        for name in SERIES:
            n = 300 if asset == "it's" else int(random.integers(0, 12))
            for at in random.choice(SPAN // HOUR, n, replace=False).tolist():
                observations.append((name, asset, T + at * HOUR, float(random.normal())))
    # Both sides of what a read may reach.
    for name in SERIES:
        for at in (T - 1, T, T + 1, T + SPAN - 1, T + SPAN, T + SPAN + 1):
            observations.append((name, "edges", at, 1.0))
    sources = dict.fromkeys(ASSETS[:9:2], "station's \\") | {"A b": "a b", "edges": "x"}
    mappings: dict[str, list[tuple[int, str | None]]] = {
        # One later than the first instant, for which this driver would write "-infinity".
        asset: [(FIRST_INSTANT + 1, source)]
        for asset, source in sources.items()
    }
    changes = [(T + 3 * DAY, "x"), (T + 9 * DAY + 1, None), (T + 9 * DAY + 2, "a b")]
    for asset in ("it's", "A b", ASSETS[3]):
        mappings.setdefault(asset, []).extend([*changes, (T + 21 * DAY, "station's \\")])
    weather: list[Known] = []
    for source in {*sources.values(), *ASSETS}:
        for at in random.choice(SPAN // HOUR, 20, replace=False).tolist():
            for early in random.choice(48, 3, replace=False).tolist():
                weather.append(
                    (source, T + at * HOUR, T + (at - early) * HOUR, float(early), None)
                    if early % 2
                    else (source, T + at * HOUR, T + (at - early) * HOUR, None, float(at))
                )
    return observations, weather, mappings


async def fill(
    url: str,
    observations: Sequence[Observed],
    weather: Sequence[Known],
    mappings: dict[str, list[tuple[int, str | None]]],
) -> None:
    connection = await asyncpg.connect(url)
    try:
        for tenant in (TENANT, "another"):
            other = tenant != TENANT
            await connection.copy_records_to_table(
                "ai_features",
                columns=("tenant_id", "feature_type", "asset_id", "timestamp", "value"),
                records=[(tenant, name, asset, to_datetime(at), value + other)
                         for name, asset, at, value in observations],
            )  # fmt: skip
            await connection.copy_records_to_table(
                "weather_features",
                columns=("tenant_id", "asset_id", "timestamp", "issued_at", *COLUMNS),
                records=[(tenant, asset, to_datetime(at), to_datetime(issued), *values)
                         for asset, at, issued, *values in weather],
            )  # fmt: skip
            await connection.copy_records_to_table(
                "asset_weather_source",
                columns=("tenant_id", "asset_id", "valid_from", "source_id"),
                records=[
                    (tenant, asset, to_datetime(since), "x" if other else source)
                    for asset, mine in mappings.items()
                    for since, source in mine
                ],
            )
    finally:
        await connection.close()


def kind(name: str, marker: str, *more: str) -> Any:
    marks = [getattr(pytest.mark, marker)] + [pytest.mark.long] * (name == "apache")
    return pytest.param((name, *more), id="-".join((name, *more)), marks=marks)


@pytest.fixture(
    scope="module",
    params=[
        kind("plain", "postgresql"),
        kind("timescaledb", "timescaledb"),
        kind("timescaledb", "timescaledb", "columnstore"),
        kind("apache", "timescaledb"),
    ],
)
def stored(request: pytest.FixtureRequest, installation: object) -> Iterator[Stored]:
    where, *how = request.param
    on = server(where)
    url = on.fresh()
    rows = made()
    apart(fill(url, *rows))
    database = url.rpartition("/")[2]
    if how:
        for table in ("ai_features", "weather_features"):
            on.sql(f"SELECT compress_chunk(c) FROM show_chunks('{table}') c", database)
    # What a database or a role may be set to without any effect here.
    for setting in ("standard_conforming_strings = off", "timezone = 'Europe/Berlin'",
                    "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'"):  # fmt: skip
        on.sql(f'ALTER DATABASE "{database}" SET {setting}')
    yield Stored(url, tuple(rows[0]), tuple(rows[1]), rows[2])
    on.discard(url)


@pytest.fixture(scope="module")
def plain(installation: object) -> Server:
    return server("plain")


PARTS: dict[str, list[tuple[Any, str, int]]] = {
    "whole": [],
    "pieces": [(grouped_rows, "_PIECE_ROWS", 50), (snapshots, "_BATCH_BYTES", 1_000)],
    "blocks": [(scan_part, "BLOCK_ROWS", 40), (chunks, "CHUNK_ROWS", 7)],
    "groups": [(scans, "_PART_BYTES", 18_000)],
    "spans": [
        (scans, "_PART_BYTES", 1_000), (scans, "_STEPS", 7),
        (chunks, "CHUNK_ROWS", 5), (scan_part, "BLOCK_ROWS", 10),
    ],
}  # fmt: skip


@pytest.fixture(params=PARTS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for module, name, value in PARTS[request.param]:
        monkeypatch.setattr(module, name, value)
    return str(request.param)


def settings_of(url: str) -> Settings:
    return Settings(database_url=url, export_jobs=1)


def asked(**how: Any) -> ScanRequest:
    plain = ScanRequest(TENANT, None, T, T + SPAN, ("value",), (), 0, 0)
    return replace(plain, **how)


REQUESTS = {
    "one series": asked(),
    "reaching back and ahead": asked(
        start=T + 10 * DAY + 1, end=T + 20 * DAY, lookback=3 * DAY, lookahead=DAY + 1
    ),
    "series and weather": asked(
        start=T + DAY, series=SERIES, weather=COLUMNS, lookback=HOUR, weather_lookback=2 * DAY
    ),
    "weather in another order": asked(weather=COLUMNS[::-1], series=()),
    "some assets": asked(
        asset_ids=("x" * 256, "nobody", "A b", "ä€😀", "it's", "it's"), series=SERIES[:2],
        weather=COLUMNS[:1], weather_lookback=DAY,
    ),
    "one asset": asked(asset_ids=("it's",), weather=COLUMNS),
    "an unknown asset": asked(asset_ids=("nobody",), weather=COLUMNS),
    "an unknown series": asked(series=("nothing", "value")),
    "an instant": asked(start=T + SPAN, end=T + SPAN, lookback=1, lookahead=1),
    "all times there are": asked(
        start=parse_time("0001-01-01T00:00:00Z"), end=parse_time("9999-12-31T23:59:59.999999Z"),
        lookback=7 * DAY, lookahead=DAY, weather=COLUMNS, weather_lookback=DAY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_a_scan_is_what_is_stored(
    stored: Stored, way: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = REQUESTS[name]
    reads: list[scan_sql.Query] = []
    word = scan_sql.weather
    monkeypatch.setattr(scan_sql, "weather", lambda *how: reads.append(word(*how)) or reads[-1])
    found = list(scan_chunks(settings_of(stored.url), request))
    spans: dict[str, list[tuple[int, int]]] = {}
    for chunk in found:
        check(chunk, stored, request)
        for asset in chunk.asset_ids:
            spans.setdefault(asset, []).append((chunk.start, chunk.end))
    # Ascending by code point, every asset once for every time.
    assert list(spans) == sorted(spans)
    reach = (request.start - request.lookback, request.end + request.lookahead)
    observed = {
        asset
        for series, asset, at, _ in stored.observations
        if series in request.series and reach[0] <= at <= reach[1]
    }
    assert set(spans) == (observed if request.asset_ids is None else set(request.asset_ids))
    for parted in spans.values():
        assert parted[0][0] == request.start
        assert parted[-1][1] == request.end
        assert all(end + 1 == start for (_, end), (start, _) in pairwise(parted))
    if name == "series and weather":
        least = {"whole": 1, "pieces": 1, "blocks": 1, "groups": 3, "spans": 60}[way]
        # One more is for the estimate.
        assert least < len(reads) <= least * 4


def check(chunk: Chunk, stored: Stored, request: ScanRequest) -> None:
    """All rows that a chunk's times need, in order, and the weather of each asset's source."""
    reach = (chunk.start - request.lookback, chunk.end + request.lookahead)
    assert list(chunk.history.series) == list(request.series)
    for name, series in chunk.history.series.items():
        held = zip(series.code.tolist(), series.time.tolist(), series.value.tolist(), strict=True)
        assert list(held) == [
            (code, at, value)
            for code, asset in enumerate(chunk.asset_ids)
            for at, value in stored.series(name, asset, *reach)
        ]
        assert (series.code.dtype, series.time.dtype, series.value.dtype) == (
            np.int64, np.int64, np.float64,
        )  # fmt: skip
    weather = chunk.history.weather
    assert (weather is None) == (not request.weather)
    if weather is None:
        return
    assert list(weather.columns) == list(request.weather)
    keys = list(zip(weather.code, weather.time, weather.issued, strict=True))
    assert keys == sorted(keys)
    places = [COLUMNS.index(name) for name in request.weather]
    for code, asset in enumerate(chunk.asset_ids):
        mine = np.flatnonzero(weather.source_of.entity == code)
        since = weather.source_of.since[mine]
        assert (np.diff(since) > 0).all()
        beside = {t + shift for t in since.tolist() for shift in (-1, 0)}
        for t in {chunk.start, chunk.end} | {t for t in beside if chunk.start <= t <= chunk.end}:
            row = mine[max(np.searchsorted(since, t, "right") - 1, 0)]
            own = np.flatnonzero(weather.code == weather.source_of.source[row])
            columns = [np.where(np.isnan(c), None, c)[own] for c in weather.columns.values()]
            rows = set(zip(weather.time[own].tolist(), weather.issued[own].tolist(), *columns,
                           strict=True))  # fmt: skip
            assert len(rows) == len(own)

            def known(first: int, last: int, source: str) -> set[tuple[Any, ...]]:
                return {
                    (at, issued, *(values[place] for place in places))
                    for at, issued, *values in stored.known(source, first, last)
                }

            source = stored.source_at(asset, t)
            # A part of a long asset may have all of the request's weather.
            back = request.weather_lookback
            assert rows >= known(chunk.start - back, chunk.end, source)
            assert rows <= known(request.start - back, request.end, source)


def test_what_was_guessed_too_small_is_counted_instead(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = REQUESTS["series and weather"]
    found: list[tuple[str, ...]] = []
    for module, name, size in PARTS["groups"]:
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(Snapshot, "estimate", lambda self, query: 1)
    monkeypatch.setattr(snapshots, "_BATCH_BYTES", 1_000)
    for chunk in scan_chunks(settings_of(stored.url), request):
        check(chunk, stored, request)
        found.append(chunk.asset_ids)
    assert len(found) > 1
    assert {asset for group in found for asset in group} == {*ASSETS, "edges"}


def test_other_databases_settings_leave_text_as_it_is(stored: Stored) -> None:
    with_all = st.text(min_size=1, max_size=30).filter(lambda text: id_fault(text) is None)
    snapshot = Snapshot(settings_of(stored.url))

    @given(st.lists(with_all, min_size=1, max_size=5))
    def example(texts: list[str]) -> None:
        words = ", ".join(map(scan_sql.literal, texts))
        ((*found, listed),) = snapshot.rows(f"SELECT {words}, {scan_sql.literals(texts)}")
        assert found == texts
        assert listed == texts
        ids = scan_sql.among(texts).given | scan_sql.between(texts[0], texts[-1]).given
        query = scan_sql.Query(
            "SELECT ai_hub_given('first_asset'), ai_hub_given('last_asset'), "
            "ai_hub_given_texts('assets')",
            ids,
        )
        assert list(snapshot.rows(query)) == [(texts[0], texts[-1], texts)]

    try:
        example()
        session = "standard_conforming_strings", "TimeZone", "jit", "transaction_isolation"
        shown = ", ".join(f"current_setting('{name}')" for name in session)
        assert list(snapshot.rows(f"SELECT {shown}")) == [("on", "UTC", "off", "repeatable read")]
    finally:
        snapshot.close()


@given(st.integers(-(10**18), 10**18))
def test_instants_are_written_to_the_microsecond(at: int) -> None:
    first, last = parse_time("0001-01-01T00:00:00Z"), parse_time("9999-12-31T23:59:59.999999Z")
    assert parse_time(scan_sql.instant(at)) == min(max(at, first), last)


def many(on: Server, rows: int) -> str:
    """A database in which one asset has many rows."""
    url = on.fresh()
    on.sql(
        "INSERT INTO ai_features (timestamp, tenant_id, asset_id, value) SELECT "
        f"timestamptz '2025-01-01Z' + i * interval '1 minute', 't', 'a' || i % 3, i "
        f"FROM generate_series(1, {rows}) i",
        url.rpartition("/")[2],
    )
    return url


LONG = ScanRequest(
    "t", None, parse_time("2025-01-01T00:00:00Z"), parse_time("2026-01-01T00:00:00Z"),
    ("value",), (), 0, 0,
)  # fmt: skip


@pytest.mark.postgresql
@pytest.mark.usefixtures("way")
def test_nothing_written_meanwhile_is_seen(plain: Server) -> None:
    url = many(plain, 900)
    scan = scan_chunks(settings_of(url), LONG)
    first = next(scan)
    plain.sql("UPDATE ai_features SET value = -1", url.rpartition("/")[2])
    plain.sql("DELETE FROM ai_features WHERE asset_id = 'a2'", url.rpartition("/")[2])
    values = [chunk.history.series["value"].value for chunk in (first, *scan)]
    assert sorted(np.concatenate(values).tolist()) == [float(i) for i in range(1, 901)]
    plain.discard(url)


def end_sessions(on: Server, url: str) -> None:
    (count,) = on.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname = '{url.rpartition('/')[2]}'"
    )
    assert count[0] == 1


@pytest.mark.postgresql
def test_a_connection_lost_in_the_middle_of_a_stream(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = many(plain, 600_000)
    read = Snapshot.batches

    def batches(
        self: Snapshot, query: str | scan_sql.Query, stream: bool = True
    ) -> Generator[Any, None, None]:
        text = query if isinstance(query, str) else query.text
        for place, batch in enumerate(read(self, query, stream)):
            if text.startswith("SELECT asset_id") and place == 1:
                end_sessions(plain, url)
            yield batch

    monkeypatch.setattr(snapshots, "_BATCH_BYTES", 100_000)
    monkeypatch.setattr(Snapshot, "batches", batches)
    with pytest.raises(StoreUnavailable, match="was lost"):
        list(scan_chunks(settings_of(url), LONG))
    plain.discard(url)


@pytest.mark.postgresql
def test_a_connection_lost_between_two_parts(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = many(plain, 900)
    monkeypatch.setattr(scans, "_PART_BYTES", 6_300)
    scan = scan_chunks(settings_of(url), LONG)
    assert next(scan).asset_ids == ("a0",)
    end_sessions(plain, url)
    with pytest.raises(StoreUnavailable, match="lost"):
        list(scan)
    plain.discard(url)


@pytest.mark.postgresql
def test_a_scan_that_is_stopped_lets_go_of_the_server(plain: Server) -> None:
    url = many(plain, 900)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scans, "_PART_BYTES", 6_300)
        scan = scan_chunks(settings_of(url), LONG)
        next(scan)
        scan.close()
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{url.rpartition('/')[2]}'"
    for _ in range(100):
        if plain.sql(count) == [(0,)]:
            break
        asyncio.run(asyncio.sleep(0.05))
    assert plain.sql(count) == [(0,)]
    plain.discard(url)


@pytest.mark.postgresql
def test_who_may_only_read_can_scan_and_who_may_not_is_told(plain: Server) -> None:
    url = many(plain, 30)
    database = url.rpartition("/")[2]
    plain.role("scan_reader")
    plain.role("scan_nobody")
    plain.sql("GRANT SELECT ON ai_features TO scan_reader", database)
    plain.sql("ALTER ROLE scan_reader SET default_transaction_isolation = 'serializable'")
    plain.sql("ALTER ROLE scan_reader SET statement_timeout = '10s'")
    (chunk,) = scan_chunks(settings_of(plain.url(database, "scan_reader")), LONG)
    assert len(chunk.history.series["value"].time) == 30
    with pytest.raises(StoreRefused, match="GRANT"):
        list(scan_chunks(settings_of(plain.url(database, "scan_nobody")), LONG))
    plain.discard(url)


@pytest.mark.postgresql
def test_no_server_no_database_and_no_tables(plain: Server) -> None:
    secret = "postgresql://ai_hub:s%40cret@127.0.0.1:1/none?connect_timeout=1"
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1 cannot be reached") as found:
        list(scan_chunks(settings_of(secret), LONG))
    assert "s@cret" not in str(found.value)
    assert "s%40cret" not in str(found.value)
    with pytest.raises((StoreUnavailable, StoreRefused), match="not_there"):
        list(scan_chunks(settings_of(plain.url("not_there")), LONG))
    url = plain.create("without_tables")
    with pytest.raises(NotMigrated, match="ai-hub migrate"):
        list(scan_chunks(settings_of(url), LONG))
    plain.discard(url)
