"""The features that Python gets: a dict, and what else there is to know of them."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import msgspec
import pytest

from ai_hub.serving.answer import Answer, Features

AT = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
VALUES = {"lag_1h": 0.0, "hour_of_day": 14, "lag_24h": None}
ANSWER = Answer(
    "t", "a", AT, "own", 2, "f" * 16, "zero", VALUES, ("lag_1h", "lag_24h"), False, True, AT
)
FEATURES = Features(ANSWER.features, ANSWER)


def test_it_is_the_dict_that_it_was() -> None:
    assert FEATURES == VALUES
    assert VALUES == FEATURES
    assert repr(FEATURES) == repr(VALUES)
    assert isinstance(FEATURES, dict)
    assert list(FEATURES) == list(VALUES)
    assert {**FEATURES} == VALUES
    assert json.loads(json.dumps(FEATURES)) == VALUES
    assert msgspec.json.encode(FEATURES) == msgspec.json.encode(VALUES)


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        Features.copy,
        lambda features: pickle.loads(pickle.dumps(features)),
        lambda features: pickle.loads(pickle.dumps(features, protocol=2)),
    ],
)
def test_its_copies_know_the_answer_too(copied: Callable[[Features], Features]) -> None:
    one = copied(FEATURES)
    assert one == VALUES
    assert type(one) is Features
    assert one.answer == ANSWER
    assert (one.missing, one.degraded, one.violations) == (("lag_1h", "lag_24h"), False, ())
    assert (one.timestamp, one.policy) == (AT, "zero")
    assert (one.feature_set, one.version) == ("own", 2)
    one["more"] = 1.0
    assert "more" not in FEATURES
    assert "more" not in ANSWER.features


def test_what_is_of_no_answer_says_nothing_of_what_was_missing() -> None:
    @dataclass
    class Kept:
        features: dict[str, object]

    remade = asdict(Kept(FEATURES))["features"]
    assert remade == VALUES
    with pytest.raises(AttributeError, match="answer"):
        _ = remade.missing
    assert type(FEATURES | {"more": 1.0}) is dict
