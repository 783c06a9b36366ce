"""Servers that ask for a token: its issuer rotates keys, is away, and answers anything."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.serving import Server, environment, serving
from access.issuing import Issuer, by_public_key, claims, key_set, rsa, signed, unsigned
from ai_hub.http.issuer import PAUSE_SECONDS
from watching import COMMAND, eventually, log

GET = {"tenant_id": "acme", "asset_id": "meter-001", "feature_set": "forecast_basic"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    found = Issuer(rsa("a"))
    yield found
    found.stop()


@contextmanager
def asking(folder: Path, issuer: Issuer, **more: object) -> Iterator[Server]:
    with serving(COMMAND, folder, **{**issuer.settings, **more}) as server:
        yield server


@pytest.fixture(scope="module")
def server(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with asking(tmp_path_factory.mktemp("tokens"), issuer) as found:
        yield found


def status(server: Server, token: str | None) -> int:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return server.client.post("/ai/features/get", json=GET, headers=headers).status_code


def test_what_a_token_allows_and_what_not(server: Server, issuer: Issuer) -> None:
    for token, expected in (
        (issuer.token(), 200),
        (issuer.token(ai_hub_tenants="*"), 200),
        (issuer.token(ai_hub_tenants="bravo"), 403),
        (issuer.token(scope="openid write"), 403),
        (issuer.token(scope=None), 403),
        (issuer.token(aud="another"), 401),
        (issuer.token(exp=1), 401),
        (None, 401),
    ):
        assert status(server, token) == expected
    refused = server.client.get("/ai/features/sets", headers={"authorization": "Bearer a.b.c"})
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["field"] == "authorization"
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"ai_hub_tenants": "bravo"},
            "tenant_id: got 'acme', expected one of the tenants of the token",
        ),
        ({"scope": "write"}, "scope: got 'write', expected a token with read"),
    ],
)
def test_a_refusal_speaks_of_the_token(
    server: Server, issuer: Issuer, said: dict[str, str], expected: str
) -> None:
    headers = {"authorization": f"Bearer {issuer.token(**said)}"}
    answer = server.client.post("/ai/features/get", json=GET, headers=headers)
    assert answer.json()["detail"] == expected


def test_the_refusal_comes_before_the_body(server: Server) -> None:
    head = b"POST /ai/features/ingest?tenant_id=acme HTTP/1.1\r\nhost: localhost\r\n"
    head += b"authorization: Bearer a.b.c\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as client:
        client.sendall(head + b"content-length: 60000000\r\n\r\n")
        assert client.recv(4_096).startswith(b"HTTP/1.1 401 ")


def test_hundreds_of_forged_tokens_get_through_nowhere(server: Server, issuer: Issuer) -> None:
    drawn = random.Random(3)
    right = issuer.token()
    forged = (
        lambda: signed(claims(issuer.url), rsa("b"), kid="a"),
        lambda: signed(claims(issuer.url), rsa("b"), kid=None),
        lambda: signed(claims("https://issuer.example"), rsa("a")),
        lambda: signed(claims(issuer.url), rsa("a"), drawn.choice(("RS384", "PS256"))),
        lambda: by_public_key(claims(issuer.url), rsa("a"), drawn.choice(("HS256", "HS512"))),
        lambda: unsigned(claims(issuer.url), {"alg": drawn.choice(("none", "RS256"))}),
        lambda: unsigned(claims(issuer.url), {"alg": "none"}, b""),
        lambda: right.swapcase(),
        lambda: right[: drawn.randrange(20, len(right) - 20)],
        lambda: f"{right}.{right}",
        lambda: "A" * drawn.randrange(20_000),
        lambda: issuer.token(exp=int(time.time()) - drawn.randrange(60, 10**6)),
        lambda: issuer.token(nbf=int(time.time()) + drawn.randrange(60, 10**6)),
        lambda: issuer.token(aud=drawn.choice(("x", ["x", "y"], 5, {"ai-hub": 1}, None))),
        lambda: issuer.token(ai_hub_tenants=drawn.choice((None, [], 5, "bravo", ["b", "c"]))),
        lambda: issuer.token(scope=drawn.choice((None, "", "reads", ["READ"], "write admin"))),
    )
    answers = [status(server, drawn.choice(forged)()) for _ in range(400)]
    assert set(answers) == {401, 403}
    assert "Traceback" not in (server.folder / "log.txt").read_text()


def test_no_token_is_in_logs_or_metrics(server: Server, issuer: Issuer) -> None:
    token = issuer.token(scope="read")
    assert status(server, token) == 200
    headers = {"authorization": f"Bearer {token}"}
    seen = (server.folder / "log.txt").read_text()
    seen += server.client.get("/metrics", headers=headers).text
    assert "ai_hub_" in seen
    assert not [part for part in token.split(".") if part in seen]


def test_a_new_key_is_known_with_the_first_token_of_it(tmp_path: Path) -> None:
    issuer = Issuer(rsa("a"))
    with asking(tmp_path, issuer) as server:
        assert status(server, issuer.token()) == 200
        # The look at its start is long enough ago.
        time.sleep(PAUSE_SECONDS)
        issuer.keys.append(rsa("b"))
        assert status(server, issuer.token(rsa("b"))) == 200
        assert status(server, issuer.token()) == 200
        # Whoever asks with keys that nobody has makes it look no more often than that.
        asked = len(issuer.asked)
        for number in range(20):
            assert status(server, signed(claims(issuer.url), rsa("b"), kid=str(number))) == 401
        assert len(issuer.asked) == asked
        assert asked == 4
    issuer.stop()


def test_a_key_that_is_gone_is_refused_and_an_issuer_may_be_away(tmp_path: Path) -> None:
    issuer = Issuer(rsa("a"), rsa("b"))
    with asking(tmp_path, issuer, oidc_refresh="300ms") as server:
        first, second = issuer.token(), issuer.token(rsa("b"))
        assert (status(server, first), status(server, second)) == (200, 200)
        issuer.keys.remove(rsa("a"))
        eventually(lambda: status(server, first) == 401)
        assert status(server, second) == 200
        port = issuer.port
        issuer.stop()
        eventually(lambda: log(server, "issuer away"))
        assert (status(server, first), status(server, second)) == (401, 200)
        assert status(server, issuer.token(rsa("b"), sub="another")) == 200
        # What it says while it fails is no set of keys.
        issuer.answers = {"/keys": b'{"keys": []}'}
        issuer.start(port)
        asked = len(issuer.asked)
        eventually(lambda: len(issuer.asked) > asked + 4)
        assert status(server, second) == 200
        issuer.answers, issuer.keys = {}, [rsa("a")]
        eventually(lambda: (status(server, first), status(server, second)) == (200, 401))
    issuer.stop()


def long(*values: object) -> Any:
    """A case that has a server of its own as well."""
    return pytest.param(*values, marks=pytest.mark.long)


@pytest.mark.parametrize(
    ("path", "instead", "why"),
    [
        ("/keys", 500, "500"),
        long("/keys", b"[" * 100_000, "no JSON"),
        ("/keys", b" " * 600_000, "more than"),
        long("/keys", json.dumps({"keys": [{"kty": "oct", "k": "eA"}]}).encode(), "at least one"),
        long("/.well-known/openid-configuration", b"{}", "AI_HUB_OIDC_ISSUER"),
        long("/.well-known/openid-configuration", 302, "302"),
        ("/.well-known/openid-configuration", "http://issuer.example/k", "https://"),
    ],
)
def test_an_issuer_that_answers_wrong_is_told_of(
    path: str, instead: bytes | int | str, why: str, tmp_path: Path
) -> None:
    issuer = Issuer(rsa("a"))
    if isinstance(instead, str):
        instead = json.dumps({"issuer": issuer.url, "jwks_uri": instead}).encode()
    issuer.answers = {path: instead}
    with asking(tmp_path, issuer) as server:
        headers = {"authorization": f"Bearer {issuer.token()}"}
        answer = server.client.post("/ai/features/get", json=GET, headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert why in answer.json()["detail"]
        (told,) = log(server, "issuer away")
        assert why in told["why"]
    issuer.stop()


def test_keys_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(rsa("a"))))
    of = Issuer(rsa("b"))
    of.stop()
    with asking(tmp_path, of, oidc_keys="keys.json", oidc_refresh="300ms") as server:
        assert status(server, of.token()) == 200
        (tmp_path / "keys.json").write_text(json.dumps(key_set(rsa("b"))))
        eventually(lambda: status(server, of.token()) == 401)
        assert status(server, of.token(rsa("b"))) == 200
    assert of.asked == []


def test_each_subject_asks_as_often_as_it_may(issuer: Issuer, tmp_path: Path) -> None:
    with asking(tmp_path, issuer, rate_limit=5) as server:
        # Of one subject, however many tokens it has.
        tokens = [issuer.token(iat=int(time.time()) - number) for number in range(40)]
        first = [status(server, token) for token in tokens]
        assert first[:5] == [200] * 5
        assert set(first) == {200, 429}
        assert status(server, issuer.token(sub="another")) == 200


@pytest.mark.parametrize("left_out", ["oidc_issuer", "oidc_audience", "oidc_algorithms"])
def test_a_server_does_not_start_without_what_is_never_guessed(
    left_out: str, issuer: Issuer, tmp_path: Path
) -> None:
    settings = {name: value for name, value in issuer.settings.items() if name != left_out}
    started = subprocess.run(
        COMMAND, cwd=tmp_path, env=environment(settings), capture_output=True, text=True
    )
    assert started.returncode
    assert f"AI_HUB_{left_out.upper()} with it" in started.stderr
    assert not (tmp_path / "features.duckdb").exists()


def test_other_machines_are_listened_to_with_tokens(issuer: Issuer, tmp_path: Path) -> None:
    with asking(tmp_path, issuer, host="0.0.0.0") as server:
        assert status(server, issuer.token()) == 200
        assert status(server, None) == 401


def test_somebody_signs_in_to_the_page_by_a_token(server: Server, issuer: Issuer) -> None:
    host = f"127.0.0.1:{server.port}"
    site = {"accept": "text/html", "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    with httpx.Client(base_url=f"http://{host}", headers=site, trust_env=False) as client:
        form = client.get("/page/assets?tenant_id=acme")
        assert form.status_code == 401
        assert '<label for="key">Token</label>' in form.text
        late = client.post("/page/sign-in", data={"key": issuer.token(exp=1)})
        assert late.status_code == 401
        assert "authorization: " in late.text
        assert "set-cookie" not in late.headers
        token = issuer.token(sub="anna@grid.example")
        done = client.post("/page/sign-in", data={"key": token, "then": "/page/assets"})
        assert (done.status_code, done.headers["location"]) == (303, "/page/assets")
        shown = client.get("/page/assets")
        assert (shown.status_code, "anna@grid.example" in shown.text) == (200, True)
        assert client.get("/page/assets?tenant_id=bravo").status_code == 403
