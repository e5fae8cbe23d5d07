"""Segments of a detector, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from smalldata_stream.batch import Array, Frames, Values
from smalldata_stream.run import FieldInfo
from smalldata_stream.xtc2.columns import Piece


def stack_segments(pieces: Sequence[Piece], info: FieldInfo) -> Values:
    """The values of several segments for the same events, stacked along a new first axis.

    A leading axis of length 1 is used for it. Segments of a frame that lie at equal
    distances in one file stay where they are: their stack is a view.
    """
    if isinstance(pieces[0], list):
        lists = [piece for piece in pieces if isinstance(piece, list)]
        frames = [_stack_frame(segments) for segments in zip(*lists, strict=True)]
        return Frames(frames, shape=info.shape, dtype=info.dtype)
    arrays = [_without_leading_one(np.asarray(piece)) for piece in pieces]
    stacked: Array = np.stack(arrays, axis=1)
    return stacked


def _without_leading_one(values: Array) -> Array:
    """``(n, *shape)`` of one segment without the axis the stack takes over."""
    return values[:, 0] if values.ndim > 1 and values.shape[1] == 1 else values


def _stack_frame(segments: Sequence[Array]) -> Array:
    """One frame of all segments; a view where they are equally spaced in one buffer."""
    first = segments[0]
    if first.shape[:1] == (1,):
        segments = [segment[0] for segment in segments]
        first = segments[0]
    at = [segment.__array_interface__["data"][0] for segment in segments]
    steps = {b - a for a, b in pairwise(at)}
    same_buffer = all(segment.base is first.base for segment in segments)
    if same_buffer and len(steps) == 1 and (step := steps.pop()) > 0:
        return np.lib.stride_tricks.as_strided(
            first, (len(segments), *first.shape), (step, *first.strides), writeable=False
        )
    return np.stack(segments)
