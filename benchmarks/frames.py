"""Frames for the benchmarks, and the time to read one from memory.

R is the time one core takes to read the bytes of a frame that is in no cache (numpy's
maximum of its 64-bit words, in the same run).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Frames

SHAPE = (512, 1024)
BATCH = 8
ROUNDS = 5


def photons(occupancy: float, shape: tuple[int, int] = SHAPE, seed: int = 0) -> Array:
    """Noise of 2 ADU, and photons of 100 ADU on up to four pixels each."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(0, 2, shape)
    n = int(occupancy * frame.size)
    row, column = (rng.uniform(0, size - 1, n) for size in shape)
    for dr, dc in np.ndindex(2, 2):
        part = abs(1 - dr - row % 1) * abs(1 - dc - column % 1)
        np.add.at(frame, (row.astype(int) + dr, column.astype(int) + dc), 100 * part)
    return frame.astype(np.float32)


def milliseconds(
    work: Callable[[Frames], Any], batches: list[Frames], rounds: int = ROUNDS
) -> float:
    """Per frame: the median over the batches of a round, in the best of some rounds."""
    work(batches[0])
    best = float("inf")
    for _ in range(rounds):
        took = []
        for batch in batches:
            begin = time.perf_counter()
            work(batch)
            took.append((time.perf_counter() - begin) / len(batch))
        best = min(best, statistics.median(took))
    return 1e3 * best


def read(batch: Frames) -> None:
    """Read every byte."""
    for frame in batch:
        frame.reshape(-1).view(np.uint64).max()


def batches_of(frames: list[Array]) -> list[Frames]:
    """The frames, some to a batch."""
    return [Frames(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]


def table(
    title: str, frames: list[Array], works: dict[str, Callable[[Frames], Any]]
) -> None:
    """Time each of ``works``; names that begin with ``peer`` are done once."""
    batches = batches_of(frames)
    unit = milliseconds(read, batches)
    print(f"\n{title}: R = {unit:.3f} ms ({frames[0].nbytes / unit / 1e6:.1f} GB/s)")
    first = 0.0
    for name, work in works.items():
        peer = name.startswith("peer")
        took = milliseconds(work, batches[:1] if peer else batches, 2 if peer else ROUNDS)
        first = first or took
        print(f"  {name:38} {took:9.3f} ms {took / unit:8.1f} R {took / first:8.1f} x")
