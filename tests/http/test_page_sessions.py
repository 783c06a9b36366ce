"""Who sees the pages of a server: sessions, what a key of one tenant tries, and forged forms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from acceptance.serving import Server, serving
from ai_hub import FeatureStore
from ai_hub.access.grant import SCOPES
from ai_hub.http.session import COOKIE, landing
from ai_hub.page.pages import PAGES
from watching import COMMAND

ROW = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "meter-001", "value": 42.5}
HTML = {"accept": "text/html"}


def keyed(folder: Path) -> tuple[str, str]:
    """A key for all that there is, and one that reads the tenant acme, in a folder's database."""

    async def made() -> tuple[str, str]:
        async with FeatureStore.open(f"duckdb:///{folder / 'features.duckdb'}") as store:
            boss = await store.create_key("boss", None, SCOPES)
            reader = await store.create_key("reader", ["acme"], ["read"])
            return boss["key"], reader["key"]

    return asyncio.run(made())


class Fenced(NamedTuple):
    """A server that asks for keys, one of the tenant acme, and one for all that there is."""

    server: Server
    key: str
    boss: str


@pytest.fixture(scope="module")
def fenced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fenced]:
    """A server with data of two tenants."""
    folder = tmp_path_factory.mktemp("pages")
    boss, key = keyed(folder)
    with serving(COMMAND, folder, auth="keys") as server:
        for tenant in ("acme", "bravo"):
            server.client.post(
                "/ai/features/ingest",
                json={"tenant_id": tenant, "rows": [ROW | {"asset_id": f"of-{tenant}"}]},
                headers={"authorization": f"Bearer {boss}"},
            ).raise_for_status()
        yield Fenced(server, key, boss)


def browser(server: Server) -> httpx.Client:
    """A client with cookies of its own that says what a browser says of a form of the page."""
    site = {"origin": f"http://127.0.0.1:{server.port}", "sec-fetch-site": "same-origin"}
    return httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers=HTML | site, trust_env=False, timeout=30
    )


def test_who_may_not_export_sees_and_ends_none(fenced: Fenced) -> None:

    server, key, _ = fenced
    with browser(server) as client:
        client.cookies.set(COOKIE, key)
        for export_id in ("00000000-0000-0000-0000-000000000000", ""):
            told = client.post("/page/exports/cancel", data={"export_id": export_id})
            # The key of this fixture reads and exports nothing.
            assert told.status_code == 403
        assert client.get("/page/exports?tenant_id=acme").status_code == 403
        assert "Exports</a>" not in client.get("/").text
        assert "Doctor</a>" not in client.get("/").text


def test_a_key_is_taken_into_a_cookie_that_only_pages_read(fenced: Fenced) -> None:
    server, key, _ = fenced
    with browser(server) as client:
        asked = client.get("/page/assets?tenant_id=acme&search=of")
        assert asked.status_code == 401
        assert "default-src 'none'" in asked.headers["content-security-policy"]
        assert 'name="then" value="/page/assets?tenant_id=acme&amp;search=of"' in asked.text
        wrong = client.post("/page/sign-in", data={"key": key[:-1] + "!", "then": "/"})
        assert wrong.status_code == 401
        assert "set-cookie" not in wrong.headers
        then = "/page/assets?tenant_id=acme&search=of"
        done = client.post("/page/sign-in", data={"key": f" {key} ", "then": then})
        assert (done.status_code, done.headers["location"]) == (303, then)
        flags = done.headers["set-cookie"].split("; ")
        assert flags[0] == f"{COOKIE}={key}"
        assert {*flags[1:]} == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"}
        assert "of-acme" in client.get(then).text
        assert client.get("/docs").status_code == 200
        assert client.get("/ai/features/sets").status_code == 401
        for tenant in ("bravo", "nobody"):
            other = client.get("/page/assets", params={"tenant_id": tenant})
            assert other.status_code == 403
            assert other.text.replace(tenant, "bravo") == other.text.replace("nobody", "bravo")
        out = client.post("/page/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/page/sign-in")
        assert client.get("/").status_code == 401


def test_a_cookie_goes_by_tls_alone_where_the_browser_does(fenced: Fenced) -> None:
    server, key, _ = fenced
    with browser(server) as client:
        for headers in (
            {"origin": f"https://127.0.0.1:{server.port}"},
            {"x-forwarded-proto": "https"},
        ):
            done = client.post("/page/sign-in", data={"key": key}, headers=headers)
            assert "; Secure" in done.headers["set-cookie"]


def test_a_key_of_one_tenant_sees_and_ends_nothing_of_another(
    fenced: Fenced,
) -> None:
    server, _, boss = fenced
    asked = {"name": "mine", "tenants": ["acme"], "scopes": ["read", "write", "export"]}
    by_boss = {"authorization": f"Bearer {boss}"}
    made = server.client.post("/ai/features/keys", json=asked, headers=by_boss)
    assert made.status_code in (200, 201), made.text
    day = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
    export = {"tenant_id": "bravo", "feature_set": "forecast_basic", **day}
    whole = server.client.post("/ai/features/export", json=export, headers=by_boss).json()
    export |= {"end_time": "2026-10-09T00:00:00Z", "frequency": "1s", "wait_seconds": 0}
    going = server.client.post("/ai/features/export", json=export, headers=by_boss).json()
    with browser(server) as client:
        client.cookies.set(COOKIE, made.json()["key"])
        for page in PAGES:
            for query in (
                "tenant_id=bravo", "tenant_id=acme&tenant_id=bravo", "tenant_id=%20bravo%20",
                "tenant_id=bravo&part=chart", "tenant_id=bravo&part=vector&at=2025-10-09T14:00",
            ):  # fmt: skip
                got = client.get(f"{page.path}?{query}&asset_id=of-bravo&search=of")
                assert got.status_code == 403, (page.name, query)
                assert whole["export_id"] not in got.text
            mine = client.get(f"{page.path}?asset_id=of-acme")
            assert mine.status_code == (403 if page.whose == "everybody" else 200), page.name
            assert "bravo" not in mine.text
        for export_id in (whole["export_id"], going["export_id"]):
            got = client.get("/page/exports/file", params={"export_id": export_id})
            done = client.post("/page/exports/cancel", data={"export_id": export_id})
            assert (got.status_code, done.status_code) == (404, 404)
        # The cookie counts on no other route, and no link signs anybody in.
        row = {"tenant_id": "acme", "rows": [ROW | {"asset_id": "forged"}]}
        assert client.post("/ai/features/ingest", json=row).status_code == 401
        with browser(server) as other:
            linked = other.get("/page/sign-in", params={"key": made.json()["key"]})
            assert "set-cookie" not in linked.headers
    with browser(server) as client:
        client.cookies.set(COOKIE, boss)
        data = {"export_id": going["export_id"]}
        for forged in (
            {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "", "origin": "http://evil.example"}, {"sec-fetch-site": "none"},
        ):  # fmt: skip
            got = client.post("/page/exports/cancel", data=data, headers=forged)
            assert got.status_code == 403, forged
        path = f"/ai/features/exports/{going['export_id']}"
        found = server.client.get(path, headers=by_boss).json()
        assert found["status"] in ("pending", "processing", "completed")
        done = client.post("/page/exports/cancel", data=data)
        assert done.headers["location"] == "/page/exports?tenant_id=bravo"


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site", "origin": "http://evil.example"},
     {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9"},
     {"origin": "http://127.0.0.1:9"}, {"origin": "null"}, {"sec-fetch-site": "none"}, {}],
)  # fmt: skip
def test_a_form_of_another_page_does_nothing(fenced: Fenced, headers: dict[str, str]) -> None:
    server, key, _ = fenced
    cookie = {"cookie": f"{COOKIE}={key}"}
    for path in ("/page/sign-in", "/page/sign-out", "/page/exports/cancel"):
        forged = server.client.post(path, data={"key": key}, headers=headers | cookie)
        assert forged.status_code == 403, forged.text
        assert "set-cookie" not in forged.headers


def test_a_revoked_key_ends_its_session(tmp_path: Path) -> None:
    boss, key = keyed(tmp_path)
    with serving(COMMAND, tmp_path, auth="keys") as server, browser(server) as client:
        client.post("/page/sign-in", data={"key": key})
        assert client.get("/").status_code == 200
        revoked = server.client.post(
            "/ai/features/keys/revoke",
            json={"id": key.split("_")[1]},
            headers={"authorization": f"Bearer {boss}"},
        )
        assert revoked.status_code == 200, revoked.text
        assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    ("then", "where"),
    [("/page/assets?tenant_id=a", "/page/assets?tenant_id=a"), ("/docs", "/docs"), ("/", "/"),
     ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil.example", "/"), ("", "/"),
     ("/page/sign-out", "/"), ("/ai/features/sets", "/"), ("/page/x\r\nset-cookie: a=b", "/")],
)  # fmt: skip
def test_signing_in_leads_to_a_page_of_this_server(then: str, where: str) -> None:
    assert landing(then) == where


@pytest.mark.parametrize("typed", ["a\r\nset-cookie: b=c", "a; path=/x", "é", "x" * 5_000, ""])
def test_what_is_no_key_goes_into_no_header(server: Server, typed: str) -> None:
    with browser(server) as client:
        done = client.post("/page/sign-in", data={"key": typed, "then": "/"})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert "set-cookie" not in done.headers
