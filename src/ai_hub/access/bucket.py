"""How often somebody may ask: a token bucket for each."""

from __future__ import annotations

from collections.abc import Callable

from ai_hub.errors import TooMany

_MOST = 100_000


class Buckets:
    """A bucket for each id: `rate` requests a second, and as many at once.

    `clock` gives seconds that never go back. The algorithm is the virtual scheduling of ITU-T
    I.371 (GCRA): of each id one time is kept, when its bucket is full again.
    """

    def __init__(self, rate: int, clock: Callable[[], float]) -> None:
        self._step = 1 / rate
        # A second's worth at once; sums of steps are off by their rounding.
        self._most = 1 + self._step / 1_000
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def take(self, id: str) -> None:
        """Count one request. Raises TooMany."""
        now = self._clock()
        full_at = max(self._full_at.get(id, now), now) + self._step
        if full_at - now > self._most:
            raise TooMany
        if len(self._full_at) >= _MOST:
            self._full_at = {one: time for one, time in self._full_at.items() if time > now}
        self._full_at[id] = full_at
