"""Sums and maxima over the run, under the names of smalldata_tools."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from smalldata_stream.kernels.exact_sum import HIT, IDENTITY, SQUARE
from smalldata_stream.protocols import Accumulated, Spec, State
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.state import ExactSum, Maximum

XRAY = "lightStatus/xray"
"""Column of the record that tells events with x-rays from those without."""

_OPERATIONS = {"square": SQUARE, "nhits": HIT}


@dataclass(frozen=True, slots=True)
class Sum:
    """Sum, or maximum, of the frames over the run: ``/Sums/<detector>_<algorithm>``.

    Parameters
    ----------
    algorithm
        ``calib``, followed by any of these words, joined with ``_``:

        ==============  ===============================================================
        ``thresADU<x>`` pixels below x count as 0, as in ``calib_thresADU5``
        ``square``      sum of the squares
        ``nhits``       number of events in which the pixel is positive
        ``max``         maximum instead of the sum, dtype of the data
        ``dropped``     only events without x-rays (the background)
        ==============  ===============================================================

        At most one of square, nhits, max.
    where
        Path of a column of the record: only events in which it is true are added.
    name
        The word in the output path instead of the algorithm: two sums with the same
        algorithm over other events need two names.

    Raises
    ------
    ValueError
        If the algorithm has another word, or the events are chosen twice.

    Notes
    -----
    The names are those of ``storeSum`` of smalldata_tools. The totals are exact
    (`ExactSum`), have the same bits for any order and any number of ranks, never alter the
    frames, and come with the number of events. A pixel that was ever not finite is NaN.
    Bad pixels are added as they are, which is 0 in calibrated frames.

    Examples
    --------
    >>> total = Sum("calib_thresADU5")
    >>> state = total.prepare(Spec(dtype=np.dtype("u2"), shape=(2,))).start()
    >>> state.add(np.array([[4, 5], [6, 7]], "u2"))
    >>> state.value()
    {'calib_thresADU5': Result(value=array([ 6., 12.]), count=2)}
    """

    algorithm: str = "calib"
    _: KW_ONLY
    where: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        asked = _parsed(self.algorithm)
        if "/" in self.name:
            raise ValueError(f"name={self.name!r}: write a word such as 'calib_pumped'")
        object.__setattr__(self, "name", self.name or self.algorithm)
        if asked.dropped and self.where is not None:
            raise ValueError(
                f"algorithm={self.algorithm!r} takes events without x-rays, "
                f"where={self.where!r} others: leave one of them out"
            )
        if self.where is not None and not pixels.is_text(self.where):
            raise ValueError(
                f"where={self.where!r}: write the path of a column, such as {XRAY!r}"
            )

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that the input has frames of one shape."""
        (spec,) = inputs
        shape = pixels.frame_shape(spec, f"sum {self.algorithm!r}")
        asked = _parsed(self.algorithm)
        start: Callable[[], State]
        if asked.word == "max":
            start = partial(Maximum, self.name, shape, spec.dtype, floor=asked.floor)
        else:
            start = partial(
                ExactSum,
                self.name,
                shape,
                spec.dtype,
                floor=asked.floor,
                operation=_OPERATIONS.get(asked.word, IDENTITY),
            )
        total = Spec(
            dtype=spec.dtype if asked.word == "max" else np.dtype(np.float64),
            shape=shape,
            unit=_unit(spec.unit, asked.word),
            long_name=f"{self.algorithm} of the run",
            mask=spec.mask,
        )
        where = (XRAY, False) if asked.dropped else self.where and (self.where, True)
        return Accumulated(outputs={self.name: total}, start=start, where=where or None)


class _Asked(NamedTuple):
    word: str = ""
    floor: float = -np.inf
    dropped: bool = False


def _parsed(algorithm: Any) -> _Asked:
    """What the words of an algorithm ask for; ValueError says which words there are."""
    words = algorithm.split("_") if isinstance(algorithm, str) else [""]
    asked = _Asked()
    good = words[0] == "calib"
    for word in words[1:]:
        level = re.fullmatch(r"thresADU(-?\d+(?:\.\d+)?)", word)
        if level and asked.floor == -np.inf:
            asked = asked._replace(floor=float(level[1]))
        elif word == "dropped" and not asked.dropped:
            asked = asked._replace(dropped=True)
        elif word in ("square", "nhits", "max") and not asked.word:
            asked = asked._replace(word=word)
        else:
            good = False
    if not good:
        raise ValueError(
            f"algorithm={algorithm!r}: write 'calib', then any of thresADU<x>, dropped and "
            "one of square, nhits, max, joined with '_', such as calib, calib_square, "
            "calib_max, calib_thresADU5, calib_thresADU5_square, calib_nhits, "
            "calib_dropped, calib_dropped_square"
        )
    return asked


def _unit(unit: str, word: str) -> str:
    if word == "nhits":
        return ""
    return f"{unit}^2" if unit and word == "square" else unit
