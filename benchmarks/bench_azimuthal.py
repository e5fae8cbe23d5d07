"""Azimuthal integration beside reading the frame, pyFAI and numpy, on one core.

The last column is the time as a multiple of that of the first line. pyFAI's own default
method, ``("bbox", "csr", "cython")``, splits pixels; ``"no"`` does what ours does. Its
methods use several threads unless told otherwise: here all have one. Run it with
``python -m benchmarks.bench_azimuthal``.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frames import SHAPE, batches_of, milliseconds, table
from smalldata_stream.batch import Frames
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.azimuthal import Azimuthal

BINS = 256


def pyfai(shape: tuple[int, int], **more: Any) -> Callable[[Frames], None]:
    # Before pyFAI is loaded.
    os.environ["OMP_NUM_THREADS"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator
    logging.disable(logging.WARNING)
    size = 75e-6
    ai = AzimuthalIntegrator(
        dist=0.1,
        poni1=shape[0] * size / 2,
        poni2=shape[1] * size / 2,
        pixel1=size,
        pixel2=size,
        wavelength=1.3e-10,
    )

    def work(batch: Frames) -> None:
        for frame in batch:
            ai.integrate1d(frame.copy(), BINS, unit="q_A^-1", polarization_factor=1, **more)

    return work


def works(shape: tuple[int, int]) -> dict[str, Callable[[Frames], Any]]:
    center = (shape[0] * 37.5, shape[1] * 37.5)
    # As far away as lets a larger detector see the same angles.
    distance = 100 * shape[0] / SHAPE[0]
    q = np.linspace(0, 1.5, BINS + 1)

    def made(**more: Any) -> Callable[[Frames], Any]:
        asked = Azimuthal(
            center_um=center,
            distance_mm=distance,
            photon_energy_kev=9.5,
            pixel_size_um=75,
            q_bins=q,
            **more,
        )
        prepared = asked.prepare(Spec(dtype=np.dtype("f4"), shape=shape, kind="frames"))
        assert isinstance(prepared, PerEvent)
        return prepared.compute

    prepared = Azimuthal(
        center_um=center,
        distance_mm=distance,
        photon_energy_kev=9.5,
        pixel_size_um=75,
        q_bins=q,
    ).prepare(Spec(dtype=np.dtype("f4"), shape=shape))
    matrix = prepared.config["matrix_q"]
    bins = np.searchsorted(q, matrix.reshape(-1), side="right")
    good = np.random.default_rng(1).random(shape) > 0.02

    def bincount(batch: Frames) -> None:
        for frame in batch:
            np.bincount(bins, frame.reshape(-1), BINS + 2)

    return {
        f"azimuthal, {BINS} bins": made(),
        "same, 2 % masked": made(mask=good),
        "same, threshold": made(threshold_adu=5),
        "same, dark and gain": made(dark=np.ones(shape), gain=np.ones(shape)),
        "same, 16 bins of phi": made(phi_bins=16),
        "same, 360 bins of phi": made(phi_bins=360),
        "same, standard error": made(standard_error=True),
        "same, pixels split in 3 x 3": made(pixel_splitting=3),
        "peer numpy.bincount": bincount,
        "peer pyFAI integrate1d, default": pyfai(shape),
        "peer pyFAI, its standard error": pyfai(shape, error_model="azimuthal"),
        "peer pyFAI, csr, no splitting": pyfai(shape, method=("no", "csr", "cython")),
        "peer pyFAI, histogram": pyfai(shape, method=("no", "histogram", "cython")),
    }


def main() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.gamma(2, 30, SHAPE).astype("f4") for _ in range(32)]
    table("float32 512x1024", frames, works(SHAPE))
    for frame in frames:
        frame[200, 400] = np.nan
    some = dict(list(works(SHAPE).items())[:1])
    table("the same with a NaN in each frame", frames, some)
    del frames
    print("\nBy size of the frame")
    for side in (512, 4096):
        shape = (side, side)
        # The same pixels again and again: drawing 16 million of them takes too long.
        small = [rng.gamma(2, 30, (512, 512)).astype("f4") for _ in range(2)]
        number = 48 if side == 512 else 2
        large = [np.tile(small[i % 2], (side // 512,) * 2) for i in range(number)]
        took = milliseconds(next(iter(works(shape).values())), batches_of(large), 4)
        print(f"  {side:5}^2 {took:9.3f} ms {1e6 * took / side**2:8.3f} ns per pixel")


if __name__ == "__main__":
    main()
