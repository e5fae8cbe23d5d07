"""Bragg peaks of serial crystallography, and whether a crystal was hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from smalldata_stream.batch import Array, Ragged, Values, read_only
from smalldata_stream.kernels.peakfinder8 import COLUMNS, available, find_peaks
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels

_LISTS = {
    "row": (np.float32, "centre of mass, row in the tile"),
    "col": (np.float32, "centre of mass, column in the tile"),
    "tile": (np.int32, "tile, from 0"),
    "adu": (np.float32, "sum of the pixels above the background"),
    "max": (np.float32, "highest pixel above the background"),
    "npix": (np.int32, "pixels of the peak"),
    "sigma": (np.float32, "noise of the background"),
    "snr": (np.float32, "signal to noise"),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peaks:
    """The Bragg peaks of each frame, found by psana's peakFinder8.

    Outputs, per event:

    ==================  ===============================================================
    ``nPeaks``          number of peaks, int64
    ``hit``             whether there are ``hit_peaks`` of them or more
    ``row``, ``col``    their centres of mass, float32, in pixels of the tile
    ``tile``            their tiles, int32, 0 where the frame has no tiles
    ``adu``, ``max``    their sums and highest pixels above the background, float32
    ``npix``            their numbers of pixels, int32
    ``sigma``, ``snr``  noise of the background, and signal to noise, float32
    ==================  ===============================================================

    The lists vary in length: ``/<det>/var_<name>/row``. What is chained behind it works on
    ``adu``. Bad and non-finite pixels are in no peak and in no background.

    Parameters
    ----------
    threshold_adu
        A pixel of a peak is above it, and above the background of its radius.
    min_snr
        Least signal to noise of a peak.
    min_pixels, max_pixels
        Number of pixels of a peak.
    background_pixels
        Half the side of the box of the local background, in pixels.
    center
        (row, column) of the beam in pixels, for frames without tiles; None: the middle.
    radius
        Distance of each pixel from the beam in pixels, of the shape of the frame, instead:
        needed for tiles, as only the geometry knows it.
    panels
        Rows and columns of panels (ASICs) in a tile: peaks end at their edges.
    hit_peaks
        From how many peaks on a crystal was hit.
    most_peaks
        Further peaks are not found.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) does not fit the frame, or
        psana is not on this machine.

    Notes
    -----
    Barty et al., J. Appl. Cryst. 47, 1118 (2014).

    Examples
    --------
    >>> frame = np.random.default_rng(0).normal(10, 2, (1, 128, 128)).astype("f4")
    >>> frame[0, 30, 39:42] += (60, 90, 60)
    >>> spec = Spec(dtype=frame.dtype, shape=(128, 128))
    >>> found = Peaks(threshold_adu=30, hit_peaks=1).prepare(spec).compute(frame)
    >>> found["row"][0].round().tolist(), found["hit"].tolist()
    ([30.0], [True])
    """

    threshold_adu: float
    min_snr: float = 6.0
    min_pixels: int = 2
    max_pixels: int = 30
    background_pixels: int = 3
    center: Sequence[float] | None = None
    radius: Array | None = None
    panels: tuple[int, int] = (1, 1)
    hit_peaks: int = 15
    most_peaks: int = 2048
    mask: Array | None = None
    name: str = "peaks"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "peaks")
        for field in ("threshold_adu", "min_snr"):
            value = getattr(self, field)
            if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
                raise ValueError(f"{field}={value!r}: write a number")
        counts = (
            "min_pixels",
            "max_pixels",
            "background_pixels",
            "hit_peaks",
            "most_peaks",
        )
        for field in counts:
            if not pixels.is_count(getattr(self, field)):
                raise ValueError(f"{field}={getattr(self, field)!r}: write 1 or more")
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels={self.min_pixels} is above max_pixels")
        if np.shape(self.panels) != (2,) or not all(map(pixels.is_count, self.panels)):
            raise ValueError(f"panels={self.panels!r}: write rows and columns, as (2, 4)")
        if self.center is not None and self.radius is not None:
            raise ValueError("center and radius say the same: leave one of them out")
        if self.center is not None and np.shape(self.center) != (2,):
            raise ValueError(f"center={self.center!r}: write (row, column) in pixels")
        set_ = partial(object.__setattr__, self)
        set_("mask", pixels.user_mask(self.mask))
        if self.radius is not None:
            radius = np.array(self.radius, np.float32)
            if not np.isfinite(radius).all() or (radius < 0).any():
                raise ValueError("radius: write distances in pixels, finite and from 0")
            set_("radius", read_only(radius))

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check geometry and panels against the frame, and that psana is there."""
        (spec,) = inputs
        what = f"peaks {self.name!r}"
        missing = available()
        if missing:
            raise ValueError(f"{what}: {missing}; install psana, or leave peaks out")
        finder = _finder(self, spec, what)
        outputs = {
            "nPeaks": Spec(dtype=np.dtype(np.int64), long_name="number of peaks"),
            "hit": Spec(
                dtype=np.dtype(bool), long_name=f"1 where there are {self.hit_peaks} peaks"
            ),
        }
        for field, (dtype, text) in _LISTS.items():
            unit = spec.unit if field in ("adu", "max", "sigma") else ""
            unit = "pixel" if field in ("row", "col") else unit
            outputs[field] = Spec(
                dtype=np.dtype(dtype),
                kind="ragged",
                unit=unit,
                long_name=text,
                found_in=spec,
            )
        return PerEvent(
            outputs=outputs,
            compute=partial(_compute, self, finder),
            chained="adu",
            config={"mask": finder.good.reshape(spec.shape or ()), "radius": finder.radius},
        )


class _Finder(NamedTuple):
    """A frame as peakFinder8 sees it: tiles above each other."""

    shape: tuple[int, int]
    rows: int
    panel: tuple[int, int]
    good: Array
    radius: Array


def _finder(asked: Peaks, spec: Spec, what: str) -> _Finder:
    shape = pixels.frame_shape(spec, what)
    if len(shape) < 2:
        raise ValueError(f"{what} needs rows and columns; the input is {shape}")
    rows, columns = shape[-2:]
    tiles = shape[0] if len(shape) == 3 else 1
    down, across = asked.panels
    if rows % down or columns % across:
        raise ValueError(
            f"{what}: a tile of {shape[-2:]} has no {asked.panels} equal panels"
        )
    if asked.radius is not None and asked.radius.shape != shape:
        raise ValueError(f"{what}: radius is {asked.radius.shape}, the frame {shape}")
    if asked.radius is None and tiles > 1:
        raise ValueError(
            f"{what}: a frame of {tiles} tiles needs radius=, the distance of each pixel "
            f"from the beam in pixels, of shape {shape}"
        )
    radius = asked.radius
    if radius is None:
        middle = ((rows - 1) / 2, (columns - 1) / 2)
        r0, c0 = middle if asked.center is None else asked.center
        row, column = np.mgrid[:rows, :columns]
        radius = np.hypot(row - r0, column - c0)
    flat = (tiles * rows, columns)
    good = pixels.good_pixels(spec, asked.mask, what)
    good = np.ones(shape, bool) if good is None else good
    return _Finder(
        flat,
        rows,
        (rows // down, columns // across),
        np.ascontiguousarray(good.reshape(flat)),
        np.array(radius.reshape(flat), np.float32, order="C"),
    )


def _compute(asked: Peaks, finder: _Finder, values: Values) -> Mapping[str, Values]:
    found = []
    for _, frames in pixels.stacks(values, finder.shape):
        for frame in frames:
            with np.errstate(over="ignore"):
                clean = frame.astype(np.float32)
            finite = np.isfinite(clean)
            clean[~finite] = 0
            found.append(
                find_peaks(
                    clean,
                    (finder.good & finite).astype(np.int8),
                    finder.radius,
                    finder.panel,
                    threshold=asked.threshold_adu,
                    min_snr=asked.min_snr,
                    min_pixels=asked.min_pixels,
                    max_pixels=asked.max_pixels,
                    background_radius=asked.background_pixels,
                    most_peaks=asked.most_peaks,
                )
            )
    numbers = np.array([len(peaks) for peaks in found], np.int64)
    offsets = np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)
    table = np.concatenate([np.empty((0, len(COLUMNS))), *found])
    columns: dict[str, Any] = dict(zip(COLUMNS, table.T, strict=True))
    tile = np.floor((columns["y"] + 0.5) / finder.rows)
    columns |= {"tile": tile, "row": columns["y"] - tile * finder.rows}
    columns |= {"col": columns["x"], "adu": columns["sum"]}
    results: dict[str, Values] = {"nPeaks": numbers, "hit": numbers >= asked.hit_peaks}
    for field, (dtype, _) in _LISTS.items():
        results[field] = Ragged(columns[field].astype(dtype), offsets)
    return results
