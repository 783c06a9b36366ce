"""The pages while the database is away: each says so, and is back with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import servers
from acceptance.serving import Server, serving
from ai_hub.page.pages import PAGES, Page
from watching import COMMAND, eventually, ingest, log

pytestmark = pytest.mark.postgresql
WHEN = r"That was at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(UTC\)\."


def shown(server: Server, away: str, pages: Iterable[Page] = PAGES) -> None:
    """How pages are where the database is away: what can be shown is, the rest is refused."""
    for one in pages:
        query = "tenant_id=acme&asset_id=a"
        page = server.client.get(f"{one.path}?{query}", headers={"accept": "text/html"})
        assert page.status_code == (200 if one.is_always_there else 503), one.name
        assert re.search(f"PostgreSQL at 127.0.0.1:[0-9]+ {away}[^<]*", page.text), one.name
        assert re.search(WHEN, page.text), one.name
        again = f'href="{one.path}?tenant_id=acme&amp;asset_id=a">Try again</a>'
        assert (again in page.text) is not one.is_always_there, one.name


def test_a_page_says_that_the_database_is_away_and_is_back_with_it(tmp_path: Path) -> None:
    postgres = servers.Server("plain")
    try:
        with serving(COMMAND, tmp_path, database_url=postgres.fresh()) as server:
            eventually(lambda: log(server, "serving"))
            ingest(server, "acme")
            postgres.halt()
            shown(server, "cannot be reached")
            postgres.start()
            # Where it hangs nobody waits as long as a statement may take.
            path = "/page/assets?tenant_id=acme"
            eventually(lambda: server.client.get(path).status_code == 200)
            with postgres.paused():
                shown(server, "did not answer in", [one for one in PAGES if one.name == "catalog"])
            eventually(lambda: server.client.get(path).status_code == 200)
            assert not log(server, "request failed")
    finally:
        postgres.stop()
