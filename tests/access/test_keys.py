"""Access keys and what they grant: only the whole key, only for as long, only what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.access.grant import SCOPES, Grant, check_scopes, check_tenants
from ai_hub.access.keys import Keys, KnownKey, digest_of, minted
from ai_hub.errors import Forbidden, InvalidInput, Unauthorized

ID, KEY = minted()
GRANT = Grant("ops", frozenset({"acme"}), frozenset({"read"}), ID, until=1_000)
OTHER_ID, OTHER = minted()
HEADER = b"Bearer " + KEY.encode()


def keys() -> Keys:
    other = Grant("other", None, frozenset({"admin"}), OTHER_ID)
    return Keys([KnownKey(digest_of(KEY), GRANT), KnownKey(digest_of(OTHER), other)])


def test_no_two_are_alike_and_each_says_its_id() -> None:
    made = [minted() for _ in range(100)]
    assert len({key for _, key in made}) == 100
    for id, key in made:
        mark, own, secret = key.split("_", 2)
        assert (mark, own, len(secret)) == ("aih", id, 43)
        assert id.isalnum()
        assert id.isascii()


def test_a_key_is_taken_until_it_ends() -> None:
    known = keys()
    for now in (0, 999):
        assert known.grant(HEADER, now) == GRANT
    with pytest.raises(Unauthorized):
        known.grant(HEADER, 1_000)
    assert known.grant(b"bearer \t" + OTHER.encode() + b" ", 10**18).tenants is None


@given(place=st.integers(0, len(HEADER) - 1), byte=st.integers(1, 255))
def test_no_other_byte_will_do(place: int, byte: int) -> None:
    changed = bytearray(HEADER)
    changed[place] ^= byte
    taken = bytes(changed)
    if taken.lower()[:6] == b"bearer" and taken[6:7] in b" \t" and taken[7:] == HEADER[7:]:
        return
    known = keys()
    for _ in range(2):
        with pytest.raises(Unauthorized) as refused:
            known.grant(taken, 0)
        assert KEY[16:] not in str(refused.value)


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Bearer", b"Bearer ", KEY.encode(), b"Basic " + KEY.encode(), HEADER + b"A",
     HEADER[:-1], b"Bearer " + HEADER, HEADER + b", " + HEADER, HEADER.replace(b"aih", b"AIH"),
     b"Bearer aih_" + OTHER_ID.encode() + KEY.encode()[16:], b"Bearer " + digest_of(KEY).encode(),
     b"Bearer aih__" + b"A" * 43],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_key_is_refused(header: bytes | None) -> None:
    with pytest.raises(Unauthorized):
        keys().grant(header, 0)


def test_a_grant_is_for_its_tenants_and_scopes() -> None:
    GRANT.check_scope("read")
    GRANT.check_tenant("acme")
    for scope in SCOPES[1:]:
        with pytest.raises(Forbidden):
            GRANT.check_scope(scope)
    for tenant in ("Acme", "acme ", "", None, 5, "other"):
        with pytest.raises(Forbidden):
            GRANT.check_tenant(tenant)
    with pytest.raises(Forbidden):
        GRANT.check_everybody()
    assert GRANT.covers(frozenset({"acme"}))
    assert not GRANT.covers(frozenset({"acme", "other"}))
    assert not GRANT.covers(None)


def test_headers_that_are_remembered_are_few_and_short() -> None:
    known = keys()
    for blanks in range(1, 500):
        assert known.grant(b"Bearer" + b" " * blanks + KEY.encode(), 0) == GRANT
    assert len(known._seen) < 100
    assert max(map(len, known._seen)) <= 128


@pytest.mark.parametrize("scopes", [[], ["read", "delete"], "read", None, [5], ["READ"]])
def test_other_scopes_are_refused(scopes: object) -> None:
    with pytest.raises(InvalidInput):
        check_scopes(scopes)


@pytest.mark.parametrize("tenants", [[], [""], "acme", [None], [f"t{i}" for i in range(1_001)]])
def test_other_tenants_are_refused(tenants: object) -> None:
    with pytest.raises(InvalidInput):
        check_tenants(tenants)
