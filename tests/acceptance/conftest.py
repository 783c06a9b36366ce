"""The whole program, as a user has it: its commands, and the server they start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.serving import Server, environment, serving

AI_HUB = (sys.executable, "-c", "from ai_hub.cli import main; main()")

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def offline(folder: Path) -> Command:
    """A command on the database file itself; the JSON that it prints."""
    return lambda *words: run(folder, *words)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving((*AI_HUB, "serve"), folder) as running:
        yield running


@pytest.fixture(scope="module")
def online(server: Server) -> Command:
    """A command while the server holds the database file."""
    return lambda *words: run(server.folder, *words, port=server.port)


def run(folder: Path, *words: object, **settings: object) -> Any:
    done = subprocess.run(
        [*AI_HUB, *map(str, words), "--json"],
        cwd=folder,
        env=environment(settings),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)
