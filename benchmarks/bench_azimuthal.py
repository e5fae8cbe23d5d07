"""Azimuthal integration beside reading the frame, pyFAI and numpy, on one core.

The last column is the time as a multiple of that of the first line. Run it with
``python -m benchmarks.bench_azimuthal``.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frames import SHAPE, table
from smalldata_stream.batch import Frames
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.azimuthal import Azimuthal

BINS = 256


def pyfai(shape: tuple[int, int], method: tuple[str, str, str]) -> Callable[[Frames], None]:
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
            ai.integrate1d(
                frame.copy(), BINS, unit="q_A^-1", method=method, polarization_factor=1
            )

    return work


def works(shape: tuple[int, int]) -> dict[str, Callable[[Frames], Any]]:
    center = (shape[0] * 37.5, shape[1] * 37.5)
    q = np.linspace(0, 1.5, BINS + 1)

    def made(**more: Any) -> Callable[[Frames], Any]:
        asked = Azimuthal(
            center_um=center,
            distance_mm=100,
            photon_energy_kev=9.5,
            pixel_size_um=75,
            q_bins=q,
            **more,
        )
        prepared = asked.prepare(Spec(dtype=np.dtype("f4"), shape=shape, kind="frames"))
        assert isinstance(prepared, PerEvent)
        return prepared.compute

    prepared = Azimuthal(
        center_um=center, distance_mm=100, photon_energy_kev=9.5, pixel_size_um=75, q_bins=q
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
        "peer pyFAI integrate1d, histogram": pyfai(shape, ("no", "histogram", "cython")),
        "peer pyFAI integrate1d, csr": pyfai(shape, ("no", "csr", "cython")),
    }


def main() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.gamma(2, 30, SHAPE).astype("f4") for _ in range(48)]
    table("float32 512x1024", frames, works(SHAPE))
    for frame in frames:
        frame[100, 100] = np.nan
    some = dict(list(works(SHAPE).items())[:1])
    table("the same with a NaN in each frame", frames, some)
    large = (4096, 4096)
    table("float32 4096x4096", [rng.gamma(2, 30, large).astype("f4") for _ in range(4)],
          dict(list(works(large).items())[:1]))  # fmt: skip


if __name__ == "__main__":
    main()
