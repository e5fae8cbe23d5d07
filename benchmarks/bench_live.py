"""Live, from pulse to published: our session against psana's own loop.

    python -m benchmarks.bench_live [--seconds 5]

A real shmemServer is fed by `smalldata_stream.play`, in a process of its own. "pulse" is
when an event is handed to the server, not the time in its timestamp: on a busy machine the
player is late. "published" is when the publisher has sent a round
that has the event in it; a subscriber in another process reads all topics. psana's loop
runs over the same server, with the same settings, and only reads: what it takes from pulse
to read is what no client can do better.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.live_session import (
    FRAME_GRAPH,
    READ,
    SCALAR_GRAPH,
    ours,
    player,
    psana,
    write_scalars,
)
from smalldata_stream.simulate import Simulation, simulate


def since(log: Path, seen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Seconds since it was sent for each (timestamp, time), the later half of them."""
    sent = np.load(log)
    seen = seen[len(seen) // 2 :]  # without what came while the graph was built
    when = sent[np.searchsorted(sent[:, 0], seen[:, 0]), 1]
    return np.asarray((seen[:, 1] - when) / 1e9)


def centiles(seconds: NDArray[np.float64]) -> str:
    half, most = np.percentile(seconds, [50, 99]) * 1e3
    return f"p50 {half:6.1f} ms   p99 {most:6.1f} ms"


def latency(
    name: str,
    files: Sequence[Path],
    graph: Path,
    constants: str | None,
    rate: float,
    loops: int,
    where: tuple[str, str, list[str]],
    target_ms: float,
) -> None:
    """Pulse to published, beside psana's pulse to read."""
    tag = f"bench{os.getpid()}"
    with player(tag, rate, loops, files) as log:
        metrics = ours(tag, graph, constants, READ)
    late = since(log, np.concatenate(metrics.published_at))
    print(f"{name}, {rate:g} Hz, the last {len(late)} events", flush=True)
    print(
        f"  ours, pulse to published   {centiles(late)}   (target p99 < {target_ms:g} ms)"
    )
    with player(tag, rate, 10 * loops, files, wait=False) as log:
        _, _, read = psana(tag, loops, *where)
    print(f"  psana, pulse to read       {centiles(since(log, read))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    loops = max(1, round(2 * parser.parse_args().seconds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames, scalars = folder / "frames.py", folder / "scalars.py"
        frames.write_text(FRAME_GRAPH)
        scalars.write_text(SCALAR_GRAPH)
        some = ("timing", "gmd", "jungfrau")
        run = simulate(folder / "run", Simulation(events=120, steps=1, detectors=some))
        path = write_scalars(folder / "scalars.xtc2", 1000, 80)
        constants = str(run.constants)
        latency("512x1024 frames: ROI, projection, azimuthal", run.xtc2, frames, constants,
                120, loops, ("jungfrau", "raw", ["raw"]), 100)  # fmt: skip
        latency("80 scalars", [path], scalars, None, 1000, loops,
                ("scalars", "xtc1dump", ["s0"]), 50)  # fmt: skip


if __name__ == "__main__":
    main()
