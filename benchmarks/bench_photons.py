"""Photons per pixel beside reading the frame and numpy, and contrast, on one core.

The last column is the time as a multiple of that of the first line. Run it with
``python -m benchmarks.bench_photons``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.frames import SHAPE, batches_of, milliseconds, photons, table
from smalldata_stream.batch import Frames
from smalldata_stream.protocols import Accumulated, PerEvent, Spec
from smalldata_stream.reductions.contrast import Contrast
from smalldata_stream.reductions.photons import Photons

CROSS = ndimage.generate_binary_structure(2, 1)


def made(shape: tuple[int, int] = SHAPE, mask: Any = None) -> PerEvent:
    spec = Spec(dtype=np.dtype("f4"), shape=shape, kind="frames", mask=mask)
    return Photons(adu_per_photon=100).prepare(spec)


def numpy_photons(batch: Frames) -> None:
    """The same rule, but for pixels that two want: whole arrays at a time."""
    for frame in batch:
        v = np.maximum(frame / np.float32(100), 0)
        n = np.floor(v)
        f = v - n
        around = np.pad(f, 1)
        neighbours = np.stack(
            [around[:-2, 1:-1], around[1:-1, :-2], around[1:-1, 2:], around[2:, 1:-1]]
        ).max(axis=0)
        n += (f >= 0.5) & (f >= neighbours) & (f + neighbours >= 0.9)
        n.astype(np.uint16).sum()


def with_maximum_filter(batch: Frames) -> None:
    for frame in batch:
        v = np.maximum(frame / np.float32(100), 0)
        f = v - np.floor(v)
        ndimage.maximum_filter(f, footprint=CROSS)


def contrast(batch: Frames) -> Callable[[Frames], None]:
    state = Contrast().prepare(Spec(dtype=batch.dtype, shape=batch.shape, kind="frames"))
    assert isinstance(state, Accumulated)
    return state.start().add


def main() -> None:
    good = np.random.default_rng(1).random(SHAPE) > 0.02
    for occupancy in (0.001, 0.01, 0.05, 1.0):
        frames = [photons(occupancy, seed=s) for s in range(32)]
        works: dict[str, Callable[[Frames], Any]] = {
            "photons": made().compute,
            "same, 2 % masked": made(mask=good).compute,
            "peer numpy": numpy_photons,
            "peer scipy maximum_filter alone": with_maximum_filter,
        }
        table(f"float32 512x1024, {occupancy:.1%} occupancy", frames, works)
        counted: Any = made().compute(Frames(frames))["image"]
        images = [np.array(image) for image in counted]
        state = contrast(Frames(images))
        table("contrast of the images, uint16", images, {
            "contrast": state,
            "peer numpy.bincount": lambda b: [np.bincount(i.reshape(-1)) for i in b],
        })  # fmt: skip
    print("\nPhotons by size of the frame, 1 % occupancy")
    for side in (512, 1024, 2048, 4096):
        frames = [photons(0.01, (side, side), s) for s in range(max(2, 16 * 512 // side))]
        took = milliseconds(made((side, side)).compute, batches_of(frames), 3)
        print(f"  {side:5}^2 {took:9.3f} ms {1e6 * took / side**2:8.3f} ns per pixel")


if __name__ == "__main__":
    main()
