"""How a cache URL becomes a connection: redis-py's classes for TCP, TLS, AUTH and Sentinel."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ai_hub.config_values import masked
from ai_hub.errors import ConfigError

_SENTINEL_PORT = 26379


class Dial:
    """Connects to the server of a URL, or to the master that its Sentinels name.

    `timeout` is how many seconds connecting may take, `name` what the connection is called there.
    Raises ConfigError for a URL that redis-py does not take.
    """

    def __init__(self, url: str, timeout: float, name: str = "ai-hub") -> None:
        self._timeout = timeout
        self._name = name
        self._sentinel: Sentinel | None = None
        self.place = url.partition("://")[2].partition("?")[0].rpartition("@")[2]
        try:
            self._pool = self._pool_of(url)
            # Nothing is connected yet, but every parameter is looked at.
            self._pool.make_connection()
        except (TypeError, ValueError, RedisError) as error:
            raise ConfigError(
                f"cache_url: got {masked(url)!r}, expected parameters of redis-py: {error}"
            ) from error

    def _pool_of(self, url: str) -> ConnectionPool:
        known: dict[str, Any] = {
            "protocol": 2,
            "client_name": self._name,
            "socket_timeout": self._timeout,
            "socket_connect_timeout": self._timeout,
        }
        scheme, _, rest = url.partition("://")
        plain, sentinels, _ = scheme.partition("+sentinel")
        if not sentinels:
            return ConnectionPool.from_url(url, **known)
        place, _, query = rest.partition("?")
        servers, service, *database = place.split("/")
        user, at, servers = servers.rpartition("@")
        path = database[0] if database else ""
        given: dict[str, Any] = {**parse_url(f"{plain}://{user}{at}service/{path}?{query}")}
        of_sentinels = {
            name.removeprefix("sentinel_"): given.pop(name)
            for name in [*given]
            if name.startswith("sentinel_")
        }
        del given["host"]
        tls = given.pop("connection_class", None) is not None
        hosts = [_host_and_port(server) for server in servers.split(",")]
        # One of them that does not answer must leave time for the others.
        share = self._timeout / (len(hosts) + 1)
        timeouts = {"socket_timeout": share, "socket_connect_timeout": share}
        self._sentinel = Sentinel(
            hosts, sentinel_kwargs={**timeouts, "retry": Retry(NoBackoff(), 0), **of_sentinels}
        )
        return SentinelConnectionPool(service, self._sentinel, ssl=tls, **known | given)

    async def connect(self) -> asyncio.StreamWriter:
        """A new connection, greeted and logged in; reading from it is the caller's business."""
        connection: AbstractConnection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
            writer = connection._writer
            assert writer is not None
            # redis-py closes what it still knows of.
            connection._reader = connection._writer = None
            return writer
        finally:
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Let go of the connections to Sentinels."""
        for client in self._sentinel.sentinels if self._sentinel else ():
            await client.aclose()


def _host_and_port(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = server, str(_SENTINEL_PORT)
    return host.strip("[]"), int(port)
