"""The pages of a server as HTTP has them: what they may load, who sees them, and their forms."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import httpx
import pytest

from acceptance.serving import Server, serving
from ai_hub import FeatureStore
from ai_hub.access.grant import SCOPES
from ai_hub.http.session import COOKIE, landing
from ai_hub.page.pages import PAGES, Page
from ai_hub.page.static import FILES, PREFIX, URLS
from watching import COMMAND

ROW = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "meter-001", "value": 42.5}
HTML = {"accept": "text/html"}
MOST_BYTES = 150_000


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


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.name)
def test_a_page_loads_nothing_from_elsewhere(server: Server, tenant: str, page: Page) -> None:
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": [ROW]})
    answer = server.client.get(page.path, params={"tenant_id": tenant, "asset_id": "meter-001"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    script = r'<script(?! src="/page/files/| type="application/json")'
    assert not re.search(script + r'| style=|<style| on[a-z]+="', answer.text)
    linked = re.findall(r'(?:src|href|action)="([^"]*)"', answer.text)
    assert all(one.startswith(("/", "#")) and not one.startswith("//") for one in linked)
    loaded = {one for one in linked if one.startswith(PREFIX)}
    files = [server.client.get(one) for one in loaded]
    assert all(one.status_code == 200 for one in files)
    assert all("immutable" in one.headers["cache-control"] for one in files)
    assert len(answer.content) + sum(len(one.content) for one in files) < MOST_BYTES


def test_ids_are_text_and_no_markup(server: Server, tenant: str) -> None:
    wicked = "<script>alert('x')</script>\"'"
    rows = [ROW | {"asset_id": wicked}]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    for params in ({}, {"search": "<script>"}, {"search": wicked}):
        page = server.client.get("/page/assets", params={"tenant_id": tenant} | params).text
        assert "&lt;script&gt;alert(" in page
        assert "<script>alert" not in page


ODD = ["a/b", "../..", "q\"'&amp;", "😀", "x" * 200, "ü%20+&=?#", "</script>", "a\u202eb"]


def test_ids_of_any_letters_lead_to_their_pages(server: Server, tenant: str) -> None:
    """Values are huge as well: what is drawn and written of them are numbers."""
    named = f"{tenant}<b>/'😀"
    rows = [
        ROW | {"asset_id": one, "timestamp": f"2025-10-09T{n:02d}:00:00Z", "value": value}
        for one in ODD
        for n, value in enumerate((1.7e308, 1.7e308, -1.7e308, 5e-324))
    ]
    server.call("POST", "/ingest", {"tenant_id": named, "rows": rows})
    page = server.client.get("/page/assets", params={"tenant_id": named}).text
    assert "<b>/" not in page
    links = re.findall(r'href="(/page/asset\?[^"]*)">([^<]*)</a></th>', page)
    assert [unescape(one) for _, one in links] == sorted(ODD)
    for link, one in links:
        shown = server.client.get(unescape(link))
        assert shown.status_code == 200, one
        assert f'<span class="mono">{one}</span></h1>' in shown.text
        (drawn,) = re.findall(r'id="drawn">(.*?)</script>', shown.text)
        assert json.loads(drawn)["readings"]["value"][0] == 1.7e308
        assert not re.search(r">-?(nan|inf)<", shown.text)


def test_assets_are_searched_and_paged(server: Server, tenant: str) -> None:
    rows = [ROW | {"asset_id": f"meter-{n:03d}"} for n in range(120)]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    seen: list[str] = []
    path = f"/page/assets?tenant_id={tenant}"
    while path:
        page = server.client.get(path).text
        seen += re.findall(r'href="/page/asset\?[^"]*">([^<]*)<', page)
        following = re.search(r'href="(/page/assets\?[^"]*)" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"meter-{n:03d}" for n in range(120)]
    found = server.client.get("/page/assets", params={"tenant_id": tenant, "search": "r-017"}).text
    assert "meter-017" in found
    assert "meter-018" not in found


def test_gaps_and_flat_lines_are_listed(server: Server, tenant: str) -> None:
    start = datetime(2025, 10, 1, tzinfo=UTC)
    rows = [
        {"timestamp": f"{start + timedelta(hours=n):%Y-%m-%dT%H:%MZ}", "asset_id": asset,
         "value": 7 if asset == "flat" and n >= 20 else n}
        for asset in ("flat", "lost", "well")
        for n in range(60)
        if not (asset == "lost" and 10 <= n < 20)
    ]  # fmt: skip
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    page = server.client.get("/page/assets", params={"tenant_id": tenant}).text
    said = {
        asset: re.findall(r"1 gap|flat since [^<]*|>none<", row)
        for asset, row in re.findall(r">(flat|lost|well)</a>(.*?)</tr>", page, re.DOTALL)
    }
    expected = {"flat": ["flat since 2025-10-01 20:00:00"], "lost": ["1 gap"], "well": [">none<"]}
    assert said == expected
    shown = server.client.get("/page/asset", params={"tenant_id": tenant, "asset_id": "lost"}).text
    assert '<span class="state warning">1 gap</span>' in shown


def test_a_part_of_a_page_is_asked_for_alone(server: Server, tenant: str) -> None:
    rows = [ROW | {"timestamp": f"2025-10-09T{n:02d}:00:00Z"} for n in range(20)]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    asked = {"tenant_id": tenant, "asset_id": "meter-001", "at": "2025-10-09T14:00"}
    whole = server.client.get("/page/asset", params=asked).text
    chart, vector = (
        server.client.get("/page/asset", params=asked | {"part": part}).text
        for part in ("chart", "vector")
    )
    assert "<html" in whole
    assert "<html" not in chart + vector
    assert 'id="drawn"' in chart
    assert 'as of <span class="when">2025-10-09 14:00:00<' in vector
    assert vector.strip() in whole
    for wrong in ({"part": "base"}, {"at": "soon"}, {"from": "2026-01-01"}, {"set": "nothing"}):
        refused = server.client.get("/page/asset", params=asked | wrong)
        assert refused.status_code in (404, 422), refused.text
    unknown = server.client.get(
        "/page/asset", params=asked | {"asset_id": "</script>"}, headers=HTML
    )
    assert unknown.status_code == 404
    assert "</script>'" not in unknown.text


def test_rows_that_came_are_told_by_the_hour(server: Server, tenant: str) -> None:
    late = [ROW | {"asset_id": "<late>"}, ROW | {"value": "much"}, ROW | {"timestamp": "soon"}]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": late})
    page = server.client.get("/page/freshness", params={"tenant_id": tenant}).text
    assert "1 row taken and <b>2</b> rejected: 1 and 2 rejected of observations" in page
    assert "row 1: value: got &#39;much&#39;, expected" in page
    assert "&lt;late&gt;" in page
    other = server.client.get("/page/freshness", params={"tenant_id": f"not-{tenant}"}).text
    assert "0 rows taken and <b>0</b> rejected" in other
    assert "much" not in other


def test_the_file_of_an_export_is_its_tenants(server: Server, tenant: str, tmp_path: Path) -> None:
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": [ROW]})
    day = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
    asked = {"tenant_id": tenant, "feature_set": "forecast_basic", **day}
    made = server.call("POST", "/export", asked)
    page = server.client.get("/page/exports", params={"tenant_id": tenant}).text
    (link,) = re.findall(r'href="(/page/exports/file\?[^"]*)"', page)
    file = server.client.get(link)
    assert file.content == Path(made["storage_path"]).read_bytes()
    assert file.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'" in file.headers["content-security-policy"]
    nothing = {"export_id": "00000000-0000-0000-0000-000000000000"}
    assert server.client.get("/page/exports/file", params=nothing).status_code == 404
    moved = tmp_path / "elsewhere.parquet"
    place = Path(made["storage_path"])
    place.rename(moved)
    place.symlink_to(moved)
    assert server.client.get(link).status_code == 404


def test_a_folder_is_handed_out_as_one_archive(server: Server, tenant: str) -> None:
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": [ROW]})
    day = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
    asked = {"tenant_id": tenant, "feature_set": "forecast_basic", **day, "parts": True}
    made = server.call("POST", "/export", asked)
    folder = Path(made["storage_path"])
    page = server.client.get("/page/exports", params={"tenant_id": tenant}).text
    (link,) = re.findall(r'href="(/page/exports/file\?[^"]*)"[^>]*>Download as ZIP', page)
    answer = server.client.get(link)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].endswith(f'{made["export_id"]}.zip"')
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        held = {one: archive.read(one) for one in archive.namelist()}
    assert held == {one.name: one.read_bytes() for one in folder.iterdir()}
    # Elsewhere it is not the server's to hand out, though a link leads there.
    moved = folder.parents[2] / f"elsewhere-{tenant}"
    folder.rename(moved)
    folder.symlink_to(moved)
    assert server.client.get(link).status_code == 404
    page = server.client.get("/page/exports", params={"tenant_id": tenant}).text
    assert "Download" not in page
    assert f"dataset(&#39;{folder}&#39;).to_table()" in page


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


def test_a_chart_of_a_year_of_minutes_is_short(server: Server, tenant: str) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    lines = [f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%MZ},m,{n % 977}" for n in range(525_600)]
    server.client.post(
        "/ai/features/ingest", params={"tenant_id": tenant},
        content="timestamp,asset_id,value\n" + "\n".join(lines),
        headers={"content-type": "text/csv"},
    ).raise_for_status()  # fmt: skip
    asked = {"tenant_id": tenant, "asset_id": "m", "from": "2025-01-01", "to": "2026-01-01"}
    chart = server.client.get("/page/asset", params=asked | {"part": "chart"})
    assert "525,600 readings" in chart.text
    assert len(chart.content) < 200_000


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


def test_files_are_named_by_their_content(server: Server) -> None:
    assert {one.removeprefix(PREFIX) for one in URLS.values()} == FILES.keys()
    for path in ("style.css", "nothing.js", "..%2Fpages.py"):
        assert server.client.get(PREFIX + path).status_code == 404


@pytest.mark.parametrize(
    ("then", "where"),
    [("/page/assets?tenant_id=a", "/page/assets?tenant_id=a"), ("/docs", "/docs"), ("/", "/"),
     ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil.example", "/"), ("", "/"),
     ("/page/sign-out", "/"), ("/ai/features/sets", "/"), ("/page/x\r\nset-cookie: a=b", "/")],
)  # fmt: skip
def test_signing_in_leads_to_a_page_of_this_server(then: str, where: str) -> None:
    assert landing(then) == where


def test_without_keys_there_is_nothing_to_sign_in_to(server: Server) -> None:
    assert "Sign out" not in server.client.get("/", headers=HTML).text


@pytest.mark.parametrize("typed", ["a\r\nset-cookie: b=c", "a; path=/x", "é", "x" * 5_000, ""])
def test_what_is_no_key_goes_into_no_header(server: Server, typed: str) -> None:
    with browser(server) as client:
        done = client.post("/page/sign-in", data={"key": typed, "then": "/"})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert "set-cookie" not in done.headers
