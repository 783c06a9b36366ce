"""Attributes of assets over HTTP."""

from __future__ import annotations

import json

import pytest

from acceptance.serving import Server

ROWS = [
    {"asset_id": "a", "key": "capacity", "value": 120},
    {"asset_id": "a", "key": "capacity", "value": 60, "valid_from": "2025-01-01T00:00:00Z"},
    {"asset_id": "b", "key": "timezone", "value": "Europe/Berlin"},
]
PATH = "/ingest/attributes"


def counts(found: dict[str, object]) -> tuple[object, ...]:
    names = ("accepted", "replaced", "unchanged", "duplicates", "rejected")
    return tuple(found[name] for name in names)


def test_attributes_land_and_are_counted(server: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "rows": ROWS}
    assert counts(server.call("POST", PATH, body)) == (3, 0, 0, 0, 0)
    # The first value of a key held always, so the same one now is a change: the later one holds.
    assert counts(server.call("POST", PATH, body)) == (3, 0, 2, 0, 0)
    text = "asset_id,valid_from,capacity,timezone\na,2025-01-01T00:00:00Z,61,\nb,,,Nowhere\n"
    found = server.call(
        "POST", PATH, None, content=text.encode(), headers={"content-type": "text/csv"},
        params={"tenant_id": tenant},
    )  # fmt: skip
    assert counts(found) == (1, 1, 0, 0, 1)
    (reason,) = found["reasons"]
    assert (reason["field"], reason["value"]) == ("value", "Nowhere")


def test_no_row_of_a_body_that_has_none_lands(server: Server, tenant: str) -> None:
    wrong = {"tenant_id": tenant, "rows": [ROWS[2] | {"value": "CET/1"}]}
    assert counts(server.call("POST", PATH, wrong, 422)) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize(
    ("rows", "field"),
    [([{"key": "a", "value": 1}], "asset_id"), ([{"asset_id": "a"}], "key"), ("x", "rows")],
)
def test_a_body_without_attributes_is_refused(
    server: Server, tenant: str, rows: object, field: str
) -> None:
    assert field in server.refusal("POST", PATH, {"tenant_id": tenant, "rows": rows})


def test_a_dry_run_lands_nothing(server: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "rows": ROWS}
    found = server.call("POST", f"{PATH}?dry_run=true", body)
    assert found["dry_run"] is True
    assert json.dumps(found["rows"][0]["number"]) == "120.0"
    assert counts(server.call("POST", PATH, body)) == (3, 0, 0, 0, 0)


def test_assets_are_listed_with_what_they_have(server: Server, tenant: str) -> None:
    plain = {"tenant_id": tenant, "asset_ids": []}
    assert server.call("GET", f"/assets?tenant_id={tenant}") == plain
    server.call("POST", PATH, {"tenant_id": tenant, "rows": ROWS})
    path = f"/assets?tenant_id={tenant}&details=true"
    first = server.call("GET", f"{path}&limit=1")
    assert first == {
        "tenant_id": tenant,
        "assets": [
            {"asset_id": "a", "series": [], "station": None, "attributes": {"capacity": 60.0}}
        ],
        "next": "a",
    }
    second = server.call("GET", f"{path}&limit=1&after=a")
    assert [one["attributes"] for one in second["assets"]] == [{"timezone": "Europe/Berlin"}]
    assert second["next"] is None
    assert server.call("GET", f"{path}&since=2025-01-01T00:00:00Z")["assets"] == []
    assert [one["asset_id"] for one in server.call("GET", f"{path}&search=a")["assets"]] == ["a"]
    assert server.call("GET", f"/assets?tenant_id={tenant}&search=none")["assets"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("details=true&limit=0", "limit"), ("details=true&since=soon", "since"),
     ("limit=0", "limit"), ("since=soon", "since"), ("details=perhaps", "details"),
     ("details=true&after=", "after"), ("search=a%00", "search")],
)  # fmt: skip
def test_a_list_asked_wrongly_is_refused(
    server: Server, tenant: str, query: str, field: str
) -> None:
    assert field in server.refusal("GET", f"/assets?tenant_id={tenant}&{query}")
