"""The functions and views of the database give what the reference gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import servers
from ai_hub.definitions.builtin import ANOMALY_DETECTION, FORECAST_ADVANCED, FORECAST_BASIC
from ai_hub.definitions.kinds import Bucket, Lag, Latest, Rolling
from ai_hub.definitions.values import FIRST_INSTANT, HOUR, Duration, iso, parse_time, to_datetime
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.reference import Mapped
from ai_hub.engines.reference_statistics import mean
from ai_hub.testing import (
    Case,
    History,
    Observation,
    Vector,
    WeatherRow,
    cases,
    close,
    differences,
    fill_values,
    training_rows,
    value,
    vector,
)
from servers import Kind, Server
from stores.postgres.sql_kit import HOSTILE, SESSIONS, Database, micros, wrong_window

TENANT = "o'brien\\"
SETS = (FORECAST_BASIC, FORECAST_ADVANCED, ANOMALY_DETECTION)
T = parse_time("2025-10-09T14:00:00Z")
HUGE = [
    [1e308, 1.2e308, 1.7e308],
    [-1.7e308, 1.7e308],
    [1e200, -3e200, 5.0],
    [1e153, -1e153, 2.0],
    [1e146] * 3,
    [1.7e308],
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
        pytest.param("apache", marks=[pytest.mark.timescaledb, pytest.mark.long]),
    ],
)
def server(request: pytest.FixtureRequest, installation: object) -> Server:
    kind: Kind = request.param
    return servers.server(kind)


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    url = server.fresh()
    opened = Database(url)
    yield opened
    opened.close()
    server.discard(url)


FEW = settings(max_examples=settings.default.max_examples // 2)
sessions = st.sampled_from(SESSIONS)
assets = st.sampled_from(HOSTILE)


@FEW
@given(case=cases(max_size=15, max_instants=4), asset=assets, session=sessions)
def test_functions(database: Database, case: Case, asset: str, session: Mapping[str, str]) -> None:
    with database.rolled_back(session):
        database.write(TENANT, asset, case.history)
        for t in case.instants:
            for series in case.logs:
                check_lags(database, asset, series, t, case.history)
                check_windows(database, asset, series, t, case.history)
            check_means(database, asset, t, case.history)


def check_lags(database: Database, asset: str, series: str, t: int, history: History) -> None:
    hours = [168, 1, None, 24, 1, 0]
    found = database.rows(
        "SELECT * FROM get_lag_features($1, $2, $3, $4, $5)",
        TENANT, asset, to_datetime(t), hours, series,
    )  # fmt: skip
    assert [row["lag_hours"] for row in found] == hours
    for row in found:
        if not row["lag_hours"]:
            continue
        lag = Lag("lag", Duration(row["lag_hours"] * HOUR), series=series)
        assert row["lag_value"] == value(lag, t, history)
        observed = micros(row["observed_at"])
        assert (observed is None) == (row["lag_value"] is None)
        last = t - lag.by.micros
        assert observed is None or last - HOUR < observed <= last


def check_windows(database: Database, asset: str, series: str, t: int, history: History) -> None:
    for hours in (1, 24, 168):
        (row,) = database.rows(
            "SELECT * FROM get_rolling_features($1, $2, $3, $4, $5)",
            TENANT, asset, to_datetime(t), hours, series,
        )  # fmt: skip
        names = ("rolling_count", "rolling_avg", "rolling_stddev", "rolling_min", "rolling_max")
        got = [row[name] for name in names]
        whole = database.window("ai_hub_window", TENANT, asset, series, t - hours * HOUR, t)
        assert wrong_window(whole, series, t, hours * HOUR, history) == []
        assert got == whole[:5]


def check_means(database: Database, asset: str, t: int, history: History) -> None:
    first, last = to_datetime(t - 168 * HOUR), to_datetime(t)
    for series in history.series:
        got = database.one(
            "SELECT ai_hub_series_mean($1, $2, $3, $4, $5)", TENANT, asset, series, first, last
        )
        week = Rolling("week", "mean", Duration(168 * HOUR), series=series)
        values = fill_values(week, t, history)
        assert is_mean(got, values)
    for column in WEATHER_COLUMNS[:2]:
        got = database.one(
            "SELECT ai_hub_weather_mean($1, $2, $3, $4, $5)", TENANT, asset, column, first, last
        )
        assert is_mean(got, fill_values(Latest("w", column), t, history))


def is_mean(got: float | None, values: list[float]) -> bool:
    return close(got, mean(values), len(values), max(map(abs, values), default=0.0))


@FEW
@given(
    case=cases(max_size=15),
    asset=assets,
    session=sessions,
    data=st.data(),
)
def test_views(
    database: Database, case: Case, asset: str, session: Mapping[str, str], data: st.DataObject
) -> None:
    rows = case.history.weather
    since = st.one_of(st.just(FIRST_INSTANT), st.sampled_from(case.instants))
    sources = data.draw(st.dictionaries(since, st.sampled_from((None, "x", "y")), max_size=3))
    weather = {None: rows, "x": rows[1:], "y": rows[:1]}
    mapped = tuple(Mapped(at, weather[source]) for at, source in sources.items())
    with database.rolled_back(session):
        database.write(TENANT, asset, case.history)
        # Rows of others beside them change nothing.
        database.write("other", asset, case.history)
        for at, source in sources.items():
            database.rows(
                "INSERT INTO asset_weather_source (tenant_id, asset_id, valid_from, source_id) "
                # The driver takes the first instant as a datetime for -infinity.
                "VALUES ($1, $2, $3::text::timestamptz, $4)", TENANT, asset, iso(at), source,
            )  # fmt: skip
        for source in ("x", "y"):
            database.know(TENANT, source, weather[source])
        for series, log in case.logs.items():
            history = History({"value": log.state}, rows, mapped)
            check_views(database, asset, series, history)


def check_views(database: Database, asset: str, series: str, history: History) -> None:
    hour = Bucket("hourly_avg", "mean", Duration(HOUR))
    for feature_set in SETS:
        found = database.rows(
            f"SELECT * FROM {feature_set.name}_features WHERE tenant_id = $1 AND asset_id = $2 "
            "AND feature_type = $3 ORDER BY timestamp", TENANT, asset, series,
        )  # fmt: skip
        times = [o.timestamp for o in history.series["value"]]
        expected = training_rows(feature_set, history, times, "keep")
        assert [micros(row["timestamp"]) for row in found] == times
        for row, wanted in zip(found, expected, strict=True):
            features = {name: row[name] for name in feature_set.feature_names}
            missing = tuple(name for name, one in features.items() if one is None)
            got = Vector(features, missing)
            assert (
                differences(feature_set, wanted.timestamp, history, wanted.vector, got, "keep")
                == []
            )
            assert row["value"] == wanted.value
            if "hourly_avg" in row:
                mean = value(hour, wanted.timestamp, history)
                largest = max(map(abs, (o.value for o in history.series["value"])))
                assert close(row["hourly_avg"], mean, len(times), largest)


@pytest.mark.parametrize("values", HUGE, ids=str)
def test_values_whose_squares_overflow_hurt_nobody(database: Database, values: list[float]) -> None:
    observed = [Observation(T + i * HOUR // 8, v) for i, v in enumerate(values)]
    history = History({"value": observed})
    weather = History(weather=[WeatherRow(o.timestamp, T, {"humidity": o.value})
                               for o in observed])  # fmt: skip
    t = observed[-1].timestamp
    with database.rolled_back({}):
        database.write(TENANT, "a", history)
        database.write(TENANT, "b", weather)
        database.observe(TENANT, "c", "value", [Observation(T, 1.0), Observation(T + 1, 3.0)])
        check_windows(database, "a", "value", t, history)
        check_views(database, "a", "value", history)
        got = database.one(
            "SELECT ai_hub_weather_mean($1, 'b', 'humidity', $2, $3)",
            TENANT, to_datetime(t - 168 * HOUR), to_datetime(t),
        )  # fmt: skip
        assert is_mean(got, values)
        for view in ("hourly", "daily"):
            rows = {
                row["asset_id"]: [row[f"{view}_{name}"] for name in ("avg", "stddev", "min", "max",
                                                                     "count")]
                for row in database.rows(f"SELECT * FROM {view}_features WHERE tenant_id = $1",
                                         TENANT)
            }  # fmt: skip
            # Aggregates that are kept say nothing of such values; views know a flat bucket.
            if min(values) == max(values) and rows["a"][0] is not None:
                assert rows["a"][:2] == [values[0], 0 if len(values) > 1 else None]
            else:
                assert rows["a"][:2] == [None, None]
            assert rows["a"][2:] == [min(values), max(values), len(values)]
            assert rows["c"] == [2.0, pytest.approx(2**0.5), 1.0, 3.0, 2]


def test_what_the_tables_refuse(database: Database) -> None:
    for table, column in (("timeseries_data", "value"), ("ai_features", "value"),
                          ("weather_features", "temperature")):  # fmt: skip
        for number in ("NaN", "Infinity", "-Infinity"):
            names = f"timestamp, tenant_id, asset_id, {column}"
            values = f"now(), 't', 'a', '{number}'"
            if table == "weather_features":
                names, values = f"issued_at, {names}", f"now(), {values}"
            with pytest.raises(asyncpg.CheckViolationError):
                database.rows(f"INSERT INTO {table} ({names}) VALUES ({values})")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="column: got 'humidity; --', exp"):
        database.one("SELECT ai_hub_weather_mean('t', 'a', 'humidity; --', now(), now())")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="column: got NULL"):
        database.one("SELECT ai_hub_weather_mean('t', 'a', NULL, now(), now())")


@pytest.mark.parametrize("session", SESSIONS, ids=str)
def test_hostile_ids_in_texts_of_statements(database: Database, session: dict[str, Any]) -> None:
    with database.rolled_back(session):
        for n, asset in enumerate(HOSTILE):
            database.observe(TENANT, asset, asset, [Observation(T, float(n))])
        for n, asset in enumerate(HOSTILE):
            quoted, tenant = (database.one("SELECT quote_literal($1::text)", text)
                              for text in (asset, TENANT))  # fmt: skip
            at = "TIMESTAMPTZ '2025-10-09T15:00:00+00'"
            ids = f"{tenant}, {quoted}"
            assert n == database.one(
                f"SELECT lag_value FROM get_lag_features({ids}, {at}, ARRAY[1], {quoted})"
            )
            assert n == database.one(
                f"SELECT lag_value FROM get_lag_features({ids}, {at}, ARRAY[2], {quoted}, "
                "INTERVAL '2 hours') UNION ALL "
                f"SELECT value FROM forecast_basic_features WHERE asset_id = {quoted} "
                f"AND tenant_id = {tenant} AND feature_type = {quoted} ORDER BY 1 LIMIT 1"
            )
            assert [1, n, None, n, n, n] == database.one(
                f"SELECT ai_hub_window({ids}, {quoted}, {at} - INTERVAL '1 hour', {at})"
            )


def test_ids_sort_by_code_point_whatever_the_database_sorts_by(server: Server) -> None:
    name = f"sorted_{server.kind}"
    url = server.create(name, icu="en-US")
    servers.migrate(url)
    opened = Database(url)
    try:
        for asset in HOSTILE:
            opened.observe(asset, asset, asset, [Observation(T, 1.0)])
        for relation in ("ai_features", "hourly_features", "forecast_advanced_features"):
            for column in ("tenant_id", "asset_id", "feature_type"):
                rows = opened.rows(f"SELECT {column} AS id FROM {relation} ORDER BY {column}")
                assert [row["id"] for row in rows] == sorted(HOSTILE)
        # A parameter of another collation compares by that of the column.
        assert opened.one(
            "SELECT count(*) FROM ai_features WHERE asset_id < ($1 COLLATE \"default\")::text", "a"
        ) >= 0  # fmt: skip
    finally:
        opened.close()
        server.drop(name)


def test_an_unknown_asset_has_no_values(database: Database) -> None:
    at = to_datetime(T)
    (row,) = database.rows("SELECT * FROM get_rolling_features('t', 'nobody', $1, 24)", at)
    assert row == {"rolling_avg": None, "rolling_stddev": None, "rolling_min": None,
                   "rolling_max": None, "rolling_count": 0}  # fmt: skip
    assert database.one("SELECT ai_hub_window('t', 'nobody', 'value', $1, $2)",
                        at - timedelta(hours=168), at) == [0, *[None] * 5]  # fmt: skip
    assert vector(FORECAST_BASIC, T, History()).missing == FORECAST_BASIC.feature_names[3:]
