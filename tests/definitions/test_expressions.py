"""The grammar of derived features: what it takes, and what is said of the rest."""

from __future__ import annotations

import pytest

from ai_hub.definitions.expressions import FUNCTIONS, expression_tree, names_of
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Lag
from ai_hub.errors import InvalidInput

EXPECTED = (
    "arithmetic (+ - * / and parentheses), comparisons and abs, min, max, log, exp, sqrt, "
    "coalesce, clip, where over feature names, at most 400 characters"
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a == b", ("a", "b")),
        ("(a != b) + (a <= 2) + (a >= c)", ("a", "b", "c")),
        ("abs(-a)", ("a",)),
        ("min(a, b, 3, c)", ("a", "b", "c")),
        ("where(a > 1, clip(b, 0, 1), coalesce(c, 0))", ("a", "b", "c")),
        ("sqrt(exp(log(a)))", ("a",)),
        # A feature may have the name of a function.
        ("log + log(min)", ("log", "min")),
        ("max(" + ", ".join(["a"] * 20) + ")", ("a",)),
    ],
)
def test_what_an_expression_may_say(text: str, names: tuple[str, ...]) -> None:
    assert names_of(expression_tree(text)) == names


@pytest.mark.parametrize(
    "text",
    [
        *("f(a)", "a(b)", "abs(a)(b)", "ai.log(a)", "eval('a')", "__import__('os')", "log(x=a)"),
        *("a < b < c", "a is b", "a in b", "a and b", "not a", "a @ b", "a | b", "a ** 2"),
        *("min(a, key=b)", "min(a, *b, **c)", "[a for a in b]", "a if b else c", "a.__class__"),
        *("a + '1'", "a + None", "a + True", "f'{a}'", "a;b", "(a", "abs(a" * 200, "a + " * 100),
        "a" * 401,
    ],
)
def test_what_an_expression_may_not_say(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Derived("f", text)
    assert caught.value.field == "expression"
    assert caught.value.expected == EXPECTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abs(a, b)", "expression: got 'abs(a, b)', expected 1 argument for abs"),
        ("log()", "expression: got 'log()', expected 1 argument for log"),
        ("min(a)", "expression: got 'min(a)', expected 2 to 20 arguments for min"),
        ("clip(a, 1)", "expression: got 'clip(a, 1)', expected 3 arguments for clip"),
        ("where(a > 1, b)", "expression: got 'where(a > 1, b)', expected 3 arguments for where"),
        (
            "coalesce(a, b, c)",
            "expression: got 'coalesce(a, b, c)', expected 2 arguments for coalesce",
        ),
        ("1 < 2", "expression: got '1 < 2', expected arithmetic over at least one feature name"),
        ("a < 1e999", "expression: got 'a < 1e999', expected numbers that a float can hold"),
        ("f(a)", f"expression: got 'f(a)', expected {EXPECTED}"),
    ],
)
def test_a_refusal_says_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Derived("f", text)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_no_more_and_no_fewer_than_it_says(name: str) -> None:
    least, most = FUNCTIONS[name]
    for count in (least, most):
        expression_tree(f"{name}({', '.join(['a'] * count)})")
    for count in (least - 1, most + 1):
        with pytest.raises(InvalidInput, match=f"arguments? for {name}"):
            expression_tree(f"{name}({', '.join(['a'] * count)})")


def test_inputs_are_features_of_the_set_and_go_in_no_circle() -> None:
    lag = Lag("lag", "24h")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as caught:
        FeatureSet("s", 1, (lag, Derived("f", "where(lag > 0, other, lag)")))
    assert str(caught.value) == (
        "expression: got 'where(lag > 0, other, lag)', "
        "expected features of the same set or built-in ones, not 'other'"
    )
    with pytest.raises(InvalidInput) as caught:
        FeatureSet("s", 1, (Derived("a", "abs(b)"), Derived("b", "coalesce(a, 1)")))
    assert str(caught.value).endswith("expected no circle of features")
