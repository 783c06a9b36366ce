from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.builtin import FEATURE_SETS, FEATURES
from ai_hub.definitions.document import (
    KINDS,
    document_of,
    plain_feature,
    read_document,
    read_set,
    set_of_text,
    text_of,
)
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.periods import Offset, Period
from ai_hub.definitions.valid_range import ValidRange, ValidValues
from ai_hub.definitions.values import Duration
from ai_hub.errors import InvalidDefinition
from ai_hub.testing import sets

MEAN = {"kind": "Rolling", "name": "avg_48h", "stat": "mean", "window": "48h"}
OWN: dict[str, Any] = {"name": "own", "version": 2, "features": ["hour_of_day", MEAN]}


def refusal(*features: object, **more: object) -> InvalidDefinition:
    with pytest.raises(InvalidDefinition) as caught:
        read_set({**OWN, "features": list(features) or OWN["features"], **more})
    return caught.value


@given(sets.feature_sets(), st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_set_comes_back_from_its_text(drawn: FeatureSet, words: str) -> None:
    described = FeatureSet(
        "drawn", 3, drawn.features, words, (words,), drawn.missing, drawn.series, owner=words
    )
    for one in (drawn, described):
        found = set_of_text(text_of(one))
        assert found == one
        assert found.fingerprint == one.fingerprint
        assert text_of(found) == text_of(one)


@pytest.mark.parametrize("feature_set", FEATURE_SETS, ids=lambda one: one.label)
def test_the_built_in_sets_come_back(feature_set: FeatureSet) -> None:
    assert set_of_text(text_of(feature_set)) == feature_set
    by_name = {
        "name": feature_set.name,
        "version": feature_set.version,
        "features": list(feature_set.feature_names),
    }
    assert read_set(by_name).features == feature_set.features


def test_what_is_at_its_default_is_not_written() -> None:
    assert document_of([read_set(OWN)]) == {
        "schema": 1,
        "feature_sets": [
            {**OWN, "features": [
                {"kind": "Calendar", "name": "hour_of_day", "part": "hour_of_day"}, MEAN]}
        ],
    }  # fmt: skip


def test_a_place_is_said_by_set_feature_and_field() -> None:
    error = refusal("lag_1h", {**MEAN, "window": "48x"})
    assert error.place == ("features", 1, "window")
    assert str(error) == (
        'own@2.avg_48h.window: got \'48x\', expected a width such as "24h", "90m" or "7d", '
        'or a period such as "P1D"'
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "rolling", "name": "a"}, r"own@2\.a\.kind: got 'rolling'.* Did you mean Rolling"),
        ({"name": "a"}, r"own@2\.a\.kind: got None, expected one of Calendar, "),
        ({**MEAN, "widow": "1h"}, r"own@2\.avg_48h\.widow: .*of Rolling: .* mean window\?"),
        ({"kind": "Lag", "name": "a"}, r"own@2\.a\.by: got None, expected a value: Lag needs it"),
        ({**MEAN, "name": "1a"}, r"own@2\.features\[1\]\.name: got '1a', expected a name of"),
        ({**MEAN, "name": "lag_1h"}, r"own@2\.features: got 'lag_1h', expected each name once"),
        ({**MEAN, "name": "value"}, r"own@2\.value\.name: got 'value', .* no column of an export"),
        ("lag_2h", r"own@2\.features: got 'lag_2h', .* built-in feature\. Did you mean lag_24h\?"),
        (7, r"own@2\.features\[1\]: got 7, expected a built-in feature's name, or kind and"),
        (None, r"own@2\.features\[1\]: got None, expected a built-in"),
        (
            {"kind": "Derived", "name": "a", "expression": "lag_1h / nothing"},
            r"own@2\.a\.expression: got 'lag_1h / nothing', .*same set or built-in .*not 'nothing'",
        ),
        (
            {"kind": "Derived", "name": "a", "expression": "a + lag_1h"},
            r"own@2\.features: got 'a <- a', expected no circle",
        ),
    ],
)
def test_a_wrong_feature_is_refused_at_its_place(wrong: object, said: str) -> None:
    error = str(refusal("lag_1h", wrong))
    assert re.match(said, error), error


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (5, "document: got 5, expected a document with feature_sets"),
        ({}, "feature_sets: got None, expected a list of feature sets"),
        ({"feature_sets": {}, "a": 1}, "document.a: got 1, expected a known field: schema, feat"),
        ({"schema": 2, "feature_sets": []}, "schema: got 2, expected 1. A newer release of ai-hub"),
        ({"schema": True, "feature_sets": []}, "schema: got True, expected 1"),
        ({"feature_sets": "x"}, "feature_sets: got 'x', expected a list of feature sets"),
        ({"feature_sets": ["x"]}, "feature_sets[0]: got 'x', expected a feature set with name, "),
        ({"feature_sets": [{"name": "a"}]}, "a.version: got None, expected a value"),
        ({"feature_sets": [OWN, OWN]}, "own@2.version: got 2, expected each version of a set once"),
        (
            {"feature_sets": [{**OWN, "ower": "me"}]},
            "own@2.ower: got 'me', expected a known field: name, version, features, desc",
        ),
        ({"feature_sets": [{**OWN, "version": 0}]}, "own.version: got 0, expected a whole number"),
        ({"feature_sets": [{**OWN, "features": "x"}]}, "own@2.features: got 'x', expected a list"),
    ],
)
def test_a_wrong_document_is_refused_at_its_place(document: object, said: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        read_document(document)
    assert str(caught.value).startswith(said)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside),
    max_leaves=5,
)
members = st.sampled_from(sorted({field.name for kind in KINDS.values() for field in fields(kind)}))


@given(
    st.sampled_from(FEATURES).map(plain_feature),
    st.dictionaries(members | st.just("kind") | st.text(max_size=5), plain_values, max_size=2),
    st.dictionaries(
        st.sampled_from([*OWN, "series", "missing", "owner"]), plain_values, max_size=1
    ),
)
def test_whatever_a_field_holds_it_is_read_or_refused(
    feature: dict[str, object], changed: dict[str, object], around: dict[str, object]
) -> None:
    try:
        found = read_set({**OWN, "features": [{**feature, **changed}], **around})
    except InvalidDefinition:
        return
    assert set_of_text(text_of(found)) == found


def test_every_kind_is_known_by_its_name() -> None:
    assert {*KINDS.values()} == {*Feature.__args__}  # type: ignore[attr-defined]
    assert json.loads(text_of(read_set(OWN)))["schema"] == 1


def test_a_document_of_the_first_schema_is_read_for_ever() -> None:
    """A frozen copy of what a registry may hold: never change the file."""
    text = (Path(__file__).parent / "files" / "document-1.json").read_text("utf-8").strip()
    width = Duration.of
    found = set_of_text(text)
    assert found == FeatureSet(
        "every_kind",
        7,
        (
            Calendar("hour_of_day", "hour_of_day"),
            Calendar("local_hour", "hour_of_day", "Europe/Berlin", missing="keep"),
            Rolling("avg_48h", "mean", width("48h")),
            Rolling("peak", "max", width("90m"), "left", "generation", missing=0.0),
            Lag("lag_168h", width("7d")),
            Lag("lag_15m", width("15m"), width("1m")),
            Bucket("today", "sum", width("1d")),
            Latest("temperature", "temperature"),
            Latest("wind", "wind_speed", width("6h"), width("0", zero=True)),
            Derived("ratio", "lag_15m / avg_48h", missing="zero"),
        ),
        description="One of every kind",
        use_cases=("tests",),
        missing="zero",
        series="generation",
        owner="grid-team",
    )
    assert text_of(found) == text


def test_so_is_one_of_the_kinds_that_came_later() -> None:
    """A frozen copy too: never change the file."""
    name = "document-1-later-kinds.json"
    text = (Path(__file__).parent / "files" / name).read_text("utf-8").strip()
    build: Any = FeatureSet
    berlin: Any = {"tz": "Europe/Berlin"}
    days = HolidayDates((0, 5, 120), 1971)
    wanted: list[Any] = [
        Calendar("holiday", "is_holiday", **berlin, country="DE", subdivision="BY",
                 offset=Offset.of("P1D"), holidays=days),
        Calendar("day_sin", "day_sin", tz="@asset"),
        Rolling("p90", "quantile", Period(0, 7), **berlin, q=0.9, min_count=3,
                valid=ValidRange(0.0, 500.0), unit="kWh", description="Peaks"),
        Rolling("covered", "coverage", Duration.of("24h"), "right", step=Duration.of("1h")),
        Rolling("used", "increase", Duration.of("24h"), tolerance=0.5),
        Bucket("month", "sum", Period(1, 0), **berlin),
        Lag("lag_week", Period(0, 7), **berlin),
        Lag("wind_1h", Duration.of("1h"), source="weather", column="wind_speed", measured=True),
        Seasonal("same_hour", "mean", Period(0, 7), 4, **berlin),
        Ewm("recent", Duration.of("6h"), Duration.of("7d")),
        Age("silent", Duration.of("48h")),
        Attribute("capacity", "capacity"),
        FromView("score", "own.scores", "Score", Duration.of("6h"), definition="0123456789abcdef"),
        Derived("load", "clip(p90 / capacity, 0, 1)", valid=ValidValues((0.0, 1.0))),
    ]  # fmt: skip
    found = set_of_text(text)
    assert found == build("later_kinds", 2, wanted, on_violation="null")
    assert text_of(found) == text
    assert found.fingerprint == "4ac152e435e8b29c"
