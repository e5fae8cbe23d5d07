"""What each word costs per frame, beside reading it and beside its peer.

R is the time one core takes to read the bytes of a frame that is in no cache. Every figure
is of one call of the word on a batch of frames, per frame: the best of some rounds. Cost at
512 x 1024 and at 4096 x 4096 says whether it grows linearly.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from smalldata_stream.batch import Array, Frames
from smalldata_stream.kernels import peakfinder8
from smalldata_stream.kernels.center import find_center
from smalldata_stream.protocols import Accumulated, Reduction, Spec
from smalldata_stream.reductions.autocorrelation import Autocorrelation
from smalldata_stream.reductions.compressed import Compressed
from smalldata_stream.reductions.curvature import Curvature
from smalldata_stream.reductions.full import Full
from smalldata_stream.reductions.lineout import Lineout
from smalldata_stream.reductions.normalise import Normalise
from smalldata_stream.reductions.peaks import Peaks
from smalldata_stream.reductions.rebin import Rebin
from smalldata_stream.reductions.rotation import Rotate
from smalldata_stream.reductions.sparse import Sparsify, Unsparsify
from smalldata_stream.reductions.speckle import SpeckleSize
from smalldata_stream.reductions.spectrum import Spectrum

SHAPE = (512, 1024)
LARGE = (4096, 4096)
EDGES = np.linspace(0, 200, 257)
LAGS = (50, 50)
CURVE = (2e-5, -0.02, 20.0)
"""Of a frame of 1024 columns; see `curve`."""


def milliseconds(work: Callable[[Frames], Any], frames: Frames, rounds: int) -> float:
    best = np.inf
    work(frames[:1])  # compiles
    for _ in range(rounds):
        begin = time.perf_counter()
        work(frames)
        best = min(best, (time.perf_counter() - begin) / len(frames))
    return float(1e3 * best)


def read(batch: Frames) -> None:
    for frame in batch:
        frame.reshape(-1).view(np.uint64).max()


def each(function: Callable[[Array], Any]) -> Callable[[Frames], Any]:
    return lambda batch: [function(frame) for frame in batch]


def word(reduction: Reduction, spec: Spec, *more: Any) -> Callable[[Frames], Any]:
    """What the word costs: its own outputs, or what is chained behind it."""
    specs = [Spec(dtype=np.asarray(one).dtype) for one in more]
    prepared = reduction.prepare(spec, *specs)
    if isinstance(prepared, Accumulated):
        return prepared.start().add
    if prepared.outputs or prepared.inner:
        return lambda batch: prepared.compute(batch, *(one[: len(batch)] for one in more))
    assert isinstance(prepared.chained, tuple)
    return prepared.chained[1]


def numpy_autocorrelation(shape: tuple[int, int]) -> Callable[[Array], Any]:
    """The definition with numpy's FFT, padded as ours."""
    size = [n + lag for n, lag in zip(shape, LAGS, strict=True)]
    of_mask = np.fft.fft2(np.ones(shape), size)
    number = np.fft.ifft2(abs(of_mask) ** 2).real

    def of(frame: Array) -> Array:
        of_image = np.fft.fft2(frame, size)
        both = np.fft.ifft2(abs(of_image) ** 2).real
        one = np.fft.ifft2(np.conj(of_image) * of_mask).real
        other = np.fft.ifft2(of_image * np.conj(of_mask)).real
        result: Array = both * number / (one * other)
        return result

    return of


def curve(columns: int) -> tuple[float, float, float]:
    """The same curve on more, smaller pixels."""
    n = columns / SHAPE[1]
    return (CURVE[0] / n, CURVE[1], CURVE[2] * n)


def numpy_curvature(frame: Array) -> Array:
    place = np.polyval(curve(frame.shape[1]), np.arange(frame.shape[1]))
    shift = np.round(place - place.min()).astype(int)
    out = np.empty_like(frame)
    for c in range(frame.shape[1]):
        out[:, c] = np.roll(frame[:, c], -shift[c])
    return out


def blocks(frame: Array) -> Array:
    r, c = frame.shape
    small: Array = frame.reshape(r // 4, 4, c // 4, 4).mean(axis=(1, 3), dtype=float)
    return small


def sparse(frame: Array) -> Any:
    at = np.nonzero(frame >= 150)
    return frame[at], at


def rows(shape: tuple[int, int], n: int) -> dict[str, tuple[Any, Any]]:
    """Per word, ours and its peer."""
    spec = Spec(dtype=np.dtype("f4"), shape=shape, kind="frames")
    masked = Spec(
        dtype=np.dtype("f4"),
        shape=shape,
        kind="frames",
        mask=np.random.default_rng(1).random(shape) > 0.02,
    )
    by = np.linspace(1, 2, n)
    into = (shape[0] // 4, shape[1] // 4)
    return {
        "full": (word(Full(), spec), each(lambda f: np.where(np.isfinite(f), f, 0))),
        "lineout, at an index": (word(Lineout(index=9), spec), each(lambda f: f[9].copy())),
        "lineout, brightest": (
            word(Lineout(), spec),
            each(lambda f: f[f.argmax() // shape[1]]),
        ),
        "rebin 4 x 4": (word(Rebin(shape=into), spec), each(blocks)),
        "rebin to 100 x 300": (word(Rebin(shape=(100, 300)), spec), None),
        "spectrum, 256 bins": (
            word(Spectrum(bins=EDGES), spec),
            each(lambda f: np.histogram(f, EDGES)),
        ),
        "spectrum, 2 % masked": (word(Spectrum(bins=EDGES), masked), None),
        "sparsify, 0.6 % of the pixels": (
            word(Sparsify(threshold_adu=150), spec),
            each(sparse),
        ),
        "curvature, whole pixels": (
            word(Curvature(coefficients=curve(shape[1])), spec),
            each(numpy_curvature),
        ),
        "curvature, interpolated": (
            word(Curvature(coefficients=curve(shape[1]), interpolate=True), spec),
            None,
        ),
        "rotate 20 degrees": (
            word(Rotate(angle_deg=20), spec),
            each(lambda f: ndimage.rotate(f, 20, reshape=False, order=1)),
        ),
        "normalise": (
            word(Normalise(by="x"), spec, by),
            each(lambda f: f / np.float32(1.5)),  # keeps them all, as ours
        ),
        "autocorrelation, 50 lags": (
            word(Autocorrelation(lags=LAGS), spec),
            each(numpy_autocorrelation(shape)),
        ),
        "speckle_size, 50 lags": (word(SpeckleSize(lags=LAGS), spec), None),
        "compressed, zfp": (word(Compressed(codec="zfp", error_adu=1), spec), None),
        "compressed, sz3": (word(Compressed(codec="sz3", error_adu=1), spec), None),
    }


def table(shape: tuple[int, int], frames: list[Array], rounds: int, only: str = "") -> None:
    batch = Frames(frames)
    unit = milliseconds(read, batch, rounds)
    print(f"\nfloat32 {shape[0]} x {shape[1]}: R = {unit:.3f} ms")
    print(f"  {'':30} {'ours':>9} {'':>8} {'peer':>9} {'peer/ours':>10}")
    for name, (ours, peer) in rows(shape, len(frames)).items():
        if only and only not in name:
            continue
        took = milliseconds(ours, batch, rounds)
        text = f"  {name:30} {took:9.3f} {took / unit:7.1f}R"
        if peer is not None and shape == SHAPE:
            # As many frames as ours has, where that does not take long: in no cache.
            quick = milliseconds(peer, batch[:2], 1) < 10
            other = milliseconds(peer, batch if quick else batch[:2], 2)
            text += f" {other:9.3f} {other / took:10.1f}"
        elif peer is not None and "autocorrelation" in name:
            # n log n, and out of the cache: no FFT grows linearly.
            begin = time.perf_counter()
            peer(batch)
            other = 1e3 * (time.perf_counter() - begin) / len(batch)
            text += f" {other:9.3f} {other / took:10.1f}"
        print(text, flush=True)


def lists(frames: list[Array]) -> None:
    """From lists back to frames; lists of variable length into a histogram."""
    spec = Spec(dtype=np.dtype("f4"), shape=SHAPE, kind="frames")
    prepared = Sparsify(threshold_adu=150).prepare(spec)
    found = prepared.compute(Frames(frames))
    specs = {**prepared.outputs, **prepared.inner}
    back = Unsparsify().prepare(*(specs[field] for field in Unsparsify.takes))
    assert isinstance(back.chained, tuple)
    given: Any = [found[field] for field in Unsparsify.takes]
    make, count = back.chained[1], Spectrum(bins=EDGES).prepare(specs["adu"]).compute

    def peer() -> list[Array]:
        made = []
        for data, row, column, _ in zip(*given, strict=True):
            made.append(np.zeros(SHAPE, "f4"))
            np.add.at(made[-1], (row, column), data)
        return made

    works: dict[str, Callable[[], Any]] = {
        "unsparsify": lambda: make(*given),
        "unsparsify, numpy.add.at": peer,
        "spectrum of lists": lambda: count(given[0]),
        "spectrum of lists, numpy": lambda: [np.histogram(one, EDGES) for one in given[0]],
    }
    print()
    for name, work in works.items():
        took = milliseconds(lambda _, w=work: w(), Frames(frames), 3)  # type: ignore[misc]
        print(f"  {name:30} {took:9.3f} ms a frame")


def others() -> None:
    """Peaks, beside psana's function alone; the centre of rings, once a run."""
    rng = np.random.default_rng(0)
    frame = rng.normal(10, 2, SHAPE).astype("f4")
    for r, c in rng.uniform(5, 500, (60, 2)).astype(int):
        frame[r - 1 : r + 2, c - 1 : c + 2] += 200
    frames = Frames([frame] * 4)
    print()
    if not peakfinder8.available():
        spec = Spec(dtype=frame.dtype, shape=SHAPE)
        ours = milliseconds(word(Peaks(threshold_adu=40), spec), frames, 3)
        row, column = np.indices(SHAPE)
        radius = np.hypot(row - 255.5, column - 511.5).astype("f4")
        good = np.ones(SHAPE, np.int8)

        def direct(batch: Frames) -> None:
            for one in batch:
                peakfinder8.find_peaks(
                    one.copy(), good, radius, SHAPE, threshold=40, min_snr=6, min_pixels=2,
                    max_pixels=30, background_radius=3, most_peaks=2048,
                )  # fmt: skip

        peer = milliseconds(direct, frames, 3)
        print(f"  {'peaks (psana alone)':30} {ours:9.3f} ms ({peer:.3f} ms)")
    row, column = np.indices(SHAPE)
    ring = 40 * np.exp(-((np.hypot(row - 240.3, column - 500.8) - 180) ** 2) / 40)
    image = rng.poisson(ring + 3).astype(float)
    for method in ("hough", "ransac", "threshold"):
        took = milliseconds(
            each(lambda f, m=method: find_center(f, method=m)),  # type: ignore[misc]
            Frames([image]),
            2,
        )
        print(f"  {f'centre, {method}':30} {took:9.1f} ms an image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="words whose name contains this")
    only = parser.parse_args().only
    rng = np.random.default_rng(0)
    frames = [rng.normal(100, 20, SHAPE).astype("f4") for _ in range(24)]
    table(SHAPE, frames, 3, only)
    lists(frames)
    others()
    del frames
    # The same pixels again and again: drawing 16 million of them takes too long.
    large = np.tile(rng.normal(100, 20, SHAPE).astype("f4"), (8, 4))
    table(LARGE, [large], 1, only)


if __name__ == "__main__":
    main()
