"""The pages of a server as HTTP has them: what they may load, who sees them, and their forms."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from acceptance.serving import Server
from ai_hub.page.pages import PAGES, Page
from ai_hub.page.static import FILES, PREFIX, URLS

ROW = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "meter-001", "value": 42.5}
HTML = {"accept": "text/html"}
MOST_BYTES = 150_000


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
    unnamed = server.client.get("/page/exports/file")
    assert unnamed.status_code == 422
    assert "export_id: got None" in unnamed.text
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


def test_files_are_named_by_their_content(server: Server) -> None:
    assert {one.removeprefix(PREFIX) for one in URLS.values()} == FILES.keys()
    for path in ("style.css", "nothing.js", "..%2Fpages.py"):
        assert server.client.get(PREFIX + path).status_code == 404


def test_without_keys_there_is_nothing_to_sign_in_to(server: Server) -> None:
    assert "Sign out" not in server.client.get("/", headers=HTML).text
