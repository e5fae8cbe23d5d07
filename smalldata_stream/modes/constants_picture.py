"""Constants as pictures: one per detector, to see a bad dark run at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.constants import UNITS, Constants
from smalldata_stream.errors import OutputError

DRAWN = ("pedestals", "pixel_rms", "pixel_gain", "pixel_status")
"""What is drawn, a row each; gain modes beside each other."""


def draw_constants(constants: Constants, png: Path) -> None:
    """Draw pedestals, noise, gain and status of each gain mode into a PNG.

    Colours go from the 1st to the 99th percentile; bad pixels of the status are dark. With
    positions the pictures are assembled, else the segments are below each other.

    Raises
    ------
    OutputError
        If matplotlib is not installed, or the picture cannot be written.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise OutputError(
            f"{png}: pictures need matplotlib; install smalldata_stream[demo]"
        ) from None
    arrays = {
        name: _per_mode(array, constants)
        for name, array in constants.arrays().items()
        if name in DRAWN
    }
    if not arrays:
        raise OutputError(f"{constants.detector}: there is nothing to draw")
    modes = max(len(array) for array in arrays.values())
    with mpl.rc_context({"font.size": 8}):
        size = (1.2 + 3.2 * modes, 0.6 + 3.0 * len(arrays))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(arrays), modes, squeeze=False)
        for row, (name, array) in zip(axes, arrays.items(), strict=True):
            for mode, ax in enumerate(row):
                if mode < len(array):
                    _draw(figure, ax, name, array[mode], constants)
                    ax.set_title(f"{name}, mode {mode}" if len(array) > 1 else name)
                else:
                    ax.set_axis_off()
        figure.suptitle(f"{constants.detector}  {constants.source[:100]}")
        try:
            figure.savefig(png, dpi=90)
        except OSError as error:
            raise OutputError(f"{png}: {error}") from error


def _per_mode(array: Array, constants: Constants) -> Array:
    """``(modes, *frame)``; one mode where there is no such axis."""
    where = constants.positions
    frame_axes = 3 if array.ndim == 4 or where is None else len(where.shape)
    return array if array.ndim > frame_axes else array[None]


def _draw(figure: Any, ax: Any, name: str, values: Array, constants: Constants) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    if name == "pixel_status":
        image = _image((values == 0).astype(float), constants)
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
        ax.set_xlabel(f"{np.count_nonzero(values):,} bad pixels")
        return
    finite = values[np.isfinite(values)]
    if not finite.size:
        ax.set_xlabel("not known")
        return
    low, high = np.percentile(finite, [1, 99])
    shown = ax.imshow(
        _image(values, constants),
        cmap="viridis",
        vmin=low,
        vmax=max(high, low + 1e-6),
        interpolation="none",
    )
    figure.colorbar(shown, ax=ax, label=UNITS[name], shrink=0.8)


def _image(values: Array, constants: Constants) -> Array:
    where = constants.positions
    if where is not None and values.size == where.row.size:
        image = np.full(where.image_shape, np.nan)
        image[where.row.reshape(-1), where.column.reshape(-1)] = values.reshape(-1)
        return image
    return values.reshape(-1, values.shape[-1])
