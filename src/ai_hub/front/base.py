"""What every part of the front stands on: the settings, a clock, and the parts that are open."""

from __future__ import annotations

from collections.abc import Callable

from ai_hub.config import Settings
from ai_hub.definitions.values import Time, to_micros
from ai_hub.errors import StoreUnavailable
from ai_hub.metrics import Metrics
from ai_hub.opening import Open
from ai_hub.serving.first_fills import FirstFills


class Front:
    """A store that may be open. `now` gives microseconds since the epoch."""

    def __init__(self, settings: Settings, now: Callable[[], int]) -> None:
        self.settings = settings
        self.now = now
        self.metrics = Metrics()
        self._first_fills = FirstFills()
        self._parts: Open | None = None
        self._closed = False

    @property
    def _open(self) -> Open:
        """What is open. Raises StoreUnavailable."""
        if self._parts is None or self._closed:
            why = "closed" if self._closed else "not open: use `async with`"
            raise StoreUnavailable(f"the feature store is {why}")
        return self._parts

    def _at(self, timestamp: Time | None) -> int:
        return self.now() if timestamp is None else to_micros(timestamp)

    def _effective(self, at: int, exact: bool) -> int:
        return at if exact else self.settings.granularity.truncate(at)
