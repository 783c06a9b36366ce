"""Whether an answer reads nothing but what is in the database: older history may be archived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ai_hub.archive.layer import LIVE, Kind
from ai_hub.definitions.values import FIRST_INSTANT, iso
from ai_hub.engines.plan import sources_for
from ai_hub.engines.traits import FILL_WINDOW
from ai_hub.errors import HistoryArchived
from ai_hub.serving.spec import Spec

Dropped = Callable[[], Awaitable[Mapping[Kind, int]]]
"""Before when rows are in the archive alone, by kind."""


class LivePart:
    """What is known of the archive of a store. `dropped` asks it; None: there is none."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.dropped: Dropped | None = None
        self._now = now
        self._known: Mapping[Kind, int] = {}

    async def check(self, spec: Spec, at: int) -> None:
        """Raise HistoryArchived where features at a time read what was taken out of the database.

        Asked after they were computed: what is taken out later they have seen. Nobody takes out
        what answers as of now read, so hardly any answer costs more than a comparison.
        """
        if self.dropped is None or at - _longest(spec) >= self._now() - LIVE:
            return
        self._known = await self.dropped()
        if (why := self.why(spec, at)) is not None:
            raise HistoryArchived(why)

    def why(self, spec: Spec, at: int) -> str | None:
        """Why features at a time have no values, by what is known; None where it is not that."""
        if not self._known:
            return None
        for kind, reach in _reaches(spec).items():
            before = self._known.get(kind)
            if before is not None and at - reach < before:
                return (
                    f"{kind} before {iso(before)} are archived, and these features read them from "
                    f"{iso(max(at - reach, FIRST_INSTANT))} on: export rows of that time "
                    "(ai-hub export), which reads the archive too"
                )
        return None


def _longest(spec: Spec) -> int:
    plan = spec.plan
    return max(plan.lookback, plan.weather_lookback, FILL_WINDOW)


def _reaches(spec: Spec) -> dict[Kind, int]:
    """How far before their time features read, by kind, with what fills them."""
    plan = spec.plan
    filled = {source.kind for source in sources_for(plan, spec.missing)}
    found: dict[Kind, int] = {}
    if plan.series:
        found["observations"] = max(plan.lookback, FILL_WINDOW if "series" in filled else 0)
    if plan.weather:
        found["weather"] = max(plan.weather_lookback, FILL_WINDOW if "weather" in filled else 0)
    return found
