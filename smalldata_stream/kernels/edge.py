"""The position of an edge in a trace: a digital filter, its extremum, a parabola."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Floats = NDArray[np.float64]


@compiled
def filtered(trace: Floats, weights: Floats, out: Floats) -> None:
    """The convolution of ``trace`` ``(n,)`` with ``weights`` ``(m,)``, where both overlap.

    ``out`` has ``n - m + 1`` values; value i belongs to the place i + (m - 1) / 2.
    """
    m = weights.size
    for i in range(out.size):
        total = 0.0
        for k in range(m):
            total += weights[k] * trace[i + m - 1 - k]
        out[i] = total


@compiled
def vertex(values: Floats, top: int, reach: int) -> tuple[float, float]:
    """Place and height of the least-squares parabola through ``top`` +- ``reach`` values.

    NaN where it has no maximum within that reach.
    """
    # Least squares on the symmetric grid -reach..reach: the moments of odd order are zero.
    n = 2 * reach + 1
    s2 = 0.0
    s4 = 0.0
    y0 = 0.0
    y1 = 0.0
    y2 = 0.0
    for j in range(-reach, reach + 1):
        v = values[top + j]
        s2 += j * j
        s4 += float(j) ** 4
        y0 += v
        y1 += j * v
        y2 += j * j * v
    curvature = (n * y2 - s2 * y0) / (n * s4 - s2 * s2)
    slope = y1 / s2
    height = (y0 - curvature * s2) / n
    if not curvature < 0.0:
        return math.nan, math.nan
    at = -slope / (2.0 * curvature)
    if abs(at) > reach:
        return math.nan, math.nan
    return top + at, height + 0.5 * slope * at


@compiled
def half_width(values: Floats, top: int, height: float) -> float:
    """Distance between the places left and right of ``top`` at half of ``height``.

    NaN where one of them is outside.
    """
    half = 0.5 * height
    left = top
    while left > 0 and values[left] > half:
        left -= 1
    right = top
    while right < values.size - 1 and values[right] > half:
        right += 1
    if values[left] > half or values[right] > half:
        return math.nan
    a = left + (half - values[left]) / (values[left + 1] - values[left])
    b = right - (half - values[right]) / (values[right - 1] - values[right])
    return float(b - a)


@compiled
def find_edges(
    traces: Floats, weights: Floats, sign: float, reach: int, out: Floats
) -> None:
    """The edge in each trace: position, amplitude and width, ``out`` ``(n, 3)``.

    Parameters
    ----------
    traces
        ``(n, samples)``.
    weights
        The digital filter ``(m,)``, at most as long as a trace; convolved with the trace.
    sign
        1: the largest value of the filtered trace is the edge; -1: the smallest.
    reach
        The parabola goes through the extremum and so many values on each side.

    A trace with no edge, or with anything that is not finite, has NaN.
    """
    f = np.empty(traces.shape[1] - weights.size + 1)
    for i in range(traces.shape[0]):
        filtered(traces[i], weights, f)
        top = reach
        finite = True
        for j in range(f.size):
            f[j] *= sign
            finite = finite and math.isfinite(f[j])
        for j in range(reach, f.size - reach):
            if f[j] > f[top]:
                top = j
        out[i, 0] = math.nan
        out[i, 1] = math.nan
        out[i, 2] = math.nan
        if not finite:
            continue
        at, height = vertex(f, top, reach)
        if math.isfinite(at) and height > 0.0:
            out[i, 0] = at + 0.5 * (weights.size - 1)
            out[i, 1] = height
            out[i, 2] = half_width(f, top, height)


def step_filter(half: int) -> Any:
    """Weights that find a step: the mean of what comes after minus that of what was before.

    ``half`` samples on each side, those near the step count as much as the others.

    >>> step_filter(2)
    array([ 0.5,  0.5, -0.5, -0.5])
    """
    return np.repeat([1.0 / half, -1.0 / half], half)
