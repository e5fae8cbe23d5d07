"""Raw to calibrated, beside psana's own calib and the time to read the frame from memory.

    python benchmarks/bench_calibration.py

Each line is the median over frames of a pool larger than the caches, in one thread. No
calibration can be faster than "tables": one multiplication of each pixel, which reads the
frame, one pedestal and one gain per pixel, and writes the result, 14 bytes where the frame
has 2.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Frames
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.kernels.calibration import FEW, calibrate, switched
from smalldata_stream.protocols import Spec

ROOT = Path(__file__).parents[1]
POOL = 96
SHAPES = {"jungfrau": (1, 512, 1024), "epix10ka": (4, 352, 384)}
MODES = {"jungfrau": 3, "epix10ka": 7}
SWITCHED = {"jungfrau": 0x4000, "epix10ka": 0x4000}
COMMON_MODES: dict[str, tuple[str | None, ...]] = {
    "jungfrau": (None, "rows", "columns", "banks", "banks+rows+columns"),
    "epix10ka": (None, "rows", "columns", "banks", "banks+rows+columns"),
}
WORDS = {"rows": 1, "columns": 2, "banks": 4, "banks+rows+columns": 7}
PSANA_CALLS = 5


def given(kind: str, frames: int) -> tuple[dict[str, Array], list[Array]]:
    """Constants, and frames of which one pixel in a thousand has switched its gain."""
    rng = np.random.default_rng(1)
    shape = SHAPES[kind]
    full = (MODES[kind], *shape)
    constants = {
        "pedestals": rng.normal(3000, 30, full).astype("f4"),
        "gain": rng.normal(40, 1, full).astype("f4"),
        "mask": rng.random(shape) > 0.002,
    }
    pool = []
    for _ in range(frames):
        raw = (constants["pedestals"][0] + rng.normal(0, 4, shape)).astype("u2")
        raw[rng.random(shape) < 1e-3] |= SWITCHED[kind]
        pool.append(raw)
    return constants, pool


def milliseconds(call: Callable[[int], Any], times: int) -> float:
    """Median time of a call, after one to warm up."""
    call(0)
    taken = []
    for i in range(times):
        started = time.perf_counter()
        call(i % POOL)
        taken.append(time.perf_counter() - started)
    return 1e3 * median(taken)


def ours(kind: str) -> dict[str | None, float]:
    """Milliseconds per frame; ``read`` and ``tables`` are the least it can take."""
    constants, pool = given(kind, POOL)
    status = np.zeros((MODES[kind], *SHAPES[kind]), "u8")
    status[0] = ~constants["mask"]
    of_detector = Constants(
        detector=kind,
        pedestals=constants["pedestals"],
        pixel_gain=constants["gain"],
        pixel_status=status,
    )
    config = {("config", "cbitsConfig"): tuple(np.full((4, 352, 384), 16, "u1"))}
    spec = Spec(dtype=np.dtype("u2"), shape=SHAPES[kind], kind="frames")
    flat = [raw.reshape(-1) for raw in pool]
    where = np.empty(FEW, np.int64)
    found: dict[str | None, float] = {
        "read": milliseconds(lambda i: switched(flat[i], 0, where), 2 * POOL)
    }
    offset, factor = constants["pedestals"][0].ravel(), constants["gain"][0].ravel()
    out = np.empty(offset.size, np.float32)
    found["tables"] = milliseconds(lambda i: calibrate(flat[i], offset, factor, out), POOL)
    batches = [Frames([raw]) for raw in pool]
    for common_mode in COMMON_MODES[kind]:
        plan: Any = Calibration(calibration="gain", common_mode=common_mode)  # type: ignore[arg-type]
        compute = plan.prepare(kind, spec, of_detector, config).compute
        found[common_mode] = milliseconds(lambda i, c=compute: c(batches[i]), POOL)  # type: ignore[misc]
    return found


def psanas(kind: str) -> dict[str | None, float]:
    """Milliseconds per frame of psana, in a process of its own; empty without psana."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.bench_calibration", kind]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    if done.returncode:
        print(f"psana did not run: {done.stderr.strip().splitlines()[-1:]}")
        return {}
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("time ")]
    return {None if word == "none" else word: float(ms) for _, word, ms in lines}


def time_psana(kind: str) -> None:
    """Print the times of psana's calib; run in a process of its own."""
    from types import SimpleNamespace

    from tests.detectors.psana_area import detector, import_psana

    p = import_psana()
    constants, pool = given(kind, 4)
    constants["raw"] = pool[0]
    calls: dict[str, Callable[[int], Any]] = {}
    if kind == "jungfrau":
        from psana.pycalgos import utilsdetector

        offset, factor = constants["pedestals"], 1 / constants["gain"]
        mask = constants["mask"].astype(np.uint8)
        zero = np.zeros(offset[0].size, "f4")
        pairs = [
            np.stack([a.ravel(), b.ravel()], axis=1)
            for a, b in [*zip(offset[:2], factor[:2] * mask, strict=True), (zero, zero)]
        ]
        pairs.append(np.stack([offset[2].ravel(), (factor[2] * mask).ravel()], axis=1))
        table = np.ascontiguousarray(np.stack(pairs), dtype=np.float32).ravel()
        out = np.zeros(offset[0].size, "f4")
        calls["none"] = lambda i: utilsdetector.calib_jungfrau_v3(
            pool[i % 4], table, 512 * 1024, out
        )
        single = p.UtilsJungfrau.calib_jungfrau_single_panel
        for word, bits in WORDS.items():
            calls[word] = lambda i, bits=bits: single(  # type: ignore[misc]
                pool[i % 4], factor, offset, mask, (7, bits, 100, 10)
            )
    else:
        configs = [
            SimpleNamespace(
                asicPixelConfig=np.zeros((4, 176, 192), "u1"), trbit=np.ones(4, int)
            )
            for _ in range(4)
        ]
        where = {"_data_bit_mask": 0x3FFF, "_data_gain_bit": 0x4000, "_gain_bit_shift": 9}
        for word, bits in {"none": 0, **WORDS}.items():
            made = detector(p.epix10ka.epix10ka_raw_2_0_1, constants, configs, **where)
            calls[word] = lambda i, made=made, bits=bits: made.calib(  # type: ignore[misc]
                None, cmpars=(7, bits, 100, 10)
            )
    for word, call in calls.items():
        print(f"time {word} {milliseconds(call, PSANA_CALLS):.4f}")


def main() -> None:
    """Print the table."""
    print("ms per frame, and the ratio to psana and to reading the frame from memory\n")
    print(f"{'':34}{'ours':>8}{'psana':>9}{'faster':>8}{'x read':>8}")
    for kind in SHAPES:
        mine, theirs = ours(kind), psanas(kind)
        print(f"{kind + ' ' + str(SHAPES[kind]) + ', read':34}{mine['read']:8.3f}")
        least = mine["tables"]
        print(f"{'  tables: the least':34}{least:8.3f}{'':17}{least / mine['read']:8.1f}")
        for word in COMMON_MODES[kind]:
            psana = theirs.get(word)
            beside = f"{psana:9.1f}{psana / mine[word]:8.1f}" if psana else f"{'':17}"
            name = f"  {word or 'no common mode'}"
            print(f"{name:34}{mine[word]:8.3f}{beside}{mine[word] / mine['read']:8.1f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        time_psana(sys.argv[1])
    else:
        main()
