"""Files of basis waveforms: what `svd_fit` fits with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.h5 import read_tree, write_tree

NEEDED = ("components", "singular_values", "roi", "background")


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Orthonormal waveforms, strongest first, and the windows they were made in.

    Attributes
    ----------
    components
        ``(components, samples of the window)``.
    singular_values
        ``(components,)``.
    roi, background
        ``(first, after last)`` in samples; an empty background is (0, 0).
    """

    components: NDArray[np.float64]
    singular_values: NDArray[np.float64]
    roi: tuple[int, int]
    background: tuple[int, int]

    def write(self, path: Path | str, about: str) -> None:
        """Write the file; ``about`` says what the waveforms were."""
        tree: dict[str, Array | str] = {
            "components": self.components,
            "singular_values": self.singular_values,
            "roi": np.array(self.roi),
            "background": np.array(self.background),
            "about": about,
        }
        write_tree(path, tree)


def read_basis(path: Path | str) -> Basis:
    """Read a file of `Basis.write`; ValueError where it is none, with what it lacks."""
    tree = read_tree(path)
    lacking = [name for name in NEEDED if name not in tree]
    if lacking:
        raise ValueError(f"{path} is no basis: it has no {', '.join(lacking)}")
    components, strength, roi, background = (np.asarray(tree[name]) for name in NEEDED)
    if components.ndim != 2 or components.shape[1] != roi[1] - roi[0]:
        raise ValueError(
            f"{path}: components {components.shape} do not fit the window {roi.tolist()}"
        )
    return Basis(
        components=components.astype(np.float64),
        singular_values=strength.astype(np.float64),
        roi=(int(roi[0]), int(roi[1])),
        background=(int(background[0]), int(background[1])),
    )
