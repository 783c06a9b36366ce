"""`python -m benchmarks.no_first_level` is `ai-hub` that reads every vector from Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ai_hub.serving.redis import cache
from ai_hub.serving.redis.first_level import FirstLevel, Known, Slot


class Nothing(FirstLevel):
    """A first level that keeps nothing, at no cost."""

    def known(self, slot: Slot, asset_ids: Sequence[str]) -> list[Known | None]:
        return [None] * len(asset_ids)

    def put(self, slot: Slot, asset_id: str, token: bytes, value: bytes) -> None:
        pass

    def forget(self, slot: Slot, asset_ids: Iterable[str]) -> None:
        pass


# Workers are processes of their own, and import this file too.
if __name__ in ("__main__", "__mp_main__"):
    cache.FirstLevel = Nothing  # type: ignore[misc]

if __name__ == "__main__":
    from ai_hub.cli import main

    main()
