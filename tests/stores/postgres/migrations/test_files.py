"""The migrations of the package and what is decided of them, without a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ai_hub.config import Settings
from ai_hub.errors import NotMigrated, StoreRefused
from ai_hub.stores.postgres import migrations as ours
from ai_hub.stores.postgres.migration_script import script
from ai_hub.stores.postgres.migrations import (
    Applied,
    Migration,
    Mode,
    ServerFacts,
    migrations,
    pending,
    said,
)

GOOD = ServerFacts("16.4", 16, "2.28.3", "timescale")
MODES: tuple[Mode, ...] = ("plain", "apache", "timescaledb")


def applied(mode: Mode = "plain", upto: int = 99) -> list[Applied]:
    return [Applied(m.number, m.name, m.checksum, mode) for m in migrations() if m.number <= upto]


def test_migrations_are_numbered_without_a_gap_and_begin_with_the_guides() -> None:
    assert [one.number for one in migrations()] == list(range(1, len(migrations()) + 1))
    assert migrations()[0].name == "001_create_feature_views"


def test_the_file_of_the_repository_is_what_is_generated() -> None:
    path = Path(__file__).parents[4] / "migrations" / "001_create_feature_views.sql"
    assert path.read_text("utf-8") == script(Settings()), "run `make migrations`"


def test_a_mode_takes_its_branch() -> None:
    text = (
        "a\n\\if :timescaledb\nt\n\\elif :apache\np\n\\else\no\n\\endif\n"
        "b\n\\if :apache\nq\n\\endif\nc\n\\if :timescaledb\nu\n\\else\nv\n\\endif\n"
    )
    migration = Migration(1, "001_x", text)
    assert migration.sql("timescaledb").split() == ["a", "t", "b", "c", "u"]
    assert migration.sql("apache").split() == ["a", "p", "b", "q", "c", "v"]
    assert migration.sql("plain").split() == ["a", "o", "b", "c", "v"]


@pytest.mark.parametrize(
    "text",
    [
        "\\if :other\n\\endif\n",
        "\\if :apache\n\\if :apache\n\\endif\n\\endif\n",
        "\\else\n",
        "\\endif\n",
        "\\elif :apache\n\\endif\n",
        "\\if :apache\n",
        "\\echo x\n",
    ],
)
def test_what_the_runner_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="001_x"):
        Migration(1, "001_x", text).sql("plain")


@pytest.mark.parametrize("mode", MODES)
def test_no_statement_is_cut_by_a_branch_and_none_has_a_backslash(mode: Mode) -> None:
    for migration in migrations():
        sql = migration.sql(mode)
        # Without backslashes the text means the same whatever standard_conforming_strings says.
        assert "\\" not in sql
        assert sql.count("$$") % 2 == 0
        code = [line.partition("--")[0].strip() for line in sql.splitlines()]
        # All of one may be in a branch.
        assert "".join(code)[-1:] in ("", ";")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (replace(GOOD, server_version="13.9", server_major=13), ["PostgreSQL 13.9", "14"]),
        (replace(GOOD, extension_version="2.28.2"), ["2.28.2", "2.28.3", "deviations", "UPDATE"]),
        (replace(GOOD, extension_version="2.9.10"), ["2.9.10"]),
        (replace(GOOD, license=None), ["shared_preload_libraries"]),
    ],
)
def test_a_server_that_is_too_old_or_half_set_up_is_refused(
    server: ServerFacts, words: list[str]
) -> None:
    with pytest.raises(StoreRefused) as refusal:
        server.check()
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


@pytest.mark.parametrize(
    ("server", "mode"),
    [
        (GOOD, "timescaledb"),
        (replace(GOOD, license="apache"), "apache"),
        (replace(GOOD, extension_version=None, license=None), "plain"),
        (replace(GOOD, extension_version="2.29.0-dev"), "timescaledb"),
        (replace(GOOD, extension_version="10.0.1"), "timescaledb"),
    ],
)
def test_a_server_has_a_mode(server: ServerFacts, mode: Mode) -> None:
    server.check()
    assert server.mode == mode


def test_what_is_left_to_do() -> None:
    assert pending([], "plain") == migrations()
    assert pending(applied(upto=1), "plain") == migrations()[1:]
    assert pending(applied(), "plain") == ()


def test_a_database_of_another_release_is_refused() -> None:
    newer = Applied(999, "999_later", "x", "plain")
    with pytest.raises(NotMigrated, match=r"999_later.*Upgrade ai-hub"):
        pending([*applied(), newer], "plain")
    changed = replace(applied()[0], checksum="x")
    with pytest.raises(NotMigrated, match=r"001_create_feature_views .*other content"):
        pending([changed], "plain")


def test_a_database_of_another_mode_is_refused() -> None:
    with pytest.raises(StoreRefused, match="without TimescaleDB and the server now has Timesc"):
        pending(applied("plain"), "timescaledb")


def test_a_sentence_takes_its_values() -> None:
    assert said("a % b %.", 1, "x") == "a 1 b x."
    with pytest.raises(ValueError, match="zip"):
        said("a %", 1, 2)


def test_the_script_says_the_same_sentences() -> None:
    text = script(Settings()).replace("''", "'")
    for sentence in (ours.TOO_OLD, ours.TIMESCALEDB_TOO_OLD, ours.NOT_LOADED, ours.OTHER_MODE,
                     ours.NEWER, ours.OTHER_TEXT, ours.FOREIGN):  # fmt: skip
        assert sentence in text
