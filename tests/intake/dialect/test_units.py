"""Units, as a row under a header names them."""

from __future__ import annotations

import pytest

from ai_hub.intake.dialect.units import is_unit

UNITS = (
    *("kWh", " MWh ", "kvarh", "W", "V", "A", "Hz", "m3", "m³", "%", "[kWh]", "(any)", "Wh per h"),
    *("W/m²", "W/m^2", "W m-2", "°C", "C", "degC", "hPa", "m/s", "km/h", "mm", "mm/h", "l/h"),
    *("EUR/MWh", "ct/kWh", "p/kWh", "€/MWh", "$", "octas", "pulses"),
)
OTHERS = (
    "",
    "z",
    "x",
    "error",
    "bad",
    "missing",
    "n.v.",
    "Total",
    "see note",
    "kWh today",
    "m1",
    "-",
)


@pytest.mark.parametrize("text", UNITS)
def test_a_unit_is_known_by_its_name(text: str) -> None:
    assert is_unit(text)


@pytest.mark.parametrize("text", OTHERS)
def test_a_word_that_is_no_unit_is_none(text: str) -> None:
    assert not is_unit(text)
