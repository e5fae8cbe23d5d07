"""Droplets, and photons from droplets, beside reading the frame and scipy, on one core.

The last column is the time as a multiple of that of the first line. Run it with
``python -m benchmarks.bench_droplet``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.frames import SHAPE, batches_of, milliseconds, photons, table
from smalldata_stream.batch import Frames, Ragged
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.droplet import Droplets
from smalldata_stream.reductions.droplet2photon import Droplet2Photon

HIGH, LOW = 20, 10


def made(shape: tuple[int, int] = SHAPE, mask: Any = None, **more: Any) -> PerEvent:
    spec = Spec(dtype=np.dtype("f4"), shape=shape, kind="frames", mask=mask)
    return Droplets(threshold_adu=HIGH, threshold_low_adu=LOW, **more).prepare(spec)


def scipy_droplets(batch: Frames) -> None:
    """Labels, then sums by bincount: less than droplets give."""
    for frame in batch:
        labels, n = ndimage.label(frame >= LOW)
        flat = labels.ravel()
        np.bincount(flat, frame.ravel(), n + 1)
        np.bincount(flat, minlength=n + 1)


def in_python(pixels: dict[tuple[int, int], float], one: float) -> int:
    """The photons of a droplet, as one would write it."""
    number = int(sum(pixels.values()) / one + 0.5)
    if number <= 1:
        return number
    left, found = {}, []
    for at, adu in pixels.items():
        f = adu / one
        found += [at] * int(f)
        left[at] = f - int(f)
    while len(found) < number:
        at = max(left, key=left.__getitem__)
        missing, left[at] = 1 - left[at], 0.0
        best, most = None, 0.0
        for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            to = (at[0] + dr, at[1] + dc)
            if left.get(to, 0.0) > most:
                best, most = to, left[to]
        found.append(at)
        if best is not None:
            left[best] = max(most - missing, 0.0)
    return len(found)


def photons_in_python(lists: dict[str, Any], events: int) -> None:
    columns = SHAPE[1]
    for event in range(events):
        begin = 0
        pixel, adu = lists["pixel"][event].tolist(), lists["pixel_adu"][event].tolist()
        for n in lists["npix"][event].tolist():
            part = range(begin, begin + n)
            in_python({divmod(pixel[i], columns): adu[i] for i in part}, 100.0)
            begin += n


def from_droplets(occupancy: float, bright: float) -> None:
    """Photons from droplets: ours and Python's, per droplet."""
    frames = [photons(occupancy, seed=s) * np.float32(bright) for s in range(8)]
    batch = Frames(frames)
    droplets, asked = made(), Droplet2Photon(adu_per_photon=100)
    ready = asked.prepare(*(droplets.inner[field] for field in asked.takes))
    lists: dict[str, Any] = dict(droplets.compute(batch))
    inputs = [lists[field] for field in asked.takes]
    ready.compute(*inputs)
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        results: Any = ready.compute(*inputs)
        best = min(best, time.perf_counter() - begin)
    begin = time.perf_counter()
    photons_in_python(lists, 2)
    peer = (time.perf_counter() - begin) / 2
    ours = best / len(frames)
    number: Ragged = lists["adu"]
    n = len(number.values) / len(frames)
    per_event = results["nPhotons"].mean()
    print(
        f"  {occupancy:6.1%} x {bright:<4} {n:8.0f} droplets {per_event:8.0f} photons "
        f"{1e3 * ours:8.3f} ms  {1e9 * ours / n:6.0f} ns per droplet"
        f"  Python {1e3 * peer:8.1f} ms = {peer / ours:5.0f} x"
    )


def main() -> None:
    good = np.random.default_rng(1).random(SHAPE) > 0.02
    noise = np.full(SHAPE, 2.0)
    for occupancy in (0.001, 0.01, 0.05):
        frames = [photons(occupancy, seed=s) for s in range(48)]
        sigma = Droplets(threshold_sigma=10, threshold_low_sigma=5, noise_adu=noise)
        in_noise = sigma.prepare(Spec(dtype=np.dtype("f4"), shape=SHAPE, kind="frames"))
        works: dict[str, Callable[[Frames], Any]] = {
            "droplets, two thresholds": made().compute,
            "same, 8 neighbours": made(connectivity=8).compute,
            "same, 2 % masked": made(mask=good).compute,
            "same, thresholds in units of noise": in_noise.compute,
            "peer scipy label + bincount": scipy_droplets,
        }
        table(f"float32 512x1024, {occupancy:.1%} occupancy", frames, works)
    print("\nPhotons from droplets")
    for occupancy, bright in ((0.001, 1), (0.01, 1), (0.05, 1), (0.05, 4), (0.2, 1)):
        from_droplets(occupancy, bright)
    print("\nDroplets by size of the frame, 1 % occupancy")
    for side in (512, 1024, 2048, 4096):
        frames = [photons(0.01, (side, side), s) for s in range(max(2, 16 * 512 // side))]
        took = milliseconds(made((side, side)).compute, batches_of(frames), 3)
        print(f"  {side:5}^2 {took:9.3f} ms {1e6 * took / side**2:8.3f} ns per pixel")


if __name__ == "__main__":
    main()
