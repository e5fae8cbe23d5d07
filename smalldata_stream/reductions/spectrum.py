"""Histogram of the pixels of each event, or of the droplets found in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Ragged, Values, read_only
from smalldata_stream.kernels.histogram import count_each, count_lists
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """How many good values of an event are in each bin, int64: ``<name>_histogram``.

    The values are the pixels of a frame, of a region or of a profile, or a list of variable
    length, such as the ADU of droplets. Bad pixels, NaN, infinities and what is outside all
    bins are not counted; a bin has its lower edge, the last one both edges.

    Parameters
    ----------
    bins
        ``(low, high, n)`` with an integer n: n equal bins; ``(low, high, step)`` with a
        float step: bins of that width, the last one may be narrower. An array, or two or
        four and more numbers: the edges themselves.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If the bins are not of this form, or (in ``prepare``) the input is not numbers.

    Notes
    -----
    The quantity is ``spectrumFunc`` of smalldata_tools; the oracle is `numpy.histogram`.
    The edges are in ``/UserDataCfg``.

    Examples
    --------
    >>> frames = np.array([[[0, 1, 5], [9, 9, 200]]], "u2")
    >>> spec = Spec(dtype=frames.dtype, shape=(2, 3))
    >>> Spectrum(bins=(0, 10, 2)).prepare(spec).compute(frames)["histogram"]
    array([[2, 3]])
    """

    bins: Sequence[float] | Array
    name: str = "spectrum"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "spectrum")
        edges_of(self.bins)
        given = self.bins
        fixed = read_only(given.copy()) if isinstance(given, np.ndarray) else tuple(given)
        object.__setattr__(self, "bins", fixed)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that the input is numbers."""
        (spec,) = inputs
        edges = edges_of(self.bins)
        what = f"spectrum {self.name!r}"
        good: Mask | None = None
        size = 0
        if spec.kind != "ragged":
            size = math.prod(pixels.frame_shape(spec, what))
            good = pixels.good_pixels(spec, None, what)
            good = None if good is None else np.ascontiguousarray(good.reshape(-1))
        elif spec.dtype.kind not in "iuf" or spec.shape not in ((), None):
            raise ValueError(
                f"{what} needs a list of numbers; not {spec.dtype}{spec.shape}"
            )
        histogram = Spec(
            dtype=np.dtype(np.int64),
            shape=(len(edges) - 1,),
            long_name="number of values in each bin",
        )
        compute = partial(_compute, edges, good, size)
        return PerEvent(
            outputs={"histogram": histogram}, compute=compute, config={"edges": edges}
        )


def edges_of(bins: Any) -> NDArray[np.float64]:
    """The edges that ``bins`` means, see `Spectrum`; ValueError where it means none.

    >>> edges_of((0, 1, 2)), edges_of((0, 1, 0.4)), edges_of([0, 1])
    (array([0. , 0.5, 1. ]), array([0. , 0.4, 0.8, 1. ]), array([0., 1.]))
    """
    try:
        numbers = [float(x) for x in bins]
    except (TypeError, ValueError):
        numbers = []
    good = len(numbers) >= 2 and all(map(math.isfinite, numbers))
    edges: NDArray[np.float64] = np.array(numbers)
    if good and len(numbers) == 3 and not isinstance(bins, np.ndarray):
        low, high, last = numbers
        good = low < high and last > 0
        if good and isinstance(bins[2], (int, np.integer)):
            edges = np.linspace(low, high, int(last) + 1)
        elif good:
            whole = math.ceil((high - low) / last - 1e-9)
            edges = np.append(low + last * np.arange(whole), high)
    if not good or (np.diff(edges) <= 0).any():
        raise ValueError(
            f"bins={bins!r}: write (low, high, number of bins), (low, high, width as a "
            "float), or an array of increasing edges"
        )
    return edges


def _compute(
    edges: NDArray[np.float64], good: Mask | None, size: int, values: Values
) -> Mapping[str, Values]:
    # With those below, above, and not finite.
    counts = np.empty((len(values), len(edges) + 2), np.int64)
    if isinstance(values, Ragged):
        count_lists(pixels.contiguous(values.values), values.offsets, edges, counts)
    else:
        for which, frames in pixels.stacks(values, (size,)):
            count_each(frames, good, edges, counts[which])
    return {"histogram": counts[:, 1:-2].copy()}
