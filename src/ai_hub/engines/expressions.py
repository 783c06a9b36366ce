"""Arithmetic over columns: the values of derived features."""

from __future__ import annotations

import ast
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.kinds import Operator, Sign, expression_tree
from ai_hub.engines.arrays import Columns
from ai_hub.engines.plan import Plan

_Value = NDArray[np.float64] | np.float64


def derive(plan: Plan, columns: Columns) -> Columns:
    """The columns with the derived features among them, in the set's order."""
    for feature in plan.derived:
        with np.errstate(all="ignore"):
            found = _evaluate(expression_tree(feature.expression), columns)
        columns[feature.name] = np.asarray(found, np.float64)
    return {name: columns[name] for name in plan.feature_set.feature_names}


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
            found = _apply(op, _evaluate(left, columns), _evaluate(right, columns))
            return np.where(np.isfinite(found), found, np.nan)
    raise AssertionError(f"expression_tree lets no {type(node).__name__} through")


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
