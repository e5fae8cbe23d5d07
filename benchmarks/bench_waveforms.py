"""What the words for waveforms cost per event, beside numpy and scipy doing the same.

Eight channels of 2,000 samples, uint16, one or two pulses in each. Times are the best of
some rounds over the same batch, which is in the caches. Run it with
``python -m benchmarks.bench_waveforms``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.clock import microseconds
from smalldata_stream.basis import Basis
from smalldata_stream.batch import Array
from smalldata_stream.kernels.svd_fit import make_basis
from smalldata_stream.protocols import PerEvent, Reduction, Spec
from smalldata_stream.reductions.baseline import Baseline
from smalldata_stream.reductions.cfd import Cfd
from smalldata_stream.reductions.hits import Hits
from smalldata_stream.reductions.integral import Integral
from smalldata_stream.reductions.svd_fit import SvdFit

EVENTS, CHANNELS, SAMPLES = 64, 8, 2000
BASE, SIGNAL = slice(0, 400), slice(600, 1600)


def waveforms() -> Array:
    rng, t = np.random.default_rng(0), np.arange(SAMPLES)
    waves = rng.normal(1800, 3, (EVENTS, CHANNELS, SAMPLES))
    for row in waves.reshape(-1, SAMPLES):
        for center in rng.uniform(650, 1500, rng.integers(1, 3)):
            row += rng.uniform(100, 2000) * np.exp(-0.5 * ((t - center) / 12) ** 2)
    return waves.astype(np.uint16)


def numpy_integral(waves: Array) -> Array:
    base = np.median(waves[..., BASE], axis=2)
    total: Array = waves[..., SIGNAL].sum(axis=2) - (SIGNAL.stop - SIGNAL.start) * base
    return total


def numpy_baseline(waves: Array) -> Array:
    base = np.median(waves[..., BASE], axis=2, keepdims=True)
    return (waves - base).astype(np.float32)


def scipy_hits(waves: Array) -> list[Any]:
    found = []
    for row in waves.reshape(-1, SAMPLES).astype(float):
        flat = row - row[BASE].mean()
        labels, n = ndimage.label(flat >= 50)
        index = np.arange(1, n + 1)
        found.append(
            (ndimage.maximum(flat, labels, index), ndimage.sum(flat, labels, index))
        )
    return found


def numpy_cfd(waves: Array) -> list[Any]:
    found = []
    for row in waves.reshape(-1, SAMPLES).astype(float):
        flat = row - row[BASE].mean()
        d = flat[:-15] - 0.5 * flat[15:]
        t = np.flatnonzero((d[:-1] < 0) & (d[1:] >= 0) & (flat[16:] >= 50))
        found.append(t - d[t] / (d[t + 1] - d[t]))
    return found


def numpy_fit(waves: Array, components: Array) -> Array:
    flat = waves[..., SIGNAL] - waves[..., BASE].mean(axis=2, keepdims=True)
    fitted = flat @ np.linalg.pinv(components)
    off = np.square(flat - fitted @ components).sum(axis=2)
    score: Array = 1 - off / np.square(flat - flat.mean(axis=2, keepdims=True)).sum(axis=2)
    return score


def ready(reduction: Reduction) -> PerEvent:
    prepared = reduction.prepare(Spec(dtype=np.dtype("u2"), shape=(CHANNELS, SAMPLES)))
    assert isinstance(prepared, PerEvent)
    return prepared


def main() -> None:
    waves = waveforms()
    window, background = (SIGNAL.start, SIGNAL.stop), (BASE.start, BASE.stop)
    training = waves[:, 0, SIGNAL] - waves[:, 0, BASE].mean(axis=1, keepdims=True)
    components, strength = make_basis(training, 4)
    basis = Basis(
        components=components, singular_values=strength, roi=window, background=background
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "basis.h5"
        basis.write(path, "benchmark")
        fit = ready(SvdFit(basis=str(path), components=4))
    flat = ready(Baseline(window=background)).chained
    assert isinstance(flat, tuple)
    integral = ready(Integral(signal=window, background=background))
    hits = ready(Hits(threshold=50, background=background))
    cfd = ready(Cfd(threshold=50, delay=15, background=background))
    work: Mapping[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "integral": (lambda: integral.compute(waves), lambda: numpy_integral(waves)),
        "baseline": (lambda: flat[1](waves), lambda: numpy_baseline(waves)),
        "hits": (lambda: hits.compute(waves), lambda: scipy_hits(waves)),
        "cfd": (lambda: cfd.compute(waves), lambda: numpy_cfd(waves)),
        "svd_fit": (lambda: fit.compute(waves), lambda: numpy_fit(waves, components)),
    }
    read = microseconds(lambda: waves.reshape(-1).view(np.uint64).max(), EVENTS)
    print(f"{CHANNELS} channels x {SAMPLES} samples; reading them: {read:.1f} us per event")
    print(f"{'word':<10}{'us/event':>10}{'x reading':>11}{'numpy, scipy':>14}{'ratio':>8}")
    for name, (ours, theirs) in work.items():
        a, b = microseconds(ours, EVENTS), microseconds(theirs, EVENTS)
        print(f"{name:<10}{a:>10.1f}{a / read:>11.1f}{b:>14.1f}{b / a:>8.1f}")


if __name__ == "__main__":
    main()
