"""The page in a browser: what somebody does with it, and whether everybody can."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from ai_hub.page.pages import PAGES
from page.conftest import NOW, Shown

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text("utf-8")
DOCS = Path(__file__).parents[2] / "docs" / "pictures"
PATHS = [
    "/page/sign-in",
    "/docs",
    *(f"{one.path}?tenant_id=acme&asset_id=meter-017" for one in PAGES),
]


def test_somebody_signs_in_and_sees_why_a_feature_is_missing(shown: Shown) -> None:
    page = shown.page()
    page.goto(shown.origin + "/page/assets?tenant_id=acme&search=meter-0")
    # What nobody signed in for is refused with a status that a browser tells its console.
    refused = [one for one in shown.problems if "401" in one]
    assert len(refused) == len(shown.problems)
    shown.problems.clear()
    page.get_by_label("Access key").fill(shown.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/page/assets"))
    page.goto(shown.origin + "/")
    page.get_by_role("link", name="Assets").click()
    page.get_by_role("link", name="meter-017").click()
    expect(page.get_by_role("heading", name="meter-017")).to_be_visible()
    why = page.locator("tr", has_text="lag_24h").locator(".why")
    expect(why).to_contain_text("There is no reading of value in")
    expect(why).to_contain_text("ai-hub ingest FILE --tenant acme")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access key")).to_be_visible()
    assert page.context.cookies() == []


def test_a_chart_is_zoomed_moved_and_asked(shown: Shown) -> None:
    page = shown.signed_in("/page/asset?tenant_id=acme&asset_id=meter-017&feature=lag_24h")
    said = page.locator("#said")
    expect(said).to_contain_text("717 readings")
    expect(said).to_contain_text("1 gap")
    expect(page.locator("#chart canvas")).to_be_visible()
    page.get_by_role("link", name="Year").click()
    expect(said).to_contain_text(f"from {NOW - timedelta(days=365):%Y-%m-%d}")
    page.get_by_role("link", name="Week").click()
    expect(said).to_contain_text(re.compile(r"^16\d readings"))
    whole = said.inner_text()
    over = page.locator("#chart .u-over")
    over.wait_for()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(said).not_to_have_text(whole)
    zoomed = said.inner_text()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowLeft")
    expect(said).not_to_have_text(zoomed)
    expect(page.locator("#chart")).to_be_focused()
    over.wait_for()
    box = over.bounding_box()
    assert box is not None
    before = page.locator("#vector-part h2").inner_text()
    page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + 50)
    expect(page.locator("#vector-part h2")).not_to_have_text(before)


def test_weather_is_drawn_as_it_was_known(shown: Shown) -> None:
    page = shown.signed_in("/page/asset?tenant_id=acme&asset_id=meter-017")
    said = page.locator("#said-weather")
    expect(said).to_contain_text("at 400 a forecast issued up to 17 h before")
    expect(page.locator("#weather-chart canvas")).to_be_visible()
    # Where the feature is missing, and what was known of the weather, as tables.
    page.get_by_text("The chart as a table").click()
    expect(page.get_by_role("region", name="Gaps")).to_contain_text("5 h")
    expect(page.get_by_role("region", name="lag_24h is missing")).to_be_visible()
    page.get_by_text("The weather as a table").click()
    rows = page.get_by_role("region", name="The weather as a table").locator("tbody tr")
    assert rows.count() == 24
    page.get_by_label("Weather", exact=True).select_option("cloud_cover")
    page.get_by_role("button", name="Show").click()
    expect(said).to_contain_text("No cloud cover of the weather was known")
    expect(page.locator("#weather-chart")).to_have_count(0)


def test_an_export_is_cancelled(shown: Shown) -> None:
    end = datetime.now(UTC)
    asked = {
        "tenant_id": "acme", "feature_set": "forecast_basic", "frequency": "1s",
        "start_time": f"{end - timedelta(days=29):%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{end:%Y-%m-%dT%H:%M:%SZ}", "wait_seconds": 0,
    }  # fmt: skip
    begun = shown.server.client.post(
        "/ai/features/export", json=asked, headers={"authorization": f"Bearer {shown.key}"}
    )
    assert begun.status_code == 202, begun.text
    export_id = begun.json()["export_id"]
    page = shown.signed_in("/page/exports?tenant_id=acme")
    row = page.locator("tr", has_text=export_id)
    expect(row).to_contain_text(re.compile("pending|processing"))
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("cancelled")
    expect(row).to_contain_text("by operations")
    expect(row.get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.partition("?")[0])
def test_everybody_can_use_it(shown: Shown, path: str) -> None:
    """axe finds nothing serious, in light and dark; nothing is beside the screen, small or wide."""
    for width, scheme in ((1920, "light"), (360, "dark")):
        page = shown.signed_in(path, width=width, scheme=scheme)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (width, wide)
        # axe is evaluated by the browser's tools, which no policy of a page is about.
        page.evaluate(AXE)
        found = page.evaluate("axe.run().then((found) => found.violations)")
        serious = [
            (one["id"], [node["html"] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], (width, scheme)
        page.context.close()


def test_a_chart_is_used_by_keyboard(shown: Shown) -> None:
    """From the page's begin: Tab leads to all that can be used, and no mouse is needed."""
    page = shown.signed_in("/page/asset?tenant_id=acme&asset_id=meter-017", width=1920)
    said = page.locator("#said")
    expect(said).to_contain_text("717 readings")
    chart = page.locator("#chart")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "chart":
            break
    expect(chart).to_be_focused()
    for key in ("+", "ArrowLeft", "-"):
        before = said.inner_text()
        page.keyboard.press(key)
        expect(said).not_to_have_text(before)
        expect(chart).to_be_focused()
    before = page.locator("#vector-part h2").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#vector-part h2")).not_to_have_text(before)


def test_it_is_used_by_keyboard(shown: Shown) -> None:
    page = shown.signed_in("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Assets").press("Enter")
    page.get_by_label("Asset", exact=True).press_sequentially("r-017")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="meter-017")).to_be_visible()
    assert page.get_by_role("link", name=re.compile("meter-")).count() == 1


PICTURES = {
    "page": "/page/asset?tenant_id=acme&asset_id=meter-017&feature=lag_24h",
    "page-catalog": "/?tenant_id=acme&set=forecast_advanced",
    "page-assets": "/page/assets?tenant_id=acme",
    "page-drift": "/page/drift?tenant_id=acme&source=history",
}
MOST_BYTES = 100_000


@pytest.mark.long
@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_docs_are_of_the_page(shown: Shown, name: str) -> None:
    """Taken anew where it runs: they are as the page is, and small."""
    page = shown.signed_in(PICTURES[name], width=1280, height=820)
    page.wait_for_load_state("networkidle")
    taken = Image.open(BytesIO(page.screenshot())).convert("RGB")
    # A palette: such pages have few colours.
    small = taken.quantize(64, dither=Image.Dither.NONE)
    place = DOCS / f"{name}.png"
    place.parent.mkdir(exist_ok=True)
    small.save(place, optimize=True)
    assert place.stat().st_size < MOST_BYTES
