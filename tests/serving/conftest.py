"""Each cache in turn."""

from __future__ import annotations

import pytest

from serving.kinds import Kind, MemoryKind, RedisKind


@pytest.fixture(
    params=[MemoryKind(), pytest.param(RedisKind(), marks=pytest.mark.redis)],
    ids=str,
    scope="session",
)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen
