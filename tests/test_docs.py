"""The documentation is true: its examples run, and it names all that there is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ai_hub
import environments
import servers
from ai_hub.cli.app import app
from ai_hub.config import Settings, variable
from ai_hub.definitions.builtin import FEATURE_SETS, FEATURES
from ai_hub.definitions.vocabulary import CLOSED, PARTS, STATS
from ai_hub.feature_store import FeatureStore
from ai_hub.intake.read_options import READ_OPTIONS
from ai_hub.metrics import FAMILIES
from docs_blocks import ROOT, blocks, environment, pages, runs
from docs_outputs import same_json, same_text
from docs_pages import PORT, Reader
from servers import Kind

PROSE = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.as_posix()
)
# Those with the most commands, which take a process each: `make test-all` runs them.
LONG = (
    *("docs/importance.md", "docs/files.md", "docs/models.md", "docs/drift.md"),
    *("docs/feature-sets.md", "docs/timescaledb.md"),
)
_MARKS = {
    "plain": [pytest.mark.postgresql],
    "apache": [pytest.mark.timescaledb],
    "timescaledb": [pytest.mark.timescaledb],
}


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _marks(path: Path, kind: Kind | None) -> list[pytest.MarkDecorator]:
    long = [pytest.mark.long] if named(path) in LONG else []
    return _MARKS.get(kind or "", []) + long


RUNS = [
    pytest.param(path, kind, marks=_marks(path, kind), id=f"{named(path)} on {kind}"
                 if kind else named(path))
    for path in pages()
    if environment(path.read_text("utf-8")) is None
    for kind in runs(path.read_text("utf-8"))
]  # fmt: skip
APART = [
    pytest.param(path, own, id=named(path))
    for path in pages()
    if (own := environment(path.read_text("utf-8"))) is not None
]


@pytest.mark.parametrize(("path", "kind"), RUNS)
def test_examples_run_and_show_what_comes(path: Path, kind: Kind | None, tmp_path: Path) -> None:
    with Reader(tmp_path, kind) as reader:
        for shown in reader.follow(path.read_text("utf-8")):
            where = f"{named(path)}, the block at line {shown.block.line}"
            assert shown.is_true, f"{where} shows\n{shown.expected}\nbut this came:\n{shown.actual}"


@pytest.mark.long
@pytest.mark.parametrize(("path", "own"), APART)
def test_examples_run_in_an_environment_of_their_own(path: Path, own: str) -> None:
    if reason := environments.absent(own):
        pytest.skip(reason)
    command = [environments.python(own), ROOT / "tests" / "docs_pages.py", "--check", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{named(path)}, {done.stdout}{done.stderr}"


def test_every_command_has_its_help() -> None:
    text = page("docs/cli.md")
    assert app.registered_commands
    for command in app.registered_commands:
        assert f"\n## ai-hub {command.name}\n" in text
        assert f"\n$ ai-hub {command.name} --help\n" in text


def defaults_shown(text: str) -> dict[str, str]:
    """Of every row about a setting in a table of a page: its variable, and its default there."""
    rows = re.findall(r"^\|(.*?)(AI_HUB_\w+)` \| (.*?) \|", text, re.MULTILINE)
    return {name: default.strip("`") for _, name, default in rows}


def test_every_setting_has_its_default() -> None:
    defaults = {variable(key): value or "none" for key, value, _ in Settings().shown()}
    assert defaults_shown(page("docs/configuration.md")) == defaults
    first = defaults_shown(page("README.md"))
    assert first
    assert first.items() <= defaults.items()


def test_every_route_has_its_part(tmp_path: Path) -> None:
    openapi = f"http://127.0.0.1:{PORT}/docs/openapi.json"
    example = f"```bash\nai-hub serve\n```\n```bash\ncurl -s {openapi}\n```\n```json\n{{}}\n```\n"
    with Reader(tmp_path) as reader:
        (shown,) = reader.follow(example)
    text = page("docs/http.md")
    paths = json.loads(shown.actual)["paths"]
    assert len(paths) > 10
    for path, operations in paths.items():
        for method in operations:
            assert f"\n## {method.upper()} {path}\n" in text


def test_every_option_of_reading_has_its_line() -> None:
    text = page("docs/http.md").partition("\n### How a body is read\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[2])}
    options = {option.name for kind in READ_OPTIONS for option in READ_OPTIONS[kind]}
    assert told - {"true"} == options | {"dry_run"}


def test_every_feature_set_part_and_stat_has_its_line() -> None:
    rows = [line for line in page("docs/features.md").splitlines() if line.startswith("|")]
    first_cells = " ".join(row.split("|")[1] for row in rows)
    for feature in FEATURES:
        assert f"`{feature.name}`" in first_cells
    for name in (*PARTS, *STATS):
        assert f"`{name}`" in first_cells
    for closed in CLOSED:
        assert any(f"`{closed}`" in row for row in rows)
    for one in FEATURE_SETS:
        (row,) = (row for row in rows if row.startswith(f"| `{one.name}` ({len(one.features)})"))
        listed = re.findall(r"`(\w+)`", row)[1:]
        if listed[0] == "forecast_basic":
            listed[:1] = FEATURE_SETS[0].feature_names
        assert tuple(listed) == one.feature_names


def test_every_public_name_has_its_line() -> None:
    rows = [line for line in page("docs/python.md").splitlines() if line.startswith("| `")]
    first_cells = " ".join(row.split("|")[1] for row in rows)
    for name in ai_hub.__all__:
        assert f"`{name}`" in first_cells
    methods = [name for name in dir(FeatureStore) if not name.startswith("_")]
    inner = {"found", "in_chunks", "land", "measured", "prepare", "ready"}  # what the doors use
    for method in {*methods} - inner:
        assert re.search(rf"\b{method}\(", page("docs/python.md")), method


GUIDE = (
    "SELECT * FROM timescaledb_information.hypertables;",
    "SELECT * FROM timescaledb_information.continuous_aggregates;",
    r"\df get_lag_features",
    r"\df get_rolling_features",
    r"\d+ ai_features",
    "EXPLAIN ANALYZE\nSELECT * FROM hourly_features\nWHERE ",
    "SELECT count(*) FROM ai_features\nWHERE tenant_id = 'tenant-123' AND asset_id = 'meter-001';",
    "SELECT * FROM hourly_features\nWHERE tenant_id = 'tenant-123'\nORDER BY bucket DESC LIMIT 10;",
    "SELECT * FROM timescaledb_information.jobs\nWHERE proc_name LIKE '%retention%';",
)
"""What the feature engineering guide verifies by, and looks for troubles with."""


@pytest.mark.parametrize("query", GUIDE)
def test_the_queries_of_the_guide_are_run(query: str) -> None:
    found = [block for path in pages() for block in blocks(path.read_text("utf-8"))]
    assert any(
        query in block.text for block in found if block.lang == "sql" and "timescaledb" in block.on
    )


OBJECTS = """
SELECT relname FROM pg_class AS one
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = one.oid AND deptype = 'e')
UNION
SELECT proname FROM pg_proc AS one
WHERE pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = one.oid AND deptype = 'e')
"""


ON_PLAIN_ALONE = {"ai_hub_note_deletion"}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ],
)
def test_every_object_of_a_database_has_its_line(kind: Kind) -> None:
    text = page("docs/timescaledb.md").partition("\n## What each object is for\n")[2]
    rows = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])}
    server = servers.server(kind)
    made = {name for (name,) in server.sql(OBJECTS, server.migrated())}
    assert made <= told
    if kind == "timescaledb":
        assert told - ON_PLAIN_ALONE == made


def test_a_pooler_is_told_what_sessions_set() -> None:
    from ai_hub.definitions.values import SECOND, Duration
    from ai_hub.stores.postgres.session import session_settings

    passes = {"application_name", "timezone", "standard_conforming_strings"}  # in any case
    told = page("docs/timescaledb.md").partition("ignore_startup_parameters =")[2].partition("`")[0]
    chosen = session_settings(Settings(), "timescaledb", Duration(SECOND))
    assert {*chosen} - passes <= {name.strip() for name in told.split(",")}


def test_every_metric_has_its_line() -> None:
    text = page("docs/operations.md")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `ai_hub_")]
    shown = {row[1].strip(" `"): tuple(re.findall(r"`(\w+)`", row[2])) for row in rows}
    assert shown == {family.name: family.labels for family in FAMILIES}
    for name in re.findall(r"\bai_hub_\w+", text):
        assert name.removesuffix("_bucket") in shown or name.startswith("ai_hub_("), name


def test_every_event_has_its_line() -> None:
    rows = [line for line in page("docs/operations.md").splitlines() if line.startswith("| `")]
    shown = {event for row in rows for event in re.findall(r"`([^`]+)`", row.split("|")[1])}
    logged = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log."):
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                logged |= {text for text in texts if isinstance(text, str) and "%" not in text}
    assert len(logged) > 10
    assert logged <= shown


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    for path in PROSE:
        named_ones = r"(?:`|^)make ([a-z-]+)(?![\w/-])"  # build/... is a file
        for target in re.findall(named_ones, path.read_text("utf-8"), re.MULTILINE):
            assert target in targets, f"{named(path)}: make {target}"


@pytest.mark.parametrize("path", PROSE, ids=named)
def test_files_of_the_repository_are_where_pages_say(path: Path) -> None:
    text = path.read_text("utf-8").replace("004_what_it_does.sql", "")
    wanted = r"[\w*][\w*-]*/[\w*./-]+\.(?:py|sql)\b"
    if path.name == "CONTRIBUTING.md":
        wanted = r"[\w*][\w*./-]*(?:/(?![\w*])|\.(?:py|sql|md|txt)\b)"
    names = set(re.findall(rf"(?<![\w/.-]){wanted}", text))
    roots = (ROOT, ROOT / "src" / "ai_hub", ROOT / "tests")
    assert [name for name in names if not any([*root.glob(name)] for root in roots)] == []


@pytest.mark.parametrize("path", PROSE, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{named(path)}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{named(path)}: {target}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", PROSE, ids=named)
def test_no_page_knows_a_machine(path: Path) -> None:
    found = re.findall(r"(?:/home/|/root\b|/tmp/|/Users/|/work/)\S*", path.read_text("utf-8"))
    assert found == []


def test_the_newest_change_is_of_this_version() -> None:
    newest = re.search(r"^## \[([^\]]+)\]", page("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == ai_hub.__version__


# The comparison itself.


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("a\nb\n", "a\nb\n"),
        ("id ...\n", "id 17\n"),
        ("a\n...\nd\n", "a\nb\nc\nd\n"),
        ("a\n...\n", "a\n"),
        ("│ ...    │ x │\n", "│ 2025-10-09 14:00:00Z │ x │\n"),
        ("┏━━┓\n┃ a ┃\n", "┏━━━━┓\n┃ a   ┃  \n"),
        ("1.2345678901234\n", "1.2345678901239\n"),
        ("", ""),
    ],
)
def test_what_is_as_shown(expected: str, actual: str) -> None:
    assert same_text(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [("a\n", "b\n"), ("a\n", "a\nb\n"), ("a\n...\nd\n", "a\nb\n"), ("1.25\n", "1.26\n"), ("", "a")],
)
def test_what_is_not_as_shown(expected: str, actual: str) -> None:
    assert not same_text(expected, actual)


def test_documents_are_compared_by_keys_and_values() -> None:
    actual = {"a": 1, "b": {"c": [1.0, 2.5]}, "d": "2025-10-09T14:00:00.5Z"}
    assert same_json({"d": "...", "b": {"c": [1.0, 2.5]}, "a": 1}, actual)
    assert same_json({"a": 1, "...": "..."}, actual)
    assert same_json({"a": 1, "b": {"c": [1.0, "..."]}, "d": "2025-...Z"}, actual)
    assert not same_json({"a": 1}, actual)
    assert not same_json({"a": True, "b": "...", "d": "..."}, actual)
    assert not same_json({"a": 1, "b": {"c": [1.0]}, "d": "..."}, actual)


PAGE = """
```python
print("no server")
```
<!-- server: plain timescaledb -->
```bash
sudo apt-get install postgresql
sudo -u postgres createuser reader
sudo -u postgres createdb --owner reader "the docs"
export AI_HUB_DATABASE_URL="postgresql://reader@localhost:5432/the%20docs"
```
```sql
SELECT current_user, current_database();
```
```text
 current_user | current_database
-----+----
 reader | the docs
(1 row)
```
```sql superuser
SELECT current_user <> 'reader' AS can_do_all;
```
```text
 can_do_all
---
 t
(1 row)
```
```console
$ printenv AI_HUB_DATABASE_URL
postgresql://reader@localhost:5432/the%20docs
```
<!-- server: timescaledb -->
```sql
SELECT 1 / 0;
```
"""


def test_a_part_is_for_its_servers() -> None:
    assert runs(PAGE) == [None, "plain", "timescaledb"]
    assert runs("```text\nno example\n```\n") == []


@pytest.mark.postgresql
def test_a_page_leaves_nothing_on_a_server(tmp_path: Path) -> None:
    made = "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
    server = servers.server("plain")
    before = set(server.sql(made))
    with Reader(tmp_path, "plain") as reader:
        outputs = list(reader.follow(PAGE))
        assert [shown.is_true for shown in outputs] == [True, True, True]
        assert {("reader",), ("the docs",)} <= set(server.sql(made))
    assert set(server.sql(made)) == before


def test_pages_are_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```python\nprint(1 + 1)\n```\n```text\n3\n```\n")
    command = [sys.executable, ROOT / "tests" / "docs_pages.py", path]
    for count in (1, 0):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(path), str(count)]
    assert path.read_text().endswith("```text\n2\n```\n")
