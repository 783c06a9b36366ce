"""Tells of answers whose features were not all measured: of each asset once in a day."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ai_hub.definitions.values import DAY
from ai_hub.serving.answer import Answer

_log = logging.getLogger(__name__)

_MOST_KEPT = 100_000


class FirstFills:
    """Logs the first answer with filled features, and the first degraded one, of an asset, a
    feature set and a UTC day.

    It keeps what it told of today, up to 100,000 of them; beyond that it may tell of one again.
    """

    def __init__(self) -> None:
        self._day = 0
        self._told: set[int] = set()

    def note(self, answers: Iterable[Answer], now: int) -> None:
        """Log what is to be told of some answers that were given at `now` (microseconds)."""
        for answer in answers:
            if answer.missing:
                self._note(answer, now // DAY)

    def _note(self, answer: Answer, day: int) -> None:
        if day != self._day or len(self._told) >= _MOST_KEPT:
            self._day = day
            self._told.clear()
        # A number for an answer that may have long names; two answers hardly ever share one.
        key = hash((answer.tenant_id, answer.asset_id, answer.fingerprint, answer.degraded))
        if key not in self._told:
            self._told.add(key)
            _tell(answer)


def _tell(answer: Answer) -> None:
    # What is not set up to show the fields of an event shows its text.
    became = "left out: the store gave no answer" if answer.degraded else f"policy {answer.policy}"
    _log.warning(
        "features of %s missing (%s): %s",
        answer.asset_id,
        became,
        ", ".join(answer.missing),
        extra={
            "tenant_id": answer.tenant_id,
            "asset_id": answer.asset_id,
            "feature_set": answer.feature_set,
            "version": answer.version,
            "policy": answer.policy,
            "missing": list(answer.missing),
            "degraded": answer.degraded,
        },
    )
