"""Histories over HTTP: the same rows as JSON and as tables, by what a client accepts."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from acceptance.serving import Server
from ai_hub.errors import InvalidInput
from ai_hub.http.history import answered_in

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
JSON = "application/json"
ASKED = {
    "asset_ids": ["a", "b"],
    "start_time": "2025-01-02T00:00:00Z",
    "end_time": "2025-01-02T03:00:00Z",
    "feature_set": "forecast_basic",
    "features": ["lag_1h", "lag_24h"],
    "weather": ["temperature"],
    "missing": "keep",
    "indicators": True,
}


@pytest.fixture
def filled(server: Server, tenant: str) -> str:
    rows = [
        {"timestamp": f"2025-01-0{day}T{hour:02}:00:00Z", "asset_id": asset, "value": 24.0 + hour}
        for asset in ("a", "b")
        for day in (1, 2)
        for hour in range(24)
        if (asset, day) != ("b", 1)
    ]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    warm = {"timestamp": "2025-01-02T00:00:00Z", "asset_id": "a", "temperature": 4.5}
    server.call("POST", "/ingest/weather", {"tenant_id": tenant, "rows": [warm]})
    return tenant


def ask(server: Server, tenant: str, accept: str, **more: Any) -> httpx.Response:
    body = {"tenant_id": tenant, **ASKED, **more}
    return server.client.post("/ai/features/history", json=body, headers={"accept": accept})


def test_each_format_has_the_same_rows(server: Server, filled: str) -> None:
    answer = ask(server, filled, "*/*")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == JSON
    said = answer.json()
    rows = said.pop("rows")
    assert said == {
        "tenant_id": filled,
        "start_time": "2025-01-02T00:00:00Z",
        "end_time": "2025-01-02T03:00:00Z",
        "feature_set": "forecast_basic",
        "version": 1,
        "series": ["value"],
        "features": ["lag_1h", "lag_24h"],
        "weather": ["weather_temperature"],
    }
    assert rows[0] == {
        "timestamp": "2025-01-02T00:00:00Z", "asset_id": "a", "value": 24.0, "lag_1h": 47.0,
        "lag_24h": 24.0, "lag_1h__missing": False, "lag_24h__missing": False,
        "weather_temperature": 4.5,
    }  # fmt: skip
    assert len(rows) == 8
    assert [row["lag_24h"] for row in rows if row["asset_id"] == "b"] == [None] * 4
    parquet = ask(server, filled, f"{PARQUET}, {JSON};q=0.5")
    assert parquet.headers["content-type"] == PARQUET
    arrow = ask(server, filled, ARROW)
    tables = [
        pq.read_table(io.BytesIO(parquet.content)),
        pa.ipc.open_stream(arrow.content).read_all(),
    ]
    for table in tables:
        told = [
            {**row, "timestamp": row["timestamp"].isoformat().replace("+00:00", "Z")}
            for row in table.to_pylist()
        ]
        assert told == rows
    text = ask(server, filled, "text/csv")
    assert pyarrow.csv.read_csv(io.BytesIO(text.content)).column_names == [*rows[0]]


def test_what_is_asked_wrong_is_refused(server: Server, filled: str) -> None:
    for field, more in {
        "end_time": {"limit": 7},
        "limit": {"limit": 1_000_001},
        "features": {"features": ["none"]},
        "weather": {"weather": ["snow"]},
        "asset_ids": {"asset_ids": []},
        "start_time": {"start_time": "2025-01-02"},
        "feature_set": {"feature_set": "none"},
        "series": {"series": "value"},
        "every": {"every": "1h"},
    }.items():
        answer = ask(server, filled, "*/*", **more)
        assert answer.status_code == (404 if field == "feature_set" else 422), answer.text
        assert answer.json()["field"] == field
    answer = ask(server, filled, "image/png")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("accept: got 'image/png', expected one of")


def test_a_large_table_is_refused_by_its_size(small: Server, tenant: str) -> None:
    rows = [
        {"timestamp": f"2025-01-01T00:{n:02}:00Z", "asset_id": "a", "value": 1.0} for n in range(20)
    ]
    small.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    asked = {
        "tenant_id": tenant, "asset_ids": ["a"], "start_time": "2025-01-01T00:00:00Z",
        "end_time": "2025-01-01T01:00:00Z",
    }  # fmt: skip
    assert len(small.call("POST", "/history", asked)["rows"]) == 20
    # Bodies have 2,000 bytes there: so have tables, of eight for each value.
    refused = small.call("POST", "/history", asked | {"weather": True, "series": []}, 200)
    assert len(refused["rows"]) == 20
    wide = small.call("POST", "/history", asked | {"feature_set": "forecast_basic"}, 200)
    assert len(wide["rows"]) == 20
    fine = asked | {"frequency": "1s", "end_time": "2025-01-01T00:02:00Z"}
    said = small.call("POST", "/history", fine, 422)
    assert said["field"] == "end_time"
    assert "at most 83" in said["detail"]


def test_the_format_is_what_is_accepted_most() -> None:
    for accept, found in {
        "": JSON,
        "*/*": JSON,
        "application/*": JSON,
        "text/*": "text/csv",
        "text/html, */*;q=0.1": JSON,
        f"{JSON};q=0.9, {PARQUET}": PARQUET,
        f"{ARROW};q=0, {JSON};q=0.1": JSON,
        f"{ARROW} ; charset=x , {JSON}": ARROW,
    }.items():
        assert answered_in([accept] if accept else []) == found, accept
    with pytest.raises(InvalidInput, match=r"^accept: "):
        answered_in([f"{JSON};q=0"])


def test_a_whole_number_may_be_written_as_a_fraction(server: Server, filled: str) -> None:
    times = {"start_time": ASKED["start_time"], "end_time": ASKED["end_time"]}
    assert server.call("POST", "/history", ASKED | {"tenant_id": filled, "limit": 100.0})["rows"]
    one = {"tenant_id": filled, "asset_id": "a", "feature_set": "forecast_basic", **times}
    assert server.call("POST", "/chart", one | {"points": 10.0})["readings"]
    assert "a whole number" in server.refusal("POST", "/chart", one | {"points": 10.5})
