"""Single photons from droplets: how many are in each, and where they fell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Ragged, Values
from smalldata_stream.kernels.droplet2photon import (
    add_to_image,
    photon_numbers,
    photons_of,
)
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.droplet import of_length
from smalldata_stream.reductions.memory import Memory

MOST = 10
"""``prob`` is of 0 to so many photons in a pixel."""

MOST_PHOTONS = 20_000_000
"""Photons of one event beyond which something is wrong, a saturated frame perhaps."""

_LIST = {
    "sparse/tile": (np.int32, "tile of the photon, from 0"),
    "sparse/row": (np.float32, "place of the photon, row in the tile"),
    "sparse/col": (np.float32, "place of the photon, column in the tile"),
    "sparse/data": (np.uint8, "1 for each photon"),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Droplet2Photon:
    """The photons in the droplets of each frame; stands behind ``droplets``.

    Outputs, per event:

    ================  ================================================================
    ``nPhotons``      number of photons, int64
    ``prob``          ``(11,)`` float64, part of the good pixels that have 0 to 10
                      photons; with ``rois`` ``(rois, 11)``. NaN without a good pixel
    ``kbar``          mean number of photons of a good pixel, float64; ``(rois,)``
    ``sparse/row``,   where each photon fell, float32, in pixels of the tile: the centre
    ``sparse/col``    of the first pixel is 0
    ``sparse/tile``   its tile, int32
    ``sparse/data``   1 for each photon, uint8
    ================  ================================================================

    The lists vary in length; ``n_data`` cuts or fills them as in ``droplets``. What is
    chained behind it works on the image of photons per pixel, uint16.

    Parameters
    ----------
    adu_per_photon
        Value of a photon, in the unit of the frame (keV where frames are in keV).
    rois
        Regions for ``prob`` and ``kbar``, each as the bounds of ``roi``; None: all pixels.
    n_data
        Length of the lists, where it shall be fixed.
    sparse
        Write the lists.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) a region is not in the
        frame; for an event, if it has more than 20 million photons.

    Notes
    -----
    ``droplet2Photons`` of smalldata_tools, CPU version: a droplet of sum s has
    floor(s / adu_per_photon + 1/2) photons, and is taken apart by its ``greedyguess``; see
    `smalldata_stream.kernels.droplet2photon.photons_of`. ``prob`` has 11 entries, and its
    mean is ``kbar``, where smalldata_tools puts the mean into entry 12.

    Examples
    --------
    >>> from smalldata_stream.reductions.droplet import Droplets
    >>> frame = np.array([[[0, 160, 40, 0], [0, 0, 0, 99]]], "f4")
    >>> found = Droplets(threshold_adu=10).prepare(Spec(dtype=frame.dtype, shape=(2, 4)))
    >>> photons = Droplet2Photon(adu_per_photon=100)
    >>> ready = photons.prepare(*(found.inner[field] for field in photons.takes))
    >>> lists = found.compute(frame)
    >>> results = ready.compute(*(lists[field] for field in photons.takes))
    >>> results["sparse/col"][0].round(2).tolist(), results["kbar"].tolist()
    ([1.0, 1.399999976158142, 3.0], [0.375])
    """

    takes: ClassVar[tuple[str, ...]] = (
        "adu",
        "row",
        "col",
        "npix",
        "tile",
        "pixel",
        "pixel_adu",
    )
    behind: ClassVar[tuple[str, ...]] = ("droplets",)

    adu_per_photon: float
    rois: Sequence[Sequence[Sequence[int]]] | None = None
    n_data: int | None = None
    sparse: bool = True
    name: str = "droplet2phot"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "droplet2phot")
        pixels.check_positive("adu_per_photon", self.adu_per_photon)
        n: Any = self.n_data
        if n is not None and not (isinstance(n, (int, np.integer)) and n >= 1):
            raise ValueError(f"n_data={n!r}: write a number of photons, 1 or more")
        object.__setattr__(self, "rois", pixels.boxes_of(self.rois))

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the regions against the frame."""
        frame = inputs[0].found_in
        if frame is None or frame.shape is None or len(inputs) != len(self.takes):
            raise ValueError("droplet2photon stands behind droplets")
        good = np.ones(frame.shape, bool) if frame.mask is None else frame.mask
        lines = (math.prod(frame.shape[:-1]), frame.shape[-1])
        regions = np.stack(
            [g.reshape(lines) for g in pixels.regions(self.rois, good, "droplet2photon")]
        )
        of_roi = () if self.rois is None else (len(self.rois),)
        splitter = _Splitter(
            lines, frame.shape[-2], float(self.adu_per_photon), regions, of_roi
        )
        f8 = np.dtype(np.float64)
        outputs = {
            "nPhotons": Spec(dtype=np.dtype(np.int64), long_name="number of photons"),
            "prob": Spec(
                dtype=f8,
                shape=(*of_roi, MOST + 1),
                long_name=f"part of the pixels with 0 to {MOST} photons",
            ),
            "kbar": Spec(dtype=f8, shape=of_roi, long_name="mean photons of a pixel"),
        }
        if self.sparse:
            for field in _LIST:
                outputs[field] = _list_spec(field, frame, self.n_data)
        image = pixels.pixel_spec(
            frame.shape,
            np.dtype(np.uint16),
            Spec(dtype=frame.dtype),
            mask=frame.mask,
            long_name="photons in each pixel",
        )
        return PerEvent(
            outputs=outputs,
            compute=partial(_compute, splitter, self.sparse, self.n_data),
            chained=(image, partial(_images, splitter, image, Memory())),
        )


def _list_spec(field: str, frame: Spec, n_data: int | None) -> Spec:
    dtype, text = _LIST[field]
    unit = "pixel" if field.endswith(("row", "col")) else ""
    spec = Spec(dtype=np.dtype(dtype), kind="ragged", unit=unit, long_name=text)
    if n_data is None:
        return replace(spec, found_in=frame)
    return replace(spec, kind="dense", shape=(int(n_data),))


class _Found(NamedTuple):
    """The photons of some events: those of event i from ``offsets[i]`` on."""

    row: NDArray[np.float32]
    column: NDArray[np.float32]
    tile: NDArray[np.int32]
    offsets: NDArray[np.int64]


class _Splitter(NamedTuple):
    """What the kernels need beside droplets."""

    shape: tuple[int, int]
    rows: int
    adu_per_photon: float
    regions: NDArray[np.bool_]
    of_roi: tuple[int, ...]

    def photons(self, lists: Sequence[Values]) -> _Found:
        """The photons of all events at once; ``lists`` as in ``takes``."""
        adu, *others, pixel, values = (_ragged(one) for one in lists)
        number = np.floor(adu.values / self.adu_per_photon + 0.5).astype(np.int64)
        before = np.concatenate([[0], np.cumsum(number)])
        offsets: NDArray[np.int64] = before[adu.offsets]
        most = np.diff(offsets).max(initial=0)
        if most > MOST_PHOTONS:
            raise ValueError(
                f"{most} photons in one event: is adu_per_photon={self.adu_per_photon} "
                "right? Droplets of a saturated frame can be left out with "
                "droplet_adu=(low, high)"
            )
        n = int(offsets[-1])
        found = _Found(
            np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.int32), offsets
        )
        # Memory that is never touched costs nothing: most of it is between the droplets.
        left = np.zeros(math.prod(self.shape))
        room = 2 * len(pixel.values) + 1
        row, column, npix, tile, pixels_, adus = (
            np.ascontiguousarray(one.values) for one in (*others, pixel, values)
        )
        photons_of(
            number,
            row,
            column,
            npix,
            tile,
            pixels_,
            adus,
            self.adu_per_photon,
            self.rows,
            self.shape[1],
            left,
            np.empty(room),
            np.empty(room, np.int32),
            found.row,
            found.column,
            found.tile,
        )
        return found


def _compute(
    splitter: _Splitter, sparse: bool, n_data: int | None, *values: Values
) -> Mapping[str, Values]:
    found = splitter.photons(values)
    n, regions = len(found.offsets) - 1, splitter.regions
    counts = np.zeros((n, len(regions), MOST + 2), np.int64)
    photons = np.zeros((n, len(regions)), np.int64)
    image = np.zeros(splitter.shape, np.uint16)
    photon_numbers(*found, splitter.rows, regions, image, counts, photons)
    size = np.count_nonzero(regions, axis=(1, 2))
    counts[..., 0] = size - counts[..., 1:].sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        prob = counts[..., :-1] / size[:, None]
        kbar = photons / size
    results: dict[str, Values] = {
        "nPhotons": np.diff(found.offsets),
        "prob": prob.reshape(n, *splitter.of_roi, MOST + 1),
        "kbar": kbar.reshape(n, *splitter.of_roi),
    }
    if sparse:
        ones = np.ones(len(found.row), np.uint8)
        every: tuple[Array, ...] = (found.tile, found.row, found.column, ones)
        for field, one in zip(_LIST, every, strict=True):
            list_ = Ragged(one, found.offsets)
            results[field] = list_ if n_data is None else of_length(list_, n_data)
    return results


def _images(splitter: _Splitter, spec: Spec, memory: Memory, *values: Values) -> Values:
    found = splitter.photons(values)
    out = memory.empty((len(found.offsets) - 1, *splitter.shape), np.dtype(np.uint16))
    out[:] = 0
    add_to_image(*found, splitter.rows, out)
    if spec.mask is not None:
        out[:, ~spec.mask.reshape(splitter.shape)] = 0
    return pixels.packed(out, spec)


def _ragged(values: Values) -> Ragged:
    if not isinstance(values, Ragged):
        raise ValueError("droplet2photon stands behind droplets")
    return values
