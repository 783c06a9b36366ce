"""Access keys on every store: made, known to other processes, revoked, and for whom they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_hub.access.grant import Grant
from ai_hub.access.keys import digest_of
from ai_hub.definitions.values import DAY, Duration, parse_time
from ai_hub.errors import Forbidden, InvalidInput, Unauthorized, UnknownKey
from conformance.kit import Deployment
from conformance.test_feature_sets import within_a_second

OF_ACME = Grant("lead", frozenset({"acme"}), frozenset({"admin"}))


def header(made: dict[str, object]) -> bytes:
    return f"Bearer {made['key']}".encode()


async def test_a_key_is_made_listed_and_revoked(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        made = await store.create_key("ops", ["b", "acme", "b"], ["write", "read"], None, "me")
        told = {name: value for name, value in made.items() if name != "key"}
        assert {**told, "id": "", "created_at": ""} == {
            "id": "", "name": "ops", "tenants": ["acme", "b"], "scopes": ["read", "write"],
            "state": "valid", "created_at": "", "created_by": "me", "expires_at": None,
            "revoked_at": None,
        }  # fmt: skip
        assert store.keys() == [told]
        (stored,) = (await store._table.load()).keys
        assert stored.sha256 == digest_of(str(made["key"]))
        assert str(made["key"])[17:] not in repr(stored)
        grant = store.known_keys.grant(header(made), store.now())
        assert (grant.who, grant.tenants, grant.scopes) == ("ops", {"acme", "b"}, {"read", "write"})
        gone = await store.revoke_key(str(made["id"]))
        assert gone["state"] == "revoked"
        assert await store.revoke_key(str(made["id"])) == gone
        assert store.keys() == [gone]
        with pytest.raises(Unauthorized):
            store.known_keys.grant(header(made), store.now())
        with pytest.raises(UnknownKey):
            await store.revoke_key("nobody")


async def test_a_key_ends_by_itself(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        made = await store.create_key("a", None, ["read"], Duration(90 * DAY))
        ends = parse_time(made["expires_at"])
        assert ends - parse_time(made["created_at"]) == 90 * DAY
        assert store.known_keys.grant(header(made), ends - 1).tenants is None
        with pytest.raises(Unauthorized):
            store.known_keys.grant(header(made), ends)
        soon = await store.create_key("b", None, ["read"], Duration(1))
        assert store.keys()[1]["state"] == "expired"
        assert soon["tenants"] is None


async def test_nobody_makes_or_sees_a_key_for_more_than_their_own(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        every = await store.create_key("every", None, ["read"])
        both = await store.create_key("both", ["acme", "b"], ["read"])
        for tenants in (None, ["b"], ["acme", "b"]):
            with pytest.raises(Forbidden):
                await store.create_key("x", tenants, ["read"], by=OF_ACME)
        own = await store.create_key("own", ["acme"], ["read", "admin"], by=OF_ACME)
        assert [one["id"] for one in store.keys(OF_ACME)] == [own["id"]]
        for hidden in (every, both):
            with pytest.raises(UnknownKey):
                await store.revoke_key(str(hidden["id"]), OF_ACME)
        await store.revoke_key(str(own["id"]), OF_ACME)
        for wrong in ({"name": ""}, {"scopes": ["all"]}, {"tenants": []}):
            fields = {"name": "n", "tenants": None, "scopes": ["read"], **wrong}
            with pytest.raises(InvalidInput):
                await store.create_key(**fields)  # type: ignore[arg-type]


async def test_other_processes_hear_of_it(on_server: Deployment, tmp_path: Path) -> None:
    async with on_server.open(tmp_path) as store, on_server.open(tmp_path) as other:
        made = await store.create_key("ops", None, ["read"])

        def known() -> bool:
            try:
                return other.known_keys.grant(header(made), other.now()).who == "ops"
            except Unauthorized:
                return False

        await within_a_second(known)
        await other.revoke_key(str(made["id"]))
        assert not known()
        await within_a_second(lambda: store.keys()[0]["state"] == "revoked")
        with pytest.raises(Unauthorized):
            store.known_keys.grant(header(made), store.now())
