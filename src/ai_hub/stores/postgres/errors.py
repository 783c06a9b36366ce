"""What PostgreSQL and its driver raise, in our words: one sentence, and what to do.

StoreUnavailable is for what may pass by itself, StoreRefused for what a person has to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from ai_hub.config import masked
from ai_hub.errors import (
    AiHubError,
    NotMigrated,
    StoreError,
    StoreReadOnly,
    StoreRefused,
    StoreSlow,
    StoreUnavailable,
)

_SETTING = "AI_HUB_DATABASE_URL"
_DENIED = re.compile(
    r"permission denied for (\w+) (\S+)|permission denied to create (temporary tables)"
)
_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*")
_GRANTS = {
    "schema": "USAGE, CREATE ON SCHEMA",
    "sequence": "USAGE ON SEQUENCE",
    "function": "EXECUTE ON FUNCTION",
    "database": "CONNECT, TEMPORARY ON DATABASE",
}

# The "internal" one is raised where the server closed a connection just before it was used.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the driver raises where the server or the network fails, or a privilege is missing."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL names, as messages show it: never with the password."""

    server: str
    user: str
    database: str
    password: str = ""

    @classmethod
    def of(cls, url: str) -> Address:
        """The address in a URL; what it leaves out, the driver takes from its defaults."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)

        def said(name: str, in_url: str | None) -> str:
            return unquote(in_url or query.get(name, [""])[-1])

        hosts = parts.netloc.rpartition("@")[2]
        server = said("host", hosts) or "localhost"
        if not re.search(r":\d+$", server):
            server = f"{server}:{query.get('port', ['5432'])[-1]}"
        return cls(
            server,
            said("user", parts.username),
            said("database", parts.path.removeprefix("/")) or said("dbname", None),
            said("password", parts.password),
        )

    @property
    def who(self) -> str:
        """The user, as a sentence names it."""
        return f"user {self.user!r}" if self.user else "the user of this process"

    def hide(self, text: str) -> str:
        """A message of the driver in one line, without the password."""
        line = masked(text.partition("\n")[0].strip())
        return line.replace(self.password, "***") if self.password else line


@contextmanager
def translated(url: str) -> Iterator[None]:
    """What the driver raises inside comes out as StoreError, the cause kept."""
    try:
        yield
    except AiHubError:
        # Of storage, which is an OSError too.
        raise
    except FAILURES as error:
        raise as_ours(error, url) from error


def as_ours(error: BaseException, url: str) -> StoreError:
    """The StoreError for an error of asyncpg, of ADBC or of the socket."""
    at = Address.of(url)
    state = getattr(error, "sqlstate", None)
    # ADBC says "00000" where it did not reach the server.
    if state and state != "00000":
        return _from_server(state, at.hide(str(error)), at)
    return _from_driver(error, at)


def _from_server(state: str, text: str, at: Address) -> StoreError:
    server = f"PostgreSQL at {at.server}"
    match state:
        case "28P01":
            return StoreRefused(
                f"{server} refuses {at.who}: the password is wrong, or there is no such "
                f"role. Check user and password in {_SETTING}."
            )
        case "28000":
            return StoreRefused(
                f"{server} refuses {at.who} ({text}). Create the role (CREATE ROLE ... "
                f"LOGIN), allow it in pg_hba.conf, or name another one in {_SETTING}."
            )
        case "3D000":
            return StoreRefused(
                f"{server} does not have this database ({text}). Create it (createdb), or name "
                f"another one in {_SETTING}; then run ai-hub migrate."
            )
        case "42501":
            return StoreRefused(f"{server} does not let {at.who} do that: {_grant(text, at)}")
        case "26000" | "42P05":
            return StoreRefused(pooled(at.server))
        case "08P01" if "startup parameter" in text:
            return StoreRefused(
                f"{server} is a pooler such as PgBouncer, which refuses what a session sets at "
                f"its start ({text}). Name the server itself in {_SETTING}: ai-hub has a pool of "
                "its own. Or list it in ignore_startup_parameters, with pool_mode = session."
            )
        case "40001" if "conflict with recovery" in text:
            return StoreUnavailable(
                f"{server} is a standby, and ended a read of rows that its primary has moved or "
                "removed since. Try again; for long reads raise max_standby_streaming_delay there."
            )
        case "25006" | "55000" if state == "25006" or "recovery is in progress" in text:
            return StoreReadOnly(
                f"{server} accepts no writes ({text}): it is a standby, or "
                f"default_transaction_read_only is on. Name the primary in {_SETTING}."
            )
        case "42P01" | "42883" | "42703" | "3F000":
            return NotMigrated(
                f"{server} does not have what ai-hub needs ({text}). Run ai-hub migrate."
            )
        case "53100":
            return StoreRefused(f"{server} has no space left on its disk ({text}). Make room.")
        case "53300":
            return StoreUnavailable(
                f"{server} has no connection left ({text}). Lower AI_HUB_POOL_SIZE or the number "
                "of processes, or raise max_connections of the server."
            )
        case "57014" if "statement timeout" in text:
            return StoreSlow(
                f"{server} stopped a statement that took too long. Try again, ask for less at "
                "once, or raise AI_HUB_STATEMENT_TIMEOUT."
            )
        case "57P03":
            return StoreUnavailable(f"{server} is starting or stopping ({text}). Try again soon.")
        case "57P01" | "57P02" | "57P05":
            return _lost(at, text)
        case _ if state.startswith("08"):
            return _lost(at, text)
        case "40001" | "40P01" | "55P03" | "57014":
            return StoreUnavailable(
                f"{server} ended this in favour of another transaction ({text}). Try again."
            )
        case _ if state.startswith(("53", "58", "XX")):
            return StoreUnavailable(f"{server} failed: {text} ({state}). Its log says more.")
        case _:
            return StoreError(f"{server} did not do what it was asked: {text} ({state}).")


def pooled(server: str) -> str:
    """Why a pooler that gives a connection to others in between is of no use."""
    return (
        f"PostgreSQL at {server} is behind a pooler, such as PgBouncer with pool_mode = "
        "transaction, that gives a connection to others between two statements: what ai-hub "
        "prepares, sets and listens to would be lost. Name the server itself in "
        f"{_SETTING}: ai-hub has a pool of its own. Or set pool_mode = session."
    )


def _from_driver(error: BaseException, at: Address) -> StoreError:
    text = at.hide(str(error))
    server = f"PostgreSQL at {at.server}"
    match error:
        case TimeoutError():
            return StoreUnavailable(
                f"{server} did not answer in time. Is it running, and is the address right? If it "
                "is only busy, raise AI_HUB_CONNECT_TIMEOUT, AI_HUB_STATEMENT_TIMEOUT or "
                "AI_HUB_POOL_SIZE."
            )
        case asyncpg.ClientConfigurationError():
            return StoreRefused(f"{_SETTING}: the driver cannot read it ({text}). Correct the URL.")
        case ConnectionError() if "SSL" in text:
            return StoreRefused(
                f"{server}: {text}. Set sslmode in {_SETTING} to what the server accepts."
            )
        case asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return _lost(at, text)
        case ConnectionResetError() | BrokenPipeError():
            return _lost(at, text)
        case _:
            return StoreUnavailable(
                f"{server} cannot be reached ({_reason(error, text)}). Is it running, and is the "
                f"address in {_SETTING} right?"
            )


def _lost(at: Address, text: str) -> StoreUnavailable:
    return StoreUnavailable(f"The connection to PostgreSQL at {at.server} was lost ({text}). "
                            "Try again.")  # fmt: skip


def _reason(error: BaseException, text: str) -> str:
    """A short reason: asyncio joins the failures of several addresses into a long one."""
    if "refused" in text or isinstance(error, ConnectionRefusedError):
        return "connection refused"
    strerror = getattr(error, "strerror", None)
    return strerror if isinstance(strerror, str) and len(strerror) < len(text) else text


def _grant(text: str, at: Address) -> str:
    """What was denied, and the statement that allows it."""
    found = _DENIED.search(text)
    user = at.user if _SIMPLE.fullmatch(at.user) else '"' + at.user.replace('"', '""') + '"'
    user = user if at.user else "CURRENT_USER"
    if found is None:
        return f"{text}. Run it as the owner of the tables."
    kind, name, temporary = found.groups()
    if temporary:
        kind, name = "database", at.database
    # That one the owner alone writes, in a migration.
    rights = "SELECT" if name == "ai_hub_migrations" else "SELECT, INSERT, UPDATE, DELETE"
    what = _GRANTS.get(kind, f"{rights} ON")
    return f"{text}. To allow it: GRANT {what} {name} TO {user};"
