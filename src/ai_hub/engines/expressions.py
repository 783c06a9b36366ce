"""Arithmetic over columns: the values of derived features."""

from __future__ import annotations

import ast
from functools import reduce
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.expressions import Comparison, Operator, Sign, expression_tree
from ai_hub.definitions.kinds import Derived
from ai_hub.engines.arrays import Columns
from ai_hub.engines.plan import Plan
from ai_hub.engines.violations import Unfilled, check

_Value = NDArray[np.float64] | np.float64


def derive(plan: Plan, columns: Columns) -> Unfilled:
    """The columns with the derived features among them, in the set's order, and where values are
    outside their range.

    A derived feature reads null where the set makes one of such a value.
    """
    read = (f for f in plan.checked if not isinstance(f, Derived))
    violations = check(plan, read, columns)
    for feature in plan.derived:
        with np.errstate(all="ignore"):
            found = _evaluate(expression_tree(feature.expression), columns)
        columns[feature.name] = np.asarray(found, np.float64)
        if feature.valid is not None and feature in plan.checked:
            violations |= check(plan, (feature,), columns)
    return Unfilled({name: columns[name] for name in plan.feature_set.feature_names}, violations)


def _evaluate(node: ast.expr, columns: Columns) -> _Value:
    """The value of an expression: NaN as soon as any part of it is null or not finite."""
    match node:
        case ast.Name(id=name):
            return columns[name].astype(np.float64)
        case ast.Constant(value=int() | float() as number):
            return np.float64(number)
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, Sign):
            return _signed(op, _evaluate(operand, columns))
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, Operator):
            return _finite(_apply(op, _evaluate(left, columns), _evaluate(right, columns)))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, Comparison):
            a, b = _evaluate(left, columns), _evaluate(right, columns)
            return np.where(np.isnan(a) | np.isnan(b), np.nan, _compare(op, a, b))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _finite(_call(name, [_evaluate(argument, columns) for argument in args]))
    raise AssertionError(f"expression_tree lets no {type(node).__name__} through")


def _finite(found: _Value) -> _Value:
    return np.where(np.isfinite(found), found, np.nan)


def _signed(sign: Sign, a: _Value) -> _Value:
    match sign:
        case ast.UAdd():
            return a
        case ast.USub():
            return -a
        case _:
            assert_never(sign)


def _apply(op: Operator, a: _Value, b: _Value) -> _Value:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case ast.Div():
            return a / b
        case _:
            assert_never(op)


def _compare(op: Comparison, a: _Value, b: _Value) -> NDArray[np.bool_] | np.bool_:
    match op:
        case ast.Lt():
            return np.less(a, b)
        case ast.LtE():
            return np.less_equal(a, b)
        case ast.Gt():
            return np.greater(a, b)
        case ast.GtE():
            return np.greater_equal(a, b)
        case ast.Eq():
            return np.equal(a, b)
        case ast.NotEq():
            return np.not_equal(a, b)
        case _:
            assert_never(op)


def _call(name: str, arguments: list[_Value]) -> _Value:
    first = arguments[0]
    match name:
        case "coalesce":
            return np.where(np.isnan(first), arguments[1], first)
        case "abs":
            return np.abs(first)
        case "min":
            return reduce(np.minimum, arguments)
        case "max":
            return reduce(np.maximum, arguments)
        case "log":
            return np.log(first)
        case "exp":
            return np.exp(first)
        case "sqrt":
            return np.sqrt(first)
        case "clip":
            _, low, high = arguments
            return np.minimum(np.maximum(first, low), high)
        case "where":
            _, if_true, if_false = arguments
            missing = reduce(np.logical_or, map(np.isnan, arguments))
            return np.where(missing, np.nan, np.where(first != 0, if_true, if_false))
    raise AssertionError(f"expression_tree knows no function {name}")
