"""Each engine and each deployment in turn."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.kit import APACHE, DEPLOYMENTS, ENGINES, SERVERS, WITH_REDIS, Deployment, Engine


def _marked(deployment: Deployment) -> Any:
    marks = [getattr(pytest.mark, name) for name in deployment.marks]
    if deployment == APACHE:
        # Between the plain server and that with all of the extension: what differs is seldom new.
        marks.append(pytest.mark.long)
    return pytest.param(deployment, id=str(deployment), marks=marks)


@pytest.fixture(params=ENGINES, ids=str, scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture(params=map(_marked, DEPLOYMENTS), scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    chosen: Deployment = request.param
    return chosen


@pytest.fixture(params=map(_marked, (*DEPLOYMENTS, WITH_REDIS)), scope="session")
def any_cache(request: pytest.FixtureRequest) -> Deployment:
    """Each deployment, and one whose cache is shared."""
    chosen: Deployment = request.param
    return chosen


@pytest.fixture(params=map(_marked, SERVERS), scope="session")
def on_server(request: pytest.FixtureRequest) -> Deployment:
    """Each deployment on a PostgreSQL server."""
    chosen: Deployment = request.param
    return chosen
