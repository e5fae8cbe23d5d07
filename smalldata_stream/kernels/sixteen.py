"""Sixteen pixels at a time, as one vector: from raw to values, between limits, to the end.

LLVM makes vectors of these loops too, where it is sure that arrays do not overlap and that
parameters stay as they are; here it need not be. None of these functions looks whether its
pixels are in the arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from smalldata_stream.kernels.lanes import (
    LANES,
    MARKS,
    VECTOR,
    Emit,
    Floats,
    load,
    same,
    store,
)

Bits = NDArray[np.uint16]
Bytes = NDArray[np.uint8]

MASK = ir.IntType(LANES)
WORDS = ir.VectorType(ir.IntType(32), LANES)
MAGNITUDE = ir.Constant(WORDS, [0x7FFFFFFF] * LANES)
INFINITE = ir.Constant(WORDS, [0x7F800000] * LANES)
LARGE = ir.Constant(VECTOR, [float(np.finfo(np.float32).max)] * LANES)


def _values(
    _typing: Any, raw: Any, _at: Any, _data: Any, _shift: Any, origin: Any, to: Any
) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, tables, made = (
            context.make_array(signature.args[i])(context, builder, arguments[i])
            for i in (0, 4, 5)
        )
        at = arguments[1]
        pixels = ir.VectorType(ir.IntType(16), LANES)
        first = builder.gep(given.data, [at])
        bits = builder.load(builder.bitcast(first, pixels.as_pointer()), align=2)
        bits = builder.and_(bits, same(builder, arguments[2]))
        bits = builder.lshr(bits, same(builder, arguments[3]))
        # Signed: of 32 bits, an instruction that every processor has.
        adu = builder.sitofp(builder.zext(bits, WORDS), VECTOR)
        store(builder, builder.fsub(adu, load(builder, tables, at)), made, at)
        return context.get_dummy_value()

    of = (raw, types.intp, types.uint16, types.uint16, origin, to)
    return types.void(*of), emit


def _scaled(
    _typing: Any, values: Any, _at: Any, _by: Any, factor: Any, out: Any
) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, tables, made = (
            context.make_array(signature.args[i])(context, builder, arguments[i])
            for i in (0, 3, 4)
        )
        at = arguments[1]
        value = load(builder, given, at)
        bits = builder.and_(builder.bitcast(value, WORDS), MAGNITUDE)
        finite = builder.icmp_unsigned("!=", bits, INFINITE)
        value = builder.select(finite, value, LARGE)
        value = builder.fsub(value, same(builder, arguments[2]))
        store(builder, builder.fmul(value, load(builder, tables, at)), made, at)
        return context.get_dummy_value()

    of = (values, types.intp, types.float32, factor, out)
    return types.void(*of), emit


def _marked_between(
    _typing: Any, values: Any, _at: Any, _low: Any, _high: Any
) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        low, high = (same(builder, limit) for limit in arguments[2:])
        marks = ir.IntType(MARKS)(0)
        for i in range(0, MARKS, LANES):
            place = builder.add(arguments[1], arguments[1].type(i))
            vector = load(builder, array, place)
            inside = builder.and_(
                builder.fcmp_ordered(">=", vector, low),
                builder.fcmp_ordered("<", vector, high),
            )
            some = builder.zext(builder.bitcast(inside, MASK), marks.type)
            marks = builder.or_(marks, builder.shl(some, marks.type(i)))
        return marks

    return types.uint64(values, types.intp, types.float32, types.float32), emit


def _counted_below(_typing: Any, values: Any, _at: Any, _limit: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        limit = same(builder, arguments[2])
        less = builder.fcmp_ordered("<", load(builder, array, arguments[1]), limit)
        return builder.zext(builder.ctpop(builder.bitcast(less, MASK)), ir.IntType(64))

    return types.int64(values, types.intp, types.float32), emit


def _lowered(
    _typing: Any, values: Any, _at: Any, _limit: Any, least: Any
) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, made = (
            context.make_array(signature.args[i])(context, builder, arguments[i])
            for i in (0, 3)
        )
        first = ir.Constant(arguments[1].type, 0)
        value, before = load(builder, given, arguments[1]), load(builder, made, first)
        inside = builder.and_(
            builder.fcmp_ordered(">=", value, same(builder, arguments[2])),
            builder.fcmp_ordered("<", value, before),
        )
        store(builder, builder.select(inside, value, before), made, first)
        return context.get_dummy_value()

    return types.void(values, types.intp, types.float32, least), emit


def _bits(_typing: Any, _number: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sext(builder.bitcast(arguments[0], ir.IntType(32)), ir.IntType(64))

    return types.int64(types.float32), emit


def _number(_typing: Any, _bits: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.trunc(arguments[0], ir.IntType(32))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int64), emit


def _with_bit(context: Any, builder: Any, part: tuple[Any, Any], at: Any, bit: int) -> Any:
    """Which of 16 bytes have a bit."""
    array = context.make_array(part[0])(context, builder, part[1])
    vector = ir.VectorType(ir.IntType(8), LANES)
    first = builder.bitcast(builder.gep(array.data, [at]), vector.as_pointer())
    some = builder.and_(builder.load(first, align=1), ir.Constant(vector, [bit] * LANES))
    return builder.icmp_unsigned("!=", some, ir.Constant(vector, [0] * LANES))


def _chosen(_typing: Any, values: Any, _at: Any, part: Any, to: Any) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, made = (
            context.make_array(signature.args[i])(context, builder, arguments[i])
            for i in (0, 3)
        )
        at = arguments[1]
        counts = _with_bit(context, builder, (signature.args[2], arguments[2]), at, 1)
        missing = ir.Constant(VECTOR, [float("inf")] * LANES)
        value = builder.select(counts, load(builder, given, at), missing)
        store(builder, value, made, at)
        return builder.zext(builder.ctpop(builder.bitcast(counts, MASK)), ir.IntType(64))

    return types.int64(values, types.intp, part, to), emit


def _corrected(
    _typing: Any, values: Any, _at: Any, part: Any, _by: Any
) -> tuple[Any, Emit]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, arguments[0])
        at = arguments[1]
        takes = _with_bit(context, builder, (signature.args[2], arguments[2]), at, 2)
        value = load(builder, given, at)
        less = builder.fsub(value, same(builder, arguments[3]))
        store(builder, builder.select(takes, less, value), given, at)
        return context.get_dummy_value()

    return types.void(values, types.intp, part, types.float32), emit


values_of = cast(
    "Callable[[Bits, int, int, int, Floats, Floats], None]", intrinsic(_values)
)
"""``(raw, at, data, shift, origin, to)``: of 16 pixels from ``at`` on,
``((raw & data) >> shift) - origin``."""

scaled_from = cast("Callable[[Floats, int, Any, Floats, Floats], None]", intrinsic(_scaled))
"""``(values, at, by, factor, out)``: of 16 pixels from ``at`` on, ``(values - by) *
factor``; of a value that is infinite the largest number is taken."""

between = cast("Callable[[Floats, int, Any, Any], int]", intrinsic(_marked_between))
"""``(values, at, low, high)``: of 64 values from ``at`` on, those with ``low <= value <
high``; the first is bit 0."""

below = cast("Callable[[Floats, int, Any], int]", intrinsic(_counted_below))
"""``(values, at, limit)``: how many of 16 values from ``at`` on are below ``limit``."""

lower_from = cast("Callable[[Floats, int, Any, Floats], None]", intrinsic(_lowered))
"""``(values, at, limit, least)``: into each of 16 ``least`` one of 16 values from ``at`` on
where it is less, and ``limit`` or more."""

chosen_from = cast("Callable[[Floats, int, Bytes, Floats], int]", intrinsic(_chosen))
"""``(values, at, part, to)``: of 16 values from ``at`` on those that count, +inf for the
others; how many count."""

correct = cast("Callable[[Floats, int, Bytes, Any], None]", intrinsic(_corrected))
"""``(values, at, part, by)``: subtract ``by`` from those of 16 values that take part."""

bits_of = cast("Callable[[Any], int]", intrinsic(_bits))
"""``(number)``: the 32 bits of a float32, as a signed integer."""

number_of = cast("Callable[[int], Any]", intrinsic(_number))
"""``(bits)``: the float32 of 32 bits."""
