"""Arithmetic over columns: the values of derived features."""

from __future__ import annotations

import ast

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.kinds import expression_tree
from ai_hub.engines.arrays import Columns
from ai_hub.engines.plan import Plan

_Value = NDArray[np.float64] | np.float64


def derive(plan: Plan, columns: Columns) -> Columns:
    """The columns with the derived features among them, in the set's order."""
    with np.errstate(all="ignore"):
        for feature in plan.derived:
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
        case ast.UnaryOp(op=op, operand=operand):
            inner = _evaluate(operand, columns)
            return -inner if isinstance(op, ast.USub) else inner
        case ast.BinOp(left=left, op=op, right=right):
            found = _apply(op, _evaluate(left, columns), _evaluate(right, columns))
            return np.where(np.isfinite(found), found, np.nan)
    raise AssertionError(f"expression_tree lets no {type(node).__name__} through")


def _apply(op: ast.operator, a: _Value, b: _Value) -> _Value:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case _:
            return a / b
