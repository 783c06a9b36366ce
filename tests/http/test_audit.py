"""The audit log of a server that asks nobody who they are."""

from __future__ import annotations

from acceptance.serving import Server

ROW = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "a", "value": 1.0}


def test_anybody_is_told_by_their_address_and_not_by_what_they_say(server: Server) -> None:
    said = {"x-forwarded-for": "192.0.2.7", "x-forwarded-user": "me", "forwarded": "for=192.0.2.7"}
    body = {"tenant_id": "audited", "rows": [ROW]}
    server.client.post("/ai/features/ingest", json=body, headers=said)
    key = {"name": "k", "tenants": ["audited"], "scopes": ["read"], "created_by": "me"}
    server.client.post("/ai/features/keys", json=key)
    answer = server.client.get("/ai/features/audit", params={"tenant_id": "audited"}).json()
    made, landed = answer["records"]
    assert answer["next"] is None
    for one in (made, landed):
        assert (one["who"], one["who_id"]) == ("anybody", "127.0.0.1")
    assert (landed["what"], landed["count"]) == ("ingest", 1)
    assert made["details"]["said_by"] == "me"


def test_what_is_asked_wrong_is_named(server: Server) -> None:
    for field, value in (
        ("what", "ingests"), ("limit", "0"), ("before", "x"), ("start_time", "today"),
        ("end_time", "2025-10-09T14:00:00"), ("tenant_id", ""),
    ):  # fmt: skip
        answer = server.client.get("/ai/features/audit", params={field: value})
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"] == field
