"""Where an archive that is asked for over HTTP may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acceptance.serving import Server

BEFORE = "2024-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "to", ["", ".", "..", "../x", "/etc", "a/../b", "s3://b/x", "x" * 1_001, "a\0b", "x" * 256]
)
def test_a_place_that_the_server_does_not_allow(server: Server, to: str) -> None:
    assert server.refusal("POST", "/archive", {"before": BEFORE, "to": to}).startswith("to: got ")


def test_no_link_is_followed_below_the_export_root(server: Server, tmp_path: Path) -> None:
    server.exports.mkdir(exist_ok=True)
    link = server.exports / "linked"
    link.symlink_to(tmp_path)
    try:
        for to in ("linked", "linked/history", "./linked/a/b"):
            refused = server.refusal("POST", "/archive", {"before": BEFORE, "to": to})
            assert "a place that the server allows" in refused
    finally:
        link.unlink()
    assert not list(tmp_path.iterdir())


def test_a_folder_cannot_be_where_something_else_is(server: Server) -> None:
    server.exports.mkdir(exist_ok=True)
    pipe = server.exports / "pipe"
    os.mkfifo(pipe)
    try:
        for to in ("pipe", "pipe/history"):
            refused = server.refusal("POST", "/archive", {"before": BEFORE, "to": to})
            assert refused.endswith("expected the path of a folder. " + f"{pipe} is none.")
    finally:
        pipe.unlink()
