"""The feature engineering guide's calls of the API work as they stand there."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from acceptance.serving import Server

HOST = "http://ai-hub:8003"
GET = """
curl -X POST http://ai-hub:8003/ai/features/get \\
  -H "Content-Type: application/json" \\
  -d '{
    "tenant_id": "tenant-123",
    "asset_id": "meter-001",
    "feature_set": "%s"
  }'
"""
EXPORT = """
curl -X POST http://ai-hub:8003/ai/features/export \\
  -H "Content-Type: application/json" \\
  -d '{
    "tenant_id": "tenant-123",
    "feature_set": "forecast_basic",
    "start_time": "2024-01-01T00:00:00Z",
    "end_time": "2024-12-31T23:59:59Z",
    "asset_ids": ["meter-001", "meter-002"],
    "output_path": "./exports/training_features.parquet"
  }'
"""
SETS = {
    "forecast_basic": [
        "hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h",
    ],
    "forecast_advanced": [
        "hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h",
        "day_of_month", "month", "is_business_hours", "lag_168h", "rolling_std_24h", "temperature",
        "humidity",
    ],
    "anomaly_detection": [
        "hour_of_day", "day_of_week", "historical_avg_24h", "historical_std_24h", "max_24h",
        "min_24h", "range_24h",
    ],
}  # fmt: skip


def curl(server: Server, command: str) -> Any:
    """What a call of the guide answers, sent as curl sends it."""
    name, _, method, url, _, header, _, body = shlex.split(command.replace("\\\n", ""))
    assert name == "curl"
    field, _, kind = header.partition(": ")
    path = url.removeprefix(f"{HOST}/ai/features")
    return server.call(method, path, content=body, headers={field: kind})


@pytest.fixture(scope="module")
def loaded(server: Server) -> Server:
    """Hourly readings of two meters: two weeks of January 2024, and the last ten days."""
    hour = timedelta(hours=1)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    times = [datetime(2024, 1, 1, tzinfo=UTC) + hour * n for n in range(336)]
    times += [now - hour * n for n in range(240)]
    for kind, measured in (("", "value"), ("/weather", "temperature"), ("/weather", "humidity")):
        rows = [
            {"timestamp": time.isoformat(), "asset_id": meter, measured: 40 + time.hour / 10}
            for meter in ("meter-001", "meter-002")
            for time in times
        ]
        body = {"tenant_id": "tenant-123", "rows": rows}
        assert server.call("POST", f"/ingest{kind}", body)["accepted"] == len(rows)
    return server


@pytest.mark.parametrize("name", SETS)
def test_the_calls_for_a_feature_set(loaded: Server, name: str) -> None:
    answer = curl(loaded, GET % name)
    assert (answer["tenant_id"], answer["asset_id"]) == ("tenant-123", "meter-001")
    assert (answer["feature_set"], answer["feature_count"]) == (name, len(SETS[name]))
    assert list(answer["features"]) == SETS[name]
    assert answer["degraded"] is False
    assert set(answer["missing"]) <= {"humidity", "temperature"}
    measured = [answer["features"][key] for key in SETS[name] if "avg" in key or "lag" in key]
    assert all(40 <= value <= 42.3 for value in measured)


def test_the_call_for_an_export(loaded: Server) -> None:
    record = curl(loaded, EXPORT)
    assert record.keys() >= {
        "export_id", "tenant_id", "feature_set", "status", "storage_path", "row_count",
        "file_size_bytes", "file_size_mb", "started_at", "completed_at",
    }  # fmt: skip
    assert (record["status"], record["row_count"]) == ("completed", 2 * 336)
    path = Path(record["storage_path"])
    assert path == loaded.exports / record["tenant_id"] / "training_features.parquet"
    # What the guide then does with the file.
    table = pd.read_parquet(path)
    assert len(table) == record["row_count"]
    assert not table[["hour_of_day", "lag_1h", "lag_24h", "rolling_avg_24h"]].isna().any(axis=None)
    assert table["timestamp"].min() == pd.Timestamp("2024-01-01", tz="UTC")
    assert table["value"].tolist() == [40 + hour % 24 / 10 for hour in range(336)] * 2
