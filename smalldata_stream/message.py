"""What is shown, live and in the report: a topic, what is said about it, and its arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.protocols import Plot, Result
from smalldata_stream.run import RunInfo

MOST_PIXELS = 512
"""Rows, and columns, of an image in a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One plot, or the newest values of one detector, at one moment.

    ``metadata`` are JSON-able: kind, title, labels, group, run, timestamp of the newest
    event (an integer), number of events ...
    """

    topic: str
    metadata: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


class Plotted(Protocol):
    """A plan: it knows its plots and its totals."""

    newest: int

    def plots(self) -> dict[str, Plot]:
        """How the totals are shown, by the path above them."""

    def results(self) -> dict[str, Result]:
        """The totals so far, by path."""


def messages(
    plan: Plotted, run: RunInfo, *, workers: int = 1, sequence: int = 0
) -> list[Message]:
    """Every plot of ``plan`` as it is now, in the order of the graph."""
    about = {"workers": workers, "sequence": sequence}
    return plot_messages(plan.plots(), plan.results(), run, plan.newest, **about)


def plot_messages(
    plots: Mapping[str, Plot],
    totals: Mapping[str, Result],
    run: RunInfo,
    timestamp: int,
    **about: Any,
) -> list[Message]:
    """Every plot that has totals; images are made smaller, all else is as it is.

    Parameters
    ----------
    plots, totals
        As in `Declaration`; totals of other things are left out.
    run
        Whose they are.
    timestamp
        Of the newest event.
    about
        More metadata.

    >>> totals = {"plots/gmd/x/counts": Result(np.array([1, 2]), 3)}
    >>> run = RunInfo(exp="tst", number=7, detectors={})
    >>> (m,) = plot_messages({"plots/gmd/x": Plot(kind="a", title="b")}, totals, run, 5)
    >>> m.topic, m.metadata["events"], m.arrays["counts"].tolist()
    ('plots/gmd/x', 3, [1, 2])
    """
    common = {"exp": run.exp, "run": run.number, "timestamp": timestamp}
    found = []
    for topic, plot in plots.items():
        mine = {
            path.removeprefix(f"{topic}/"): result
            for path, result in totals.items()
            if path.startswith(f"{topic}/")
        }
        if not mine:
            continue
        arrays = {field: np.asarray(result.value) for field, result in mine.items()}
        if plot.kind == "image":
            arrays = smaller(arrays)
        events = max(result.count for result in mine.values())
        metadata = {**asdict(plot), **common, "events": events, **about}
        found.append(Message(topic, metadata, arrays))
    return found


def smaller(images: Mapping[str, Array]) -> dict[str, Array]:
    """Images as float32 of at most `MOST_PIXELS` rows and columns, and their ``extent``.

    Tiles, ``(tiles, rows, columns)``, stand in a grid. Pixels are averaged in squares, bad
    ones (NaN) left out. ``extent`` ``(2,)`` is the number of columns and rows before. An
    image without pixels stays one.

    >>> small = smaller({"mean": np.arange(8.0).reshape(4, 1, 2)})
    >>> small["mean"].tolist(), small["extent"].tolist()
    ([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]], [2, 4])
    """
    found: dict[str, Array] = {}
    for field, image in images.items():
        whole = in_grid(image)
        found[field] = averaged(whole, max(1, -(-max(whole.shape) // MOST_PIXELS)))
        found["extent"] = np.array(whole.shape[::-1], np.int64)
    return found


def in_grid(image: Array) -> Array:
    """Tiles side by side and one above the other, as near to a square as they go.

    Places without a tile are NaN. An image of two axes is as it was.
    """
    if image.ndim == 2:
        return image
    tiles, rows, columns = image.shape
    if tiles == 1:
        only: Array = image[0]
        return only
    square_of = tiles * rows / columns if columns else 0.0
    across = max(1, min(tiles, round(math.sqrt(square_of))))
    down = -(-tiles // across)
    grid = np.empty((down, rows, across, columns), np.float32)
    for k in range(down * across):
        grid[k // across, :, k % across] = image[k] if k < tiles else np.nan
    return grid.reshape(down * rows, across * columns)


def averaged(image: Array, step: int) -> NDArray[np.float32]:
    """Means of squares of ``step`` pixels, NaN left out; the last ones may be smaller.

    >>> averaged(np.array([[1.0, 3.0, 5.0], [1.0, np.nan, 7.0]]), 2).tolist()
    [[1.6666666269302368, 6.0]]
    """
    if step == 1:
        return image.astype(np.float32)
    # Who only reads messages is spared the compiler.
    from smalldata_stream.kernels.thumbnail import block_means

    small = np.empty([-(-size // step) for size in image.shape], np.float32)
    block_means(np.ascontiguousarray(image), step, small)
    return small
