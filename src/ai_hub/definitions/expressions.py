"""The grammar of derived features: a small part of Python's, parsed and never run."""

from __future__ import annotations

import ast
import math
import warnings
from functools import lru_cache

from ai_hub.errors import InvalidInput

Operator = ast.Add | ast.Sub | ast.Mult | ast.Div
"""What may stand between two parts of an expression."""
Sign = ast.UAdd | ast.USub
"""What may stand before a part of an expression."""
Comparison = ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq
"""What may stand between the two sides of a comparison."""

FUNCTIONS = {
    "abs": (1, 1),
    "min": (2, 20),
    "max": (2, 20),
    "log": (1, 1),
    "exp": (1, 1),
    "sqrt": (1, 1),
    "coalesce": (2, 2),
    "clip": (3, 3),
    "where": (3, 3),
}
"""The functions of an expression, and how many arguments each takes at least and at most."""

_MAX_EXPRESSION = 400
_EXPECTED = (
    "arithmetic (+ - * / and parentheses), comparisons and "
    f"{', '.join(FUNCTIONS)} over feature names, at most {_MAX_EXPRESSION} characters"
)


@lru_cache(maxsize=1024)
def expression_tree(text: str) -> ast.expr:
    """The parsed body of a Derived expression, of which every node is of the grammar.

    Raises InvalidInput for any other text.
    """
    if len(text) > _MAX_EXPRESSION:
        raise InvalidInput("expression", text, _EXPECTED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InvalidInput("expression", text, _EXPECTED) from None
    _check(body, text)
    if not names_of(body):
        raise InvalidInput("expression", text, "arithmetic over at least one feature name")
    return body


def names_of(body: ast.expr) -> tuple[str, ...]:
    """The features that an expression reads, in order of first use."""
    called = {id(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)}
    names = [n for n in ast.walk(body) if isinstance(n, ast.Name) and id(n) not in called]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in names))


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Name():
            pass
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            _check_number(number, text)
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, Sign):
            _check(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, Operator):
            _check(left, text)
            _check(right, text)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, Comparison):
            _check(left, text)
            _check(right, text)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            least, most = FUNCTIONS[name]
            if not least <= len(args) <= most:
                count = str(least) if least == most else f"{least} to {most}"
                arguments = "argument" if most == 1 else "arguments"
                raise InvalidInput("expression", text, f"{count} {arguments} for {name}")
            for argument in args:
                _check(argument, text)
        case _:
            raise InvalidInput("expression", text, _EXPECTED)


def _check_number(number: float, text: str) -> None:
    try:
        finite = math.isfinite(float(number))
    except OverflowError:
        finite = False
    if not finite:
        raise InvalidInput("expression", text, "numbers that a float can hold")
