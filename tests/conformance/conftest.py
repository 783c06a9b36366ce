"""Each engine and each deployment in turn."""

from __future__ import annotations

import pytest

from conformance.kit import DEPLOYMENTS, ENGINES, Deployment, Engine


@pytest.fixture(params=ENGINES, ids=str, scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture(params=DEPLOYMENTS, ids=str, scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    chosen: Deployment = request.param
    return chosen
