"""Hourly and daily partials: true after refresh, late data and compression, and merged exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import servers
from ai_hub.definitions.kinds import Bucket
from ai_hub.definitions.values import (
    BUCKET_ORIGIN,
    DAY,
    HOUR,
    MINUTE,
    Duration,
    parse_time,
    to_datetime,
)
from ai_hub.definitions.vocabulary import Stat
from ai_hub.testing import (
    History,
    Observation,
    WriteLog,
    close,
    instants,
    value,
    window_values,
    write_logs,
)
from stores.postgres.sql_kit import Database, micros, wrong_window

# Beyond it a bucket of the aggregates may have no average and no deviation: docs/timescaledb.md.
MOST = 1e145
ASSET = ("tenant-1", "meter-001", "value")
STATS: dict[str, Stat] = {"avg": "mean", "stddev": "std", "min": "min", "max": "max",
                          "count": "count"}  # fmt: skip
WIDTHS = (HOUR, 24 * HOUR, 168 * HOUR, 90 * MINUTE, 7 * HOUR + 1, 1000 * HOUR, 30 * MINUTE)

# Each example has a database of its own; a server has not room for thousands of dropped ones.
FEW = settings(max_examples=min(settings.default.max_examples // 5, 100))


@contextmanager
def opened(kind: servers.Kind) -> Iterator[Database]:
    """A migrated database for one drawn example."""
    server = servers.server(kind)
    url = server.fresh()
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
        server.discard(url)


def hour_of(t: int) -> int:
    return t - (t - BUCKET_ORIGIN) % HOUR


def refresh(database: Database, first: int, end: int) -> None:
    """Refresh both aggregates over whole buckets that hold [first, end)."""
    for name, every in (("hourly", HOUR), ("daily", DAY)):
        start = first - (first - BUCKET_ORIGIN) % every
        stop = end + (BUCKET_ORIGIN - end) % every
        database.rows(
            f"CALL refresh_continuous_aggregate('{name}_features', $1::timestamptz, "
            "$2::timestamptz)", to_datetime(start), to_datetime(stop),
        )  # fmt: skip


def compress(database: Database) -> None:
    """Put every chunk into the columnstore, those of the aggregates too."""
    for name in ("ai_features", "hourly_features", "daily_features"):
        database.rows(f"SELECT compress_chunk(chunk, true) FROM show_chunks('{name}') AS chunk")


def wrong_buckets(database: Database, history: History) -> list[str]:
    """What is wrong with the aggregates, by the reference at the end of each bucket."""
    wrong = []
    for name, every in (("hourly", HOUR), ("daily", DAY)):
        rows = database.rows(f"SELECT * FROM {name}_features ORDER BY bucket")
        observed = history.series["value"]
        starts = sorted({o.timestamp - (o.timestamp - BUCKET_ORIGIN) % every for o in observed})
        if [micros(row["bucket"]) for row in rows] != starts:
            wrong.append(f"{name}: got buckets {[row['bucket'] for row in rows]}")
            continue
        for start, row in zip(starts, rows, strict=True):
            t = start + every - 1
            values = window_values(Bucket("b", "mean", Duration(every)), t, history)
            largest = max(map(abs, values))
            for column, stat in STATS.items():
                got = row[f"{name}_{column}"]
                expected = value(Bucket("b", stat, Duration(every)), t, history)
                if got is None and column in ("avg", "stddev") and largest > MOST:
                    continue
                if not close(got, expected, len(values), largest,
                             exact=column in ("min", "max", "count")):  # fmt: skip
                    wrong.append(f"{name}_{column} of {start}: {got!r}, expected {expected!r}")
    return wrong


@pytest.mark.timescaledb
@FEW
@given(log=write_logs(max_size=25), late=st.data())
def test_aggregates_of_closed_buckets(log: WriteLog, late: st.DataObject) -> None:
    assume(log.state)
    with opened("timescaledb") as database:
        first, end = log.state[0].timestamp, log.state[-1].timestamp + 1
        early = late.draw(st.lists(st.sampled_from(log.state), unique=True))
        before = [Observation(o.timestamp, o.value + 1) for o in early]
        database.observe(*ASSET, before)
        # In real time; refreshed; in the columnstore; and so again after late and rewritten rows.
        history = History({"value": sorted(before, key=lambda o: o.timestamp)})
        for state in (history, History({"value": log.state})):
            database.observe(*ASSET, state.series["value"])
            if state is history:
                assert wrong_buckets(database, state) == []
            refresh(database, first, end)
            assert wrong_buckets(database, state) == []
            compress(database)
            assert wrong_buckets(database, state) == []


@pytest.fixture(scope="module")
def plain(installation: object) -> Iterator[Database]:
    with opened("plain") as database:
        yield database


@pytest.mark.postgresql
@given(log=write_logs(max_size=25))
def test_aggregates_without_the_extension_are_views(plain: Database, log: WriteLog) -> None:
    with plain.rolled_back({}):
        plain.observe(*ASSET, log.state)
        assert wrong_buckets(plain, History({"value": log.state})) == []


@pytest.mark.timescaledb
@FEW
@given(st.data())
def test_windows_merge_hours_and_raw_rows(data: st.DataObject) -> None:
    log = data.draw(write_logs(max_size=25), "log")
    assume(log.state)
    first, end = log.state[0].timestamp, log.state[-1].timestamp + 1
    some = st.sampled_from(log.state)
    late = data.draw(st.lists(some, unique=True, max_size=4), "written late")
    gone = data.draw(st.lists(some, unique=True, max_size=2), "first there, later unusable")
    times = st.sampled_from([o.timestamp for o in log.state])
    done = hour_of(data.draw(st.one_of(st.just(end + HOUR), times.map(HOUR.__add__)), "done"))
    deleted = data.draw(st.one_of(st.none(), times.map((1).__add__)), "deleted before")
    with opened("timescaledb") as database:
        maintained(database, [o for o in log.state if o not in late], first, done)
        if data.draw(st.booleans(), "compressed"):
            compress(database)
        database.observe(*ASSET, late)
        erase(database, gone)
        state = [o for o in log.state if o not in gone]
        if deleted is not None:
            # Rows go without a trace in the aggregate, as dropped chunks do.
            database.rows(
                "UPDATE ai_hub_retention SET deleted_before = $1 WHERE relation = 'ai_features'",
                to_datetime(deleted),
            )
            with no_triggers(database):
                erase(database, [o for o in state if o.timestamp < deleted])
            state = [o for o in state if o.timestamp >= deleted]
        history = History({"value": state})
        asked = data.draw(st.lists(instants(History({"value": log.state})), min_size=3, max_size=6))
        for t in (*asked, end - 1, hour_of(end), hour_of(end) - 1):
            for width in WIDTHS:
                got = database.window("ai_hub_window", *ASSET, t - width, t)
                assert wrong_window(got, "value", t, width, history) == [], (t, width)


def maintained(database: Database, observed: Sequence[Observation], first: int, done: int) -> None:
    """Rows as maintenance leaves them that has refreshed up to `done`."""
    database.observe(*ASSET, observed)
    if done > hour_of(first):
        refresh(database, first, done)
    database.rows("UPDATE ai_hub_hourly SET announced = $1, done = $1", to_datetime(done))


def erase(database: Database, observed: Sequence[Observation]) -> None:
    times = [to_datetime(o.timestamp) for o in observed]
    database.rows("DELETE FROM ai_features WHERE timestamp = ANY($1)", times)


@contextmanager
def no_triggers(database: Database) -> Iterator[None]:
    """Nothing that is written in between is noted."""
    database.rows("SET session_replication_role = replica")
    yield
    database.rows("SET session_replication_role = origin")


@pytest.fixture(scope="module")
def minutes(installation: object) -> Iterator[Database]:
    """Ten days of one-minute rows around 1e9 with small steps, refreshed but for the last day."""
    with opened("timescaledb") as database:
        database.rows(
            "INSERT INTO ai_features (timestamp, tenant_id, asset_id, value) "
            "SELECT t, 'tenant-1', 'meter-001', 1e9 + 0.01 * (extract(epoch FROM t)::bigint % 97) "
            "FROM generate_series(TIMESTAMPTZ '2025-10-01 00:00Z', '2025-10-11 00:00Z', "
            "'1 minute') AS t"
        )
        refresh(database, parse_time("2025-10-01T00:00Z"), parse_time("2025-10-10T00:00Z"))
        database.rows(
            "UPDATE ai_hub_hourly SET announced = '2025-10-10 00:00Z', done = '2025-10-10 00:00Z'"
        )
        yield database


def both(database: Database, width: int, t: Any) -> tuple[list[Any], list[Any]]:
    last = micros(t)
    assert last is not None
    raw = database.window("ai_hub_raw_window", *ASSET, last - width, last)
    return raw, database.window("ai_hub_window", *ASSET, last - width, last)


@pytest.mark.timescaledb
def test_a_window_of_minutes_is_as_exact_as_the_raw_one(minutes: Database) -> None:
    for text in ("2025-10-10 13:37Z", "2025-10-10 13:00Z", "2025-10-09 23:59:59.999999Z"):
        t = minutes.one("SELECT $1::text::timestamptz", text)
        for width in WIDTHS:
            raw, merged = both(minutes, width, t)
            for a, b in zip(raw, merged, strict=True):
                assert close(a, b, int(raw[0]), 1e9 + 1)


@pytest.mark.timescaledb
def test_hours_come_from_the_aggregate_but_where_they_may_be_wrong(minutes: Database) -> None:
    """What is read is told by changing raw rows behind the aggregate's back."""
    t = minutes.one("SELECT '2025-10-10 13:37Z'::timestamptz")
    with minutes.rolled_back({}):
        with no_triggers(minutes):
            minutes.rows("DELETE FROM ai_features WHERE timestamp < '2025-10-10 00:00Z'")
        raw, merged = both(minutes, 168 * HOUR, t)
        # 13:37 to 14:00 on the first day is an edge, which is read raw.
        assert (raw[0], merged[0]) == (818, 168 * 60 + 1 - 23)
        minutes.rows("INSERT INTO ai_hub_late VALUES ('tenant-1', 'meter-001', 'value', "
                     "'2025-10-05 06:59:59.999999Z', '2025-10-05 08:00Z')")  # fmt: skip
        assert both(minutes, 168 * HOUR, t)[1][0] == 168 * 60 + 1 - 23 - 3 * 60
        minutes.rows("UPDATE ai_hub_late SET first = '-infinity', last = 'infinity'")
        assert both(minutes, 168 * HOUR, t)[1][0] == 818
        minutes.rows("UPDATE ai_hub_late SET asset_id = 'meter-002'")
        minutes.rows("UPDATE ai_hub_retention SET deleted_before = '2025-10-07 00:00:00.000001Z' "
                     "WHERE relation = 'ai_features'")  # fmt: skip
        assert both(minutes, 168 * HOUR, t)[1][0] == 818 + (3 * 24 - 1) * 60
        minutes.rows("UPDATE ai_hub_hourly SET done = '2025-10-08 00:59Z'")
        assert both(minutes, 168 * HOUR, t)[1][0] == 818 + 23 * 60
        minutes.rows("UPDATE ai_hub_hourly SET done = '-infinity'")
        assert both(minutes, 168 * HOUR, t)[1][0] == 818


@pytest.mark.postgresql
def test_there_is_one_row_of_progress(plain: Database) -> None:
    rows = plain.rows("SELECT announced = '-infinity' AND done = announced AS new "
                      "FROM ai_hub_hourly")  # fmt: skip
    assert rows == [{"new": True}]
    with pytest.raises(asyncpg.UniqueViolationError):
        plain.rows("INSERT INTO ai_hub_hourly VALUES (now(), now())")
