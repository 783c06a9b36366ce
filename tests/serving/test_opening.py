"""Caches by their URL: what opens, what waits, and what is refused with a sentence."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import ConfigError
from ai_hub.serving.memory import MemoryCache
from ai_hub.serving.opening import open_cache
from ai_hub.serving.redis.cache import RedisCache
from redis_server import RedisServer
from serving.doubles import HeldDebts
from serving.test_cache import AT, VALUE, look, put

KEY = f"features:t:a:{AT}"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[RedisCache]:
    cache = await open_cache(
        Settings(cache_url=url, **{"cache_timeout": "500ms"} | settings), HeldDebts()
    )
    assert isinstance(cache, RedisCache)
    try:
        yield cache
    finally:
        await cache.close()


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    """Servers that are stopped after the test."""
    those: list[RedisServer] = []
    yield those
    for one in those:
        one.stop()


def start(servers: list[RedisServer], **settings: str | int) -> RedisServer:
    servers.append(RedisServer(**settings))
    return servers[-1]


async def test_the_default_is_in_the_process() -> None:
    cache = await open_cache(Settings(), HeldDebts())
    assert isinstance(cache, MemoryCache)


@pytest.mark.parametrize("url", ["memory://", "redis://127.0.0.1:1", "rediss://127.0.0.1:1/0"])
async def test_settings_say_of_a_cache_what_it_says_itself(url: str) -> None:
    settings = Settings(cache_url=url)
    cache = await open_cache(settings, HeldDebts())
    try:
        assert settings.cache_shared == cache.shared
    finally:
        await cache.close()


@pytest.mark.redis
async def test_a_password_and_a_database(servers: list[RedisServer]) -> None:
    server = start(servers, requirepass="se/cret@1")
    url = f"redis://:se%2Fcret%401@127.0.0.1:{server.port}/3"
    async with opened(url, cache_ttl=60) as cache:
        await put(cache, "a")
        assert (await cache.stats()).ttl_seconds == 60
    async with opened(url) as other:
        assert await look(other, "a") == VALUE


@pytest.mark.redis
async def test_a_feature_store_starts_without_redis(servers: list[RedisServer]) -> None:
    server = start(servers)
    server.halt()
    settings = Settings(database_url="duckdb:///:memory:", cache_url=server.url())
    async with FeatureStore(settings) as store:
        asked = {"tenant_id": "t", "asset_id": "a", "feature_set": "forecast_basic"}
        for _ in range(2):
            answer = await store.get(**asked)
            assert not answer.cache_hit
            assert not answer.degraded
        server.start()
        assert isinstance(store._open.cache, RedisCache)
        await until(lambda: store._open.cache.state == "closed")
        await store.get(**asked)
        assert (await store.get(**asked)).cache_hit


@pytest.mark.redis
async def test_a_wrong_password_is_waited_out(
    servers: list[RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = start(servers, requirepass="right")
    async with opened(server.url("wrong"), cache_timeout="100ms") as cache:
        assert cache.state == "open"
        assert await look(cache, "a") is None
        (line,) = (r.getMessage() for r in caplog.records if "is away" in r.getMessage())
        assert "wrong" not in line
        with server.client() as client:
            client.config_set("requirepass", "wrong")
        await until(lambda: cache.state == "closed")


@pytest.mark.redis
async def test_a_cluster_is_refused(servers: list[RedisServer]) -> None:
    server = start(servers, cluster_enabled="yes")
    with pytest.raises(ConfigError, match=r"^cache_url: .* Redis Cluster is refused, as an asset"):
        async with opened(server.url()):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1/0?nonsense=1",
        "redis://127.0.0.1/0?socket_timeout=soon",
        "redis+sentinel://127.0.0.1/main?nonsense=1",
    ],
)
async def test_parameters_that_do_not_exist_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^cache_url: got 'redis.*expected parameters of redis"):
        await open_cache(Settings(cache_url=url), HeldDebts())


def certificate(folder: Path) -> dict[str, str]:
    """The settings of a server with a certificate for this machine."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key -out cert"
    words += " -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, *words.split()], cwd=folder, check=True, capture_output=True)
    return {"tls_cert_file": str(folder / "cert"), "tls_key_file": str(folder / "key")}


@pytest.mark.redis
async def test_tls(servers: list[RedisServer], tmp_path: Path) -> None:
    files = certificate(tmp_path)
    try:
        server = start(servers, tls_auth_clients="no", **files)
        server.call("CONFIG", "SET", "port", 0, "tls-port", server.port)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"a server without TLS: {error}")
    url = f"rediss://127.0.0.1:{server.port}/0"
    async with opened(f"{url}?ssl_ca_certs={tmp_path / 'cert'}") as cache:
        assert cache.state == "closed"
        assert await put(cache, "a") == 1
        assert await look(cache, "a") == VALUE
    async with opened(url) as cache:
        assert cache.state == "open"


def is_master(server: RedisServer) -> bool:
    try:
        return bool(server.call("ROLE")[0] == "master")
    except redis.ConnectionError:  # It sends everybody away when it becomes one.
        return False


@pytest.mark.redis
async def test_sentinel_leads_to_the_master_of_today(
    servers: list[RedisServer], tmp_path: Path
) -> None:
    master = start(servers)
    replica = start(servers, replicaof=f"127.0.0.1 {master.port}")
    sentinels = [RedisServer.sentinel("main", master.port) for _ in range(3)]
    servers += sentinels
    those = ",".join(f"127.0.0.1:{one.port}" for one in sentinels)
    # The first one named does not answer.
    url = f"redis+sentinel://127.0.0.1:1,{those}/main/0"
    async with opened(url, cache_timeout="200ms") as cache:
        assert cache.state == "closed"
        await put(cache, "a")
        await until(lambda: replica.call("EXISTS", KEY) == 1)
        # The old master is gone; the other takes its place, with what it copied.
        master.halt()
        await until(lambda: is_master(replica))
        await until(lambda: cache.state == "closed")
        # Nobody knows whether it has copied every drop.
        assert await look(cache, "a") is None
        await put(cache, "a")
        assert replica.call("HLEN", KEY) == 1
