"""Sixteen groups of numbers side by side, as vectors in registers: words numba has not.

A buffer is flat, float32: row i of it is ``buffer[16 * i : 16 * i + 16]``, one number of
each of 16 groups. LLVM makes of a vector of 16 what the processor has: one register, two
or four. None of these functions looks whether its rows are in the buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pairs = NDArray[np.int64]
Emit: TypeAlias = Callable[[Any, Any, Any, Any], Any]
"""``(context, builder, signature, arguments)``: how numba asks for the instructions."""

LANES = 16
"""Groups side by side."""

MARKS = 64
"""Pixels that `marked` looks at."""

VECTOR = ir.VectorType(ir.FloatType(), LANES)


@cache
def network(n: int) -> Pairs:
    """The comparisons ``(pairs, 2)`` that sort ``n`` numbers (Batcher's odd-even merge).

    Those of ``network(32)`` come first in ``network(32 * m)``, for each 32 of them.

    >>> values = [3, 1, 2]
    >>> for a, b in network(3):
    ...     values[a], values[b] = min(values[a], values[b]), max(values[a], values[b])
    >>> values
    [1, 2, 3]
    """
    return _comparisons(n, 1)


@cache
def merging(n: int, run: int) -> Pairs:
    """The comparisons that sort ``n`` numbers of which each ``run``, 2^k, are sorted.

    >>> merging(4, 2).tolist()
    [[0, 2], [1, 3], [1, 2]]
    """
    return _comparisons(n, run)


def _comparisons(n: int, run: int) -> Pairs:
    pairs: list[tuple[int, int]] = []
    while run < n:
        step = run
        while step:
            for start in range(step % run, n - step, 2 * step):
                pairs += [
                    (i, i + step)
                    for i in range(start, start + min(step, n - start - step))
                    if i // (2 * run) == (i + step) // (2 * run)
                ]
            step //= 2
        run *= 2
    found = np.array(pairs, np.int64).reshape(-1, 2)
    found.flags.writeable = False
    return found


# ------------------------------------------------------------------------ in registers


def _row(builder: Any, array: Any, index: Any) -> Any:
    """A pointer to the vector that begins at element ``index``."""
    return builder.bitcast(builder.gep(array.data, [index]), VECTOR.as_pointer())


def load(builder: Any, array: Any, index: Any) -> Any:
    """The vector that begins at element ``index``."""
    return builder.load(_row(builder, array, index), align=4)


def store(builder: Any, vector: Any, array: Any, index: Any) -> None:
    """A vector to where element ``index`` begins."""
    builder.store(vector, _row(builder, array, index), align=4)


def same(builder: Any, value: Any, n: int = LANES) -> Any:
    """``n`` times the same value, as a vector."""
    nothing = ir.Constant(ir.VectorType(value.type, n), ir.Undefined)
    first = ir.Constant(ir.IntType(32), 0)
    vector = builder.insert_element(nothing, value, first)
    firsts = ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n)
    return builder.shuffle_vector(vector, vector, firsts)


def _after(builder: Any, index: Any, rows: int) -> Any:
    return builder.add(index, ir.Constant(index.type, rows * LANES))


def _ordered(builder: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The smaller and the larger, lane by lane; with a NaN still both of them."""
    less = builder.fcmp_ordered("<", x, y)
    return builder.select(less, x, y), builder.select(less, y, x)


def _sort(builder: Any, rows: list[Any]) -> None:
    for a, b in network(len(rows)).tolist():
        rows[a], rows[b] = _ordered(builder, rows[a], rows[b])


def _sorted_run(_typing: Any, buffer: Any, _at: Any, n: Any) -> tuple[Any, Emit] | None:
    if not isinstance(n, types.IntegerLiteral):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        places = [_after(builder, arguments[1], i) for i in range(n.literal_value)]
        rows = [load(builder, array, place) for place in places]
        _sort(builder, rows)
        for row, place in zip(rows, places, strict=True):
            store(builder, row, array, place)
        return context.get_dummy_value()

    return types.void(buffer, types.intp, n), emit


def _middle(_typing: Any, buffer: Any, n: Any) -> tuple[Any, Emit] | None:
    if not isinstance(n, types.IntegerLiteral):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        first = ir.Constant(context.get_value_type(types.intp), 0)
        half = n.literal_value // 2
        halves = []
        for begin in (0, half):
            places = [_after(builder, first, begin + i) for i in range(half)]
            rows = [load(builder, array, place) for place in places]
            _sort(builder, rows)
            halves.append(rows)
        # Of two sorted halves, the smaller of first and last, second and last but one ...
        # are together the lower half of all.
        low = high = None
        for x, y in zip(halves[0], reversed(halves[1]), strict=True):
            smaller, larger = _ordered(builder, x, y)
            low = smaller if low is None else _ordered(builder, smaller, low)[1]
            high = larger if high is None else _ordered(builder, larger, high)[0]
        store(builder, low, array, first)
        store(builder, high, array, _after(builder, first, 1))
        return context.get_dummy_value()

    return types.void(buffer, n), emit


def _exchanged(_typing: Any, buffer: Any, _a: Any, _b: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        lanes = ir.Constant(arguments[1].type, LANES)
        a, b = (builder.mul(row, lanes) for row in arguments[1:])
        x, y = load(builder, array, a), load(builder, array, b)
        smaller, larger = _ordered(builder, x, y)
        store(builder, smaller, array, a)
        store(builder, larger, array, b)
        return context.get_dummy_value()

    return types.void(buffer, types.intp, types.intp), emit


def _transposed(
    _typing: Any, values: Any, _at: Any, _stride: Any, buffer: Any, _to: Any, _apart: Any
) -> tuple[Any, Emit]:
    half = LANES // 2
    index = ir.VectorType(ir.IntType(32), LANES)
    both = [lane for pair in zip(range(LANES), range(LANES, 2 * LANES)) for lane in pair]  # noqa: B905
    low, high = ir.Constant(index, both[:LANES]), ir.Constant(index, both[LANES:])

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, arguments[0])
        made = context.make_array(signature.args[3])(context, builder, arguments[3])
        _, at, stride, _, to, apart = arguments
        rows = []
        for _ in range(LANES):
            rows.append(load(builder, given, at))
            at = builder.add(at, stride)
        # Row i interleaved with row i + 8, four times, is the transpose.
        for _ in range(4):
            pairs = [(rows[i], rows[i + half]) for i in range(half)]
            rows = [
                builder.shuffle_vector(x, y, order)
                for x, y in pairs
                for order in (low, high)
            ]
        for vector in rows:
            store(builder, vector, made, to)
            to = builder.add(to, apart)
        return context.get_dummy_value()

    of = (values, types.intp, types.intp, buffer, types.intp, types.intp)
    return types.void(*of), emit


def _marked(_typing: Any, raw: Any, _at: Any, _bits: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        sixteen = ir.IntType(16)
        vector = ir.VectorType(sixteen, MARKS)
        first = builder.gep(array.data, [arguments[1]])
        pixels = builder.load(builder.bitcast(first, vector.as_pointer()), align=2)
        bits = same(builder, arguments[2], MARKS)
        none = ir.Constant(vector, [0] * MARKS)
        set_ = builder.icmp_unsigned("!=", builder.and_(pixels, bits), none)
        return builder.bitcast(set_, ir.IntType(MARKS))

    return types.uint64(raw, types.intp, types.uint16), emit


def _lowest(_typing: Any, _marks: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), emit


sort_run = cast(
    "Callable[[Floats, int, int], None]", intrinsic(prefer_literal=True)(_sorted_run)
)
"""``(buffer, at, n)``: sort n rows from element ``at`` on, lane by lane; n a literal."""

middle = cast("Callable[[Floats, int], None]", intrinsic(prefer_literal=True)(_middle))
"""``(buffer, n)``: of n rows the two in the middle, to rows 0 and 1; n an even literal."""

exchange = cast("Callable[[Floats, int, int], None]", intrinsic(_exchanged))
"""``(buffer, a, b)``: the smaller of rows a and b to a, the larger to b, lane by lane."""

transpose = cast(
    "Callable[[Floats, int, int, Floats, int, int], None]", intrinsic(_transposed)
)
"""``(values, at, stride, buffer, to, apart)``: 16 x 16 numbers, ``values[at + stride * i +
k]`` to ``buffer[to + apart * k + i]``."""

marked = cast("Callable[[NDArray[np.uint16], int, int], int]", intrinsic(_marked))
"""``(raw, at, bits)``: of 64 pixels from ``at`` on, those with one of ``bits``: the first
is bit 0."""

lowest = cast("Callable[[int], int]", intrinsic(_lowest))
"""``(marks)``: which bit is the lowest that is set; one is."""
