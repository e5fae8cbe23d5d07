"""What reductions and calibration cost per frame, beside reading it and beside numpy.

R is the time one core takes to read the bytes of a frame that is in no cache (numpy's
maximum of its 64-bit words, in the same run). Each figure is the median over batches of
frames that are in no cache either, in the best of some rounds: what other work on the
machine costs is left out. Run it with ``python -m benchmarks.bench_reductions``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Frames
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.protocols import Accumulated, PerEvent, Reduction, Spec
from smalldata_stream.reductions.projection import Projection
from smalldata_stream.reductions.roi import Roi
from smalldata_stream.reductions.sum import Sum

SHAPE = (512, 1024)
BATCH = 16
ROUNDS = 7


def milliseconds(work: Callable[[Frames], Any], batches: list[Frames]) -> float:
    """Per frame: the median over the batches of a round, in the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        took = []
        for batch in batches:
            begin = time.perf_counter()
            work(batch)
            took.append((time.perf_counter() - begin) / len(batch))
        rounds.append(statistics.median(took))
    return 1e3 * min(rounds)


def read(batch: Frames) -> None:
    for frame in batch:
        frame.reshape(-1).view(np.uint64).max()


def numpy_roi(batch: Frames) -> None:
    rows, columns = np.arange(SHAPE[0]), np.arange(SHAPE[1])
    for frame in batch:
        total = frame.sum(dtype=float)
        frame.mean(dtype=float), frame.max(), np.count_nonzero(frame >= 150)
        rows @ frame.sum(axis=1, dtype=float) / total
        columns @ frame.sum(axis=0, dtype=float) / total


def numpy_sum() -> Callable[[Frames], None]:
    total = np.zeros(SHAPE)

    def add(batch: Frames) -> None:
        for frame in batch:
            np.add(total, frame, out=total)

    return add


def numpy_calibration(constants: Constants) -> Callable[[Frames], None]:
    assert constants.pedestals is not None
    assert constants.pixel_gain is not None
    pedestal, factor = constants.pedestals, 1 / constants.pixel_gain

    def calibrate(batch: Frames) -> None:
        for frame in batch:
            mode = frame >> 14
            modes = [mode == 0, mode == 1, mode == 3]
            data = (frame & 0x3FFF).astype("f4")
            data -= np.select(modes, list(pedestal))
            data *= np.select(modes, list(factor))

    return calibrate


def works(dtype: np.dtype[Any], good: Array) -> dict[str, Callable[[Frames], Any]]:
    """What is timed on frames of ``dtype``, by name."""
    plain = Spec(dtype=dtype, shape=SHAPE, kind="frames")
    masked = Spec(dtype=dtype, shape=SHAPE, kind="frames", mask=good)

    def each(reduction: Reduction, spec: Spec = plain) -> Callable[[Frames], Any]:
        prepared = reduction.prepare(spec)
        assert isinstance(prepared, PerEvent)
        return prepared.compute

    def run(algorithm: str) -> Callable[[Frames], Any]:
        prepared = Sum(algorithm).prepare(plain)
        assert isinstance(prepared, Accumulated)
        return prepared.start().add

    box = [[100, 300], [200, 500]]
    return {
        "roi: sum mean max com": each(Roi()),
        "roi: sum mean max com nsat": each(Roi(saturation_adu=150)),
        "roi: same, 2 % masked": each(Roi(saturation_adu=150), masked),
        "roi: same, threshold": each(Roi(saturation_adu=150, threshold_adu=(90, 200))),
        "numpy: sum mean max com nsat": numpy_roi,
        "roi with area, full frame": each(Roi(area=True)),
        "roi with area, 200x300": each(Roi("box", box, area=True)),
        "projection axis=0": each(Projection(axis=0)),
        "numpy: sum(axis=0)": lambda b: [f.sum(axis=0, dtype=float) for f in b],
        "projection axis=1": each(Projection(axis=1)),
        "numpy: sum(axis=1)": lambda b: [f.sum(axis=1, dtype=float) for f in b],
        "projection axis=1, mean, masked": each(Projection(axis=1, mean=True), masked),
        "sum calib (exact)": run("calib"),
        "sum calib_square (exact)": run("calib_square"),
        "numpy: total += frame (float64)": numpy_sum(),
        "sum calib_max": run("calib_max"),
    }


def table(title: str, frames: list[Array], made: dict[str, Callable[..., Any]]) -> None:
    batches = [Frames(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]
    unit = milliseconds(read, batches)
    gigabytes = frames[0].nbytes / unit / 1e6
    print(f"\n{title}: {frames[0].nbytes} bytes, R = {unit:.3f} ms ({gigabytes:.1f} GB/s)")
    for name, work in made.items():
        took = milliseconds(work, batches)
        print(f"  {name:34} {took:8.3f} ms {took / unit:7.1f} R")


def jungfrau(rng: np.random.Generator, number: int) -> None:
    shape = (1, *SHAPE)
    constants = Constants(
        detector="jungfrau",
        pedestals=rng.normal(3000, 50, (3, *shape)).astype("f4"),
        pixel_gain=rng.normal(41, 1, (3, *shape)).astype("f4"),
    )
    raw = [rng.integers(2900, 4000, shape, dtype=np.uint16) for _ in range(number)]
    spec = Spec(dtype=np.dtype("u2"), shape=shape, kind="frames")
    ready = Calibration().prepare("jungfrau", spec, constants).compute
    single: dict[str, Callable[..., Any]] = {
        "calibration": ready,
        "calibration, one frame a batch": lambda b: [
            ready(b[i : i + 1]) for i in range(len(b))
        ],
        "numpy": numpy_calibration(constants),
    }
    table("jungfrau 512x1024, highest gain", raw, single)
    for frame in raw:
        frame.reshape(-1)[rng.integers(0, frame.size, 500)] |= 0x4000
    table("jungfrau, 0.1 % of the pixels switched", raw, {"calibration": ready})
    for frame in raw:
        frame |= rng.choice(np.array([0, 0x4000, 0xC000], "u2"), shape)
    table("jungfrau, two of three pixels switched", raw, {"calibration": ready})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--frames", type=int, default=96, help="more than fit in the caches"
    )
    number = parser.parse_args().frames
    rng = np.random.default_rng(0)
    good = rng.random(SHAPE) > 0.02
    noise = [rng.normal(100, 20, SHAPE).astype("f4") for _ in range(number)]
    table("float32 512x1024", noise, works(np.dtype("f4"), good))
    raw = [frame.clip(0, 65535).astype("u2") for frame in noise]
    del noise
    table("uint16 512x1024", raw, works(np.dtype("u2"), good))
    del raw
    jungfrau(rng, number)


if __name__ == "__main__":
    main()
