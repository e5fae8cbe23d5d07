"""Several reductions of one detector: what it saves that the frames are still in the cache.

A batch goes through one word after the other. In a batch that fits into the cache the
first word reads the frames from memory, and the others find them there; each word by
itself, over many frames, reads every frame from memory. Run it with
``python -m benchmarks.bench_several``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frames import SHAPE, milliseconds, photons, read
from smalldata_stream.batch import Frames
from smalldata_stream.protocols import PerEvent, Reduction, Spec
from smalldata_stream.reductions.azimuthal import Azimuthal
from smalldata_stream.reductions.droplet import Droplets
from smalldata_stream.reductions.photons import Photons
from smalldata_stream.reductions.projection import Projection
from smalldata_stream.reductions.roi import Roi

WORDS: dict[str, Reduction] = {
    "roi": Roi(),
    "projection": Projection(axis=0),
    "azimuthal": Azimuthal(
        center_um=(19e3, 38e3), distance_mm=100, photon_energy_kev=9.5, pixel_size_um=75
    ),
    "droplets": Droplets(threshold_adu=20, threshold_low_adu=10),
    "photons": Photons(adu_per_photon=100),
}


def main() -> None:
    spec = Spec(dtype=np.dtype("f4"), shape=SHAPE, kind="frames")
    works: list[Callable[..., Any]] = []
    for word in WORDS.values():
        prepared = word.prepare(spec)
        assert isinstance(prepared, PerEvent)
        works.append(prepared.compute)
    frames = [photons(0.001, seed=s) for s in range(96)]

    def all_words(batch: Frames) -> None:
        for work in works:
            work(batch)

    unit = milliseconds(read, [Frames(frames[i : i + 8]) for i in range(0, 96, 8)])
    print(f"{', '.join(WORDS)}: float32 512x1024, R = {unit:.3f} ms")
    whole = [Frames(frames)]
    alone = sum(milliseconds(work, whole) for work in works)
    title = "each by itself, 96 frames (201 MB)"
    print(f"  {title:38} {alone:8.3f} ms a frame {alone / unit:6.1f} R")
    for size in (32, 16, 8, 4, 2, 1):
        batches = [Frames(frames[i : i + size]) for i in range(0, 96, size)]
        took = milliseconds(all_words, batches)
        megabytes = size * frames[0].nbytes / 1e6
        title = f"all, batches of {size:2} ({megabytes:5.1f} MB)"
        ratios = f"{took / unit:6.1f} R {took / alone:6.2f} x"
        print(f"  {title:38} {took:8.3f} ms a frame {ratios}")


if __name__ == "__main__":
    main()
