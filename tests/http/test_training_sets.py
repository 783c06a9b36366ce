"""Spines over HTTP: a table in, the same rows with their features out, in the format asked for."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acceptance.serving import Server
from ai_hub.definitions.builtin import FORECAST_BASIC

T = datetime(2025, 1, 1, tzinfo=UTC)
SPINE = pa.table(
    {
        "bid": pa.array([7, None, 7], pa.int16()),
        "asset_id": ["b", "a", "b"],
        "timestamp": pa.array([T.replace(hour=h) for h in (12, 3, 12)], pa.timestamp("ms", "UTC")),
        "note": ["ü", "", None],
    }
)


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def from_parquet(body: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(body))


def from_arrow(body: bytes) -> pa.Table:
    return pa.ipc.open_stream(body).read_all()


PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def filled(server: Server, tenant: str) -> str:
    rows = [
        {"timestamp": f"2025-01-01T{hour:02}:00:00Z", "asset_id": asset, "value": float(hour)}
        for asset in ("a", "b")
        for hour in range(24)
    ]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    return tenant


def ask(server: Server, tenant: str, body: bytes, content_type: str, **more: Any) -> httpx.Response:
    params = {"tenant_id": tenant, "feature_set": "forecast_basic", **more}
    return server.client.post(
        "/ai/features/training-set",
        params={key: value for key, value in params.items() if value is not None},
        content=body,
        headers={"content-type": content_type},
    )


@pytest.mark.parametrize("write", [parquet, arrow, arrow_file])
@pytest.mark.parametrize(("name", "read"), [("parquet", from_parquet), ("arrow", from_arrow)])
def test_rows_come_back_as_they_went_in(
    server: Server,
    filled: str,
    write: Callable[[pa.Table], bytes],
    name: str,
    read: Callable[[bytes], pa.Table],
) -> None:
    sent = PARQUET if write is parquet else ARROW
    response = ask(
        server, filled, write(SPINE), sent, format=name, indicators="true",
        horizons=["1h", "peak=3h,stat=max,window=3h"], missing="-1",
    )  # fmt: skip
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == (PARQUET if name == "parquet" else ARROW)
    table = read(response.content)
    assert table.select(SPINE.column_names).to_pylist() == SPINE.to_pylist()
    assert table.schema.field("bid").type == pa.int16()
    assert table["lag_1h"].to_pylist() == [11.0, 2.0, 11.0]
    assert table["lag_24h"].to_pylist() == [-1.0] * 3
    assert table["lag_24h__missing"].to_pylist() == [True] * 3
    assert table["target_1h"].to_pylist() == [13.0, 4.0, 13.0]
    assert table["peak"].to_pylist() == [15.0, 6.0, 15.0]
    said = table.schema.metadata
    assert said[b"ai_hub.fingerprint"] == FORECAST_BASIC.fingerprint.encode()
    assert said[b"ai_hub.policy"] == b"-1.0"


def test_csv_comes_back_as_csv_with_its_texts(server: Server, filled: str) -> None:
    spine = (
        "timestamp,asset_id,id,price,note\n"
        '2025-01-01T12:00:00.0000009+00:00,b,007,1.5,"a, b"\n'
        "2025-01-01T03:00:00Z,a,8,2,\n"
    )
    response = ask(server, filled, spine.encode(), "text/csv; charset=utf-8")
    assert response.headers["content-type"].startswith("text/csv")
    head, first, second = response.text.splitlines()
    assert head.replace('"', "").split(",")[:7] == [
        "timestamp", "tenant_id", "asset_id", "value", "id", "price", "note"
    ]  # fmt: skip
    assert first.startswith(
        f'"2025-01-01T12:00:00.0000009+00:00","{filled}","b",12,"007",1.5,"a, b",12,2,0,11'
    )
    assert second.startswith(f'"2025-01-01T03:00:00Z","{filled}","a",3,"8",2,,3,2,0,2')
    table = from_parquet(ask(server, filled, spine.encode(), "text/csv", format="parquet").content)
    assert table["price"].to_pylist() == [1.5, 2.0]
    assert table["id"].to_pylist() == ["007", "8"]


def test_a_spine_without_rows_has_none(server: Server, filled: str) -> None:
    response = ask(server, filled, parquet(SPINE.slice(0, 0)), PARQUET)
    assert from_parquet(response.content).num_rows == 0


@pytest.mark.parametrize(
    ("body", "sent", "more", "field"),
    [
        (parquet(SPINE), "application/json", {}, "content-type"),
        (b"PAR1 and so on", PARQUET, {}, "spine"),
        (b"", ARROW, {}, "spine"),
        (b"", "text/csv", {}, "spine"),
        (b"a,b\n1,2,3\n", "text/csv", {}, "spine"),
        (b"asset_id,timestamp\na,2025-01-01\n", "text/csv", {}, "spine row 0 timestamp"),
        (b"asset_id,timestamp,asset_id\na,2025-01-01T00:00:00Z,a\n", "text/csv", {}, "spine"),
        (parquet(SPINE.drop_columns("asset_id")), PARQUET, {}, "spine"),
        (parquet(SPINE.rename_columns({"note": "lag_1h"})), PARQUET, {}, "spine"),
        (
            parquet(SPINE.rename_columns({"note": "tenant_id"})),
            PARQUET,
            {},
            "spine row 0 tenant_id",
        ),
        (parquet(SPINE), PARQUET, {"format": "xml"}, "format"),
        (parquet(SPINE), PARQUET, {"compression": "gzip"}, "compression"),
        (parquet(SPINE), PARQUET, {"horizons": "soon"}, "horizons"),
        (parquet(SPINE), PARQUET, {"missing": "never"}, "missing"),
        (parquet(SPINE), PARQUET, {"indicators": "perhaps"}, "indicators"),
        (parquet(SPINE), PARQUET, {"tenant_id": None}, "tenant_id"),
        (parquet(SPINE), PARQUET, {"feature_set": None}, "feature_set"),
    ],
)
def test_what_is_refused_is_named(
    server: Server, tenant: str, body: bytes, sent: str, more: dict[str, Any], field: str
) -> None:
    response = ask(server, tenant, body, sent, **more)
    assert response.status_code == 422, response.text
    assert response.json()["field"] == field
    assert response.json()["detail"].startswith(f"{field}: got ")


def test_a_column_that_the_format_cannot_hold_is_refused(server: Server, filled: str) -> None:
    spine = SPINE.append_column("parts", pa.array([[1], [2], None]))
    response = ask(server, filled, parquet(spine), PARQUET, format="csv")
    assert (response.status_code, response.json()["field"]) == (422, "format")


def test_targets_of_an_export_are_texts_or_objects(server: Server, filled: str) -> None:
    peak = {"name": "peak", "horizon": "3h", "stat": "max", "window": "3h", "min_count": 2}
    record = server.call(
        "POST",
        "/export",
        {
            "tenant_id": filled,
            "feature_set": "forecast_basic",
            "start_time": "2025-01-01T12:00:00Z",
            "end_time": "2025-01-01T12:00:00Z",
            "horizons": ["7d", "soon=30m,tolerance=0", peak],
        },
    )
    (row, _) = pq.read_table(record["storage_path"]).to_pylist()
    assert (row["target_7d"], row["soon"], row["peak"]) == (None, None, 15.0)
