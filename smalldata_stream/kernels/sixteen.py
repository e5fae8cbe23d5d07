"""Sixteen pixels at a time, as one vector: from raw to values, and from those to the end.

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

from smalldata_stream.kernels.lanes import LANES, VECTOR, Emit, Floats, load, same, store

Bits = NDArray[np.uint16]

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


values_of = cast(
    "Callable[[Bits, int, int, int, Floats, Floats], None]", intrinsic(_values)
)
"""``(raw, at, data, shift, origin, to)``: of 16 pixels from ``at`` on,
``((raw & data) >> shift) - origin``."""

scaled_from = cast("Callable[[Floats, int, Any, Floats, Floats], None]", intrinsic(_scaled))
"""``(values, at, by, factor, out)``: of 16 pixels from ``at`` on, ``(values - by) *
factor``; of a value that is infinite the largest number is taken."""
