"""Whole frames in the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smalldata_stream.batch import Values
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.roi import Roi


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """All pixels of each frame, as they are calibrated: ``<name>_area``.

    Bad pixels, NaN, infinities and pixels outside ``threshold_adu`` are 0. What is chained
    behind it works on these pixels.

    Parameters
    ----------
    threshold_adu
        ``x``: pixels below x become 0; ``(low, high)``: pixels outside become 0.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no frame.

    Notes
    -----
    A megapixel float32 frame is 4 MB per event: `Roi`, `Rebin` and `Sparsify` keep less.
    The sink compresses frames without loss; zeros below a threshold take almost no place.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("f4"), shape=(1, 3))
    >>> frames = np.array([[[1, np.nan, 3]]], "f4")
    >>> Full().prepare(spec).compute(frames)["area"]
    array([[1., 0., 3.]], dtype=float32)
    """

    threshold_adu: pixels.Threshold = None
    name: str = "full"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "full")
        limits = pixels.threshold(self.threshold_adu)
        object.__setattr__(self, "threshold_adu", limits)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that the input has frames."""
        whole = Roi(self.name, None, threshold_adu=self.threshold_adu).prepare(*inputs)
        assert isinstance(whole.chained, tuple)
        area, cut = whole.chained

        def compute(values: Values) -> dict[str, Values]:
            return {"area": cut(values)}

        mask = np.ones(area.shape or (), bool) if area.mask is None else area.mask
        return PerEvent(outputs={"area": area}, compute=compute, config={"mask": mask})
