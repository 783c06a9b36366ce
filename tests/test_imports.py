"""Who may import whom, where a library may be imported, and what kind of file each one is."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

# A step of the package is one file or one folder directly in src/ai_hub. It may import the steps
# above it, wherever the import stands; the steps of one line are not above each other.
STEPS = (
    ("errors", "notebooks"),
    ("definitions",),
    ("allocation", "fairness", "blocking"),
    ("allocation", "fairness", "storage"),
    ("config_keys", "config_values", "config_tokens", "config_sources"),
    ("config", "arrivals"),
    ("metrics", "logs", "process", "tracing"),
    ("access",),
    ("intake",),
    ("engines",),
    ("drift",),
    ("archive",),
    ("stores",),
    ("serving",),
    ("explanation",),
    ("export",),
    ("importance", "mlflow", "spark"),
    ("profile",),
    ("doctor",),
    ("client",),
    ("opening",),
    ("front",),
    ("feature_store", "administration"),
    ("adoption", "sync"),
    ("page",),
    ("charts",),
    ("http", "cli", "demo"),
)
# What is not in the line says itself what it may import.
BESIDE = {"testing": {"errors", "definitions", "engines"}}
# And these only inside a function, where they cost nothing until they are used.
LAZILY = {"cli": {"http", "demo"}, "demo": {"http"}}
# In a folder everything may import everything, but in these it is again only what is above.
WITHIN = {
    "client": (
        *("failures", "connection", "base", "arrow_bodies", "rows", "vectors", "data"),
        *("history", "registry", "training_sets", "asynchronous", "waiting"),
    ),
    "doctor": (
        *("line", "database", "data", "cache", "exports", "disk", "archives", "reach", "clock"),
        "settings",
        *("processes", "lines", "examination"),
    ),
    "definitions": (
        *("values", "vocabulary", "periods", "holidays", "measures", "expressions"),
        *("valid_range", "described", "readings", "kinds"),
        *("target", "builtin_features", "feature_set"),
        *("document", "file", "json_schema", "builtin", "registry", "freezing", "changes"),
    ),
    "front": (
        *("base", "audit", "ingestion", "feature_sets", "vectors", "caching", "training_sets"),
        *("drift", "models", "rollouts", "access_keys", "explaining", "charting"),
        *("history", "doctor", "removal", "archiving"),
    ),
}
# `import ai_hub` must stay light: names of the package are imported from where they are defined.
OF_THE_PACKAGE = {"__version__"}
AT_THE_TOP = {"__future__", "importlib", "typing"}

# The files in which a library may be imported at all; http*.py is http.py and everything in http/.
ARRAYS = (
    "archive/*.py",
    "serving/archiver.py",
    "serving/eraser.py",
    "intake*.py",
    "stores/*.py",
    "engines/*.py",
    "export*.py",
    "feature_store.py",
    "adoption.py",
    "drift/*.py",
    "importance/*.py",
    "profile/*.py",
    "client/history.py",
    "client/training_sets.py",
    "mlflow.py",
    "storage/arrow.py",
    "spark/*.py",
)
LIBRARIES = {
    "duckdb": ("stores/embedded/*.py",),
    "asyncpg": ("stores/postgres/*.py",),
    "adbc_driver_postgresql": ("stores/postgres/*.py",),
    "adbc_driver_manager": ("stores/postgres/*.py",),
    "redis": ("serving/redis/*.py",),
    "hiredis": ("serving/redis/*.py",),
    "jinja2": ("page/render.py",),
    "litestar": ("http*.py",),
    "prometheus_client": ("metrics.py",),
    "structlog": ("logs.py",),
    "opentelemetry": ("tracing.py",),
    "httptools": ("http*.py",),
    "uvloop": ("http*.py",),
    "typer": ("cli*.py", "demo*.py"),
    "rich": ("cli*.py", "demo*.py"),
    "polars": ("engines/*.py", "export/frame.py", "demo*.py"),
    "pandas": (),
    "holidays": ("definitions/freezing.py",),
    "yaml": ("definitions/file.py",),
    "joserfc": ("access/tokens.py",),
    "python_calamine": ("intake/readers/spreadsheet.py",),
    "deltalake": ("export/delta.py",),
    "obstore": ("storage/faults.py", "storage/objects.py"),
    "mlflow": ("mlflow.py",),
    "pyspark": ("spark/*.py",),
    "joblib": ("importance/model_file.py",),
    "matplotlib": (
        "importance/plot.py",
        "importance/drift_plot.py",
        "profile/plot.py",
        "charts/picture.py",
    ),
    "shap": ("importance/shap_values.py",),
    "sklearn": (),
    "pyarrow": (*ARRAYS, "testing*.py"),
    "numpy": (*ARRAYS, "testing*.py"),
}
HEAVY = {*LIBRARIES, "msgspec"}

# What a file does; the first pattern that fits says it.
# - decides: values and pure functions. It waits on nothing and reaches nothing outside the process.
# - words: the same, and says it in the language of another system, such as SQL.
# - talks: it awaits, starts threads, opens files or asks a connection, or imports what does. Only
#   in a store's folder does it also say short statements, beside the call that runs them.
KINDS = {
    "doctor/disk.py": "talks",
    "doctor/examination.py": "talks",
    "doctor/reach.py": "talks",
    "engines/sql.py": "words",
    "engines/sql_reads.py": "words",
    "engines/sql_views.py": "words",
    "serving/redis/words.py": "words",
    "stores/postgres/scan_sql.py": "words",
    "administration.py": "talks",
    "adoption.py": "talks",
    "archive/__init__.py": "decides",
    "archive/layer.py": "decides",
    "archive/rows.py": "decides",
    "archive/*.py": "talks",
    "allocation.py": "talks",
    "blocking.py": "talks",
    "client/__init__.py": "decides",
    "client/arrow_bodies.py": "decides",
    "client/failures.py": "decides",
    "client/*.py": "talks",
    "charts/picture.py": "talks",
    "cli/backend.py": "decides",
    "cli/failure.py": "decides",
    "cli/rates.py": "decides",
    "cli/*.py": "talks",
    "config.py": "talks",
    "config_sources.py": "talks",
    "definitions/file.py": "talks",
    "demo/tour.py": "talks",
    "explanation/explaining.py": "talks",
    "export/chart.py": "decides",
    "export/frame.py": "decides",
    "export/history.py": "decides",
    "export/job.py": "decides",
    "export/request.py": "decides",
    "export/row_groups.py": "decides",
    "export/fields.py": "decides",
    "export/layout.py": "decides",
    "export/spool.py": "decides",
    "export/rows.py": "decides",
    "export/spine.py": "decides",
    "export/thrift.py": "decides",
    "export/__init__.py": "decides",
    "export/*.py": "talks",
    "fairness.py": "talks",
    "feature_store.py": "talks",
    "front/__init__.py": "decides",
    "front/*.py": "talks",
    "http/answers.py": "decides",
    "http/description.py": "decides",
    "http/change_schemas.py": "decides",
    "http/chart_schemas.py": "decides",
    "http/doctor_schemas.py": "decides",
    "http/drift_schemas.py": "decides",
    "http/history_schemas.py": "decides",
    "http/export_schemas.py": "decides",
    "http/messages.py": "decides",
    "http/explained.py": "decides",
    "http/openapi.py": "decides",
    "http/schemas.py": "decides",
    "http/stage.py": "decides",
    "http/*.py": "talks",
    "importance/drift_plot.py": "talks",
    "importance/model_file.py": "talks",
    "importance/plot.py": "talks",
    "importance/ranking.py": "talks",
    "importance/training_rows.py": "talks",
    "intake/attributes.py": "talks",
    "intake/bodies.py": "talks",
    "intake/bookmark.py": "talks",
    "intake/bulk.py": "talks",
    "intake/files.py": "talks",
    "intake/formats.py": "talks",
    "intake/packed.py": "talks",
    "intake/pipeline.py": "talks",
    "intake/rejects.py": "talks",
    "intake/row_files.py": "talks",
    "intake/readers/__init__.py": "decides",
    "intake/readers/base.py": "decides",
    "intake/readers/rows.py": "decides",
    "intake/readers/one_table.py": "decides",
    "intake/readers/table.py": "decides",
    "intake/readers/*.py": "talks",
    "intake/source.py": "talks",
    "logs.py": "talks",
    "mlflow.py": "talks",
    "opening.py": "talks",
    "page/__init__.py": "decides",
    "page/spans.py": "decides",
    "page/words.py": "decides",
    "page/windows.py": "decides",
    "page/*.py": "talks",
    "profile/distribution.py": "decides",
    "profile/__init__.py": "decides",
    "profile/*.py": "talks",
    "spark/archived.py": "decides",
    "spark/extra.py": "decides",
    "spark/frames.py": "decides",
    "spark/session.py": "decides",
    "spark/slices.py": "decides",
    "spark/*.py": "talks",
    "serving/access_keys.py": "decides",
    "serving/answer.py": "decides",
    "serving/assets.py": "decides",
    "serving/cache.py": "decides",
    "serving/checkup.py": "decides",
    "serving/first_fills.py": "decides",
    "serving/models.py": "decides",
    "serving/registry_plan.py": "decides",
    "serving/rollouts.py": "decides",
    "serving/spec.py": "decides",
    "serving/vector.py": "decides",
    "serving/redis/first_level.py": "decides",
    "serving/redis/parts.py": "decides",
    "serving/*__init__.py": "decides",
    "serving/*.py": "talks",
    "storage/__init__.py": "decides",
    "storage/base.py": "decides",
    "storage/faults.py": "decides",
    "storage/sink.py": "decides",
    "storage/url.py": "decides",
    "storage/*.py": "talks",
    "tracing.py": "talks",
    "stores/opening.py": "talks",
    "stores/postgres/grouped_rows.py": "decides",
    "stores/postgres/guesses.py": "decides",
    "stores/postgres/notices.py": "decides",
    "stores/postgres/pieces.py": "decides",
    "stores/postgres/scan_part.py": "decides",
    "stores/postgres/vector_rows.py": "decides",
    "stores/*__init__.py": "decides",
    "stores/embedded/chosen.py": "words",
    "stores/embedded/debts.py": "decides",
    "stores/embedded/*.py": "talks",
    "stores/postgres/*.py": "talks",
    "sync.py": "talks",
    "*.py": "decides",
}
SAYS_AND_TALKS = "stores/*/*.py"
OUTSIDE = {
    *("asyncio", "concurrent", "multiprocessing", "shutil", "signal", "socket", "subprocess"),
    *("tempfile", "threading"),
    *("adbc_driver_manager", "adbc_driver_postgresql", "asyncpg", "duckdb", "httpx", "litestar"),
    *("redis", "rich", "structlog", "typer"),
}
ASKS = {
    *("open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink"),
    *("execute", "fetch", "fetchall"),
}
STATEMENT = re.compile(
    r"\b(SELECT ([\w(*]|$)|INSERT INTO|DELETE FROM|UPDATE \w+ SET|CREATE (TABLE|INDEX|TEMP|VIEW)|"
    r"ALTER TABLE|DROP (TABLE|VIEW)|redis\.call\()"
)
MOST_LINES = 400

SOURCE = Path(__file__).parents[1] / "src" / "ai_hub"
MODULES = {
    path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")
}


class Import(NamedTuple):
    """One imported name: `from ai_hub.errors import shown` is `ai_hub.errors.shown`."""

    target: str
    in_function: bool
    for_types: bool


@cache
def parsed(source: str) -> ast.Module:
    """A module, which several tests look at."""
    return ast.parse(source)


@cache
def imports(path: str, source: str) -> tuple[Import, ...]:
    """Every import of a module, relative ones resolved."""
    folder = ["ai_hub", *path.split("/")[:-1]]

    def visit(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, in_function, for_types)
        elif isinstance(node, ast.ImportFrom):
            home = folder[: len(folder) - node.level + 1] if node.level else []
            for alias in node.names:
                parts = (*home, *filter(None, [node.module]), alias.name)
                yield Import(".".join(parts), in_function, for_types)
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        guarded = []
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            guarded = node.body
        for child in ast.iter_child_nodes(node):
            yield from visit(child, in_function, for_types or child in guarded)

    return tuple(visit(parsed(source), False, False))


def step(path: str) -> str:
    """The step that a module belongs to."""
    return path.removesuffix(".py").split("/")[0]


def may_import(importer: str, in_function: bool) -> set[str]:
    """The steps that a step may import."""
    if importer in BESIDE:
        return {importer, *BESIDE[importer]}
    (position,) = (i for i, steps in enumerate(STEPS) if importer in steps)
    above = {name for steps in STEPS[:position] for name in steps}
    return above | {importer} | (LAZILY.get(importer, set()) if in_function else set())


def faults(path: str, source: str) -> list[str]:
    """What in a module is against the tables above."""
    found = []
    for target, in_function, for_types in imports(path, source):
        top, *rest = target.split(".")
        if path == "__init__.py":
            if not (in_function or for_types or top in AT_THE_TOP):
                found.append(f"{path}: {target} at module level, but importing ai_hub is light")
        elif top == "ai_hub":
            importer, imported = step(path), rest[0] if rest else "ai_hub"
            order = WITHIN.get(importer, ()) if imported == importer else ()
            own = Path(path).stem
            if imported in OF_THE_PACKAGE:
                continue
            if imported not in may_import(importer, in_function):
                found.append(f"{path}: {target}, but {importer} may not import {imported}")
            elif own in order and not {*rest[1:]} & {*order[: order.index(own)]}:
                found.append(f"{path}: {target}, but it is not above {own} in {importer}")
        if top in LIBRARIES and not any(fnmatch(path, where) for where in LIBRARIES[top]):
            found.append(f"{path}: {top}, whose place is {', '.join(LIBRARIES[top]) or 'nowhere'}")
    return found


def module_of(path: str) -> str:
    """The name of a module."""
    name = path.removesuffix(".py").removesuffix("__init__").replace("/", ".")
    return f"ai_hub.{name}".rstrip(".")


def imported(path: str, source: str, names: Mapping[str, str]) -> Iterator[tuple[str, Import]]:
    """The files of the package that a module imports, each with the import."""
    for one in imports(path, source):
        # The last part is a module, or a name in one.
        module = one.target if one.target in names else one.target.rpartition(".")[0]
        if module in names and module != "ai_hub":
            yield names[module], one


def reaches(path: str, source: str) -> bool:
    """Whether a module waits, or reaches what is outside the process, by itself."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            return True
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            if name in ASKS:
                return True
    return any(
        one.target.split(".")[0] in OUTSIDE for one in imports(path, source) if not one.for_types
    )


def says(source: str) -> bool:
    """Whether a text in a module, other than a docstring, is of a statement."""
    tree = parsed(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return any(
        isinstance(node, ast.Constant)
        and id(node) not in prose
        and isinstance(node.value, str)
        and STATEMENT.search(node.value) is not None
        for node in ast.walk(tree)
    )


def kinds(modules: Mapping[str, str]) -> dict[str, str]:
    """What each module is, by what stands in it and in those that it imports."""
    names = {module_of(path): path for path in modules}
    uses = {
        path: {
            other
            for other, one in imported(path, source, names)
            # The settings are a value for all others; only `load` reads a file.
            if not one.for_types and other != "config.py"
        }
        for path, source in modules.items()
    }
    talking = {path for path, source in modules.items() if reaches(path, source)}
    while more := {path for path in uses.keys() - talking if uses[path] & talking}:
        talking |= more
    return {
        path: "talks" if path in talking else "words" if says(source) else "decides"
        for path, source in modules.items()
    }


def test_the_tables_have_a_place_for_every_module_and_none_for_others() -> None:
    placed = {"__init__", *BESIDE, *(name for steps in STEPS for name in steps)}
    assert {step(path) for path in MODULES} == placed
    for folder, order in WITHIN.items():
        inside = {Path(path).stem for path in MODULES if step(path) == folder}
        assert inside == {"__init__", *order}
    for pattern in KINDS:
        assert any(fnmatch(path, pattern) for path in MODULES), pattern


def test_no_file_is_two_of_the_three_kinds() -> None:
    placed = {
        path: next(kind for pattern, kind in KINDS.items() if fnmatch(path, pattern))
        for path in MODULES
    }
    assert kinds(MODULES) == placed
    both = [path for path, kind in placed.items() if kind == "talks" and says(MODULES[path])]
    assert [path for path in both if not fnmatch(path, SAYS_AND_TALKS)] == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("def f(x):\n    return x + 1", "decides"),
        ("class P(Protocol):\n    async def f(self): ...", "decides"),
        ('def f():\n    """SELECT is a word of SQL."""', "decides"),
        ("if TYPE_CHECKING:\n    from ai_hub.b import f", "decides"),
        ('def f(x):\n    return f"SELECT {x} FROM t"', "words"),
        ("SCRIPT = \"redis.call('GET', KEYS[1])\"", "words"),
        ("async def f(x):\n    await x", "talks"),
        ("def f(cursor):\n    cursor.execute('SELECT 1')", "talks"),
        ("def f(path):\n    return path.read_text()", "talks"),
        ("def f():\n    import socket", "talks"),
        ("import ai_hub.b", "talks"),
        ("def f():\n    from ai_hub.b import f", "talks"),
    ],
)
def test_a_kind_is_told_from_the_source(source: str, kind: str) -> None:
    assert kinds({"a.py": source, "b.py": "import threading\nf = 1"})["a.py"] == kind


def test_modules_import_what_they_may() -> None:
    assert [fault for path, source in MODULES.items() for fault in faults(path, source)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("__init__.py", "from ai_hub.errors import AiHubError"),
        ("errors.py", "import ai_hub.definitions.values"),
        ("config.py", "from ai_hub import FeatureStore"),
        ("config.py", "from . import feature_store"),
        ("definitions/values.py", "from ai_hub.definitions.kinds import Lag"),
        ("definitions/values.py", "from .kinds import Lag"),
        ("engines/plan.py", "def f():\n    from ai_hub.stores import base"),
        ("stores/base.py", "import duckdb"),
        ("stores/base.py", "if TYPE_CHECKING:\n    import duckdb"),
        ("cli.py", "from ai_hub.http import app"),
        ("http/app.py", "def f():\n    from ai_hub.cli import main"),
        ("testing.py", "from ai_hub.stores.base import Store"),
        ("serving/cache.py", "def f():\n    import numpy.typing"),
        ("engines/fill.py", "import pandas as pd"),
    ],
)
def test_what_is_against_the_tables_is_found(path: str, source: str) -> None:
    assert len(faults(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("__init__.py", "if TYPE_CHECKING:\n    from ai_hub.errors import AiHubError"),
        ("definitions/kinds.py", "from ai_hub.definitions.values import HOUR"),
        ("stores/embedded/store.py", "import duckdb"),
        ("cli/serve.py", "def f():\n    import rich\n    from ai_hub.http import app"),
        ("http/app.py", "from ai_hub import __version__\nfrom .routes import routes"),
        ("http.py", "import litestar.types"),
    ],
)
def test_what_the_tables_allow_is_allowed(path: str, source: str) -> None:
    assert faults(path, source) == []


def circle(modules: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, wherever the imports stand; none if empty."""
    names = {module_of(path): path for path in modules}
    graph: TopologicalSorter[str] = TopologicalSorter()
    for path, source in modules.items():
        graph.add(path, *(other for other, _ in imported(path, source, names)))
    try:
        graph.prepare()
    except CycleError as error:
        return [*error.args[1]]
    return []


def test_no_module_imports_itself_in_a_circle() -> None:
    assert circle(MODULES) == []


@pytest.mark.parametrize(
    "back",
    [
        "import ai_hub.a",
        "from ai_hub.a import f",
        "from .a import f",
        "def f():\n    from ai_hub import a",
        "if TYPE_CHECKING:\n    from ai_hub.a import T",
    ],
)
def test_a_circle_is_found_wherever_the_imports_stand(back: str) -> None:
    assert {*circle({"a.py": "from ai_hub.b import g", "b.py": back})} == {"a.py", "b.py"}
    assert circle({"a.py": "from ai_hub.b import g", "b.py": ""}) == []


def test_no_file_is_long() -> None:
    long = {path: len(source.splitlines()) for path, source in MODULES.items()}
    assert {path: lines for path, lines in long.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize("statement", ["import ai_hub", "from ai_hub import Rolling, FeatureSet"])
def test_importing_the_package_loads_nothing_heavy(statement: str) -> None:
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert HEAVY.isdisjoint(run.stdout.split())
