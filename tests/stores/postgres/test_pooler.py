"""Behind PgBouncer: sessions of their own work, and what cannot work says why."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which

import pytest

import servers
from acceptance.serving import free_port
from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import StoreRefused
from ai_hub.stores.postgres.session import Sessions, session_settings
from servers import Server
from watching import eventually

PROGRAM = which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
T = datetime(2025, 10, 9, 14, tzinfo=UTC)
Start = Callable[[str, bool], Settings]

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(PROGRAM is None, reason="no PgBouncer (apt-get install pgbouncer)"),
]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(installation: object) -> Server:
    return servers.server("plain")


@pytest.fixture
def behind(server: Server, tmp_path: Path) -> Iterator[Start]:
    """The settings of a migrated database behind a pooler in a mode."""
    started: list[subprocess.Popen[bytes]] = []
    url = server.fresh()
    database = url.rpartition("/")[2]

    def start(mode: str, ignores: bool) -> Settings:
        port = free_port()
        names = ", ".join(session_settings(Settings(), "timescaledb", Settings().statement_timeout))
        lines = [
            "[databases]",
            f"* = host=127.0.0.1 port={server.port} user=ai_hub",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            "unix_socket_dir =",
            "auth_type = any",
            f"pool_mode = {mode}",
            # As root it wants to be somebody else.
            "user = nobody" if os.geteuid() == 0 else "",
            f"ignore_startup_parameters = {names}" if ignores else "",
        ]
        file = tmp_path / "pooler.ini"
        file.write_text("\n".join(lines) + "\n", "utf-8")
        assert PROGRAM is not None
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen([PROGRAM, file], stderr=log))
        settings = Settings(database_url=f"postgresql://ai_hub@127.0.0.1:{port}/{database}")
        eventually(lambda: listens(port))
        return settings

    yield start
    for one in started:
        one.terminate()
        one.wait(10)
    server.discard(url)


async def test_with_sessions_of_their_own_all_works(behind: Start) -> None:
    settings = behind("session", True)
    await opened(settings)
    async with FeatureStore.open(settings=settings) as store:
        row = {"timestamp": T - timedelta(hours=1), "asset_id": "a", "value": 2.0}
        await store.ingest([row], "t")
        assert await store.get_features("t", "a", T, ["lag_1h"]) == {"lag_1h": 2.0}


async def opened(settings: Settings, times: int = 3) -> None:
    """A statement may meet another session's only from the second time on."""
    for _ in range(times):
        await (await Sessions.open(settings)).close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_where_others_get_the_connection_in_between_it_is_named(
    behind: Start, mode: str
) -> None:
    settings = behind(mode, True)
    with pytest.raises(StoreRefused, match=r"PgBouncer.*pool_mode = session"):
        await opened(settings)


async def test_what_a_session_sets_is_named(behind: Start) -> None:
    with pytest.raises(StoreRefused, match=r"PgBouncer.*ignore_startup_parameters"):
        await Sessions.open(behind("session", False))
