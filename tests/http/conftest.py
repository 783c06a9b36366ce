"""A real server for the tests of the HTTP door, and a tenant of its own for each of them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import pytest

from acceptance.serving import Server, serving

_SERVE = """
from ai_hub.config import Settings
from ai_hub.http import serve
serve(Settings.load())
"""
COMMAND = (sys.executable, "-c", _SERVE)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(COMMAND, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in memory that takes bodies of 2,000 bytes and truncates times to hours."""
    folder = tmp_path_factory.mktemp("small")
    url = "duckdb:///:memory:"
    with serving(COMMAND, folder, database_url=url, max_body=2_000, granularity="1h") as running:
        yield running


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has."""
    return f"tenant-{next(_numbers)}"
