"""What a server answers while its database lets it not do what was asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from acceptance.serving import Server, serving
from watching import COMMAND, eventually, get, ingest, log

pytestmark = pytest.mark.postgresql
ROWS = [{"timestamp": "2025-10-09T13:30:00Z", "asset_id": "a", "value": 1.0}]
EXPORT = {
    "tenant_id": "t",
    "feature_set": "forecast_basic",
    "start_time": "2025-10-09T00:00:00Z",
    "end_time": "2025-10-10T00:00:00Z",
}


@pytest.fixture
def database() -> Iterator[str]:
    on = servers.server("plain")
    url = on.fresh()
    yield url.rpartition("/")[2]
    on.discard(url)


@pytest.fixture
def reading(database: str, tmp_path: Path) -> Iterator[Server]:
    """A server whose user may only read."""
    on = servers.server("plain")
    on.role(f"reads_{database}")
    on.sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "reads_{database}"', database)
    url = on.url(database, f"reads_{database}")
    with serving(COMMAND, tmp_path, database_url=url) as server:
        eventually(lambda: log(server, "serving"))
        yield server


def test_one_who_may_only_read_answers_and_names_the_grant(reading: Server, database: str) -> None:
    assert not get(reading, "t")["degraded"]
    refused = reading.call("POST", "/ingest", {"tenant_id": "t", "rows": ROWS}, 500)
    right = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ai_features TO reads_{database}"
    assert right in refused["detail"]
    refused = reading.call("POST", "/export", EXPORT, 500)
    assert "GRANT" in refused["detail"]
    assert list(reading.exports.glob("*")) == []
    assert reading.call("GET", "/exports?tenant_id=t")["exports"] == []
    # The right is given while it serves.
    tables = (
        "timeseries_data, ai_features, feature_exports, ai_hub_debts, ai_hub_shared_cache, "
        "ai_hub_audit"
    )
    servers.server("plain").sql(
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO "reads_{database}"', database
    )
    ingest(reading, "t")
    assert reading.call("POST", "/export", EXPORT)["status"] == "completed"


def test_tables_that_are_gone_are_told(database: str, tmp_path: Path) -> None:
    on = servers.server("plain")
    with serving(COMMAND, tmp_path, database_url=on.url(database)) as server:
        eventually(lambda: log(server, "serving"))
        ingest(server, "t")
        on.sql("ALTER TABLE ai_features RENAME TO gone", database)
        refused = server.call("POST", "/ingest", {"tenant_id": "t", "rows": ROWS}, 500)
        assert "ai-hub migrate" in refused["detail"]
        assert get(server, "t", "other")["degraded"]
        on.sql("ALTER TABLE gone RENAME TO ai_features", database)
        assert not get(server, "t", "another")["degraded"]


def test_a_connection_that_is_cut_is_worth_another_try(database: str, tmp_path: Path) -> None:
    on = servers.server("plain")
    with serving(COMMAND, tmp_path, database_url=on.url(database)) as server:
        eventually(lambda: log(server, "serving"))
        ingest(server, "t")
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        for number in range(5):
            on.sql(cut, "postgres", database)
            assert not get(server, "t", f"a-{number}")["degraded"]
        # An answer is asked for once more by the server, a batch is not: it may have landed.
        on.sql(cut, "postgres", database)
        time.sleep(0.3)
        ingest(server, "t")
