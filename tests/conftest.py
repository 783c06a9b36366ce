"""What all tests share: the way to helpers beside them, how hard hypothesis looks, and servers."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

# Helpers are modules beside the tests: `from conformance.kit import ...`.
sys.path.insert(0, str(Path(__file__).parent))

import redis_server
import servers
from installations import NAMED, Installation, installations
from object_server import ObjectServer, object_server

# Tests start hundreds of processes of the product: none should compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A Redis that the environment names is not for tests.
for _name in ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"):
    os.environ.pop(_name, None)

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
settings.register_profile(
    "default", deadline=None, max_examples=20, print_blob=True, suppress_health_check=_SLOW
)
# For `make test-all`.
settings.register_profile("all", settings.get_profile("default"), max_examples=75)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile("long", settings.get_profile("default"), max_examples=1_500)
# For `make mutants`: a fault that shows once is found, and need not be made small.
settings.register_profile(
    "mutants",
    settings.get_profile("ci"),
    max_examples=20,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


_ON_A_SERVER = frozenset({"postgresql", "timescaledb"})
_MAIN, *_OTHERS = installations() or (None,)


# The main installation does not show in the names of tests.
@pytest.fixture(
    scope="session",
    autouse=True,
    params=[_MAIN, *_OTHERS],
    ids=[pytest.HIDDEN_PARAM, *(f"on{one.version}" for one in _OTHERS)],
)
def installation(request: pytest.FixtureRequest) -> Iterator[Installation | None]:
    """The PostgreSQL that a test has servers of.

    A fixture of a wider scope than one test that has a server asks for this one.
    """
    servers.use(request.param)
    with pytest.MonkeyPatch.context() as patch:
        # To the product it would be a setting that there is not.
        patch.delenv(NAMED, raising=False)
        yield request.param
    servers.use(None)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Leave out what would run on a further installation and asks for no server."""
    made = yield
    return [one for one in made if _runs(one)] if isinstance(made, list) else made


def _runs(item: pytest.Function) -> bool:
    if item.callspec.params["installation"] not in _OTHERS:
        return True
    marks = {mark.name for mark in item.iter_markers()}
    if "versions" not in marks:
        item.add_marker("long")
    return bool(marks & _ON_A_SERVER)


def pytest_report_header() -> list[str]:
    return [str(one) for one in installations()] or [servers.NO_SERVER]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a server that cannot be had."""
    if item.get_closest_marker("postgresql"):
        servers.require("plain")
    if item.get_closest_marker("timescaledb"):
        servers.require("timescaledb")
    if item.get_closest_marker("redis"):
        redis_server.require()


# The outermost wrapper: these lines are the last before the counts.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield
    for kind in (servers, redis_server):
        for line in kind.notices(_skips(terminalreporter), servers.in_ci()):
            terminalreporter.write_line(line, red=True, bold=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Workers of pytest-xdist have no reporter; the one of the controller knows their skips.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.exitstatus != 0:
        return
    kinds = (servers, redis_server)
    if any(kind.fails_run(_skips(reporter), servers.in_ci()) for kind in kinds):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure() -> None:
    servers.stop_all()
    redis_server.stop_all()


def _skips(reporter: pytest.TerminalReporter) -> list[str]:
    """The reason of each skip, over all workers."""
    reports = reporter.stats.get("skipped", [])
    # A skip is told as its file, line and reason; an expected failure is not.
    return [report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectServer]:
    """An S3-compatible server."""
    with object_server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket on it, which the environment leads to."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex}"
    s3_server.make(name)
    return name
