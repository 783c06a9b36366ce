"""What is found on a look at a cache that processes share, without a judgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_hub.process import Process

MOST_KEYS = 2_000
"""Keys of which time to live and kind are looked at."""
MOST_SCANNED = 100_000
"""Keys that are walked over to find them."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key of vectors: its kind, and in how many milliseconds it ends (-1: never)."""

    name: str
    kind: str
    ends_in: int


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """A server: version, memory in bytes (most 0: any), look-ups since it counts, some keys.

    `clock` is its time and `asked_at` ours, in microseconds; `seconds` is how long an answer took.
    """

    version: str
    used: int
    most: int
    policy: str
    hits: int
    misses: int
    clock: int
    asked_at: int
    seconds: float
    keys: Sequence[KeyFacts] = ()
    processes: Sequence[Process] = ()


@dataclass(frozen=True, slots=True)
class CacheAway:
    """Why a cache cannot be used."""

    why: str
