"""Speckle contrast of the run from numbers of photons per pixel (XPCS, visibility)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Values, read_only
from smalldata_stream.kernels import contrast as kernels
from smalldata_stream.protocols import Accumulated, Result, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.plots.histogram import edges_of
from smalldata_stream.reductions.state import checked

MOST = 31
"""Pixels with so many photons and more are counted as one."""

_FIELDS = {
    "counts": "pixels with 0, 1, 2 ... photons",
    "photons": "photons of all events",
    "pixels": "pixels of all events",
    "events": "number of events",
    "kbar": "mean photons of a pixel",
    "beta": "contrast",
    "error": "standard error of the contrast",
}


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """The contrast of speckle over the run, as a function of the mean number of photons.

    Stands behind ``photons`` or ``droplet2photon``. The pixels of each event are counted by
    their number of photons k, together with those of all events with a similar mean kbar;
    the contrast is that of the negative binomial distribution of largest likelihood.
    Totals, under ``/Sums/<detector>_..._<name>_<field>``, with an axis of regions before
    the bins where there are ``rois``:

    ===========  =====================================================================
    ``counts``   ``(bins, 32)`` int64, pixels with 0 to 30 photons, and with more
    ``photons``  ``(bins,)`` int64, photons; ``pixels``, ``events`` likewise
    ``kbar``     ``(bins,)`` photons / pixels
    ``beta``     ``(bins,)`` contrast, 1 / number of modes; 0 where the photons are
                 not bunched, NaN where there is none
    ``error``    ``(bins,)`` its standard error, from the likelihood
    ``edges``    ``(bins + 1,)`` of the means
    ===========  =====================================================================

    Parameters
    ----------
    kbar_bins
        Bins of the mean photons of an event: ``(low, high, number)`` of equal ones, or the
        edges of all. Events outside are in none.
    rois
        Regions, each as the bounds of ``roi``; None: all pixels.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    where
        Path of a column of the record: only events in which it is true are added.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input has no integers,
        or a region is not in the frame.

    Notes
    -----
    ``getContrast`` of smalldata_tools fits each event; here the counts add up exactly over
    events and ranks, and are fitted once. Formula and source:
    `smalldata_stream.kernels.contrast.score`.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(100, 100))
    >>> state = Contrast((0, 1, 1)).prepare(spec).start()
    >>> speckle = np.random.default_rng(0).negative_binomial(2, 0.9, (5, 100, 100))
    >>> state.add(speckle.astype("u2"))
    >>> totals = state.value()
    >>> totals["contrast_beta"].value.round(1), totals["contrast_error"].value.round(2)
    (array([0.5]), array([0.04]))
    """

    kbar_bins: tuple[float, float, int] | Sequence[float] | NDArray[Any] = (0.0, 100.0, 1)
    _: KW_ONLY
    rois: Sequence[Sequence[Sequence[int]]] | None = None
    mask: Mask | None = None
    where: str | None = None
    name: str = "contrast"

    def __post_init__(self) -> None:
        edges_of(self.kbar_bins)
        pixels.check_word("name", self.name, "contrast")
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))
        object.__setattr__(self, "rois", pixels.boxes_of(self.rois))
        if self.where is not None and not pixels.is_text(self.where):
            raise ValueError(
                f"where={self.where!r}: write a path such as 'lightStatus/xray'"
            )

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check the input and the regions."""
        (spec,) = inputs
        what = f"contrast {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        if spec.dtype.kind not in "iu":
            raise ValueError(
                f"{what} needs whole numbers of photons, not {spec.dtype}: write it behind "
                "photons or droplet2photon"
            )
        found = pixels.good_pixels(spec, self.mask, what)
        good = np.ones(shape, bool) if found is None else found
        regions = pixels.regions(self.rois, good, what)
        edges = edges_of(self.kbar_bins)
        one = self.rois is None
        start = partial(Numbers, self.name, shape, spec.dtype, regions, edges, one)
        outputs = {
            field: Spec(
                dtype=result.value.dtype,
                shape=result.value.shape,
                long_name=_FIELDS.get(
                    field.rpartition("_")[2], "edges of the bins of kbar"
                ),
            )
            for field, result in start().value().items()
        }
        where = None if self.where is None else (self.where, True)
        config = {"mask": good, "kbar_edges": edges}
        return Accumulated(outputs=outputs, start=start, where=where, config=config)


class Numbers:
    """How many pixels had 0, 1, 2 ... photons, by region and by the mean of the event."""

    __slots__ = ("counts", "dtype", "edges", "events", "good", "name", "one", "photons",
                 "shape", "total")  # fmt: skip

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        regions: Sequence[Mask],
        edges: NDArray[np.float64],
        one: bool,
    ):
        self.name, self.shape, self.dtype, self.edges, self.one = (
            name, shape, dtype, edges, one)  # fmt: skip
        self.good = read_only(np.stack([region.reshape(-1) for region in regions]))
        bins = (len(regions), len(edges) - 1)
        self.counts = np.zeros((*bins, MOST + 1), np.int64)
        self.photons, self.events = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
        self.total = 0

    def add(self, *values: Values) -> None:
        """Take the images of some events."""
        given = checked(values[0], self.shape, self.dtype)
        of_region = np.count_nonzero(self.good, axis=1)
        for _, images in pixels.stacks(given, (math.prod(self.shape),)):
            for image in images:
                for region, good in enumerate(self.good):
                    counts = np.zeros(MOST + 1, np.int64)
                    photons = kernels.count_numbers(image, good, counts)
                    if not of_region[region]:
                        continue
                    at = self._bin(photons / of_region[region])
                    if at >= 0:
                        self.counts[region, at] += counts
                        self.photons[region, at] += photons
                        self.events[region, at] += 1
        self.total += len(given)

    def _bin(self, kbar: float) -> int:
        """The bin of an event, -1 for none; the last bin has its upper edge, too."""
        last = len(self.edges) - 1
        at = int(np.searchsorted(self.edges, kbar, side="right")) - 1
        if kbar == self.edges[-1]:
            at = last - 1
        return at if 0 <= at < last else -1

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if not (
            np.array_equal(self.edges, other.edges)
            and np.array_equal(self.good, other.good)
        ):
            raise ValueError("contrasts of other bins or regions cannot be merged")
        self.counts += other.counts
        self.photons += other.photons
        self.events += other.events
        self.total += other.total

    def value(self) -> Mapping[str, Result]:
        """Counts, and the contrast that they show."""
        pixels_of = self.counts.sum(axis=-1)
        # NaN of one kind: 0 / 0 would be one of another sign.
        kbar = np.full(pixels_of.shape, np.nan)
        np.divide(self.photons, pixels_of, out=kbar, where=pixels_of > 0)
        fits = [
            kernels.contrast(counts, float(mean))
            for counts, mean in zip(
                self.counts.reshape(-1, MOST + 1), kbar.reshape(-1), strict=True
            )
        ]
        fit = np.array(fits).reshape(*kbar.shape, 2)
        fields: dict[str, Array] = {
            "counts": self.counts.copy(),
            "photons": self.photons.copy(),
            "pixels": pixels_of,
            "events": self.events.copy(),
            "kbar": kbar,
            "beta": fit[..., 0].copy(),
            "error": fit[..., 1].copy(),
        }
        if self.one:
            fields = {field: value[0] for field, value in fields.items()}
        fields["edges"] = self.edges.copy()
        return {f"{self.name}_{k}": Result(v, self.total) for k, v in fields.items()}
