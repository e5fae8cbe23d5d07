"""Counts of values in bins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

BELOW, ABOVE, NOT_FINITE = 0, -2, -1
"""Where in ``counts`` the values outside of all bins go; the bins are between."""


@compiled
def add_counts(
    values: Array, good: NDArray[np.bool_], edges: NDArray[np.float64], counts: Array
) -> None:
    """Count the good ``values`` in bins, as `numpy.histogram` does.

    Parameters
    ----------
    values
        ``(n, pixels)``, numbers; ``good`` is ``(pixels,)``.
    edges
        ``(bins + 1,)``, increasing. A bin has its lower edge, the last one both.
    counts
        ``(bins + 3,)`` int64, changed in place: below, the bins, above, not finite.

    >>> counts = np.zeros(5, np.int64)
    >>> data = np.array([[-1.0, 0.0, 1.0, 2.0, 2.5, np.nan]])
    >>> add_counts(data, np.ones(6, bool), np.array([0.0, 1.0, 2.0]), counts)
    >>> counts.tolist()
    [1, 1, 2, 1, 1]
    """
    bins = edges.size - 1
    first, last = edges[0], edges[bins]
    per_unit = bins / (last - first)
    for i in range(values.shape[0]):
        for p in range(values.shape[1]):
            if not good[p]:
                continue
            x = np.float64(values[i, p])
            if not np.isfinite(x):
                counts[bins + 2] += 1
            elif x < first:
                counts[0] += 1
            elif x > last:
                counts[bins + 1] += 1
            else:
                # A guess that is right for equal bins, put right by the edges themselves.
                k = min(int((x - first) * per_unit), bins - 1)
                if x < edges[k] or (x >= edges[k + 1] and k < bins - 1):
                    k = min(int(np.searchsorted(edges, x, side="right")) - 1, bins - 1)
                counts[k + 1] += 1
