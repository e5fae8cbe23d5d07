"""Calibration constants of the detectors, in memory and in a file.

The file is HDF5, one group per detector, one dataset per constant::

    /<detector>                  attribute source: where the constants come from
    /<detector>/pedestals        ADU
    /<detector>/pixel_gain       ADU/keV
    /<detector>/pixel_offset     ADU
    /<detector>/pixel_rms        ADU
    /<detector>/pixel_status     0 = good, else bits that say what is wrong
    /<detector>/pixel_mask       true = good pixel
    /<detector>/ghost_p0         keV
    /<detector>/ghost_p1         share of the frame of the pulse before
    /<detector>/pixel_x, pixel_y, pixel_z     centres of the pixels, um
    /<detector>/image_row, image_column       where they are in the assembled image
    /<detector>/geometry         text, psana's geometry format

Every array has the attribute ``unit``; what a detector has not is not there. Names, shapes
and signs are psana's: calibrated = (raw - pedestals - pixel_offset) / pixel_gain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Mask, read_only
from smalldata_stream.errors import ConstantsError, SourceError, did_you_mean
from smalldata_stream.h5 import Leaf, read_attributes, read_tree, write_tree
from smalldata_stream.positions import Positions

UNITS = {
    "pedestals": "ADU",
    "pixel_gain": "ADU/keV",
    "pixel_offset": "ADU",
    "pixel_rms": "ADU",
    "pixel_status": "",
    "pixel_mask": "",
    "ghost_p0": "keV",
    "ghost_p1": "",
    "pixel_x": "um",
    "pixel_y": "um",
    "pixel_z": "um",
    "image_row": "",
    "image_column": "",
}
"""The arrays of `Constants` and their units."""

OF_PIXELS = (
    *("pixel_mask", "ghost_p0", "ghost_p1"),
    *("pixel_x", "pixel_y", "pixel_z", "image_row", "image_column"),
)
"""Those that have the frame's shape, also where others have gain modes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constants:
    """Calibration constants of one detector, those that it has.

    Arrays have psana's shapes: ``(gain modes, segments, rows, columns)`` where a pixel
    switches its gain, else the frame's; `OF_PIXELS` have the frame's shape also beside
    constants with gain modes. ``pixel_gain`` is in ADU per keV. Positions are psana's: x
    along the rows of the image, downwards, y along its columns. ``source`` says where the
    constants come from.

    Raises
    ------
    ConstantsError
        If shapes do not fit each other, or ``pixel_mask`` is not boolean.

    >>> constants = Constants(detector="cam", pedestals=np.full((2, 3), 100.0))
    >>> constants.pixel_gain is None, constants.digest[:8]
    (True, 'd7ec97c1')
    """

    detector: str
    pedestals: Array | None = None
    pixel_gain: Array | None = None
    pixel_offset: Array | None = None
    pixel_rms: Array | None = None
    pixel_status: Array | None = None
    pixel_mask: Mask | None = None
    ghost_p0: Array | None = None
    ghost_p1: Array | None = None
    pixel_x: Array | None = None
    pixel_y: Array | None = None
    pixel_z: Array | None = None
    image_row: Array | None = None
    image_column: Array | None = None
    geometry: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        for name, array in self.arrays().items():
            object.__setattr__(self, name, read_only(np.asarray(array)))
        arrays = self.arrays()
        of_pixels = {arrays.pop(name).shape for name in OF_PIXELS if name in arrays}
        mask = self.pixel_mask
        if mask is not None and mask.dtype != bool:
            raise ConstantsError(
                f"{self.detector}: pixel_mask is {mask.dtype}; it must be bool, True = good"
            )
        shapes = {array.shape for array in arrays.values()}
        fits = {shape[cut:] for shape in shapes for cut in (0, 1)}
        if len(shapes) > 1 or (shapes and not of_pixels <= fits):
            listed = {name: array.shape for name, array in self.arrays().items()}
            raise ConstantsError(f"{self.detector}: shapes do not fit each other: {listed}")

    def arrays(self) -> dict[str, Array]:
        """The arrays that the detector has, by name."""
        every = {name: getattr(self, name) for name in UNITS}
        return {name: array for name, array in every.items() if array is not None}

    def of_segments(self, segments: Sequence[int]) -> Constants:
        """Those of these segments alone, where the constants have them and others.

        >>> constants = Constants(detector="jf", pedestals=np.arange(8.0).reshape(8, 1, 1))
        >>> constants.of_segments((2, 5)).pedestals.tolist()
        [[[2.0]], [[5.0]]]
        """
        # Three axes of one segment are gain modes, rows and columns.
        fewest = 3 if len(segments) > 1 else 4
        chosen = list(segments)
        cut: dict[str, Any] = {
            name: np.take(array, chosen, axis=-3)
            for name, array in self.arrays().items()
            if array.ndim >= (3 if name in OF_PIXELS else fewest)
            and array.shape[-3] > max(len(chosen), *chosen)
        }
        return replace(self, **cut)

    @property
    def positions(self) -> Positions | None:
        """Where the pixels are, if that is known."""
        x, y, z = self.pixel_x, self.pixel_y, self.pixel_z
        row, column = self.image_row, self.image_column
        if x is None or y is None or z is None or row is None or column is None:
            return None
        return Positions(x=x, y=y, z=z, row=row, column=column)

    def with_positions(self, where: Positions, source: str) -> Constants:
        """The same with pixels at these places; ``source`` says who says so.

        A geometry of one segment fits frames that have no axis of segments.

        >>> x, y = np.mgrid[0:2, 0:3].reshape(2, 1, 2, 3) * 50.0
        >>> where = Positions.of(x, y, 0 * x, pixel_um=50.0)
        >>> constants = Constants(detector="epix", pedestals=np.ones((2, 3)))
        >>> constants.with_positions(where, "a text").pixel_x.shape
        (2, 3)
        """
        shapes = [array.shape for array in self.arrays().values()]
        shapes += [shape[1:] for shape in shapes]
        if where.shape not in shapes:
            long = [n for n in where.shape if n != 1]
            fitting = (shape for shape in shapes if [n for n in shape if n != 1] == long)
            where = where.shaped(next(fitting, where.shape))
        return replace(
            self,
            pixel_x=where.x,
            pixel_y=where.y,
            pixel_z=where.z,
            image_row=where.row,
            image_column=where.column,
            source="; ".join(filter(None, (self.source, source))),
        )

    @property
    def digest(self) -> str:
        """SHA-256 over names, dtypes, shapes and bytes; `source` does not count."""
        seen = hashlib.sha256(f"{self.detector!r} {self.geometry!r}\n".encode())
        for name, array in sorted(self.arrays().items()):
            seen.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            seen.update(np.ascontiguousarray(array).tobytes())
        return seen.hexdigest()


def write_constants(path: Path | str, constants: Iterable[Constants]) -> None:
    """Write the constants of some detectors to the HDF5 file ``path``.

    Raises
    ------
    OutputError
        If the file cannot be written.

    >>> gain = Constants(detector="cam", pixel_gain=np.ones((2, 3)), source="flat field")
    >>> write_constants(getfixture("tmp_path") / "constants.h5", [gain])
    """
    tree: dict[str, Leaf] = {}
    attributes: dict[str, dict[str, str]] = {}
    for one in constants:
        attributes[one.detector] = {"source": one.source}
        for name, array in one.arrays().items():
            tree[f"{one.detector}/{name}"] = array
            attributes[f"{one.detector}/{name}"] = {"unit": UNITS[name]}
        if one.geometry is not None:
            tree[f"{one.detector}/geometry"] = one.geometry
    write_tree(path, tree, attributes, compress=True)


def read_constants(
    path: Path | str, detectors: Iterable[str] | None = None
) -> dict[str, Constants]:
    """The constants in the HDF5 file ``path``, of ``detectors`` or of all, by detector.

    Raises
    ------
    ConstantsError
        If the file cannot be read, lacks one of ``detectors``, or holds something that
        is no constant or does not fit.

    >>> path = getfixture("tmp_path") / "constants.h5"
    >>> write_constants(path, [Constants(detector="cam", pedestals=np.ones((2, 3)))])
    >>> read_constants(path)["cam"].pedestals.shape
    (2, 3)
    """
    try:
        tree = read_tree(path)
        found = {name.split("/")[0] for name in tree}
        wanted = found if detectors is None else set(detectors)
        for name in sorted(wanted - found):
            raise ConstantsError(
                f"{path}: no constants of {name!r}; " + did_you_mean(name, found)
            )
        return {name: _read_one(path, name, tree) for name in sorted(wanted)}
    except SourceError as error:
        raise ConstantsError(str(error)) from error


def _read_one(path: Path | str, detector: str, tree: dict[str, Leaf]) -> Constants:
    prefix = f"{detector}/"
    values: dict[str, Any] = {
        name.removeprefix(prefix): value
        for name, value in tree.items()
        if name.startswith(prefix)
    }
    known = {*UNITS, "geometry"}
    for name in sorted(values.keys() - known):
        raise ConstantsError(
            f"{path}: {prefix}{name} is no constant; " + did_you_mean(name, known)
        )
    source = str(read_attributes(path, detector).get("source", ""))
    return Constants(detector=detector, source=source, **values)
