"""What a process runs with, said by the names of its connections.

PostgreSQL and Redis show them to whoever asks, for as long as they are open: so a process can see
what the others run with, and nothing has to be written, kept or cleaned up for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ai_hub import __version__
from ai_hub.config import KEYS, Settings

_NAME = "ai-hub"
# Once for each process: its connections to PostgreSQL and to Redis are known as of one.
_ID = secrets.token_hex(4)


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its release, what it was set to that others should be set to as well, an id.

    `cache` is where it caches: `memory` or `redis`. `place` is where it connects from, and `since`
    when, in microseconds; both are of the one connection that said it, and None where unknown.
    """

    release: str
    granularity: str
    cache_ttl: str
    cache: str
    id: str
    place: str | None = None
    since: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Process:
        """This process, as it is set."""
        step = KEYS["granularity"].text(settings.granularity)
        cache = "redis" if settings.cache_shared else "memory"
        return cls(__version__, step, str(settings.cache_ttl), cache, _ID)

    @property
    def label(self) -> str:
        """The name of its connections, such as `ai-hub/0.3.0/1m/300/redis/1f3a9c21`."""
        words = self.release, self.granularity, self.cache_ttl, self.cache, self.id
        return "/".join((_NAME, *words))

    @property
    def is_mine(self) -> bool:
        """Whether it is this process."""
        return self.id == _ID

    @property
    def named(self) -> str:
        """How people tell it from the others."""
        return f"process {self.id}" + (f" at {self.place}" if self.place else "")


def read_label(label: str, place: str | None = None, since: int | None = None) -> Process | None:
    """The process that a connection of this name is of; None where it is not one of ours."""
    name, *words = label.split("/")
    if name != _NAME or len(words) != 5:
        return None
    release, granularity, cache_ttl, cache, id_ = words
    return Process(release, granularity, cache_ttl, cache, id_, place, since)
