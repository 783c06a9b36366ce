"""Python is told of the first answer of a day that was not all measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ai_hub.definitions.values import DAY, HOUR
from ai_hub.serving import first_fills
from ai_hub.serving.answer import Answer
from ai_hub.serving.first_fills import FirstFills

AT = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
FILLED = Answer("t", "a", AT, "own", 2, "f" * 16, "mean", {"x": 0.0}, ("x",), False, True, AT)
NOON = 20_000 * DAY + 12 * HOUR


def events(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What was told since it was last asked."""
    told = [one for one in caplog.records if one.name == "ai_hub.serving.first_fills"]
    caplog.clear()
    return told


def test_it_says_what_is_missing_of_which_asset(caplog: pytest.LogCaptureFixture) -> None:
    FirstFills().note([FILLED], NOON)
    (event,) = events(caplog)
    assert event.levelname == "WARNING"
    assert event.getMessage() == "features of a missing (policy mean): x"
    assert (event.tenant_id, event.asset_id) == ("t", "a")
    assert (event.feature_set, event.version) == ("own", 2)
    assert (event.policy, event.missing, event.degraded) == ("mean", ["x"], False)


def test_a_whole_answer_is_nothing_to_tell_of(caplog: pytest.LogCaptureFixture) -> None:
    FirstFills().note([replace(FILLED, missing=())], NOON)
    assert not events(caplog)


@pytest.mark.parametrize(
    "other",
    [
        replace(FILLED, tenant_id="u"),
        replace(FILLED, asset_id="b"),
        replace(FILLED, version=3, fingerprint="e" * 16),
        replace(FILLED, features={}, degraded=True),
    ],
)
def test_each_asset_set_and_outage_is_told_of_once(
    other: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    fills = FirstFills()
    fills.note([FILLED, other, FILLED], NOON)
    assert [one.degraded for one in events(caplog)] == [False, other.degraded]
    fills.note([other, FILLED, replace(FILLED, missing=("y",), policy="zero")], NOON + 11 * HOUR)
    assert not events(caplog)


def test_a_degraded_answer_says_why(caplog: pytest.LogCaptureFixture) -> None:
    FirstFills().note([replace(FILLED, features={}, degraded=True)], NOON)
    (event,) = events(caplog)
    assert event.getMessage() == "features of a missing (left out: the store gave no answer): x"


def test_a_day_begins_at_midnight_utc(caplog: pytest.LogCaptureFixture) -> None:
    fills = FirstFills()
    told: Sequence[tuple[int, int]] = [(NOON, 1), (NOON + 12 * HOUR - 1, 0), (NOON + 12 * HOUR, 1)]
    for now, count in told:
        fills.note([FILLED], now)
        assert len(events(caplog)) == count


def test_it_keeps_so_many_and_no_more(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_fills, "_MOST_KEPT", 10)
    fills = FirstFills()
    fills.note([replace(FILLED, asset_id=f"a{n}") for n in range(95)], NOON)
    assert len(events(caplog)) == 95
    assert len(fills._told) <= 10
