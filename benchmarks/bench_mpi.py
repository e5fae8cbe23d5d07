"""What ranks gain, and what it costs to put their parts together.

    python -m benchmarks.bench_mpi [--events N] [--megabytes N]

1. Parallel efficiency of two ranks, for a graph that computes and for one that mostly reads
   (bytes in memory): events per second with two ranks, over twice those with one. Beside it
   what the machine gives at most: the same of two jobs of one process each at the same
   time, which know nothing of each other. The first block of each rank, in which kernels
   are loaded, is told apart.

   Where other programs run, clocks tell of them. So the same is told of the ranks' own
   time, too: per event, what one rank computes and waits, over what two compute and wait.
2. Putting two parts together, next to ``cp`` of the same bytes.
3. The unit costs that docs/batch.md extrapolates from.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.long_run import longer
from benchmarks.mpi_jobs import ENVIRONMENT, MPIEXEC, run_jobs
from sinks.hdf5_parts import PartSink, Rows
from smalldata_stream.batch import Column, Frames
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Spec
from smalldata_stream.reductions.state import ExactSum
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource

BLOCK = 64
SIMULATED = 250
"""Events that are simulated; the rest are these again, at other times."""
ROUNDS = 3
GRAPHS = {
    "computing": """
def graph(g, run):
    jungfrau = g.detector("jungfrau")
    jungfrau.droplets(threshold_adu=5)
    jungfrau.azimuthal(
        center_um=(38_400, 19_200), distance_mm=120, photon_energy_kev=9.5, pixel_size_um=75
    )
    jungfrau.sum("calib")
""",
    "reading": """
def graph(g, run):
    g.detector("jungfrau", calibration="raw").roi("ROI_0", None)
    g.detector("gmd")
""",
}


def efficiency(folder: Path, data: Path) -> None:
    """What a second rank gains, and what the machine would let it gain."""
    for name, text in GRAPHS.items():
        graph = folder / f"{name}.py"
        graph.write_text(text)
        run_jobs(graph, data, 1)  # compiles, and brings the files into memory
        one, two, pair = (
            max(run_jobs(graph, data, *how) for _ in range(ROUNDS))
            for how in ((1,), (2,), (0, 0))
        )
        own = (one.cpu + one.waited) / (two.cpu + two.waited)
        print(
            f"{name}: {one.rate:,.0f} events/s with 1 rank, {two.rate:,.0f} with 2: "
            f"parallel efficiency {two.rate / one.rate / 2:.0%} (two independent jobs "
            f"{pair.rate / one.rate / 2:.0%}), of the ranks' own time {own:.0%}\n"
            f"    per event {one.cpu * 1e3:.3f} ms of CPU with 1 rank, {two.cpu * 1e3:.3f} "
            f"with 2, {pair.cpu * 1e3:.3f} of independent jobs; 2 ranks waited "
            f"{two.waited * 1e3:.3f} ms; other programs had {one.ready:.0%}, "
            f"{two.ready:.0%} and {pair.ready:.0%} of the time\n"
            f"    whole jobs, with the first blocks and the putting together: "
            f"{one.seconds:.1f} and {two.seconds:.1f} s",
            flush=True,
        )


def merging(folder: Path, megabytes: int) -> None:
    spec = Spec(dtype=np.dtype("u2"), shape=(512, 1024), kind="frames")
    info = RunInfo(exp="", number=1, detectors={}, events=megabytes)
    declared = Declaration(run=info, outputs={"a/frames": spec})
    frames = np.random.default_rng(0).integers(0, 1 << 16, (16, 512, 1024), np.uint16)
    order: list[Rows] = []
    parts = [PartSink(folder, f"part{n}.h5", "bitshuffle-lz4") for n in range(2)]
    for part in parts:
        part.begin(declared)
    for first in range(0, megabytes, 16):
        part = parts[first // BLOCK % 2]
        order.append(Rows(part.name, part.rows, part.rows + 16))
        stamps = np.arange(first + 1, first + 17, dtype=np.uint64)
        part.write(stamps, {"a/frames": Column(Frames(list(frames)))})
    for part in parts:
        part.close()
    best = [0.0, 0.0]
    for _ in range(3):
        started = time.perf_counter()
        names = [str(folder / part.name) for part in parts]
        subprocess.run(["cp", *names, "."], cwd=make(folder / "copy"), check=True)
        copied = time.perf_counter() - started
        whole = PartSink(folder, "none", "bitshuffle-lz4", order=order)
        whole.begin(declared)
        whole.end({}, Ledger())
        assert whole.merged is not None
        assert whole.whole is not None
        mb = whole.merged.nbytes / 1e6
        best = [max(best[0], mb / copied), max(best[1], mb / whole.merged.seconds)]
        whole.whole.unlink()
    print(f"putting together: {best[1]:,.0f} MB/s, cp {best[0]:,.0f} MB/s: "
          f"{best[1] / best[0]:.0%}")  # fmt: skip


def hand_out() -> None:
    """How many blocks rank 0 can hand out in a second, and how long one is waited for."""
    command = [MPIEXEC, "-n", "2", sys.executable, "-m", "benchmarks.mpi_hand_out"]
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, env=ENVIRONMENT
    ).stdout
    (rate, cpu), *ones = (map(float, line.split()) for line in said.splitlines())
    waits = ", ".join(f"{1e3 / one:.1f}" for one, _ in ones)
    print(
        f"rank 0 hands out {rate:,.0f} blocks/s, {cpu:.0f} us of its CPU each; to one that "
        f"waits within {waits} ms (rank 0 idle, in compiled code, in Python)"
    )


def units(folder: Path, data: Path) -> None:
    started = time.perf_counter()
    (run,) = FilesSource.from_run("xpptut26", 1, data).runs()
    seconds = time.perf_counter() - started
    datagrams = 2 * (run.info.events or 0)
    print(f"index and description: {seconds * 1e3:.0f} ms for {datagrams:,} datagrams")
    spec = Spec(dtype=np.dtype("f8"))
    outputs = {f"a/x{i}": spec for i in range(100)}
    info = RunInfo(exp="", number=1, detectors={}, events=1 << 20)
    part = PartSink(folder, "many.h5", "none")
    part.begin(Declaration(run=info, outputs=outputs))
    n = 4096
    for first in range(0, 4 * n, n):
        stamps = np.arange(first + 1, first + n + 1, dtype=np.uint64)
        part.write(stamps, {path: Column(np.zeros(n)) for path in outputs})
    part.close()
    sparse = [Rows("many.h5", at, at + BLOCK) for at in range(0, 4 * n, 2 * BLOCK)]
    whole = PartSink(folder, "none", "none", order=sparse)  # pieces that do not join
    whole.begin(Declaration(run=info, outputs=outputs))
    whole.end({}, Ledger())
    assert whole.merged is not None
    each = whole.merged.seconds / len(sparse) / len(outputs)
    print(f"a piece of rows of one small dataset: {each * 1e6:.0f} us")
    state = ExactSum("calib", (1024, 1024), np.dtype("f4"))
    state.merge(pickle.loads(pickle.dumps(state)))  # loads the kernel
    started = time.perf_counter()
    state.merge(pickle.loads(pickle.dumps(state)))
    seconds = time.perf_counter() - started
    print(f"a sum of 1 Mpix, packed, unpacked and merged: {seconds * 1e3:.0f} ms")


def make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--megabytes", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        detectors = ("timing", "gmd", "jungfrau")
        run = Simulation(events=SIMULATED, detectors=detectors)
        short = simulate(folder / "short", run).directory
        data = longer(folder / "xtc", short, options.events // SIMULATED)
        os.sync()  # from now on nothing of it is on its way to the disk
        efficiency(folder, data)
        units(folder, data)
        shutil.rmtree(data)
        hand_out()
        merging(folder, options.megabytes)


if __name__ == "__main__":
    main()
