"""A server of each kind in turn, and empty databases on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

import servers
from servers import Kind, Server

_names = count(1)

# Called with nothing, it makes an empty database and gives its name.
Empty = Callable[[], str]


_MARKS = {
    "plain": pytest.mark.postgresql,
    "timescaledb": pytest.mark.timescaledb,
    "apache": pytest.mark.timescaledb,
}
_KINDS = {kind: pytest.param(kind, marks=mark) for kind, mark in _MARKS.items()}


def on(*kinds: Kind) -> pytest.MarkDecorator:
    """For a test of what only some kinds of server have."""
    return pytest.mark.parametrize("server", [_KINDS[kind] for kind in kinds], indirect=True)


@pytest.fixture(params=_KINDS.values())
def server(request: pytest.FixtureRequest) -> Server:
    kind: Kind = request.param
    return servers.server(kind)


@pytest.fixture
def empty(server: Server) -> Iterator[Empty]:
    made: list[str] = []

    def make() -> str:
        made.append(f"migrations_{next(_names)}")
        server.create(made[-1])
        return made[-1]

    yield make
    for name in made:
        server.drop(name)
