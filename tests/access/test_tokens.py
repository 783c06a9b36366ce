"""Tokens of an issuer: what is right grants what it says, and nothing else grants anything."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.issuing import (
    AUDIENCE,
    ISSUER,
    by_public_key,
    claims,
    curve,
    key_set,
    rsa,
    shared_secret,
    signed,
    unsigned,
)
from ai_hub.access.tokens import LEEWAY_SECONDS, Rules, Tokens
from ai_hub.errors import InvalidInput, Unauthorized, UnknownSigner

RULES = Rules(
    ISSUER, frozenset((AUDIENCE, "other")), ("RS256", "ES256"), "sub", "ai_hub_tenants", "scope", ""
)
A, B = rsa("a"), rsa("b")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def now() -> int:
    return time.time_ns() // 1_000


def known(*more: Any, rules: Rules = RULES) -> Tokens:
    tokens = Tokens(rules)
    tokens.take({"keys": [*key_set(A, curve("c"))["keys"], *more]})
    return tokens


TOKENS = known()


def refusal(token: str | bytes, tokens: Tokens = TOKENS) -> str:
    said = token if isinstance(token, bytes) else token.encode()
    with pytest.raises(Unauthorized) as refused:
        tokens.grant(b"Bearer " + said, now())
    return str(refused.value)


def test_a_token_grants_what_it_says() -> None:
    for key, alg in ((A, "RS256"), (curve("c"), "ES256")):
        of = claims(scope="openid read export", ai_hub_tenants=["acme", "bravo"])
        header = f"bearer  {signed(of, key, alg)} ".encode()
        grant = TOKENS.grant(header, now())
        assert (grant.who, grant.id) == ("robot", "robot")
        assert grant.tenants == {"acme", "bravo"}
        assert grant.scopes == {"read", "export"}
        assert grant.until == (of["exp"] + LEEWAY_SECONDS) * 1_000_000
        assert TOKENS.grant(header, now()) is grant
        with pytest.raises(Unauthorized, match="past its time"):
            TOKENS.grant(header, grant.until)


@pytest.mark.parametrize(
    ("said", "tenants"),
    [("acme", {"acme"}), ("*", None), (["*"], None), (["acme", "*"], None), (["a b"], {"a b"})],
)
def test_tenants_are_a_list_a_text_or_all(said: object, tenants: set[str] | None) -> None:
    token = signed(claims(ai_hub_tenants=said), A)
    assert TOKENS.grant(f"Bearer {token}".encode(), now()).tenants == tenants


def test_claims_may_have_other_names() -> None:
    rules = Rules(ISSUER, RULES.audiences, ("RS256",), "client", "https://x/t", "roles", "hub.")
    of = claims(
        client="c", **{"https://x/t": "acme"}, roles=["hub.read", "write", "hub.other"], sub=None
    )
    grant = known(rules=rules).grant(f"Bearer {signed(of, A)}".encode(), now())
    assert (grant.who, grant.tenants, grant.scopes) == ("c", {"acme"}, {"read"})
    assert "client" in refusal(signed(claims(), A), known(rules=rules))


def test_without_scopes_nothing_is_allowed() -> None:
    for scope in (None, "", "openid", []):
        token = signed(claims(scope=scope), A)
        assert TOKENS.grant(f"Bearer {token}".encode(), now()).scopes == frozenset()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"exp": 1}, "past its time"),
        ({"exp": None}, "claim exp"),
        ({"exp": "2099-01-01"}, "claim exp"),
        ({"exp": True}, "claim exp"),
        ({"exp": 10**400}, "claim exp"),
        ({"nbf": 2**35}, "has not come"),
        ({"iat": 2**35}, "has not come"),
        ({"iat": "now"}, "claim iat"),
        ({"iss": None}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": [ISSUER]}, "another issuer"),
        ({"aud": None}, "what it is for"),
        ({"aud": "another"}, "another service"),
        ({"aud": []}, "another service"),
        ({"aud": [AUDIENCE, 1]}, "what it is for"),
        ({"aud": {AUDIENCE: 1}}, "what it is for"),
        ({"sub": None}, "claim sub"),
        ({"sub": ""}, "claim sub"),
        ({"sub": "a\nb"}, "claim sub"),
        ({"sub": 5}, "claim sub"),
        ({"sub": "x" * 256}, "claim sub"),
        ({"ai_hub_tenants": None}, "claim ai_hub_tenants"),
        ({"ai_hub_tenants": []}, "claim ai_hub_tenants"),
        ({"ai_hub_tenants": [""]}, "claim ai_hub_tenants"),
        ({"ai_hub_tenants": [1]}, "claim ai_hub_tenants"),
        ({"ai_hub_tenants": {"*": "*"}}, "claim ai_hub_tenants"),
        ({"ai_hub_tenants": 5}, "claim ai_hub_tenants"),
        ({"ai_hub_tenants": [f"t{n}" for n in range(1_001)]}, "claim ai_hub_tenants"),
        ({"scope": 5}, "claim scope"),
        ({"scope": [["read"]]}, "claim scope"),
    ],
)
def test_wrong_claims_are_refused_with_the_claim(more: dict[str, Any], why: str) -> None:
    assert why in refusal(signed(claims(**more), A))


def test_the_clock_of_an_issuer_may_be_a_little_off() -> None:
    at = int(time.time())
    for more in ({"exp": at - 5}, {"nbf": at + 5}, {"iat": at + 5}):
        assert TOKENS.grant(f"Bearer {signed(claims(**more), A)}".encode(), now())


def test_only_the_algorithms_of_the_settings_are_taken() -> None:
    for token in (
        unsigned(claims(), {"alg": "none", "kid": "a"}),
        unsigned(claims(), {"alg": "NONE", "kid": "a"}),
        unsigned(claims(), {"alg": ["RS256"], "kid": "a"}),
        unsigned(claims(), {"kid": "a"}),
        *(by_public_key(claims(), A, alg) for alg in ("HS256", "HS384", "HS512")),
        signed(claims(), A, "RS512"),
        signed(claims(), A, "PS256"),
    ):
        assert "algorithm" in refusal(token)
    assert refusal(unsigned(claims(), {"alg": "none", "kid": "a"}, b""))
    # A key is for one kind of signature.
    head = {"alg": "ES256", "kid": "a"}
    assert "signature" in refusal(unsigned(claims(), head, b"x" * 64))


def test_other_headers_are_refused() -> None:
    for head in (
        {"typ": "logout+jwt"}, {"typ": 5}, {"crit": ["exp"], "exp": 1}, {"kid": 5}, {"crit": []},
    ):  # fmt: skip
        token = unsigned(claims(), {"alg": "RS256", "kid": "a", **head})
        assert refusal(token)
    for typ in ("JWT", "at+jwt", "application/AT+JWT", None):
        assert TOKENS.grant(f"Bearer {signed(claims(), A, typ=typ)}".encode(), now())
    # What a header says of keys is not asked.
    forged = signed(claims(), B, kid="a", jwk=B.as_dict(private=False), jku="https://x/k")
    assert "signature" in refusal(forged)


def test_an_unknown_key_is_named_as_such() -> None:
    for kid in ("b", None, "../a"):
        with pytest.raises(UnknownSigner):
            TOKENS.grant(f"Bearer {signed(claims(), B, kid=kid)}".encode(), now())
    # Without a name there may be one key alone.
    alone = Tokens(RULES)
    alone.take(key_set(A))
    assert alone.grant(f"Bearer {signed(claims(), A, kid=None)}".encode(), now())
    assert "signature" in refusal(signed(claims(), B, kid=None), alone)


def test_keys_that_are_gone_are_no_more() -> None:
    tokens = known()
    first = f"Bearer {signed(claims(), A)}".encode()
    second = f"Bearer {signed(claims(), B)}".encode()
    assert tokens.grant(first, now())
    assert not tokens.take({"keys": key_set(A, curve("c"))["keys"]})
    assert tokens.take(key_set(A, B))
    assert tokens.grant(first, now())
    assert tokens.grant(second, now())
    assert tokens.take(key_set(B))
    with pytest.raises(UnknownSigner):
        tokens.grant(first, now())
    assert tokens.grant(second, now())


@pytest.mark.parametrize("document", [None, [], {}, {"keys": 5}, {"keys": []}, {"keys": [5, {}]}])
def test_a_set_without_keys_is_refused_and_changes_nothing(document: object) -> None:
    tokens = known()
    with pytest.raises(InvalidInput):
        tokens.take(document)
    assert tokens.grant(f"Bearer {signed(claims(), A)}".encode(), now())


@pytest.mark.filterwarnings("ignore:Key size")
def test_shared_secrets_and_weak_keys_are_passed_over() -> None:
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": "w" * 170}
    for_secrets = {**B.as_dict(private=False), "use": "enc"}
    tokens = known(shared_secret(), weak, for_secrets, {"kty": "EC", "crv": "P-0"}, {"kty": []})
    for kid in ("shared", "weak", "b"):
        with pytest.raises(UnknownSigner):
            tokens.grant(f"Bearer {signed(claims(), B, kid=kid)}".encode(), now())


@pytest.mark.filterwarnings("ignore:Key size")
@given(document=JSON | st.fixed_dictionaries({"keys": st.lists(
    st.dictionaries(st.sampled_from(["kty", "kid", "n", "e", "crv", "x", "y", "use", "alg", "k",
                                     "key_ops", "d"]),
                    JSON | st.sampled_from(["RSA", "EC", "OKP", "oct", "AQAB", "P-256"])),
    max_size=3)}))  # fmt: skip
@settings(deadline=None)
def test_no_key_set_is_a_fault(document: object) -> None:
    with suppress(InvalidInput):
        Tokens(RULES).take(document)


RIGHT = signed(claims(), A).encode()


@given(st.data())
@settings(deadline=None)
def test_no_changed_token_gets_through(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(RIGHT) - 1))
    changed = RIGHT[:place] + data.draw(st.binary(max_size=3)) + RIGHT[place + 1 :]
    # The last letter of a part holds bits that nobody reads.
    if changed != RIGHT and changed.rstrip() != RIGHT and place not in (
        len(RIGHT) - 1, RIGHT.index(b".") - 1, RIGHT.rindex(b".") - 1
    ):  # fmt: skip
        refusal(changed)


@given(head=JSON, body=JSON, named=st.booleans())
@settings(deadline=None)
def test_no_token_of_ones_own_gets_through(head: object, body: object, named: bool) -> None:
    more = {"alg": "RS256", "kid": "a"} if named else {}
    refusal(unsigned(body, {**head, **more} if isinstance(head, dict) else head))


@given(name=st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "ai_hub_tenants"]),
       value=JSON)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_a_signed_token_with_any_claim_is_no_fault(name: str, value: object) -> None:
    token = signed(json.loads(json.dumps({**claims(), name: value})), A)
    try:
        grant = TOKENS.grant(f"Bearer {token}".encode(), now())
    except Unauthorized:
        return
    assert name not in ("iss", "aud")
    assert grant.tenants is None or all(isinstance(one, str) for one in grant.tenants)


def test_what_is_long_or_deep_is_refused() -> None:
    deep = ("[" * 5_000).encode()
    for token in (
        b"a" * 20_000,
        b"a.b." + b"c" * 20_000,
        RIGHT + b"A" * 20_000,
        b".".join([unsigned({}, {})[:4].encode() * 1_000] * 3),
    ):
        refusal(token)
    head = base64.urlsafe_b64encode(deep).rstrip(b"=")
    refusal(b".".join([head, b"e30", b"c2ln"]))
    for header in (None, b"", b"Bearer", b"Basic " + RIGHT, RIGHT, b"Bearer " + RIGHT + b".x"):
        with pytest.raises(Unauthorized):
            TOKENS.grant(header, now())
