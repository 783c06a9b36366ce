"""The guide's section "Creating Custom Features", as written there; and the same with no SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import redis_server
import servers
from acceptance.conftest import AI_HUB, run
from acceptance.serving import Server, serving
from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.document import document_of
from ai_hub.definitions.file import load_file
from watching import eventually, log

VIEW = """
CREATE MATERIALIZED VIEW my_custom_features AS
SELECT 
    af.timestamp,
    af.tenant_id,
    af.asset_id,
    af.value,
    -- Custom feature logic
    CASE 
        WHEN EXTRACT(DOW FROM af.timestamp) IN (0, 6) THEN 1
        ELSE 0
    END AS is_weekend_custom,
    -- Use window functions
    AVG(af.value) OVER (
        PARTITION BY af.tenant_id, af.asset_id
        ORDER BY af.timestamp
        ROWS BETWEEN 48 PRECEDING AND CURRENT ROW
    ) AS rolling_avg_48h
FROM ai_features af;

-- Refresh schedule
CREATE INDEX idx_custom_features ON my_custom_features(tenant_id, asset_id, timestamp);
"""
SET = """
schema: 1
feature_sets:
  - name: my_custom_set
    version: 1
    description: Custom features for specific use case
    use_cases: [custom_forecasting]
    features:
      - hour_of_day
"""
FROM_VIEW = """
      - kind: FromView
        name: is_weekend_custom
        view: my_custom_features
        column: is_weekend_custom
      - {kind: FromView, name: rolling_avg_48h, view: my_custom_features, column: rolling_avg_48h}
"""
OWN_KINDS = """
      - {kind: Calendar, name: is_weekend_custom, part: is_weekend}
      - {kind: Rolling, name: rolling_avg_48h, stat: mean, window: 48h}
"""
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
READINGS = [(NOW - timedelta(hours=k), 40.0 + k % 7) for k in range(80, -1, -1)]
LAST = [value for _, value in READINGS[-49:]]
EXPECTED = {
    "hour_of_day": NOW.hour,
    "is_weekend_custom": float(NOW.weekday() >= 5),
    "rolling_avg_48h": pytest.approx(sum(LAST) / len(LAST), rel=1e-12),
}
ASKED = {"tenant_id": "tenant-123", "feature_set": "my_custom_set", "timestamp": NOW.isoformat()}
WORKERS = 2


def body(*readings: tuple[datetime, float]) -> dict[str, Any]:
    rows = [
        {"timestamp": time.isoformat(), "asset_id": "meter-001", "value": value}
        for time, value in readings
    ]
    return {"tenant_id": "tenant-123", "rows": rows}


@contextmanager
def several(folder: Path, url: str) -> Iterator[Server]:
    """`ai-hub serve --workers 2` on a database and Redis."""
    # Tests share the processor: here slow is not away.
    settings = {"database_url": url, "cache_url": redis_server.server().url(), "patience": "20s",
                "cache_timeout": "5s", "view_timeout": "10s"}  # fmt: skip
    with serving((*AI_HUB, "serve", "--workers", str(WORKERS)), folder, **settings) as server:
        eventually(lambda: len(log(server, "serving")) == WORKERS)
        yield server


@pytest.mark.timescaledb
@pytest.mark.redis
async def test_the_guides_section_works_as_written(tmp_path: Path) -> None:
    database = servers.server("timescaledb")
    url = database.fresh()
    name = url.rpartition("/")[2]
    try:
        with several(tmp_path, url) as server:
            server.call("POST", "/ingest", body(*READINGS))
            # 1. Add to TimescaleDB
            database.psql(name, "-c", VIEW)
            # 2. Update FeatureStore
            (tmp_path / "my_custom_set.yaml").write_text(SET + FROM_VIEW.lstrip("\n"))
            done = run(tmp_path, "apply", "my_custom_set.yaml", database_url=url)
            assert [one["action"] for one in done["changes"]] == ["create"]
            eventually(lambda: server.client.get("/ai/features/sets/my_custom_set").is_success)
            # 3. Use Custom Feature Set, on either worker
            one = ASKED | {"asset_id": "meter-001"}
            for _ in range(6):
                answer = server.call("POST", "/get", one)
                assert answer["features"] == EXPECTED
                assert (answer["missing"], answer["cache_hit"]) == ([], False)
            batch = server.call("POST", "/batch", ASKED | {"asset_ids": ["meter-001", "other"]})
            assert batch["results"]["meter-001"]["features"] == EXPECTED
            assert batch["results"]["other"]["missing"] == ["is_weekend_custom", "rolling_avg_48h"]
            async with FeatureStore(
                Settings(database_url=url, view_timeout="10s", patience="20s")
            ) as store:
                features = await store.compute_feature_set(
                    tenant_id="tenant-123",
                    asset_id="meter-001",
                    feature_set_name="my_custom_set",
                )
                assert features | {"hour_of_day": NOW.hour} == EXPECTED
            # A refresh is seen by the next answer.
            server.call("POST", "/ingest", body((NOW, 400.0)))
            database.psql(name, "-c", "REFRESH MATERIALIZED VIEW my_custom_features")
            fresh = pytest.approx((sum(LAST[:-1]) + 400.0) / len(LAST), rel=1e-12)
            for _ in range(4):
                found = server.call("POST", "/get", one)
                assert found["features"]["rolling_avg_48h"] == fresh
            record = server.call(
                "POST",
                "/export",
                {
                    "tenant_id": "tenant-123",
                    "feature_set": "my_custom_set",
                    "start_time": READINGS[0][0].isoformat(),
                    "end_time": NOW.isoformat(),
                },
            )
            table = pd.read_parquet(record["storage_path"])
            assert len(table) == len(READINGS)
            assert table["rolling_avg_48h"].tolist()[-1] == found["features"]["rolling_avg_48h"]
            assert not table["rolling_avg_48h"].isna().any()
            # Another view is another version.
            changed = VIEW.replace("48 PRECEDING", "24 PRECEDING")
            database.psql(name, "-c", "DROP MATERIALIZED VIEW my_custom_features", "-c", changed)
            assert server.call("POST", "/get", one)["missing"] == [
                "is_weekend_custom", "rolling_avg_48h",
            ]  # fmt: skip
            document = document_of(load_file(tmp_path / "my_custom_set.yaml"))
            planned = server.call("POST", "/sets/plan", document)
            assert planned["allowed"] is False
            assert [one["field"] for one in planned["changes"][0]["differences"]] == [
                "definition", "definition",
            ]  # fmt: skip
    finally:
        database.discard(url)


def test_a_file_of_definitions_gives_the_same_with_no_sql(tmp_path: Path) -> None:
    lines = [f"{time.isoformat()},meter-001,{value}" for time, value in READINGS]
    (tmp_path / "load.csv").write_text("\n".join(["timestamp,asset_id,value", *lines]))
    (tmp_path / "my_custom_set.yaml").write_text(SET + OWN_KINDS.lstrip("\n"))
    run(tmp_path, "ingest", "load.csv", "--tenant", "tenant-123")
    run(tmp_path, "apply", "my_custom_set.yaml")
    answer = run(
        tmp_path, "get", "--tenant", "tenant-123", "--asset", "meter-001", "--set",
        "my_custom_set", "--at", NOW.isoformat(),
    )  # fmt: skip
    assert answer["features"] == EXPECTED
    assert answer["missing"] == []
