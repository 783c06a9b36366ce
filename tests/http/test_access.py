"""Servers that ask for keys: no route without one, none for another tenant, none beyond a scope."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.serving import Server, environment, free_port, serving
from access.issuing import Issuer, rsa
from ai_hub.access.grant import SCOPES
from ai_hub.http.access import OPEN
from ai_hub.http.description import ROUTES, Route
from ai_hub.http.session import COOKIE
from ai_hub.page.pages import PAGES
from watching import COMMAND, eventually

ROW = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "meter-001", "value": 42.5}
DAY = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
OWN, OTHER, NOBODYS = "acme", "bravo", "no-such-tenant"
NEEDS: dict[tuple[str, str], str] = {
    ("get", "/metrics"): "read",
    **{("get", f"/ai/features/{p}"): "read" for p in (
        "sets", "sets/{name}", "sets/{name}/versions/{version}", "models", "tenants", "assets",
        "freshness", "cache/stats", "status", "doctor",
    )},
    **{("post", f"/ai/features/{p}"): "read" for p in (
        "get", "batch", "explain", "chart", "history", "cache/warm", "drift",
    )},
    **{("post", f"/ai/features/{p}"): "write" for p in (
        "ingest", "ingest/weather", "ingest/attributes", "cache/invalidate",
    )},
    ("put", "/ai/features/weather-sources"): "write",
    **{(m, f"/ai/features/{p}"): "export" for m, p in (
        ("post", "export"), ("post", "training-set"), ("get", "exports"),
        ("get", "exports/{export_id}"), ("delete", "exports/{export_id}"),
        ("post", "exports/{export_id}/resume"), ("post", "drift/baseline"),
    )},
    **{(m, f"/ai/features/{p}"): "admin" for m, p in (
        ("post", "sets/plan"), ("post", "sets/apply"), ("post", "sets/default"),
        ("post", "sets/retire"), ("post", "sets/{name}/rollout"), ("post", "models/bind"),
        ("post", "models/unbind"), ("get", "keys"), ("post", "keys"), ("post", "keys/revoke"),
        ("get", "audit"), ("post", "delete"), ("post", "archive"), ("get", "archives"),
        ("post", "unarchive"),
    )},
    **{("get", p): "read" for p in (
        "/", "/page/assets", "/page/asset", "/page/drift", "/page/doctor", "/page/freshness",
    )},
    ("get", "/page/exports"): "export",
}  # fmt: skip
SHOWN = [Route("get", one.path, one.title, None, query=("tenant_id",)) for one in PAGES]
"""What people look at: fenced as what programs ask for."""
FENCED = [*(route for route in ROUTES if route.path not in OPEN), *SHOWN]
OF_ALL = {route.path for route in FENCED if NEEDS[route.method, route.path] == "admin"} - {
    "/ai/features/keys", "/ai/features/keys/revoke", "/ai/features/audit",
    "/ai/features/delete",
} | {
    "/ai/features/cache/stats", "/ai/features/status", "/ai/features/doctor", "/page/doctor",
}  # fmt: skip


def ai_hub(folder: Path, *arguments: str, **settings: object) -> str:
    run = "import sys; from ai_hub.cli import main; main()"
    done = subprocess.run(
        [COMMAND[0], "-c", run, *arguments],
        cwd=folder, env=environment(settings), capture_output=True, check=True, text=True,
    )  # fmt: skip
    return done.stdout


@dataclass
class Fenced:
    """A server with keys, and what it was told."""

    server: Server
    boss: str
    keys: dict[tuple[str, ...], str]
    log: Path
    issuer: Issuer | None = None
    """Who makes its tokens, where these are asked for in place of keys."""

    def ask(self, method: str, path: str, key: str | None, **more: Any) -> httpx.Response:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return self.server.client.request(method, path, headers=headers, **more)

    def make(self, *scopes: str, **more: Any) -> str:
        """A key of the own tenant with some scopes, the same each time."""
        if self.issuer is not None and scopes not in self.keys:
            self.keys[scopes] = self.issuer.token(ai_hub_tenants=[OWN], scope=" ".join(scopes))
        if more or scopes not in self.keys:
            asked = {"name": "k", "tenants": [OWN], "scopes": scopes, **more}
            key: str = self.ask("POST", "/ai/features/keys", self.boss, json=asked).json()["key"]
            if more:
                return key
            self.keys[scopes] = key
        return self.keys[scopes]


@pytest.fixture(scope="module", params=["keys", "tokens"])
def fenced(request: pytest.FixtureRequest) -> Fenced:
    """A server of each kind in turn."""
    found: Fenced = request.getfixturevalue(f"by_{request.param}")
    return found


@pytest.fixture(scope="module")
def by_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fenced]:
    folder = tmp_path_factory.mktemp("tokens")
    issuer = Issuer(rsa("a"))
    boss = issuer.token(ai_hub_tenants="*", scope=" ".join(SCOPES), exp=int(time.time()) + 3600)
    with serving(COMMAND, folder, log_level="debug", **issuer.settings) as server:
        found = Fenced(server, boss, {}, folder / "log.txt", issuer)
        _fill(found)
        yield found
    issuer.stop()


@pytest.fixture(scope="module")
def by_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fenced]:
    folder = tmp_path_factory.mktemp("fenced")
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    boss = ai_hub(folder, "keys", "create", "boss", "--all-tenants", *scopes).strip()
    with serving(COMMAND, folder, auth="keys", log_level="debug") as server:
        found = Fenced(server, boss, {}, folder / "log.txt")
        _fill(found)
        yield found


def _fill(fenced: Fenced) -> None:
    for tenant in (OWN, OTHER):
        body = {"tenant_id": tenant, "rows": [ROW]}
        done = fenced.ask("POST", "/ai/features/ingest", fenced.boss, json=body)
        assert done.status_code == 200, done.text


def request_of(route: Route, tenant: str) -> tuple[str, dict[str, Any]]:
    """The path of a request that is right, about a tenant, and the rest of it."""
    path = route.path.replace("{name}", "forecast_basic").replace("{version}", "1")
    path = path.replace("{export_id}", "00000000-0000-0000-0000-000000000000")
    more: dict[str, Any] = {}
    if "tenant_id" in route.query and not isinstance(route.example, dict):
        more["params"] = {"tenant_id": tenant}
    if route.path.endswith("/training-set"):
        more["params"]["feature_set"] = "forecast_basic"
        more |= {"content": b"asset_id,timestamp\n", "headers_of": {"content-type": "text/csv"}}
    elif isinstance(route.example, dict):
        body = {**route.example}
        if "tenant_id" in body:
            body["tenant_id"] = tenant
        if "tenants" in body:
            body["tenants"] = [tenant]
        more["content"] = json.dumps(body)
    elif route.body is not None:
        more["content"] = b"{}"
    return path, more


def asked(fenced: Fenced, route: Route, tenant: str, key: str | None) -> httpx.Response:
    path, more = request_of(route, tenant)
    headers = more.pop("headers_of", {})
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return fenced.server.client.request(route.method.upper(), path, headers=headers, **more)


def test_every_route_says_what_it_needs() -> None:
    assert {(route.method, route.path) for route in FENCED} == NEEDS.keys()


@pytest.mark.parametrize("route", FENCED, ids=lambda one: f"{one.method} {one.path}")
def test_without_its_key_a_route_does_nothing(fenced: Fenced, route: Route) -> None:
    need = NEEDS[route.method, route.path]
    others = [scope for scope in SCOPES if scope != need]
    wrong = fenced.boss[:-1] + ("A" if fenced.boss[-1] != "A" else "B")
    for key in (None, wrong, "x", fenced.boss.swapcase()):
        refused = asked(fenced, route, OWN, key)
        assert refused.status_code == 401, refused.text
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["field"] == "authorization"
    refused = asked(fenced, route, OWN, fenced.make(*others))
    assert refused.status_code == 403, refused.text
    right = asked(fenced, route, OWN, fenced.make(need))
    assert right.status_code == 403 if route.path in OF_ALL else right.status_code != 403
    assert asked(fenced, route, OWN, fenced.boss).status_code not in (401, 403)
    if OTHER in str(request_of(route, OTHER)):
        told = [asked(fenced, route, tenant, fenced.make(need)) for tenant in (OTHER, NOBODYS)]
        said = [(one.status_code, one.text.replace(OTHER, NOBODYS)) for one in told]
        assert said[0] == said[1]
        assert said[0][0] == 403


def test_a_thousand_attempts_get_through_nowhere(fenced: Fenced) -> None:
    """Routes, tenants, scopes and ways of saying a key by chance; all of them are wrong."""
    drawn = random.Random(5)
    ways = (
        lambda key: {"authorization": f"Bearer {key}"},
        lambda key: {"authorization": f"bearer {key}"},
        lambda key: {"Authorization": f"Basic {key}"},
        lambda key: {"x-api-key": key},
        lambda key: {"authorization": key},
        lambda key: {"cookie": f"authorization=Bearer {key}"},
        lambda key: {"cookie": f"a=b; {COOKIE}={key}"},
        lambda key: [("authorization", f"Bearer {key}")] * 2,
        lambda key: {"authorization": f"Bearer {key}", "x-forwarded-user": "boss"},
    )
    through = []
    for _ in range(1_000):
        route = drawn.choice(FENCED)
        need = NEEDS[route.method, route.path]
        tenant = drawn.choice((OTHER, NOBODYS))
        way = drawn.choice(ways)
        # The cookie of a page counts on pages alone.
        spoken = way in (ways[0], ways[1], ways[8]) or (way is ways[6] and route in SHOWN)
        path, more = request_of(route, tenant)
        about = tenant in str(more)
        scopes = [scope for scope in SCOPES if scope != need or (spoken and about)]
        some = tuple(drawn.sample(scopes, drawn.randint(1, len(scopes))))
        key = fenced.make(*some) if spoken else fenced.boss
        headers = more.pop("headers_of", {})
        sent = way(key)
        pairs = [*headers.items(), *(sent if isinstance(sent, list) else sent.items())]
        if drawn.random() < 0.3:
            path += drawn.choice(("/", "?tenant_id=acme", "?tenant_id=acme&tenant_id=bravo"))
        answer = fenced.server.client.request(route.method.upper(), path, headers=pairs, **more)
        # Of two tenants in one request, nobody says which is meant.
        twice = answer.status_code == 422 and "as in the query" in answer.text
        nowhere = answer.status_code in (404, 405) and path.endswith("/") and path != "/"
        if answer.status_code not in (401, 403) and not (twice or nowhere):
            through.append((route.method, path, some, tenant, sent, answer.status_code))
    assert not through


def test_the_audit_log_names_the_key_whatever_is_said(by_keys: Fenced) -> None:
    writer, admin = by_keys.make("write"), by_keys.make("admin")
    for key in (writer, by_keys.boss):
        body = {"tenant_id": OWN, "rows": [ROW]}
        by_keys.ask("POST", "/ai/features/ingest", key, json=body)
    by_keys.ask(
        "POST", "/ai/features/ingest", by_keys.boss, json={"tenant_id": OTHER, "rows": [ROW]}
    )
    definitions = {
        "feature_sets": [{"name": "told", "version": 1, "features": ["lag_1h"]}],
        "applied_by": "somebody else",
    }
    by_keys.ask("POST", "/ai/features/sets/apply", by_keys.boss, json=definitions)
    told = by_keys.ask("GET", "/ai/features/sets/told", by_keys.boss).json()
    assert told["applied_by"] == "boss"
    every = by_keys.ask("GET", "/ai/features/audit", by_keys.boss).json()["records"]
    applied, *ingests = [one for one in every if one["what"] in ("apply", "ingest")]
    boss_id = by_keys.boss.split("_")[1]
    assert (applied["who"], applied["who_id"]) == ("boss", boss_id)
    assert applied["details"] == {"sets": ["told@1"], "said_by": "somebody else"}
    assert [(one["tenant_id"], one["who_id"]) for one in ingests[:3]] == [
        (OTHER, boss_id), (OWN, boss_id), (OWN, writer.split("_")[1]),
    ]  # fmt: skip
    mine = by_keys.ask("GET", "/ai/features/audit", admin).json()["records"]
    assert mine == [one for one in every if one["tenant_id"] == OWN][: len(mine)]
    assert {one["tenant_id"] for one in mine} == {OWN}
    for secret in (writer, admin, by_keys.boss):
        assert secret.split("_", 2)[2] not in str(every)


@pytest.mark.parametrize(
    ("path", "field", "asked"),
    [
        ("keys", "created_by", {"name": "said", "scopes": ["read"], "tenants": [OWN]}),
        ("models/bind", "bound_by", {"model": "said@1", "feature_set": "forecast_basic@1"}),
        ("sets/apply", "applied_by", {"feature_sets": []}),
        ("sets/forecast_basic/rollout", "begun_by", {"to": 1, "percent": 5}),
    ],
)
def test_what_is_said_has_its_length_with_a_key_too(
    by_keys: Fenced, path: str, field: str, asked: dict[str, object]
) -> None:
    named = {"name": "b" * 256, "scopes": ["admin"], "all_tenants": True}
    key = by_keys.ask("POST", "/ai/features/keys", by_keys.boss, json=named).json()["key"]
    answer = by_keys.ask("POST", f"/ai/features/{path}", key, json=asked | {field: "x" * 201})
    assert (answer.status_code, answer.json().get("field")) == (422, field)
    # The name of the key is noted, however long it is.
    answer = by_keys.ask("POST", f"/ai/features/{path}", key, json=asked | {field: "x" * 200})
    assert answer.status_code == 200 or answer.json()["field"] != field, answer.text


def test_lists_show_only_what_is_ones_own(fenced: Fenced) -> None:
    for tenant in (OWN, OTHER):
        body = {"tenant_id": tenant, "feature_set": "forecast_basic", **DAY}
        done = fenced.ask("POST", "/ai/features/export", fenced.boss, json=body).json()
        assert done["status"] == "completed"
    key = fenced.make("export")
    listed = fenced.ask("GET", "/ai/features/exports", key).json()["exports"]
    assert {one["tenant_id"] for one in listed} == {OWN}
    every = fenced.ask("GET", "/ai/features/exports", fenced.boss).json()["exports"]
    assert {one["tenant_id"] for one in every} == {OWN, OTHER}
    hidden = next(one["export_id"] for one in every if one["tenant_id"] == OTHER)
    nobodys = "00000000-0000-0000-0000-000000000000"
    for method, more in (("GET", ""), ("DELETE", ""), ("POST", "/resume")):
        answers = [
            fenced.ask(method, f"/ai/features/exports/{id}{more}", key) for id in (hidden, nobodys)
        ]
        assert [one.status_code for one in answers] == [404, 404]
        assert answers[0].text == answers[1].text.replace(nobodys, hidden)
    seen = fenced.ask("GET", "/metrics", fenced.make("read")).text
    assert f'tenant="{OWN}"' in seen
    assert OTHER not in seen
    assert OTHER in fenced.ask("GET", "/metrics", fenced.boss).text
    listed = fenced.ask("GET", "/ai/features/keys", fenced.make("admin")).json()["keys"]
    assert listed
    assert {(*one["tenants"],) for one in listed} == {(OWN,)}


def test_nobody_makes_a_key_for_more_than_their_own(by_keys: Fenced) -> None:
    admin = by_keys.make("admin")
    for more in ({"tenants": [OTHER]}, {"tenants": [OWN, OTHER]}, {"all_tenants": True}):
        body = {"name": "k", "scopes": ["read"], **more}
        answer = by_keys.ask("POST", "/ai/features/keys", admin, json=body)
        assert answer.status_code == 403, answer.text
    boss = by_keys.boss.split("_")[1]
    answers = [by_keys.ask("POST", "/ai/features/keys/revoke", admin, json={"id": id})
               for id in (boss, "a" * len(boss))]  # fmt: skip
    assert [one.status_code for one in answers] == [404, 404]
    assert answers[0].text.replace(boss, "") == answers[1].text.replace("a" * len(boss), "")
    assert by_keys.ask("GET", "/ai/features/keys", by_keys.boss).status_code == 200


def test_a_revoked_key_is_one_no_more(by_keys: Fenced) -> None:
    key = by_keys.make("read", name="short")
    body = {"tenant_id": OWN, "asset_id": "meter-001", "feature_set": "forecast_basic"}
    assert by_keys.ask("POST", "/ai/features/get", key, json=body).status_code == 200
    asked_for = {"id": key.split("_")[1]}
    gone = by_keys.ask("POST", "/ai/features/keys/revoke", by_keys.boss, json=asked_for)
    assert gone.json()["state"] == "revoked"
    assert by_keys.ask("POST", "/ai/features/get", key, json=body).status_code == 401
    brief = by_keys.make("read", name="brief", expires="2s")
    assert by_keys.ask("POST", "/ai/features/get", brief, json=body).status_code == 200
    eventually(lambda: by_keys.ask("POST", "/ai/features/get", brief, json=body).status_code == 401)


def test_a_refusal_comes_before_the_body(fenced: Fenced) -> None:
    head = b"POST /ai/features/ingest?tenant_id=t HTTP/1.1\r\nhost: localhost\r\n"
    with socket.create_connection(("127.0.0.1", fenced.server.port), timeout=120) as client:
        client.sendall(head + b"content-length: 60000000\r\n\r\n")
        assert client.recv(4_096).startswith(b"HTTP/1.1 401 ")


def test_whoever_watches_needs_no_key(fenced: Fenced) -> None:
    for path in OPEN:
        for key in (None, "wrong"):
            assert fenced.ask("GET", path, key).status_code == 200
    for path in (
        "/docs",
        "/",
        "/page/",
        "/page/nowhere",
        "/docs/openapi.json",
        "/nowhere",
        "/health/",
        "/health/nowhere",
    ):
        assert fenced.ask("GET", path, None).status_code == 401


def test_no_key_is_in_logs_answers_or_settings(fenced: Fenced) -> None:
    secrets = [key[16:] for key in (fenced.boss, *fenced.keys.values())]
    seen = fenced.log.read_text() + fenced.ask("GET", "/metrics", fenced.boss).text
    seen += fenced.ask("GET", "/ai/features/keys", fenced.boss).text
    seen += ai_hub(fenced.server.folder, "config", api_key=fenced.boss)
    seen += Path(f"/proc/{fenced.server.process.pid}/cmdline").read_text()
    assert "***" in seen
    assert not [secret for secret in secrets if secret in seen]


def test_commands_take_their_key_from_the_environment(by_keys: Fenced) -> None:
    url = f"http://127.0.0.1:{by_keys.server.port}"
    listed = json.loads(
        ai_hub(
            by_keys.server.folder,
            "keys",
            "list",
            "--json",
            "--url",
            url,
            api_key=by_keys.boss,
        )
    )
    assert "boss" in [one["name"] for one in listed["keys"]]
    for key, why in (("", "AI_HUB_API_KEY"), (by_keys.make("read"), "a key with admin")):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            ai_hub(by_keys.server.folder, "keys", "list", "--url", url, api_key=key)
        assert why in refused.value.stderr


def test_a_key_asks_as_often_as_it_may(tmp_path: Path) -> None:
    keys = [ai_hub(tmp_path, "keys", "create", name, "--all-tenants", "--scope", "read").strip()
            for name in ("a", "b")]  # fmt: skip
    with serving(COMMAND, tmp_path, auth="keys", rate_limit=5) as server:
        found = Fenced(server, keys[0], {}, tmp_path)

        def statuses(key: str) -> list[int]:
            return [found.ask("GET", "/ai/features/sets", key).status_code for _ in range(40)]

        begun = time.monotonic()
        first = statuses(keys[0])
        spent = time.monotonic() - begun
        assert first[:5] == [200] * 5
        assert 5 <= first.count(200) <= 6 + 5 * spent
        assert set(first) == {200, 429}
        refused = found.ask("GET", "/ai/features/sets", keys[0])
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        # Another key has its own, and health none.
        assert statuses(keys[1])[:5] == [200] * 5
        assert {found.ask("GET", "/health", keys[0]).status_code for _ in range(20)} == {200}
        time.sleep(1.1)
        assert statuses(keys[0])[:5] == [200] * 5


def test_other_machines_are_listened_to_with_keys(tmp_path: Path) -> None:
    started = {"host": "0.0.0.0", "port": free_port()}
    refused = subprocess.run(
        COMMAND, cwd=tmp_path, env=environment(started), capture_output=True, text=True
    )
    assert "AI_HUB_AUTH=keys" in refused.stderr
    assert refused.returncode
    with serving(COMMAND, tmp_path, host="0.0.0.0", auth="keys") as server:
        assert server.client.get("/health").status_code == 200
        assert server.client.get("/ai/features/sets").status_code == 401


def test_baselines_of_others_are_not_there(fenced: Fenced) -> None:
    asked = {"feature_set": "forecast_basic", **DAY}
    made = [
        fenced.ask(
            "POST", "/ai/features/drift/baseline", fenced.boss, json={"tenant_id": one, **asked}
        )
        for one in (OWN, OTHER)
    ]
    assert [one.status_code for one in made] == [200, 200]
    own, other = (one.json()["baseline_id"] for one in made)
    key = fenced.make("read")

    def drift(tenant_id: str, baseline_id: str) -> httpx.Response:
        body = {"tenant_id": tenant_id, "baseline_id": baseline_id, **asked}
        return fenced.ask("POST", "/ai/features/drift", key, json=body)

    assert drift(OWN, own).json()["baseline"]["baseline_id"] == own
    hidden, unknown = drift(OWN, other), drift(OWN, "nothing")
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.text.replace(other, "nothing") == unknown.text
    assert drift(OTHER, other).status_code == 403
    assert drift("nobody", other).status_code == 403
