"""What a piece of Python says, without running it.

Literals, arithmetic, assignments, ``if``, loops over lists and a few functions are worked
out from the syntax tree; nothing is imported, opened or called. What is beyond that is an
`Opaque` value that knows its text and its line.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from smalldata_stream.prod_config.known import (
    BINARY,
    CALLS,
    COMPARE,
    KINDS,
    LARGEST,
    METHODS,
    NAMED,
    Lined,
    Opaque,
    Unclear,
)


class _Return(Exception):
    def __init__(self, value: Any):
        self.value = value


class Reader:
    """Works out statements and expressions; knows the names and functions of its file."""

    def __init__(self, values: dict[str, Any], functions: Mapping[str, ast.FunctionDef]):
        self.values, self.functions = values, functions
        self.steps = 0

    def call(self, function: ast.FunctionDef, arguments: list[Any]) -> Any:
        """What a function returns; `Unclear` where that is not known."""
        names = [argument.arg for argument in function.args.args]
        first = len(names) - len(function.args.defaults)
        defaults = {
            name: self.value(default, {})
            for name, default in zip(names[first:], function.args.defaults, strict=True)
        }
        given = dict(zip(names, arguments, strict=False))
        try:
            self.run(function.body, defaults | given)
        except _Return as done:
            return done.value
        except RecursionError:
            raise Unclear(function.lineno, f"{function.name} calls itself") from None
        return None

    def run(self, statements: list[ast.stmt], names: dict[str, Any]) -> None:
        """Work out statements; ``names`` is what is known before and after."""
        for statement in statements:
            self._step(statement)
            match statement:
                case ast.Return(value=value):
                    raise _Return(None if value is None else self.value(value, names))
                case ast.Assign(targets=targets, value=value):
                    found = self.value(value, names)
                    for target in targets:
                        self._assign(target, found, names)
                case ast.AnnAssign(target=target, value=value):
                    if value is not None:
                        self._assign(target, self.value(value, names), names)
                case ast.AugAssign(target=target, op=ast.Add(), value=value) if isinstance(
                    held := self.value(target, names), list
                ):
                    # In place, as Python does: other names may hold the same list.
                    held.extend(self._sure_items(value, names))
                case ast.AugAssign(target=target, op=op, value=value):
                    both = ast.copy_location(ast.BinOp(target, op, value), statement)
                    self._assign(target, self.value(both, names), names)
                case ast.If(test=test, body=body, orelse=orelse):
                    self.run(body if self._sure(test, names) else orelse, names)
                case ast.For(target=target, iter=items, body=body, orelse=[]):
                    for item in self._sure_items(items, names):
                        self._assign(target, item, names)
                        self.run(body, names)
                case ast.Expr(value=ast.Constant()):
                    pass
                case ast.Expr(value=value):
                    if isinstance(self.value(value, names), Opaque):
                        name = ast.unparse(value)
                        if not name.startswith(("print(", "logger.", "logging.")):
                            raise Unclear(statement.lineno, f"{name} is not worked out")
                case ast.Pass() | ast.Import() | ast.ImportFrom() | ast.FunctionDef():
                    pass
                case _:
                    first = ast.unparse(statement).splitlines()[0]
                    raise Unclear(statement.lineno, f"{first!r} is not worked out")

    def _step(self, where: ast.stmt | ast.expr) -> None:
        self.steps += 1
        if self.steps > LARGEST:
            raise Unclear(where.lineno, "takes too long to be worked out")

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        match target:
            case ast.Name(id=name):
                names[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = list(value) if isinstance(value, tuple | list) else []
                if len(values) != len(parts):
                    raise Unclear(target.lineno, f"{ast.unparse(target)} is not worked out")
                for part, one in zip(parts, values, strict=True):
                    self._assign(part, one, names)
            case ast.Subscript(value=of, slice=key):
                holder = self.value(of, names)
                where = self.value(key, names)
                if not isinstance(holder, dict | list) or isinstance(where, Opaque):
                    raise Unclear(target.lineno, f"{ast.unparse(target)} is not worked out")
                try:
                    holder[where] = value
                except (IndexError, TypeError) as error:
                    raise Unclear(target.lineno, str(error)) from error
                if isinstance(holder, Lined):
                    holder.lines[where] = target.lineno
            case _:
                raise Unclear(target.lineno, f"{ast.unparse(target)} is not worked out")

    def _sure(self, test: ast.expr, names: dict[str, Any]) -> bool:
        found = self.value(test, names)
        if isinstance(found, Opaque):
            raise Unclear(
                test.lineno, f"depends on {found.text!r}, which is not known here"
            )
        return bool(found)

    def _sure_items(self, items: ast.expr, names: dict[str, Any]) -> list[Any]:
        found = self.value(items, names)
        if isinstance(found, Opaque) or not hasattr(found, "__iter__"):
            raise Unclear(
                items.lineno, f"loops over {ast.unparse(items)!r}, not known here"
            )
        return list(found)

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression, or an `Opaque` of its text."""
        self._step(node)
        try:
            found = self._known(node, names)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            found = _UNKNOWN
        if found is not _UNKNOWN:
            return found
        text = ast.unparse(node)
        if text.lstrip("~").startswith("np."):
            # So that it can stand elsewhere: names of files as they are worked out.
            text = ast.unparse(_Filled({**self.values, **names}).visit(deepcopy(node)))
        return Opaque(text, node.lineno)

    def _known(self, node: ast.expr, names: dict[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return names[name] if name in names else self.values[name]
            case ast.List(elts=parts):
                return [self.value(part, names) for part in parts]
            case ast.Tuple(elts=parts):
                return tuple(self.value(part, names) for part in parts)
            case ast.Set(elts=parts):
                return {self._clear(part, names) for part in parts}
            case ast.Dict(keys=keys, values=values):
                return self._dictionary(keys, values, names)
            case ast.BoolOp(op=op, values=parts):
                stop = isinstance(op, ast.Or)
                found: Any = not stop
                for part in parts:
                    found = self._clear(part, names)
                    if bool(found) is stop:
                        break
                return found
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not self._clear(part, names)
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return -self._clear(part, names)
            case ast.UnaryOp(op=ast.UAdd(), operand=part):
                return +self._clear(part, names)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                a, b = self._clear(left, names), self._clear(right, names)
                return _small(BINARY[type(op)], a, b)
            case ast.Compare(left=left, ops=ops, comparators=others):
                a = self._clear(left, names)
                for how, other in zip(ops, others, strict=True):
                    b = self._clear(other, names)
                    if not COMPARE[type(how)](a, b):
                        return False
                    a = b
                return True
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self._clear(test, names) else orelse, names)
            case ast.Subscript(value=of, slice=key):
                return self._clear(of, names)[self._clear(key, names)]
            case ast.Slice(lower=lower, upper=upper, step=step):
                ends = (lower, upper, step)
                return slice(*(e if e is None else self._clear(e, names) for e in ends))
            case ast.JoinedStr(values=parts):
                return "".join(str(self._clear(part, names)) for part in parts)
            case ast.FormattedValue(value=part, format_spec=None):
                return self._clear(part, names)
            case ast.ListComp(elt=element, generators=[loop]):
                return [self.value(element, one) for one in self._turns(loop, names)]
            case ast.DictComp(key=key, value=element, generators=[loop]):
                return self._dictionary_of(key, element, self._turns(loop, names))
            case ast.Attribute():
                return NAMED[ast.unparse(node)]
            case ast.Call():
                return self._called(node, names)
        return _UNKNOWN

    def _clear(self, node: ast.expr, names: dict[str, Any]) -> Any:
        found = self.value(node, names)
        if isinstance(found, Opaque):
            raise LookupError(found.text)
        return found

    def _dictionary(
        self, keys: list[ast.expr | None], values: list[ast.expr], names: dict[str, Any]
    ) -> Lined:
        made = Lined()
        for key, value in zip(keys, values, strict=True):
            if key is None:
                made.update(self._clear(value, names))
                continue
            name = self._clear(key, names)
            made[name] = self.value(value, names)
            made.lines[name] = key.lineno
        return made

    def _dictionary_of(
        self, key: ast.expr, value: ast.expr, turns: Iterator[dict[str, Any]]
    ) -> Lined:
        made = Lined()
        for names in turns:
            name = self._clear(key, names)
            made[name] = self.value(value, names)
            made.lines[name] = key.lineno
        return made

    def _turns(
        self, loop: ast.comprehension, names: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """What is known in each turn of a comprehension."""
        for item in self._clear(loop.iter, names):
            inner = dict(names)
            self._assign(loop.target, item, inner)
            if all(self._clear(test, inner) for test in loop.ifs):
                yield inner

    def _called(self, node: ast.Call, names: dict[str, Any]) -> Any:
        arguments = [self.value(argument, names) for argument in node.args]
        options = {k.arg: self._clear(k.value, names) for k in node.keywords if k.arg}
        if isinstance(node.func, ast.Attribute):
            holder: Any = self.value(node.func.value, names)
            method: Any = node.func.attr
            if any(isinstance(holder, kind) and method == m for kind, m in METHODS):
                return getattr(holder, method)(*arguments, **options)
        name = ast.unparse(node.func)
        if name == "isinstance" and len(node.args) == 2:
            kinds = KINDS[ast.unparse(node.args[1])]
            return isinstance(self._clear(node.args[0], names), kinds)
        if name in self.functions:
            return self.call(self.functions[name], arguments)
        if any(isinstance(argument, Opaque) for argument in arguments):
            return _UNKNOWN
        if name == "range" and len(range(*arguments)) > LARGEST:
            return _UNKNOWN
        numbers = [a for a in arguments if isinstance(a, int | float)]
        if name.startswith("np.") and any(abs(n) > LARGEST for n in numbers):
            return _UNKNOWN
        if name in CALLS:
            made: Any = CALLS[name](*arguments, **options)
            return made.tolist() if isinstance(made, np.ndarray) else made
        return _UNKNOWN


_UNKNOWN = object()


class _Filled(ast.NodeTransformer):
    """Puts texts and numbers for the names that stand for them."""

    def __init__(self, known: Mapping[str, Any]):
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.known.get(node.id)
        return ast.Constant(value) if isinstance(value, str | int | float) else node


def _small(operation: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """The result of an operation, unless a list or a text would grow out of bounds."""
    if operation is operator.mul:
        for many, times in ((a, b), (b, a)):
            if hasattr(many, "__len__") and len(many) * int(times) > LARGEST:
                raise ValueError("too long")
    return operation(a, b)
