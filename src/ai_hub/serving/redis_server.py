"""What a Redis server tells of itself, and whether the cache can be kept on it."""

from __future__ import annotations

from dataclasses import dataclass

from hiredis import ReplyError

from ai_hub.config_values import NO_CLUSTER
from ai_hub.errors import ConfigError
from ai_hub.serving.redis_link import Link, Lost
from ai_hub.serving.redis_words import PROBE, SCRIPTS, pack, run_of

_OLDEST = 7


@dataclass(frozen=True, slots=True)
class Server:
    """A server as INFO shows it. `run` is of its process and the history of its data."""

    run: str
    version: str
    cluster: bool
    master: bool

    @classmethod
    async def behind(cls, link: Link) -> Server:
        """The server of a connection, which knows the scripts and can be written to.

        Raises ConfigError for one that will never do, Lost for one that may later.
        """
        commands = [pack(("INFO",)), PROBE]
        commands += [pack(("SCRIPT", "LOAD", script.text)) for script in SCRIPTS]
        replies = await link.ask(b"".join(commands), len(commands))
        told = information(replies[0])
        if "run_id" not in told:
            raise Lost(f"its INFO names no run_id: {replies[0]!r}")
        server = cls(
            run_of(told["run_id"], told.get("master_replid", "")),
            told.get("redis_version", "0"),
            told.get("cluster_enabled") == "1",
            told.get("role", "master") == "master",
        )
        server.check()
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise Lost(str(reply))
        return server

    def check(self) -> None:
        """Raise ConfigError for a server that will never do, Lost for one that may later."""
        if self.cluster:
            raise ConfigError(
                f"cache_url: expected one Redis server or its Sentinels: {NO_CLUSTER}"
            )
        if int(self.version.partition(".")[0]) < _OLDEST:
            raise ConfigError(
                f"cache_url: got Redis {self.version}, expected Redis {_OLDEST} or newer, or Valkey"
            )
        if not self.master:
            raise Lost("it is a replica, which takes no writes")


def information(reply: object) -> dict[str, str]:
    """The names and values of a reply to INFO; nothing of another reply."""
    if not isinstance(reply, bytes):
        return {}
    lines = reply.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name: value for name, _, value in pairs}
