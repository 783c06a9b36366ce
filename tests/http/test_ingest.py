"""Rows in, in every format: what lands, what is refused and why."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from acceptance.serving import Server

ROWS = [
    {"timestamp": f"2025-01-0{day}T{hour:02}:00:00Z", "asset_id": asset, "value": day + hour / 10}
    for asset in "ab"
    for day in (1, 2)
    for hour in range(24)
]
NOTHING = {
    **dict.fromkeys(("accepted", "replaced", "unchanged", "duplicates", "rejected", "aged"), 0),
    **{"unreadable": {}, "outside": {}, "reasons": [], "warnings": []},
}
LANDED = NOTHING | {"accepted": len(ROWS)}
VECTOR = {"feature_set": "forecast_basic", "timestamp": "2025-01-02T20:00:00Z"}


def csv_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pa.csv.write_csv(table, sink)
    return sink.getvalue()


def parquet_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def ipc_of(table: pa.Table, new: Any) -> bytes:
    sink = io.BytesIO()
    with new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=50)
    return sink.getvalue()


def ndjson_of(table: pa.Table) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in table.to_pylist())


FORMATS = {
    "application/x-ndjson": ndjson_of,
    "text/csv": csv_of,
    "text/csv; charset=utf-8": csv_of,
    "application/vnd.apache.parquet": parquet_of,
    "application/vnd.apache.arrow.stream": lambda table: ipc_of(table, pa.ipc.new_stream),
    "application/vnd.apache.arrow.file": lambda table: ipc_of(table, pa.ipc.new_file),
}


def send(
    server: Server, tenant: str, body: bytes, kind: str, status: int = 200, path: str = "/ingest"
) -> Any:
    header = {"content-type": kind}
    query = {"tenant_id": tenant}
    return server.call("POST", path, None, status, content=body, headers=header, params=query)


def rows(server: Server, tenant: str, sent: list[object], status: int = 200) -> Any:
    return server.call("POST", "/ingest", {"tenant_id": tenant, "rows": sent}, status)


def row(**more: object) -> dict[str, object]:
    return {"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a", "value": 1.0} | more


def features(server: Server, tenant: str) -> Any:
    body = {"tenant_id": tenant, "asset_ids": ["a", "b"]} | VECTOR
    results = server.call("POST", "/batch", body)["results"]
    return {asset: one["features"] for asset, one in results.items()}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_lands_the_same_data(server: Server, tenant: str, kind: str) -> None:
    assert rows(server, f"{tenant}-json", ROWS) == LANDED
    assert send(server, tenant, FORMATS[kind](pa.Table.from_pylist(ROWS)), kind) == LANDED
    expected = features(server, f"{tenant}-json")
    assert features(server, tenant) == expected
    assert expected["a"]["lag_1h"] == 2 + 1.9
    assert expected["b"]["lag_24h"] == 1 + 2.0


def test_weather_comes_in_the_same_formats(server: Server, tenant: str) -> None:
    table = pa.Table.from_pylist(
        [{"timestamp": "2025-01-02T20:00:00Z", "asset_id": "a", "humidity": 61.5, "other": 1}]
    )
    for kind, write in FORMATS.items():
        landed = send(server, tenant, write(table), kind, path="/ingest/weather")
        assert landed["accepted"] == 1
    body = {"tenant_id": tenant, "asset_id": "a"} | VECTOR | {"feature_set": "forecast_advanced"}
    assert server.call("POST", "/get", body)["features"]["humidity"] == 61.5


def test_replaced_rows_are_counted_and_unchanged_ones_accepted(server: Server, tenant: str) -> None:
    assert rows(server, tenant, [row(), row(value=2.0)])["accepted"] == 2
    assert rows(server, tenant, [row(value=2.0)]) == NOTHING | {
        "accepted": 1, "unchanged": 1
    }  # fmt: skip
    assert rows(server, tenant, [row(value=3.0)])["replaced"] == 1


BAD = {
    "timestamp": [
        (row(timestamp="2025-01-01T00:00:00"), "no offset"),
        (row(timestamp="yesterday"), "a time with an offset"),
        (row(timestamp=None), "a time"),
        (row(timestamp=17), "a time"),
    ],
    "asset_id": [
        (row(asset_id=""), "a string"),
        (row(asset_id="x" * 257), "1 to 256 characters"),
        (row(asset_id="a\nb"), "without control characters"),
        (row(asset_id=None), "a string"),
        (row(asset_id=["a"]), "a string"),
    ],
    "value": [
        (row(value=None), "a finite number"),
        (row(value="much"), "a finite number"),
        (row(value=True), "a finite number"),
        (row(value={}), "a finite number"),
    ],
    "quality": [(row(quality=1.5), "a whole number"), (row(quality=2**40), "a whole number")],
    "feature_type": [(row(feature_type="x" * 65), "1 to 64 characters")],
    "tenant_id": [(row(tenant_id="another"), "the tenant of this batch")],
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_row_is_named_and_the_good_ones_land(server: Server, tenant: str, field: str) -> None:
    sent: list[object] = [row(timestamp="2025-01-01T05:00:00Z")]
    sent += [bad for bad, _ in BAD[field]]
    answer = rows(server, tenant, sent)
    assert (answer["accepted"], answer["rejected"]) == (1, len(BAD[field]))
    for place, (reason, (_, why)) in enumerate(zip(answer["reasons"], BAD[field], strict=True)):
        assert reason.keys() == {"row", "field", "value", "why"}
        assert (reason["row"], reason["field"]) == (place + 1, field)
        assert why in reason["why"]


def test_nan_and_infinity_are_rejected_rows(server: Server, tenant: str) -> None:
    texts = ("NaN", "Infinity", "-Infinity", "1e999", "1.5")
    cells = ",".join(
        f'{{"timestamp":"2025-01-01T0{hour}:00:00Z","asset_id":"a","value":{text}}}'
        for hour, text in enumerate(texts)
    )
    body = f'{{"tenant_id":"{tenant}","rows":[{cells}]}}'.encode()
    answer = server.call("POST", "/ingest", content=body)
    assert (answer["accepted"], answer["rejected"]) == (1, 4)
    assert {one["field"] for one in answer["reasons"]} == {"value"}
    table = pa.table(
        {"timestamp": ["2025-01-01T00:00:00Z"] * 2, "asset_id": ["a", "a"], "value": [1e999, 1.5]}
    )
    for kind, write in FORMATS.items():
        assert send(server, tenant, write(table), kind)["rejected"] == 1


def test_the_first_20_reasons_are_told(server: Server, tenant: str) -> None:
    answer = rows(server, tenant, [row(value=None)] * 30 + [row()])
    assert (answer["accepted"], answer["rejected"]) == (1, 30)
    assert [one["row"] for one in answer["reasons"]] == list(range(20))


def test_nothing_landed_is_422(server: Server, tenant: str) -> None:
    assert rows(server, tenant, [row(value=None)], 422)["rejected"] == 1
    assert rows(server, tenant, [], 422) == NOTHING


def test_a_column_of_tenants_must_agree_in_every_format(server: Server, tenant: str) -> None:
    table = pa.Table.from_pylist([row(tenant_id=tenant), row(tenant_id="another")])
    for kind, write in FORMATS.items():
        answer = send(server, tenant, write(table), kind)
        assert (answer["accepted"], answer["rejected"]) == (1, 1)
        assert answer["reasons"][0]["field"] == "tenant_id"
        assert answer["reasons"][0]["value"] == "another"


def test_naive_times_of_a_table_are_rejected_and_say_what_to_do(
    server: Server, tenant: str
) -> None:
    naive = pa.table(
        {
            "timestamp": pa.array([0], pa.timestamp("us")),
            "asset_id": ["a"],
            "value": [1.0],
        }
    )
    answer = send(server, tenant, parquet_of(naive), "application/vnd.apache.parquet", 422)
    assert answer["rejected"] == 1
    assert "zone" in answer["reasons"][0]["why"]


@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_of_another_format_are_refused(server: Server, tenant: str, kind: str) -> None:
    problem = send(server, tenant, b'{"never": closed', kind, 422)
    assert problem["field"] in ("body", "timestamp")
    assert ", expected " in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"[]", "body"),
        (b"{}", "tenant_id"),
        (b'{"tenant_id": 1, "rows": []}', "tenant_id"),
        (b'{"tenant_id": "", "rows": []}', "tenant_id"),
        (b'{"tenant_id": "\\ud800", "rows": []}', "tenant_id"),
        (b'{"tenant_id": "t"}', "rows"),
        (b'{"tenant_id": "t", "rows": {}}', "rows"),
        (b'{"tenant_id": "t", "rows": [{}]}', "rows"),
        (b'{"tenant_id": "t", "rows": [{"when": 1}]}', "timestamp"),
        (b'{"tenant_id": "t", "rows": [{"timestamp": 1, "asset_id": 1}]}', "value"),
        (b'{"tenant_id": "t", "rows": [], "more": 1}', "body"),
        (b"[" * 100_000, "body"),
    ],
)
def test_a_body_that_is_no_ingest_names_what_is_wrong(
    server: Server, body: bytes, field: str
) -> None:
    problem = server.call("POST", "/ingest", None, 422, content=body)
    assert problem["field"] == field
    assert problem["detail"].startswith(f"{field}: got ")
    assert ", expected " in problem["detail"]


def test_weather_without_a_measurement_is_refused(server: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "rows": [row()]}
    assert "temperature" in server.refusal("POST", "/ingest/weather", body)


def test_the_tenant_is_said_once_or_the_same_twice(server: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "rows": [row()]}
    assert server.call("POST", f"/ingest?tenant_id={tenant}", body)["accepted"] == 1
    assert "'other'" in server.refusal("POST", "/ingest?tenant_id=other", body)
    header = {"content-type": "text/csv"}
    problem = server.call("POST", "/ingest", None, 422, content=b"a", headers=header)
    assert problem["field"] == "tenant_id"


def test_an_unknown_content_type_lists_the_known(server: Server, tenant: str) -> None:
    problem = send(server, tenant, b"x", "text/html", 422)
    assert "text/csv" in problem["detail"]
    assert problem["field"] == "content-type"
