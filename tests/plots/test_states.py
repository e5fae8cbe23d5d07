"""Every state of a plot: the same bits for any order, split and tree of merges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.protocols import State
from smalldata_stream.reductions.plots.histogram import Counts
from smalldata_stream.reductions.plots.image import LastAndMean
from smalldata_stream.reductions.plots.labels import ALL, ON_OFF
from smalldata_stream.reductions.plots.line import Curves
from smalldata_stream.reductions.plots.scan import Positions
from smalldata_stream.reductions.plots.scatter import Sample
from smalldata_stream.reductions.plots.strip import TimeBins
from smalldata_stream.testing.reductions import StateContract
from tests.plots.oracle import columns, hard, mean_error
from tests.plots.packed import packed

N = 24
EDGES = np.array([-3.0, -1.0, 0.0, 0.1, 2.0])


def integer(number: int) -> Array:
    return np.asarray(number, np.int64)


class TestHistogram(StateContract):
    def make(self) -> State:
        return Counts(EDGES, (1,))

    def frames(self) -> Array:
        values = hard(N)
        values[3:7] = np.nan, np.inf, -3.0, 2.0
        return values[:, None]

    def expected(self, frames: Array) -> Mapping[str, Array]:
        finite = frames[np.isfinite(frames)]
        return {
            "counts": np.histogram(finite, EDGES)[0].astype(np.int64),
            "edges": EDGES,
            "below": integer((finite < -3).sum()),
            "above": integer((finite > 2).sum()),
            "not_finite": integer((~np.isfinite(frames)).sum()),
        }


class TestPixelHistogram(StateContract):
    GOOD = np.array([[True, False, True], [True, True, True]])

    def make(self) -> State:
        return Counts(np.linspace(0, 10, 6), (2, 3), mask=self.GOOD)

    def frames(self) -> Array:
        return np.random.default_rng(1).integers(0, 20, (N, 2, 3)).astype(np.uint16)

    def expected(self, frames: Array) -> Mapping[str, Array]:
        good = frames[:, self.GOOD]
        return {
            "counts": np.histogram(good, 5, (0, 10))[0].astype(np.int64),
            "edges": np.linspace(0, 10, 6),
            "below": integer(0),
            "above": integer((good > 10).sum()),
            "not_finite": integer(0),
        }


class TestStrip(StateContract):
    def make(self) -> State:
        return packed(partial(TimeBins, 8), 0, 0, stamps=1)

    def frames(self) -> Array:
        seconds = np.sort(np.random.default_rng(2).integers(10**6, 10**6 + 300, N))
        values = hard(N, 1)
        values[5] = np.inf
        return np.stack([values, seconds * 2.0**32 + 5], axis=1)

    def expected(self, frames: Array) -> Mapping[str, Array]:
        good = frames[np.isfinite(frames[:, 0])]
        milliseconds = [int(t) // 2**32 * 1000 for t in good[:, 1]]
        width = 1
        while milliseconds and (
            max(milliseconds) // width - min(milliseconds) // width >= 8
        ):
            width *= 2
        bins = np.array([ms // width for ms in milliseconds], np.int64)
        distinct = np.array(sorted(set(bins.tolist())), np.int64)
        inside = [good[bins == b, 0] for b in distinct]
        return {
            "time": distinct * width * 10**6,
            "mean": columns([mean_error(values) for values in inside])[0],
            "low": np.array([min(values) + 0.0 for values in inside]),
            "high": np.array([max(values) + 0.0 for values in inside]),
            "counts": np.array([len(values) for values in inside], np.int64),
            "width": integer(width * 10**6),
            "not_finite": integer(len(frames) - len(good)),
        }


class TestScatter(StateContract):
    def make(self) -> State:
        return packed(partial(Sample, 5), 0, 0, 0, stamps=2)

    def frames(self) -> Array:
        # Eighths, and sums of them, are exact in any order: numpy's sums are the oracle.
        rng = np.random.default_rng(3)
        table = rng.integers(-80, 80, (N, 3)) / 8
        table[:, 2] = np.arange(N) + 1000
        table[4, 0] = np.nan
        return table

    def expected(self, frames: Array) -> Mapping[str, Array]:
        good = frames[np.isfinite(frames).all(axis=1)]
        order = sorted(range(len(good)), key=lambda i: splitmix(int(good[i, 2])))[:5]
        n, nothing = len(good), np.full(2, np.nan)
        xy = good[:, [1, 0]]
        mean = xy.sum(axis=0) / n if n else nothing
        total, squares = xy.sum(axis=0), (xy**2).sum(axis=0)
        deviation, r = nothing, math.nan
        if n > 1:
            spread = squares - total**2 / n
            deviation = np.sqrt(spread / (n - 1))
            r = (xy.prod(axis=1).sum() - total.prod() / n) / math.sqrt(spread.prod())
        return {
            "x": good[order, 1],
            "y": good[order, 0],
            "mean": mean,
            "deviation": deviation,
            "r": np.asarray(r),
            "not_finite": integer(len(frames) - n),
        }


def splitmix(x: int) -> int:
    """The finisher of splitmix64, in Python's integers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def curves(frames: Array, x: Array, by: bool) -> dict[str, Array]:
    width = len(x)
    last = frames[np.argmax(frames[:, width]), :width] if len(frames) else x * np.nan
    found = {"x": x, "last": last}
    parts = {"": frames[:, :width]}
    if by:
        on = frames[:, width + 1] != 0
        parts = {"on": frames[on, :width], "off": frames[~on, :width]}
    for name, part in parts.items():
        mean, error = columns([mean_error(part[:, k]) for k in range(width)])
        found |= {name or "mean": mean, f"{name}_error".strip("_"): error}
        found[f"{name}_counts".strip("_")] = integer(len(part))
    if by:
        found["difference"] = found["on"] - found["off"]
        found["difference_error"] = np.hypot(found["on_error"], found["off_error"])
    return found


class TestLine(StateContract):
    X = np.array([0.5, 1.0, 4.0])

    def make(self) -> State:
        return packed(partial(Curves, self.X, ALL), 3, 0, stamps=1)

    def frames(self) -> Array:
        values = hard(3 * N, 5).reshape(N, 3)
        values[7, 2] = np.nan
        return np.column_stack([values, np.random.default_rng(6).permutation(N) + 9])

    def expected(self, frames: Array) -> Mapping[str, Array]:
        return curves(frames, self.X, by=False)


class TestLineByLabel(StateContract):
    X = np.arange(2.0)

    def make(self) -> State:
        return packed(partial(Curves, self.X, ON_OFF), 2, 0, 0, stamps=1)

    def frames(self) -> Array:
        rng = np.random.default_rng(7)
        values = hard(2 * N, 8).reshape(N, 2)
        return np.column_stack([values, rng.permutation(N) + 9, rng.integers(0, 2, N)])

    def expected(self, frames: Array) -> Mapping[str, Array]:
        return curves(frames, self.X, by=True)


class TestScan(StateContract):
    def make(self) -> State:
        return packed(partial(Positions, None, ON_OFF, 4), 0, 0, 0)

    def frames(self) -> Array:
        rng = np.random.default_rng(9)
        position = rng.choice([-0.5, -0.0, 0.0, 0.25, 7.0, 8.0, 9.5], N)
        values = hard(N, 10)
        values[3], position[6] = np.nan, np.inf
        return np.column_stack([values, position, rng.integers(0, 2, N)])

    def expected(self, frames: Array) -> Mapping[str, Array]:
        good = frames[np.isfinite(frames).all(axis=1)]
        every = {float(p) + 0.0 for p in good[:, 1]}
        kept = sorted(every, key=lambda p: splitmix(int(np.float64(p).view(np.uint64))))[:4]
        positions = np.array(sorted(kept))
        found = {"position": positions}
        for name, on in (("on", True), ("off", False)):
            parts = [
                good[(good[:, 1] == p) & ((good[:, 2] != 0) == on), 0] for p in positions
            ]
            found[name], found[f"{name}_error"] = columns([mean_error(p) for p in parts])
            found[f"{name}_counts"] = np.array([len(p) for p in parts], np.int64)
        found["difference"] = found["on"] - found["off"]
        found["difference_error"] = np.hypot(found["on_error"], found["off_error"])
        found["left_out"] = integer(len(frames) - np.isin(good[:, 1], positions).sum())
        return found


class TestScanInBins(StateContract):
    def make(self) -> State:
        return packed(partial(Positions, EDGES, ALL), 0, 0)

    def frames(self) -> Array:
        position = np.random.default_rng(11).uniform(-4, 3, N)
        position[:4] = -3.0, 2.0, 0.1, np.nan
        return np.column_stack([hard(N, 12), position])

    def expected(self, frames: Array) -> Mapping[str, Array]:
        last = len(EDGES) - 2
        parts = [
            frames[(frames[:, 1] >= a) & ((frames[:, 1] < b) | (k == last)), :]
            for k, (a, b) in enumerate(pairwise(EDGES))
        ]
        parts[last] = parts[last][parts[last][:, 1] <= EDGES[-1]]
        has = [k for k, part in enumerate(parts) if len(part)]
        mean, error = columns([mean_error(parts[k][:, 0]) for k in has])
        return {
            "position": (EDGES[:-1][has] + EDGES[1:][has]) / 2,
            "mean": mean,
            "error": error,
            "counts": np.array([len(parts[k]) for k in has], np.int64),
            "left_out": integer(len(frames) - sum(len(part) for part in parts)),
        }


class TestImage(StateContract):
    def make(self) -> State:
        mask = np.array([[True, True], [False, True]])
        return packed_image(mask)

    def frames(self) -> Array:
        pixels = np.random.default_rng(13).integers(0, 1 << 14, (N, 2, 2))
        pixels[:, 0, 0] = np.random.default_rng(14).permutation(N)  # the time, too
        return pixels.astype(np.float32)

    def expected(self, frames: Array) -> Mapping[str, Array]:
        last = np.zeros((2, 2), np.float32)
        if len(frames):
            last = frames[np.argmax(frames[:, 0, 0])].copy()
        mean = frames.sum(axis=0, dtype=float) / (len(frames) or np.nan)
        last[1, 0] = mean[1, 0] = np.nan
        return {"last": last, "mean": mean}


class ImageByFirstPixel(LastAndMean):
    """The first pixel of a frame is its timestamp."""

    __slots__ = ()

    def add(self, *values: Any) -> None:
        (frames,) = values
        super().add(frames, np.array([f.flat[0] for f in frames]).astype(np.uint64))


def packed_image(mask: Array) -> State:
    return ImageByFirstPixel((2, 2), np.dtype(np.float32), mask)
