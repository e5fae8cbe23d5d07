"""Where the pixels of a detector are, in space and in the assembled image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.values import Array, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions:
    """Centres of the pixels, µm, and their places in the assembled image.

    All have the shape of the frame. The axes are psana's: x goes down the rows of the
    image, y along its columns, z along the beam. ``whole`` is the `origin` of the detector,
    where this is a part of it.

    Raises
    ------
    ValueError
        If shapes differ, or a place in the image is negative.

    >>> x, y = np.mgrid[0:2, 0:3] * 75.0
    >>> Positions.of(x, y, 0 * x, pixel_um=75.0).column.tolist()
    [[0, 1, 2], [0, 1, 2]]
    """

    x: Array
    y: Array
    z: Array
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    whole: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("row", "column"):
            places = np.asarray(getattr(self, name), np.int32)
            if places.size and places.min() < 0:
                raise ValueError(f"a pixel's {name} in the image is {places.min()}")
            object.__setattr__(self, name, read_only(places))
        for name in ("x", "y", "z"):
            object.__setattr__(self, name, read_only(np.asarray(getattr(self, name))))
        shapes = {
            np.shape(getattr(self, name)) for name in ("x", "y", "z", "row", "column")
        }
        if len(shapes) > 1:
            raise ValueError(f"positions of the pixels have several shapes: {shapes}")

    @classmethod
    def of(cls, x: Array, y: Array, z: Array, *, pixel_um: float) -> Positions:
        """Positions whose image has pixels of this size, the nearest for each pixel."""
        row, column = (
            np.rint((along - along.min()) / pixel_um).astype(np.int32) for along in (x, y)
        )
        return cls(x=x, y=y, z=z, row=row, column=column)

    def shaped(self, shape: tuple[int, ...]) -> Positions:
        """The same for frames of ``shape``, from which only axes of length 1 may differ.

        Raises
        ------
        ValueError
            If more does.

        >>> x, y = np.mgrid[0:2, 0:3] * 75.0
        >>> Positions.of(x, y, 0 * x, pixel_um=75.0).shaped((1, 2, 3)).shape
        (1, 2, 3)
        """
        if self.shape == shape:
            return self
        if [n for n in self.shape if n != 1] != [n for n in shape if n != 1]:
            raise ValueError(f"these are positions of {self.shape} pixels, not of {shape}")
        arrays = (self.x, self.y, self.z, self.row, self.column)
        x, y, z, row, column = (np.reshape(a, shape) for a in arrays)
        return Positions(x=x, y=y, z=z, row=row, column=column, whole=self.whole)

    def cut(self, part: tuple[slice, ...], shape: tuple[int, ...]) -> Positions:
        """Those of a part of the frame, in ``shape``; its image begins at its own edges.

        >>> x, y = np.mgrid[0:2, 0:3] * 75.0
        >>> whole = Positions.of(x, y, 0 * x, pixel_um=75.0)
        >>> whole.cut((slice(1, 2), slice(1, 3)), (2,)).column.tolist()
        [0, 1]
        """
        x, y, z, row, column = (
            np.ascontiguousarray(a[part]).reshape(shape)
            for a in (self.x, self.y, self.z, self.row, self.column)
        )
        return Positions(
            x=x,
            y=y,
            z=z,
            row=row - row.min(),
            column=column - column.min(),
            whole=self.origin,
        )

    @property
    def origin(self) -> tuple[float, float, float]:
        """The least x, the least y and the mean z of the whole detector."""
        if self.whole is not None:
            return self.whole
        flat = self.z.size and self.z.max() == self.z.min()
        z = self.z.flat[0] if flat else np.mean(self.z, dtype=np.float64)
        return float(self.x.min()), float(self.y.min()), float(z)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the frame."""
        return self.row.shape

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of the assembled image."""
        return int(self.row.max()) + 1, int(self.column.max()) + 1
