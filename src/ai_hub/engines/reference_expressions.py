"""The values of derived features in plain Python.

Beside `reference.py`, and in the same way: slow, obvious, standard library only.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import assert_never

from ai_hub.definitions.expressions import Comparison, Operator, Sign
from ai_hub.engines.reference_statistics import Number, finite


def evaluate(node: ast.expr, read: Callable[[str], Number]) -> float | None:
    """The value of an expression: null as soon as a part of it is null or no finite number.

    `coalesce` alone sees nulls. `read` gives the value of a feature, before filling.
    """
    match node:
        case ast.Name(id=name):
            found = read(name)
            return None if found is None else float(found)
        case ast.Constant(value=int() | float() as number):
            return finite(lambda: float(number))
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, Sign):
            inner = evaluate(operand, read)
            return None if inner is None else _signed(op, inner)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, Operator):
            a, b = evaluate(left, read), evaluate(right, read)
            return None if a is None or b is None else _apply(op, a, b)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, Comparison):
            a, b = evaluate(left, read), evaluate(right, read)
            return None if a is None or b is None else float(_compare(op, a, b))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, [evaluate(argument, read) for argument in args])
    raise AssertionError(f"expression_tree refuses {type(node).__name__}")


def _signed(sign: Sign, a: float) -> float:
    match sign:
        case ast.UAdd():
            return a
        case ast.USub():
            return -a
        case _:
            assert_never(sign)


def _apply(op: Operator, a: float, b: float) -> float | None:
    match op:
        case ast.Add():
            return finite(lambda: a + b)
        case ast.Sub():
            return finite(lambda: a - b)
        case ast.Mult():
            return finite(lambda: a * b)
        case ast.Div():
            return None if b == 0 else finite(lambda: a / b)
        case _:
            assert_never(op)


def _compare(op: Comparison, a: float, b: float) -> bool:
    match op:
        case ast.Lt():
            return a < b
        case ast.LtE():
            return a <= b
        case ast.Gt():
            return a > b
        case ast.GtE():
            return a >= b
        case ast.Eq():
            return a == b
        case ast.NotEq():
            return a != b
        case _:
            assert_never(op)


def _call(name: str, arguments: Sequence[float | None]) -> float | None:
    if name == "coalesce":
        return next((a for a in arguments if a is not None), None)
    known = [a for a in arguments if a is not None]
    if len(known) < len(arguments):
        return None
    match name:
        case "abs":
            return abs(known[0])
        case "min":
            return min(known)
        case "max":
            return max(known)
        case "log":
            return math.log(known[0]) if known[0] > 0 else None
        case "exp":
            return finite(lambda: math.exp(known[0]))
        case "sqrt":
            return math.sqrt(known[0]) if known[0] >= 0 else None
        case "clip":
            value, low, high = known
            return min(max(value, low), high)
        case "where":
            condition, if_true, if_false = known
            return if_true if condition else if_false
    raise AssertionError(f"expression_tree knows no function {name}")
