"""A server whose database is a streaming standby, until that is promoted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import redis_server
import servers
from acceptance.serving import Server, serving
from ai_hub import FeatureStore
from ai_hub.cli.app import app
from ai_hub.config import Settings
from watching import AT, COMMAND, eventually, get, ingest, log

pytestmark = [pytest.mark.postgresql, pytest.mark.long]
EXPORT = {
    "tenant_id": "t",
    "feature_set": "forecast_basic",
    "start_time": "2025-10-09T00:00:00Z",
    "end_time": "2025-10-10T00:00:00Z",
}
NEW_SET = """
from ai_hub import FeatureSet, Lag
mine = FeatureSet("mine", 1, (Lag("lag_1h", "1h"),))
"""
IS_PAUSED = "SELECT pg_get_wal_replay_pause_state() = 'paused'"


class Pair:
    """A migrated database, and the standby of its server."""

    def __init__(self) -> None:
        self.primary = servers.server("plain")
        self.url = self.primary.fresh()
        self.name = self.url.rpartition("/")[2]
        self.standby = self.primary.standby()

    @property
    def standby_url(self) -> str:
        return self.standby.url(self.name)

    def caught_up(self) -> None:
        self.standby.replayed(self.primary)

    def write(self, value: float, cache_url: str = "memory://") -> None:
        """Have a process take a reading of `t` and `a` in, on the primary."""

        async def work() -> None:
            settings = Settings(database_url=self.url, cache_url=cache_url)
            async with FeatureStore(settings) as store:
                row = {"timestamp": "2025-10-09T13:00:00Z", "asset_id": "a", "value": value}
                await store.ingest([row], tenant_id="t")

        servers.apart(work())

    def stop(self) -> None:
        self.standby.stop()
        self.primary.discard(self.url)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    found = Pair()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def reads(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on the standby, which knows its primary."""
    folder = tmp_path_factory.mktemp("standby")
    settings = {"database_url": pair.standby_url, "primary_url": pair.url}
    with serving(COMMAND, folder, **settings) as server:
        yield server


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A command on the database of a URL."""

    def command(url: str, *words: str) -> Any:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("AI_HUB_DATABASE_URL", url)
        return CliRunner().invoke(app, words)

    return command


def value(server: Server) -> Any:
    answer = get(server, "t")
    assert not answer["degraded"]
    return answer["features"]["rolling_avg_24h"]


def test_what_the_standby_shows_is_answered_soon(pair: Pair, reads: Server) -> None:
    for number in (1, 2, 3):
        pair.write(number)
        pair.caught_up()
        # It may have been asked for a moment ago, and is asked for all the time.
        eventually(lambda: value(reads) == number)  # noqa: B023
    eventually(lambda: get(reads, "t")["cache_hit"])
    assert len(log(reads, "database is a standby")) == 1
    assert reads.client.get("/health/ready").status_code == 200


def test_sets_that_are_applied_on_the_primary_are_served(
    pair: Pair, reads: Server, on: Any, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(NEW_SET)
    done = on(pair.url, "apply", "mine.py")
    assert done.exit_code == 0, done.output
    asked = {"tenant_id": "t", "asset_id": "a", "feature_set": "mine", "timestamp": AT}

    def served() -> bool:
        return reads.client.post("/ai/features/get", json=asked).status_code == 200

    eventually(served)


def test_writes_are_refused_by_name(reads: Server) -> None:
    rows = [{"timestamp": "2025-10-09T13:00:00Z", "asset_id": "a", "value": 1.0}]
    weather = [{"timestamp": "2025-10-09T13:00:00Z", "asset_id": "a", "temperature": 1.0}]
    source = {"tenant_id": "t", "source_id": "s", "asset_ids": ["a"]}
    for method, path, body in (
        ("POST", "/ingest", {"tenant_id": "t", "rows": rows}),
        ("POST", "/ingest/weather", {"tenant_id": "t", "rows": weather}),
        ("PUT", "/weather-sources", source),
    ):
        refused = reads.call(method, path, body, 503)
        assert "it is a standby" in refused["detail"]
        assert "Name the primary in AI_HUB_DATABASE_URL" in refused["detail"]


def test_an_export_is_recorded_beside_its_file_and_on_the_primary(
    pair: Pair, reads: Server, on: Any
) -> None:
    pair.write(1)
    pair.caught_up()
    made = reads.call("POST", "/export", EXPORT)
    assert (made["status"], made["row_count"]) == ("completed", 1)
    beside(made)
    assert reads.call("GET", f"/exports/{made['export_id']}") == made
    (there,) = json.loads(on(pair.url, "exports", "--json").stdout)["exports"]
    assert there == made


def test_an_export_needs_no_primary(pair: Pair, tmp_path: Path) -> None:
    pair.write(1)
    pair.caught_up()
    # Nothing listens on port 1.
    settings = Settings(
        database_url=pair.standby_url,
        primary_url="postgresql://ai_hub@127.0.0.1:1/features",
        export_root=tmp_path / "exports",
    )

    async def export() -> dict[str, Any]:
        async with FeatureStore(settings) as store:
            start, end = (datetime.fromisoformat(EXPORT[one]) for one in ("start_time", "end_time"))
            made = await store.export_features_to_parquet("t", "forecast_basic", start, end)
            # Nobody else knows of it: who looks at a job finds it as long as its process lives.
            assert await store.wait_for_export(made["export_id"]) == made
            assert await store.cancel_export(made["export_id"]) == made
            return made

    beside(servers.apart(export()))


def beside(made: dict[str, Any]) -> None:
    """The record of an export is beside its file, and nothing else."""
    path = Path(made["storage_path"])
    kept = json.loads(path.with_name(f"{path.name}.export.json").read_text())
    for name in ("export_id", "status", "checksum", "row_count", "completed_at"):
        assert kept[name] == made[name]
    assert sorted(one.name for one in path.parent.iterdir()) == [
        path.name,
        f"{path.name}.export.json",
    ]


def test_commands_that_read_work_and_others_say_why_not(pair: Pair, on: Any) -> None:
    done = on(pair.url, "assets", "set", "--tenant", "c", "b", "capacity=3")
    assert done.exit_code == 0, done.output
    pair.caught_up()
    for words in (
        ("status", "--json"),
        ("get", "--tenant", "c", "--asset", "b", "--json"),
        ("retention", "show", "--json"),
        ("sets", "--json"),
        ("assets", "--tenant", "c", "--json"),
        ("sql", "SELECT count(*) FROM asset_attributes", "--json"),
        ("exports", "--json"),
    ):
        done = on(pair.standby_url, *words)
        assert done.exit_code == 0, (words, done.output)
        assert json.loads(done.stdout)
    assert json.loads(on(pair.standby_url, "status", "--json").stdout)["standby"]
    assert not json.loads(on(pair.url, "status", "--json").stdout)["standby"]
    for words in (
        ("migrate",),
        ("maintain",),
        ("assets", "set", "--tenant", "c", "b", "capacity=4"),
        ("retention", "set", "ai_features", "90d"),
    ):
        done = on(pair.standby_url, *words)
        assert "it is a standby" in done.output, words
        assert done.exit_code != 0


@pytest.mark.redis
def test_redis_is_left_alone_until_it_is_promoted(tmp_path: Path) -> None:
    pair = Pair()
    redis = redis_server.RedisServer()
    settings = {"database_url": pair.standby_url, "cache_url": redis.url()}
    try:
        with serving(COMMAND, tmp_path, **settings) as server:
            pair.write(1, redis.url())
            pair.caught_up()
            assert value(server) == 1
            # It replays no more: what it shows is old by now, and may not reach Redis.
            pair.standby.sql("SELECT pg_wal_replay_pause()")
            eventually(lambda: pair.standby.sql(IS_PAUSED)[0][0])
            pair.write(2, redis.url())
            for _ in range(3):
                assert value(server) == 1
                assert not get(server, "t")["cache_hit"]
            assert redis.call("KEYS", "features:*") == []
            pair.standby.sql("SELECT pg_wal_replay_resume()")
            pair.caught_up()
            assert value(server) == 2
            pair.standby.promote()
            eventually(lambda: log(server, "database takes writes"))
            ingest(server, "t", 3.0)
            assert value(server) == 3
            assert get(server, "t")["cache_hit"]
            made = server.call("POST", "/export", EXPORT)
            assert server.call("GET", f"/exports/{made['export_id']}") == made
            assert not Path(f"{made['storage_path']}.export.json").exists()
    finally:
        redis.stop()
        pair.stop()
