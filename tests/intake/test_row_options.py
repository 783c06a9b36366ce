"""What a caller may say about rows, checked when said."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from ai_hub.definitions.valid_range import WEATHER_LIMITS, ValidRange
from ai_hub.errors import InvalidInput
from ai_hub.intake.clock.step import Step
from ai_hub.intake.row_options import RowOptions


def test_options_are_read_from_texts_and_from_python_values_alike() -> None:
    texts = RowOptions.of(
        timezone="Europe/Berlin",
        ambiguous="later",
        interval_start="PT15M",
        null=["missing", "-9999"],
        valid_range="0:500",
        quality=False,
        valid_ranges={"load": ":10"},
    )
    values = RowOptions.of(
        timezone="Europe/Berlin",
        ambiguous="later",
        interval_start=timedelta(minutes=15),
        null=("missing", -9999),
        valid_range=(0, 500),
        quality=False,
        valid_ranges={"load": (None, 10)},
    )
    assert texts == values
    assert texts.interval_start == Step.of("15m")
    assert RowOptions.of() == RowOptions()


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("timezone", {"timezone": "Mars"}),
        ("ambiguous", {"ambiguous": "first"}),
        ("interval_start", {"interval_start": "soon"}),
        ("interval_start", {"interval_start": "P1D"}),  # of which zone?
        ("interval_end", {"interval_end": 5}),
        ("interval_end", {"interval_start": "1h", "interval_end": "1h"}),
        ("null", {"null": [None]}),
        ("null", {"null": ["x"] * 101}),
        ("valid_range", {"valid_range": "5:1"}),
        ("valid_range", {"valid_range": "5"}),
        ("valid_range", {"valid_range": ":"}),
        ("valid_range", {"valid_range": "a:b"}),
        ("valid_range", {"valid_range": (True, 5)}),
        ("valid_range", {"valid_range": math.inf}),
        ("valid_ranges", {"valid_ranges": {"": "0:1"}}),
        ("valid_ranges load", {"valid_ranges": {"load": "x"}}),
    ],
)
def test_what_an_option_cannot_be_is_an_error_that_names_it(
    field: str, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        RowOptions.of(**given)
    assert caught.value.field == field


def test_null_is_one_text_or_number_or_several() -> None:
    assert RowOptions.of(null=-9999).null == ("-9999",)
    assert RowOptions.of(null=[-9999.0, "x"]).null == ("-9999.0", "x")
    assert RowOptions.of(null=np.array([-1, 2])).null == ("-1", "2")


@pytest.mark.parametrize("text", ["0:500", "-90:60", ":5", "2.5:"])
def test_a_range_reads_as_it_is_written(text: str) -> None:
    assert str(ValidRange.of(text)) == text
    assert ValidRange.of(ValidRange.of(text)) == ValidRange.of(text)


def test_limits_are_those_of_the_weather_columns() -> None:
    assert {name: str(limits) for name, limits in WEATHER_LIMITS.items()} == {
        "temperature": "-90:60",
        "humidity": "0:100",
        "solar_irradiance": "-20:1600",
        "wind_speed": "0:120",
        "cloud_cover": "0:100",
        "precipitation": "0:500",
    }
