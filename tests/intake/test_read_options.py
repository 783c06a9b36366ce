"""One definition of what may be said of rows, for every door."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.options import BatchKind, as_words
from ai_hub.intake.read_options import (
    READ_OPTIONS,
    AttributeKeywords,
    ObservationKeywords,
    ReadOptions,
    WeatherKeywords,
)

KEYWORDS = {
    "observations": ObservationKeywords,
    "weather": WeatherKeywords,
    "attributes": AttributeKeywords,
}
KINDS: tuple[BatchKind, ...] = get_args(BatchKind)
SAID: dict[str, Any] = {
    "timestamp_column": "time", "asset_column": "meter", "tenant_column": "who",
    "value_column": "kWh", "feature_type_column": "channel", "quality_column": "none",
    "issued_at_column": "issued", "column": ["temperature=temp", "humidity=rh"],
    "asset_id": "m1", "feature_type": "load", "delimiter": ";", "decimal": ",",
    "thousands": "none", "encoding": "cp1252", "time_format": "%d.%m.%Y %H:%M",
    "time_column": "clock", "skip_lines": 3, "comment": "#", "units_row": True, "wide": "assets",
    "sheet": "Tabelle 1", "timezone": "Europe/Berlin", "ambiguous": "later",
    "interval_start": "15m", "interval_end": "1h", "null": ["-9999", "missing"],
    "valid_range": "0:500", "valid_from_column": "since",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_keywords_of_python_are_the_options_of_every_door(kind: BatchKind) -> None:
    names = {option.name for option in READ_OPTIONS[kind]}
    assert {*KEYWORDS[kind].__annotations__} - {"dry_run", "progress"} == names
    for option in READ_OPTIONS[kind]:
        assert option.help[0].isupper()
        assert option.help.endswith(".")
    assert {name for one in READ_OPTIONS.values() for name in {o.name for o in one}} == {*SAID}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, one.name) for kind in KINDS for one in READ_OPTIONS[kind]]
)
def test_an_option_is_the_same_as_a_value_and_as_the_texts_of_a_query(
    kind: BatchKind, name: str
) -> None:
    option = next(one for one in READ_OPTIONS[kind] if one.name == name)
    zone = {"timezone": "Europe/Berlin"} if name != "timezone" else {}
    value = ReadOptions.of(kind, {name: SAID[name], **zone})
    texts = option.texts(SAID[name])
    assert texts == [str(text) for text in texts]
    text = ReadOptions.of(kind, {name: texts if option.repeatable else texts[0], **zone})
    assert (text.names, text.dialect, text.rows) == (value.names, value.dialect, value.rows)
    assert value != ReadOptions.of(kind, zone)
    assert as_words([option], {name: SAID[name]})[0] == option.flag


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_what_is_not_said_changes_nothing(nothing: object) -> None:
    said = ReadOptions.of("weather", {"column": nothing, "null": nothing})
    assert said == ReadOptions.of("weather")


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("observations", {"colum": "x"}, "options"),
        ("observations", {"column": ["temperature=t"]}, "options"),
        ("weather", {"value_column": "x"}, "options"),
        ("weather", {"valid_range": "0:1"}, "options"),
        ("weather", {"column": ["temp=t"]}, "column"),
        ("weather", {"column": ["temperature="]}, "column"),
        ("weather", {"column": 5}, "column"),
        ("attributes", {"timestamp_column": "x"}, "options"),
        ("attributes", {"wide": "assets"}, "options"),
        ("attributes", {"valid_from_column": 5}, "valid_from_column"),
        ("observations", {"timezone": 5}, "timezone"),
        ("observations", {"delimiter": 5}, "delimiter"),
        ("observations", {"time_format": 5}, "time_format"),
        ("observations", {"ambiguous": ["later"]}, "ambiguous"),
        ("weather", {"column": ["temperature=a", "temperature=b"]}, "column"),
        ("observations", {"timestamp_column": ""}, "timestamp_column"),
        ("observations", {"value_column": 3}, "value_column"),
        ("observations", {"asset_id": ""}, "asset_id"),
        ("observations", {"feature_type": "x" * 101}, "feature_type"),
        ("observations", {"skip_lines": "-1"}, "skip_lines"),
        ("observations", {"units_row": "perhaps"}, "units_row"),
        ("observations", {"null": [None]}, "null"),
        ("observations", {"null": ["x"] * 101}, "null"),
        ("observations", {"null": ["x" * 2_001]}, "null"),
        ("observations", {"timestamp_column": "x" * 2_001}, "timestamp_column"),
        ("weather", {"column": {"temperature": "x" * 2_001}}, "column"),
    ],
)
def test_what_an_option_cannot_be_is_an_error_that_names_it(
    kind: BatchKind, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        ReadOptions.of(kind, given)
    assert caught.value.field == field


def test_the_columns_that_must_be_there_are_those_that_nothing_stands_for() -> None:
    plain = ReadOptions.of("observations")
    assert plain.required("acme") == ("timestamp", "asset_id", "value")
    assert plain.required(None) == ("timestamp", "asset_id", "value", "tenant_id")
    constant = ReadOptions.of("weather", {"asset_id": "JFK"})
    assert constant.required("acme") == ("timestamp",)


def test_names_stand_for_our_columns_as_those_of_a_file_do() -> None:
    said = ReadOptions.of("observations", {"value_column": "kWh", "time_column": "clock"})
    names = ["Timestamp", "asset_id ", "KWH", "value", "clock", "note"]
    assert said.fields_of(names) == {
        "Timestamp": "timestamp", "asset_id ": "asset_id", "KWH": "value", "clock": "timestamp"
    }  # fmt: skip
    wide = ReadOptions.of("observations", {"wide": "assets"})
    assert wide.fields_of(["timestamp", "m1"]) == {"timestamp": "timestamp", "m1": "value"}
