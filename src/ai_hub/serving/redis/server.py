"""What a Redis server tells of itself, and whether the cache can be kept on it."""

from __future__ import annotations

from dataclasses import dataclass

from hiredis import ReplyError

from ai_hub.config_values import NO_CLUSTER
from ai_hub.errors import ConfigError
from ai_hub.serving.redis.link import Link, Lost
from ai_hub.serving.redis.words import SCRIPTS, begin_epoch, pack, probe, run_of

_OLDEST = 7


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server as INFO shows it. `run` is of its process, its data and the epoch."""

    run: bytes
    version: str
    cluster: bool
    master: bool

    @classmethod
    async def behind(cls, link: Link, seconds: int) -> RedisServer:
        """The server of a connection, which knows the scripts and can be written to.

        `seconds` is how long an epoch lives. Raises ConfigError for a server that will never do,
        Lost for one that may later.
        """
        commands = [pack(("INFO",)), begin_epoch(seconds), probe(seconds)]
        commands += [pack(("SCRIPT", "LOAD", script.text)) for script in SCRIPTS]
        info, begun, epoch, *loaded = await link.ask(b"".join(commands), len(commands))
        told = information(info)
        if "run_id" not in told:
            raise Lost(f"its INFO names no run_id: {info!r}")
        server = cls(
            run_of(told["run_id"], told.get("master_replid", ""), repr(epoch)),
            told.get("redis_version", "0"),
            told.get("cluster_enabled") == "1",
            told.get("role", "master") == "master",
        )
        server.check()
        # Where there is an epoch already, a server that is out of memory will do.
        for reply in (epoch, *loaded, *([begun] if epoch is None else ())):
            if isinstance(reply, ReplyError):
                raise Lost(str(reply))
        link.expected = epoch
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
