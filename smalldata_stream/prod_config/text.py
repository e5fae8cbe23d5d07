"""Values and calls as they stand in a Python file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from smalldata_stream.prod_config.entry import AS_NONE, Call, Written

FIRST: Mapping[str, tuple[str, ...]] = {"roi": ("name", "bounds"), "sum": ("algorithm",)}
"""Parameters that are written without their names."""


LONGEST = 80
"""Characters in a line, with what it is indented by."""


def literal(value: Any) -> str:
    r"""A value that Python reads again.

    >>> literal({"a": (1.5, float("inf"))}), literal(AS_NONE)
    ('{"a": (1.5, float(\'inf\'))}', 'None')
    """
    if isinstance(value, Written):
        return value.text
    if isinstance(value, str):
        return "None" if value == AS_NONE else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, tuple):
        inner = ", ".join(map(literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


def call_text(call: Call) -> str:
    """A word and its parameters, to stand behind a node.

    >>> call_text(Call("roi", {"name": "a", "bounds": [[0, 1]], "area": True}, 1))
    '.roi("a", [[0, 1]], area=True)'
    """
    return f".{call.word}({', '.join(arguments_of(call))})"


def chain_text(call: Call) -> str:
    """A word and what stands behind it, one word behind the other.

    >>> chain_text(Call("full", {}, 1, (Call("projection", {"axis": 0}, 1),)))
    '.full().projection(axis=0)'
    """
    return call_text(call) + "".join(map(chain_text, call.then))


def wrapped(before: str, call: Call, behind: str = "") -> str:
    """A statement: one line, or one for each parameter where it would be long."""
    line = f"{before}{call_text(call)}{behind}"
    if len(line) <= LONGEST:
        return line
    inner = [f"    {argument}," for argument in arguments_of(call)]
    return "\n".join([f"{before}.{call.word}(", *inner, f"){behind}"])


def arguments_of(call: Call) -> list[str]:
    """The parameters of a call as they are written."""
    first = named_first(call)
    return [
        literal(value) if name in first else f"{name}={literal(value)}"
        for name, value in call.parameters.items()
    ]


def named_first(call: Call) -> list[str]:
    """Those parameters without names that are given, up to the first that is not."""
    given = []
    for name in FIRST.get(call.word, ()):
        if name not in call.parameters:
            break
        given.append(name)
    return given
