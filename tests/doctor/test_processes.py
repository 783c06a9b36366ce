"""What processes run with, as their connections say, and clocks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import asyncpg
import httpx
import pytest

import servers
from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.doctor.clock import judge as judge_clock
from ai_hub.doctor.processes import judge
from ai_hub.process import Process, read_label
from cli.conftest import start, stop, wait_for
from doctor.conftest import Practice, hourly
from redis_server import RedisServer
from servers import Server

MINE = Process.of(Settings())
OTHER = replace(MINE, id="0badcafe", place="10.0.0.7", since=0)


@pytest.mark.parametrize("settings", [{}, {"granularity": "1h", "cache_url": "redis://x/0"}])
def test_a_label_says_what_a_process_runs_with(settings: dict[str, str]) -> None:
    one = Process.of(Settings(**settings))  # type: ignore[arg-type]
    assert read_label(one.label) == one
    # Longer names are cut by PostgreSQL; spaces are refused by Redis.
    assert len(one.label) < 64
    assert " " not in one.label


@pytest.mark.parametrize("label", ["", "psql", "ai-hub", "ai-hub migrate", "ai-hub/1/2"])
def test_other_names_are_of_nobody(label: str) -> None:
    assert read_label(label) is None


@pytest.mark.parametrize(("changed", "said", "command"), [
    ({"granularity": "1h"}, "AI_HUB_GRANULARITY is 1h in process 0badcafe at 10.0.0.7",
     "export AI_HUB_GRANULARITY=1h"),
    ({"cache_ttl": "60"}, "and 300 here", "export AI_HUB_CACHE_TTL=60"),
    ({"release": "9.9.9"}, "is ai-hub 9.9.9", None),
    ({"cache": "redis"}, "caches in redis, and this one in memory",
     "export AI_HUB_CACHE_URL=redis://HOST:6379/0"),
])  # fmt: skip
def test_each_difference_is_named(changed: dict[str, str], said: str, command: str | None) -> None:
    (line,) = judge(MINE, [replace(OTHER, **changed)], None)
    assert (line.name, line.state, line.command) == ("processes", "warning", command)
    assert said in line.said


def test_processes_alike_are_fine() -> None:
    (line,) = judge(MINE, [OTHER], None)
    assert (line.state, line.figure) == ("ok", 1)


def test_another_redis_is_seen_by_who_is_not_there() -> None:
    mine, other = replace(MINE, cache="redis"), replace(OTHER, cache="redis")
    assert judge(mine, [other], [other])[0].state == "ok"
    (line,) = judge(mine, [other], [])
    assert "uses another Redis" in line.said


def test_caches_apart() -> None:
    (line,) = judge(MINE, [OTHER, replace(OTHER, id="1badcafe")], None)
    assert "2 processes cache each for itself" in line.said


@contextmanager
def another(**settings: object) -> Iterator[None]:
    """A process that has the store of these settings open."""
    program = (
        "import asyncio, json, sys\nfrom ai_hub import FeatureStore\n"
        "from ai_hub.config import Settings\n"
        "async def main():\n"
        "    async with FeatureStore(Settings.load(**json.loads(sys.argv[1]))) as store:\n"
        "        await store.get(tenant_id='t', asset_id='a')\n"
        "        print('open', flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.readline)\n"
        "asyncio.run(main())"
    )
    run = [sys.executable, "-c", program, json.dumps(settings)]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "open\n"
        try:
            yield
        finally:
            other.stdin.close()


def test_another_process_on_the_database(practice: Practice, postgres: Server) -> None:
    practice.fine("processes")
    with another(granularity="1h", cache_ttl=3600):
        told = practice.look()["processes"]
        assert [one["state"] for one in told] == ["warning"] * 2
        for one in told:
            practice.mend(one["command"])
        practice.fine("processes")
        assert practice.look()["processes"][0]["figure"] == 1


@pytest.mark.postgresql
def test_another_release(practice: Practice) -> None:
    practice.set(database_url=servers.server("plain").fresh())

    async def look() -> str | None:
        # Nothing more than its name is known of another release.
        label = replace(OTHER, release="0.0.1").label
        on = await asyncpg.connect(
            Settings.load().database_url, server_settings={"application_name": label}
        )
        try:
            return await asyncio.to_thread(
                practice.wrong, "processes", "warning", "is ai-hub 0.0.1", "install one release"
            )
        finally:
            await on.close()

    assert asyncio.run(look()) is None
    practice.fine("processes")


@pytest.mark.redis
@pytest.mark.postgresql
def test_a_process_on_another_redis(practice: Practice, redis: RedisServer) -> None:
    practice.set(database_url=servers.server("plain").fresh())
    with another():
        practice.fine("processes")
    elsewhere = RedisServer()
    try:
        with another(cache_url=elsewhere.url()):
            mends = practice.wrong("processes", "warning", "uses another Redis")
            practice.mend(mends, URL=elsewhere.url())
            practice.fine("processes")
    finally:
        elsewhere.stop()


@pytest.mark.redis
def test_caches_of_real_processes(practice: Practice, postgres: Server, redis: RedisServer) -> None:
    shared = redis.url()
    practice.set(cache_url="memory://")
    with another(), another():
        mends = practice.wrong("processes", "warning", "2 processes cache each for itself")
    practice.mend(mends, **{"redis://HOST:6379/0": shared})
    # They are started again with it.
    with another(), another():
        practice.fine("processes")
        practice.set(cache_url="memory://")
        told = practice.look()["processes"]
        assert [one["state"] for one in told] == ["warning"] * 2
        for one in told:
            assert "caches in redis, and this one in memory" in one["said"]
            practice.mend(one["command"], **{"redis://HOST:6379/0": shared})
        practice.fine("processes")


def test_the_server_that_has_the_file_is_asked(practice: Practice) -> None:
    practice.ingest(hourly())
    server = start("serve")
    try:
        port = Settings.load().port
        wait_for(f"http://127.0.0.1:{port}", server)
        told = practice.look()
        assert told["readings"][0]["figure"] == 1
        assert told["hit_rate"][0]["state"] == "ok"
        assert told["processes"][0]["state"] == "ok"
        practice.set(granularity="1h")
        practice.mend(practice.wrong("processes", "warning", "is 1m in process"))
        practice.fine("processes", "database", "late")
        practice.set(port=1)
        assert "no server answers" in practice_fails(practice)
    finally:
        stop(server)


def test_a_hit_rate_of_a_server_that_is_low(practice: Practice) -> None:
    practice.ingest(hourly())
    server = start("serve")
    try:
        url = f"http://127.0.0.1:{Settings.load().port}"
        wait_for(url, server)
        asked = {"tenant_id": "acme", "feature_set": "forecast_basic"}
        for part in range(2):
            ids = [f"{part}-{n}" for n in range(600)]
            httpx.post(f"{url}/ai/features/batch", json={**asked, "asset_ids": ids})
        mends = practice.wrong("hit_rate", "warning", "0% of 1,200 look-ups")
        assert mends == "ai-hub warm --tenant acme"
        practice.mend(mends)
        practice.fine("hit_rate")
        answer = httpx.post(f"{url}/ai/features/get", json={**asked, "asset_id": "a"})
        assert answer.json()["cache_hit"]
        assert practice.look()["hit_rate"][0]["said"] == "100% of 1 look-ups"
    finally:
        stop(server)


def practice_fails(practice: Practice) -> str:
    from typer.testing import CliRunner

    from ai_hub.cli.app import app

    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    return done.stderr


@pytest.mark.parametrize(("apart", "state"), [(1, "ok"), (5, "warning"), (-60, "fault")])
def test_clocks(apart: int, state: str) -> None:
    line = judge_clock("Redis", apart * 1_000_000, 0, 0.01)
    assert (line.name, line.state) == ("clock", state)
    # Which of both is wrong is not known here, and the other one is on another machine.
    assert line.command is None
    assert ("take their time from NTP" in line.said) == (state != "ok")


def test_a_clock_that_is_wrong(practice: Practice, postgres: Server, redis: RedisServer) -> None:
    async def look(ahead: int) -> list[str]:
        def now() -> int:
            return time.time_ns() // 1_000 + ahead * 1_000_000

        async with FeatureStore(Settings.load(), now=now) as store:
            return [one.state for one in await store.doctor() if one.name == "clock"]

    assert asyncio.run(look(100)) == ["fault", "fault"]
    assert asyncio.run(look(10)) == ["warning", "warning"]
    assert asyncio.run(look(0)) == ["ok", "ok"]
