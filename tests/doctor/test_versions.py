"""A newer TimescaleDB is installed than a database has: on a copy of an installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from doctor.conftest import Practice
from installations import Installation, shared_folder
from servers import Server

pytestmark = [pytest.mark.timescaledb, pytest.mark.long]


class Copy:
    """An installation of one's own, with links to the files of another; its programs go by where
    they are, so that they are copied."""

    def __init__(self, of: Installation) -> None:
        assert of.timescaledb is not None
        self.home = Path(tempfile.mkdtemp(prefix="ai-hub-installation-", dir=shared_folder()))
        self.home.chmod(0o755)
        places = [of.programs, *(self._told(of, one) for one in ("--pkglibdir", "--sharedir"))]
        root = os.path.commonpath(places)
        self.programs, self.library, shared = (self.home / one.relative_to(root) for one in places)
        shutil.copytree(places[0], self.programs)
        for place, copy in zip(places[1:], (self.library, shared), strict=True):
            shutil.copytree(place, copy, copy_function=os.symlink)
        self.extensions = shared / "extension"
        self.version = of.timescaledb

    def install_newer(self) -> str:
        """Put the next TimescaleDB beside the one that is there: the same under another name."""
        now, last = self.version, int(self.version.rpartition(".")[2])
        stem = now.removesuffix(str(last))
        newer, before = f"{stem}{last + 1}", f"{stem}{last - 1}"
        for name in ("timescaledb", "timescaledb-tsl"):
            code = (self.library / f"{name}-{now}.so").read_bytes()
            renamed = code.replace(now.encode(), newer.encode())
            (self.library / f"{name}-{newer}.so").write_bytes(renamed)
        update = (self.extensions / f"timescaledb--{before}--{now}.sql").read_text()
        update = update.replace(now, newer).replace(before, now)
        (self.extensions / f"timescaledb--{now}--{newer}.sql").write_text(update)
        control = self.extensions / "timescaledb.control"
        text = control.read_text()
        control.unlink()
        control.write_text(re.sub(r"(default_version\s*=\s*)'.+'", rf"\1'{newer}'", text))
        return newer

    @staticmethod
    def _told(of: Installation, what: str) -> Path:
        words = [of.programs / "pg_config", what]
        return Path(
            subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        )


@pytest.fixture
def copied() -> Iterator[tuple[Copy, Server]]:
    servers.require("timescaledb")
    before = servers.used()
    assert before is not None
    copy = Copy(before)
    servers.use(Installation(copy.programs))
    try:
        server = Server("timescaledb")
        yield copy, server
        server.stop()
    finally:
        servers.use(before)
        shutil.rmtree(copy.home)


def test_a_newer_extension_is_installed(practice: Practice, copied: tuple[Copy, Server]) -> None:
    copy, server = copied
    practice.set(database_url=server.create("work"))
    practice.run("migrate")
    practice.fine("versions")
    newer = copy.install_newer()
    mends = practice.wrong("versions", "warning", f"TimescaleDB {newer} installed")
    assert "ALTER EXTENSION timescaledb UPDATE" in mends
    practice.mend(mends)
    practice.fine("versions")
    assert practice.look()["versions"][0]["said"].endswith(f"TimescaleDB {newer}")
