from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import timedelta
from typing import get_args

import pytest

import ai_hub
from ai_hub.definitions.expressions import expression_tree
from ai_hub.definitions.kinds import (
    Bucket,
    Calendar,
    Derived,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
)
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.definitions.vocabulary import check_missing, check_name
from ai_hub.errors import InvalidInput

DAY_WIDE = Duration.of("24h")

BUILDERS: list[Callable[..., Feature]] = [
    lambda name, missing=None: Calendar(name, "month", missing=missing),
    lambda name, missing=None: Rolling(name, "mean", DAY_WIDE, missing=missing),
    lambda name, missing=None: Lag(name, DAY_WIDE, missing=missing),
    lambda name, missing=None: Bucket(name, "mean", DAY_WIDE, missing=missing),
    lambda name, missing=None: Latest(name, "temperature", missing=missing),
    lambda name, missing=None: FromView(name, "scores", "score", missing=missing),
    lambda name, missing=None: Derived(name, "a - b", missing=missing),
]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "name",
    [
        *("", "1a", "a-b", "a b", "ä", "a" * 64, "a\n", None, 3),
        *("timestamp", "tenant_id", "asset_id", "value", "lag__missing"),
    ],
)
def test_every_kind_refuses_a_name_that_cannot_be_a_column(
    build: Callable[..., Feature], name: object
) -> None:
    with pytest.raises(InvalidInput, match=r"^name: "):
        build(name)


@pytest.mark.parametrize("build", BUILDERS)
def test_every_kind_checks_its_policy_and_is_immutable(build: Callable[..., Feature]) -> None:
    assert build("f").missing is None
    assert build("f", missing=1).missing == 1.0
    assert build("f", missing="keep").missing == "keep"
    with pytest.raises(InvalidInput, match=r"^missing: "):
        build("f", missing="median")
    with pytest.raises(dataclasses.FrozenInstanceError):
        build("f").name = "g"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a", "_", "A9_", "a" * 63])
def test_a_name_is_an_identifier_of_at_most_63_characters(name: str) -> None:
    assert check_name("name", name) == name


@pytest.mark.parametrize("policy", ["mean", "zero", "keep", 0.0, -2.5])
def test_a_policy_is_a_word_or_a_finite_number(policy: object) -> None:
    assert check_missing(policy) == policy


@pytest.mark.parametrize(
    "policy", [math.nan, math.inf, True, None, "Mean", "0", 10**400, [], object()]
)
def test_anything_else_is_no_policy(policy: object) -> None:
    with pytest.raises(InvalidInput, match="a finite number"):
        check_missing(policy)


def test_a_number_as_policy_is_a_float() -> None:
    assert type(check_missing(3)) is float


def test_widths_are_read_from_texts_and_timedeltas() -> None:
    lag = Lag("lag", "24h", timedelta(minutes=30))  # type: ignore[arg-type]
    assert (lag.by.micros, lag.tolerance.micros) == (24 * HOUR, HOUR // 2)
    assert Rolling("r", "mean", "7d").window.micros == 168 * HOUR  # type: ignore[arg-type]
    assert Bucket("b", "mean", "1d").every.micros == 24 * HOUR  # type: ignore[arg-type]
    assert Latest("t", "humidity", "2h").max_age.micros == 2 * HOUR  # type: ignore[arg-type]


def test_the_defaults_are_those_of_the_definitions() -> None:
    assert Lag("lag", DAY_WIDE).tolerance.micros == HOUR
    assert Lag("lag", DAY_WIDE).series == "value"
    assert Rolling("r", "mean", DAY_WIDE).closed == "both"
    assert Latest("t", "humidity").max_age.micros == 24 * HOUR
    assert Calendar("h", "hour_of_day").tz == "UTC"


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("part", lambda: Calendar("f", "year")),
        ("tz", lambda: Calendar("f", "month", "Mars/Olympus")),
        ("tz", lambda: Calendar("f", "month", "")),
        ("tz", lambda: Calendar("f", "month", "../etc/passwd")),
        ("tz", lambda: Calendar("f", "month", None)),
        ("stat", lambda: Rolling("f", "mode", DAY_WIDE)),
        ("closed", lambda: Rolling("f", "mean", DAY_WIDE, "neither")),
        ("window", lambda: Rolling("f", "mean", "0h")),
        ("series", lambda: Rolling("f", "mean", DAY_WIDE, series="")),
        ("by", lambda: Lag("f", "-1h")),
        ("tolerance", lambda: Lag("f", DAY_WIDE, "0h")),
        ("series", lambda: Lag("f", DAY_WIDE, series="s" * 65)),
        ("stat", lambda: Bucket("f", None, DAY_WIDE)),
        ("every", lambda: Bucket("f", "mean", 3600)),
        ("series", lambda: Bucket("f", "mean", DAY_WIDE, "a\nb")),
        ("column", lambda: Latest("f", "pressure")),
        ("max_age", lambda: Latest("f", "humidity", "soon")),
        ("expression", lambda: Derived("f", 7)),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name(field: str, build: Callable[[], Feature]) -> None:
    with pytest.raises(InvalidInput) as caught:
        build()
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["a", "a + b", "(a - b) / 2", "-a * +b", " a ", "1.5 * a", "2 * (a - (b - c)) / d"]
)
def test_an_expression_is_arithmetic_over_names(text: str) -> None:
    assert expression_tree(text) is expression_tree(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 + 2", "a +", "a ** 2", "a // b", "a % b", "a.b", "a[0]", "f(a)", "a if b else c"),
        *("a == b == c", "not a", "~a", "a and b", "'a'", "a + True", "a + None", "a; b", "a = b"),
        *("lambda: a", "[a]", "{a}", "a, b", "a + 1j", "a := b", "a\x00", "(" * 300 + "a"),
    ],
)
def test_an_expression_is_nothing_else(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^expression: "):
        Derived("f", text)


def test_a_derived_feature_names_each_input_once() -> None:
    assert set(Derived("f", "(a - b) / (a + c)").inputs) == {"a", "b", "c"}


def test_a_derived_feature_names_its_inputs_in_order_of_first_use() -> None:
    assert Derived("f", "(a - b) / c").inputs == ("a", "b", "c")


@pytest.mark.parametrize("number", ["1e999", "9" * 400])
def test_a_constant_is_finite(number: str) -> None:
    with pytest.raises(InvalidInput):
        Derived("f", f"a * {number}")


@pytest.mark.parametrize("kind", get_args(Feature), ids=lambda kind: kind.__name__)
def test_every_kind_is_a_name_of_the_package(kind: type[Feature]) -> None:
    assert getattr(ai_hub, kind.__name__) is kind
    assert kind.__name__ in ai_hub.__all__


@pytest.mark.parametrize("view", ["scores", "own.scores", "_", "Größe", "a$1", "x" * 63])
def test_a_view_is_named_as_databases_name_them(view: str) -> None:
    assert FromView("score", view, "Score").view == view


@pytest.mark.parametrize(
    "view",
    ["", ".", "a.", ".a", "a.b.c", "1a", "a b", "a-b", 'a"b', "a'b", "a;b", "a\0b", "a\n", "$a",
     "x" * 64, "ä" * 32, None, 3],
)  # fmt: skip
def test_what_no_identifier_may_have_names_no_view_or_column(view: object) -> None:
    with pytest.raises(InvalidInput, match=r"^view: got .* expected view or schema\.view"):
        FromView("score", view, "score")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"^column: got .* expected a name of letters"):
        FromView("score", "scores", view)  # type: ignore[arg-type]


@pytest.mark.parametrize("definition", ["", "0" * 15, "G" * 16, "0" * 17, 16])
def test_what_a_view_says_is_a_hash(definition: object) -> None:
    with pytest.raises(InvalidInput, match=r"^definition: "):
        FromView("score", "scores", "score", definition=definition)  # type: ignore[arg-type]
