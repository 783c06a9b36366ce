"""Options by name, whatever stands for their values."""

from __future__ import annotations

import datetime
import math
from contextlib import suppress
from decimal import Decimal
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.options import BatchKind
from ai_hub.intake.read_options import READ_OPTIONS, ReadOptions

ODD = (
    *(5, -1, 1.5, math.nan, True, 10**30, 1j, Decimal(1), np.int64(3), np.float32(1)),
    *(
        "",
        "\0",
        "%",
        "%%",
        "%d",
        "\ud800",
        "9" * 5_000,
        "=",
        "a=",
        "temperature=",
        "P",
        "PT",
        ":",
        "\n",
    ),
    *(b"x", memoryview(b"x"), object(), object, pd.NaT, pd.NA, datetime.date(2025, 1, 1)),
    *([object()], [None], [""], ["a", "b"], (1,), (2, 1), ("a",), {}, {"a": 1}, {1: 2}, {"a"}),
    *(np.array([1, 2]), np.array([]), range(3), np.timedelta64(15, "m"), pd.Timedelta("15min")),
)


@pytest.mark.parametrize("kind", get_args(BatchKind))
def test_whatever_an_option_is_given_is_taken_or_is_an_error_of_ours(kind: BatchKind) -> None:
    for option in READ_OPTIONS[kind]:
        for value in ODD:
            with suppress(InvalidInput):
                ReadOptions.of(kind, {option.name: value})


def test_an_error_does_not_say_where_a_value_is_in_memory() -> None:
    with pytest.raises(InvalidInput, match="got <object object>, expected"):
        ReadOptions.of("observations", {"null": object()})
    with pytest.raises(InvalidInput, match=r"delimiter: got .*, expected one text, number or flag"):
        ReadOptions.of("observations", {"delimiter": [object()]})


def test_none_and_an_empty_list_say_nothing() -> None:
    given = {"null": [], "timezone": None, "column": ()}
    assert ReadOptions.of("weather", given).said == {}
