"""What a query says of a body: the options of the command line, by name."""

from __future__ import annotations

from typing import Any

import pytest

from acceptance.serving import Server

GERMAN = "Zeit;Zähler;Wert\n26.10.2025 01:30;m1;1.234,5\n26.10.2025 03:00;m1;2,25\n"
SAID = {
    "timestamp_column": "Zeit",
    "asset_column": "Zähler",
    "value_column": "Wert",
    "timezone": "Europe/Berlin",
}


def send(
    server: Server, tenant: str, text: str, status: int = 200, path: str = "/ingest", **query: Any
) -> Any:
    header = {"content-type": "text/csv"}
    query = {"tenant_id": tenant, **query}
    return server.call(
        "POST", path, None, status, content=text.encode(), headers=header, params=query
    )


def lag(server: Server, tenant: str, at: str) -> Any:
    body = {"tenant_id": tenant, "asset_id": "m1", "timestamp": at, "feature_names": ["lag_1h"]}
    return server.call("POST", "/get", {**body, "missing": "keep"})["features"]["lag_1h"]


def test_a_file_as_people_have_it_lands(server: Server, tenant: str) -> None:
    assert send(server, tenant, GERMAN, **SAID)["accepted"] == 2
    assert lag(server, tenant, "2025-10-26T00:30:00Z") == 1234.5
    assert lag(server, tenant, "2025-10-26T03:00:00Z") == 2.25


def test_a_dry_run_lands_nothing_and_says_what_it_found(server: Server, tenant: str) -> None:
    found = send(server, tenant, GERMAN, dry_run="true", **SAID)
    assert (found["dry_run"], found["accepted"], found["replaced"]) == (True, 2, 0)
    assert found["rows"][0] == {
        "timestamp": "2025-10-25T23:30:00Z", "tenant_id": tenant, "asset_id": "m1",
        "feature_type": "value", "value": 1234.5, "quality": 1,
    }  # fmt: skip
    assert any("--decimal comma" in line for line in found["detected"])
    assert lag(server, tenant, "2025-10-26T00:30:00Z") is None
    # The options that it names say the same again, and leave nothing to be found out.
    again = send(server, tenant, GERMAN, dry_run="true", **found["options"])
    assert (again["rows"], again["detected"]) == (found["rows"], [])


def test_options_hold_for_rows_of_json_too(server: Server, tenant: str) -> None:
    rows = [
        {"Zeit": "2025-10-26T01:30", "Zähler": " m1 ", "Wert": 7},
        {"Zeit": "2025-10-26T01:45", "Zähler": "m1", "Wert": -9999},
    ]
    body = {"tenant_id": tenant, "rows": rows}
    query = {**SAID, "null": ["-9999", "x"]}
    found = server.call("POST", "/ingest", body, params=query)
    assert (found["accepted"], found["rejected"]) == (1, 1)
    assert found["reasons"][0]["value"] == -9999
    assert lag(server, tenant, "2025-10-26T00:30:00Z") == 7


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"timezon": "UTC"}, "options"),
        ({"timezone": ["UTC", "UTC"]}, "timezone"),
        ({"timezone": "Mars"}, "timezone"),
        ({"column": "temperature=t"}, "options"),
        ({"dry_run": "perhaps"}, "dry_run"),
        ({"interval_start": "P1D"}, "interval_start"),
    ],
)
def test_what_a_query_cannot_say_is_refused(
    server: Server, tenant: str, query: dict[str, Any], field: str
) -> None:
    text = "timestamp,asset_id,value\n2025-10-26T01:30:00Z,m1,1\n"
    assert send(server, tenant, text, 422, **query)["field"] == field
    assert lag(server, tenant, "2025-10-26T02:30:00Z") is None


def test_weather_is_read_by_its_own_names(server: Server, tenant: str) -> None:
    text = "time,temp,rh\n2025-10-26T01:30,5.5,NA\n2025-10-26T01:45,999.9,80\n"
    said = {"timestamp_column": "time", "asset_id": "JFK", "timezone": "UTC"}
    columns = ["temperature=temp", "humidity=rh"]
    found = send(server, tenant, text, path="/ingest/weather", column=columns, **said)
    assert (found["accepted"], found["rejected"]) == (2, 0)
    assert (found["unreadable"], found["outside"]) == ({"humidity": 1}, {"temperature": 1})
    assert len(found["warnings"]) == 1
    assert "999.9" in found["warnings"][0]


def test_the_document_lists_the_options(server: Server) -> None:
    operation = server.client.get("/docs/openapi.json").json()["paths"]["/ai/features/ingest"]
    named = {one["name"]: one for one in operation["post"]["parameters"]}
    assert {"tenant_id", "dry_run", "timezone", "value_column", "interval_start"} <= {*named}
    assert named["null"]["schema"]["type"] == "array"
    assert named["skip_lines"]["schema"]["type"] == "integer"
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert {"text/tab-separated-values", sheet} < {*operation["post"]["requestBody"]["content"]}
