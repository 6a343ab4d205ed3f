"""A subset of CloudWatch's metric math and statistics. Anything else is refused.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection
from typing import Any

Value = float | None  # None: no data

OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Sum": sum, "Minimum": min, "Maximum": max, "SampleCount": len, "Average": lambda values: sum(values) / len(values),
}  # fmt: skip


class Unknown(ValueError):
    """An expression or statistic that is not supported as in CloudWatch."""


def statistic(name: str, values: list[float]) -> Value:
    """A statistic of the values of one period. Raises Unknown."""
    if name not in STATISTICS and not re.fullmatch(r"p\d{1,2}(\.\d+)?|p100", name):
        raise Unknown(f"the statistic {name}")
    if not values:
        return 0.0 if name == "SampleCount" else None
    if name in STATISTICS:
        return float(STATISTICS[name](values))
    return sorted(values)[max(math.ceil(float(name[1:]) / 100 * len(values)) - 1, 0)]


def parsed(expression: str, ids: Collection[str]) -> ast.expr:
    """Parses an expression over metrics with these IDs. Raises Unknown if `computed` does not support it."""
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise Unknown(f"the metric math {expression}") from None
    _check(tree, ids)
    return tree


def _check(node: ast.expr, ids: Collection[str]) -> None:
    inner: list[ast.expr]
    match node:
        case ast.Constant(value=int() | float()):
            inner = []
        case ast.Name(id=name) if name in ids:
            inner = []
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = [operand]
        case ast.BinOp(op=op, left=left, right=right) if type(op) in OPERATORS:
            inner = [left, right]
        case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in OPERATORS:
            inner = [left, right]
        case ast.Call(func=ast.Name(id="FILL"), args=[_, _] as inner, keywords=[]):
            pass
        case ast.Call(func=ast.Name(id="IF"), args=[_, _] | [_, _, _] as inner, keywords=[]):
            pass
        case _:
            raise Unknown(f"the metric math {ast.unparse(node)}")
    for each in inner:
        _check(each, ids)


def computed(node: ast.expr, known: dict[str, Value]) -> Any:
    """Evaluates a parsed expression. Missing data gives a missing result, except with FILL."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(operand=operand):
            value = computed(operand, known)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            a, b = computed(left, known), computed(right, known)
            if a is None or b is None or (isinstance(op, ast.Div) and b == 0):
                return None
            return OPERATORS[type(op)](a, b)
        case ast.Call(func=ast.Name(id="FILL"), args=[value, filler]):
            found = computed(value, known)
            return computed(filler, known) if found is None else found
        case ast.Call(args=[test, *chosen]):
            met = computed(test, known)
            if met is None or (not met and len(chosen) == 1):
                return None
            return computed(chosen[0 if met else 1], known)
    raise Unknown(f"the metric math {ast.unparse(node)}")
