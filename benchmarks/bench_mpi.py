"""What ranks gain, and what it costs to put their parts together.

    python -m benchmarks.bench_mpi [--events N] [--megabytes N]

1. Events per second with one rank and with two, of a graph that computes and of one that
   mostly reads (files in the page cache), from runs of two lengths: the parallel efficiency
   is half their ratio. What a job costs whatever its length is told beside it.
2. Putting two parts together, next to ``cp`` of the same bytes.
3. The unit costs that docs/batch.md extrapolates from.
"""

from __future__ import annotations

import argparse
import pickle
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sinks.hdf5_parts import PartSink, Rows
from smalldata_stream.batch import Column, Frames
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Spec
from smalldata_stream.reductions.state import ExactSum
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource

BLOCK = 64
GRAPHS = {
    "computing": """
def graph(g, run):
    jungfrau = g.detector("jungfrau")
    jungfrau.droplets(threshold_adu=5)
    jungfrau.sum("calib_thresADU5")
    jungfrau.sum("calib_max")
""",
    "reading": """
def graph(g, run):
    g.detector("jungfrau", calibration="raw").roi("ROI_0", None)
    g.detector("gmd")
""",
}


def efficiency(folder: Path, events: int) -> None:
    """What a second rank gains per event; what a job costs besides is told apart."""
    detectors = ("timing", "gmd", "jungfrau")
    sizes = (events // 4, events)
    data = {
        size: simulate(folder / f"xtc{size}", Simulation(events=size, detectors=detectors))
        for size in sizes
    }
    for name, text in GRAPHS.items():
        graph = folder / f"{name}.py"
        graph.write_text(text)
        job(graph, data[events].directory, 2)  # compiles, and brings the files into memory
        rates, fixed = {}, {}
        for ranks in (1, 2):
            few, many = (
                min(job(graph, data[size].directory, ranks) for _ in range(3))
                for size in sizes
            )
            per_event = (many - few) / (sizes[1] - sizes[0])
            rates[ranks] = 1 / per_event
            fixed[ranks] = few - sizes[0] * per_event
        share = rates[2] / rates[1] / 2
        print(f"{name}: {rates[1]:,.0f} events/s with 1 rank, {rates[2]:,.0f} with 2: "
              f"parallel efficiency {share:.0%}; besides, a job takes "
              f"{fixed[1]:.1f} and {fixed[2]:.1f} s")  # fmt: skip


def job(graph: Path, data: Path, ranks: int) -> float:
    """Seconds of one job, without the start of its processes."""
    output = graph.with_suffix(".h5")
    output.unlink(missing_ok=True)
    where = ("--exp", "xpptut26", "--run", "1", "--dir", str(data), "-o", str(output))
    launcher = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks)]
    program = [sys.executable, "-m", "smalldata_stream.cli", "run", str(graph), *where]
    done = subprocess.run([*launcher, *program], capture_output=True, text=True, check=True)
    found = re.search(r"([\d,]+) events in ([\d.]+) s", done.stdout)
    assert found is not None
    return float(found[2])


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


def units(folder: Path, events: int) -> None:
    started = time.perf_counter()
    (run,) = FilesSource.from_run("xpptut26", 1, folder / f"xtc{events}").runs()
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
    started = time.perf_counter()
    state.merge(pickle.loads(pickle.dumps(state, protocol=5)))
    print(f"a sum of 1 Mpix, sent and merged: {time.perf_counter() - started:.3f} s")


def make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        efficiency(Path(name), options.events)
        merging(Path(name), options.megabytes)
        units(Path(name), options.events)


if __name__ == "__main__":
    main()
