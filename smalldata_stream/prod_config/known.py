"""The operations and functions that are worked out, and what stands for the others."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST = 1_000_000
"""Longest list that is worked out, and the most steps a function may take."""

BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
CALLS: Mapping[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (abs, bool, dict, float, int, len, list, max, min, round)},
    **{f.__name__: f for f in (range, slice, sorted, str, sum, tuple)},
    "np.array": np.array,
    "np.linspace": np.linspace,
    "np.arange": np.arange,
}
METHODS: set[tuple[type[Any], str]] = {
    (dict, "copy"), (dict, "get"), (dict, "items"), (dict, "keys"), (dict, "update"),
    (dict, "values"), (list, "append"), (list, "copy"), (list, "extend"), (str, "format"),
    (str, "lower"), (str, "upper"), (str, "zfill"),
}  # fmt: skip
KINDS: Mapping[str, type] = {
    f.__name__: f for f in (bool, dict, float, int, list, str, tuple)
}
"""Types that ``isinstance`` is asked about."""

NAMED = {"np.inf": np.inf, "np.nan": np.nan, "np.pi": np.pi}


class Lined(dict[Any, Any]):
    """A dictionary that knows the line of each key."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.lines: dict[Any, int] = {}


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something that cannot be worked out: its text and its line."""

    text: str
    line: int


class Unclear(Exception):
    """A statement that the result depends on and that cannot be worked out."""

    def __init__(self, line: int, what: str):
        self.line, self.what = line, what
        super().__init__(f"line {line}: {what}")
