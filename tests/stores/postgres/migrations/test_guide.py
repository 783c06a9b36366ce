"""The guide's queries work on what migrating makes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

import servers
from ai_hub.stores.postgres.migrations import RETENTION_SETTINGS

pytestmark = [pytest.mark.timescaledb, pytest.mark.versions]

ROWS = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT t, 'tenant-123', 'meter-001', 40 + extract(hour FROM t)
FROM generate_series(TIMESTAMPTZ '2025-10-01 00:00Z', '2025-10-09 15:00Z', '10 minutes') AS t
"""
WEATHER = """
INSERT INTO weather_features (timestamp, issued_at, tenant_id, asset_id, temperature, humidity)
VALUES ('2025-10-09 13:00Z', '2025-10-09 13:00Z', 'tenant-123', 'meter-001', 12.5, 70)
"""


@pytest.fixture(scope="module")
def database(installation: object) -> Iterator[str]:
    server = servers.server("timescaledb")
    url = server.fresh()
    name = url.rpartition("/")[2]
    server.sql(ROWS, name)
    server.sql(WEATHER, name)
    yield name
    server.discard(url)


def rows(database: str, query: str) -> list[dict[str, str]]:
    """What psql shows for a query of the guide, as it stands there."""
    text = servers.server("timescaledb").psql(database, "--csv", "-c", query)
    return list(csv.DictReader(io.StringIO(text)))


def test_verify(database: str) -> None:
    tables = rows(database, "SELECT * FROM timescaledb_information.hypertables;")
    assert {one["hypertable_name"] for one in tables} == {
        "timeseries_data", "ai_features", "weather_features",
    }  # fmt: skip
    views = rows(database, "SELECT * FROM timescaledb_information.continuous_aggregates;")
    assert {one["view_name"] for one in views} == {"hourly_features", "daily_features"}
    assert {one["materialized_only"] for one in views} == {"f"}
    server = servers.server("timescaledb")
    for name in ("get_lag_features", "get_rolling_features"):
        assert name in server.psql(database, "-c", rf"\df {name}")
    assert "ai_features_pkey" in server.psql(database, "-c", r"\d+ ai_features")


def test_retention_policies(database: str) -> None:
    jobs = rows(
        database,
        "SELECT * FROM timescaledb_information.jobs\nWHERE proc_name LIKE '%retention%';",
    )
    ours = {one["hypertable_name"]: one["scheduled"] for one in jobs if one["hypertable_name"]}
    assert ours == dict.fromkeys(RETENTION_SETTINGS, "f")


def test_features(database: str) -> None:
    (hour,) = rows(
        database,
        """SELECT
    hourly_avg, hourly_min, hourly_max, hourly_stddev, hourly_count
FROM hourly_features
WHERE tenant_id = 'tenant-123'
  AND asset_id = 'meter-001'
  AND bucket = '2025-10-09 14:00:00'::timestamptz;""",
    )
    assert hour == {"hourly_avg": "54", "hourly_min": "54", "hourly_max": "54",
                    "hourly_stddev": "0", "hourly_count": "6"}  # fmt: skip
    (weather,) = rows(
        database,
        """SELECT
    temperature, humidity, solar_irradiance, wind_speed
FROM weather_features
WHERE tenant_id = 'tenant-123'
  AND asset_id = 'meter-001'
  AND timestamp <= '2025-10-09 14:00:00'::timestamptz
ORDER BY timestamp DESC
LIMIT 1;""",
    )
    assert weather["temperature"] == "12.5"


def test_troubleshooting(database: str) -> None:
    assert rows(
        database,
        """SELECT count(*) FROM ai_features
WHERE tenant_id = 'tenant-123' AND asset_id = 'meter-001';""",
    ) == [{"count": "1243"}]
    newest = rows(
        database,
        """SELECT * FROM hourly_features
WHERE tenant_id = 'tenant-123'
ORDER BY bucket DESC LIMIT 10;""",
    )
    assert [one["bucket"] for one in newest][:2] == [
        "2025-10-09 15:00:00+00", "2025-10-09 14:00:00+00",
    ]  # fmt: skip
    plan = rows(
        database,
        """EXPLAIN ANALYZE
SELECT * FROM hourly_features WHERE tenant_id = 'tenant-123';""",
    )
    assert "Execution Time" in plan[-1]["QUERY PLAN"]


def test_an_export_and_its_record(database: str) -> None:
    for feature_set in ("forecast_basic", "forecast_advanced", "anomaly_detection"):
        found = rows(
            database,
            f"""SELECT timestamp, tenant_id, asset_id, hour_of_day, day_of_week
        FROM {feature_set}_features
        WHERE tenant_id = 'tenant-123'
          AND timestamp BETWEEN '2025-10-09 00:00Z' AND '2025-10-09 01:00Z'
          AND asset_id = ANY('{{meter-001}}')""",
        )
        assert len(found) == 7
    servers.server("timescaledb").sql(
        """INSERT INTO feature_exports
            (export_id, tenant_id, feature_set, status, row_count, file_size_bytes, storage_path)
            VALUES ($1, 'tenant-123', 'forecast_basic', 'completed', 7, 100, 'x.parquet')""",
        database,
        "550e8400-e29b-41d4-a716-446655440000",
    )


def test_a_custom_view_and_index(database: str) -> None:
    psql = servers.server("timescaledb").psql
    psql(
        database,
        script="""
CREATE MATERIALIZED VIEW my_custom_features AS
SELECT
    af.timestamp,
    af.tenant_id,
    af.asset_id,
    af.value,
    AVG(af.value) OVER (
        PARTITION BY af.tenant_id, af.asset_id
        ORDER BY af.timestamp
        ROWS BETWEEN 48 PRECEDING AND CURRENT ROW
    ) AS rolling_avg_48h
FROM ai_features af;
CREATE INDEX idx_custom_features ON my_custom_features(tenant_id, asset_id, timestamp);
CREATE INDEX idx_features_composite
ON ai_features(tenant_id, asset_id, timestamp DESC);
REFRESH MATERIALIZED VIEW my_custom_features;
""",
    )
