"""What the graph costs, and a whole batch run against a bare psana loop.

    python -m benchmarks.bench_graph [--events N] [--frames N]

1. A graph of nodes that compute nothing to speak of, per event, by size of the batch.
2. A whole run to HDF5 (simulated files, scalars; then jungfrau frames with a region of
   interest), by both readers, against a bare psana loop that touches the same fields and
   writes nothing. Each is a process of its own, timed from its first event on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import Batch, BatchLimits, Column, Signal
from smalldata_stream.graph import Graph, build
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.protocols import Fault, Run
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource

ENERGY = Signal("gmd", "raw", "energy")
BOX = [[0, 1], [130, 330], [550, 630]]

PSANA = """
import json, sys, time, types
module = types.ModuleType("krtc")
module.KerberosTicket = type("KerberosTicket", (), {})
sys.modules["krtc"] = module
from psana import DataSource
from psana.psexp import ds_base
ds_base.DataSourceBase._get_file_info_from_db = lambda self, run: {}
exp, number, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fields = json.loads(sys.argv[4])
source = DataSource(exp=exp, run=number, dir=directory, skip_calib_load="all")
run = next(source.runs())
detectors = {name: run.Detector(name) for name, _, _ in fields}
events, started = 0, None
for event in run.events():
    for name, algorithm, field in fields:
        value = getattr(getattr(detectors[name], algorithm), field)(event)
        if field == "raw" and value is not None:
            value = value[0, 130:330, 550:630].sum()
    if started is None:  # the first event pays for opening the files
        started = time.perf_counter()
    else:
        events += 1
print(json.dumps(events / (time.perf_counter() - started)))
"""


def empty_graph(g: Graph, run: RunInfo) -> None:
    """Twenty nodes that do next to nothing."""
    energy = g.detector("gmd")["energy"]
    for i in range(20):
        g.function(np.positive, energy, name=f"gmd/copy{i}", vectorized=True)


def cost_of_the_graph(size: int) -> float:
    """Microseconds per event and node."""
    info = DetectorInfo(
        name="gmd",
        type="gmd",
        fields={("raw", "energy"): FieldInfo(dtype=np.dtype("f8"))},
        versions={"raw": (1, 0, 0)},
    )
    g = build(empty_graph, RunInfo(exp="bench", number=1, detectors={"gmd": info}))
    stamps = np.arange(size, dtype=np.uint64)
    column, status = Column(np.zeros(size)), np.zeros(size, np.uint8)

    def push() -> None:
        g.plan.push(
            Batch(stamps, stamps.astype(np.int32), {ENERGY: column}, {"gmd": status})
        )

    push()
    repeat = max(5, 2000 // size)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(repeat):
            push()
        seconds.append((time.perf_counter() - started) / repeat)
    return min(seconds) / size / 20 * 1e6


class Timed:
    """A run that notes when its first batch had come; before that files are opened."""

    def __init__(self, run: Run):
        self.run, self.first, self.events = run, 0.0, 0

    @property
    def info(self) -> RunInfo:
        return self.run.info

    @property
    def faults(self) -> list[Fault]:
        return list(self.run.faults)

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        for batch in self.run.batches(signals, limits):
            if self.first:
                self.events += len(batch)
            else:
                self.first = time.perf_counter()
            yield batch


def whole_run(
    source: FilesSource | PsanaSource, write: Callable[[Graph, RunInfo], None], batch: int
) -> float:
    """Events per second of a run to HDF5, from its second batch on."""
    rates = []
    for run in source.runs():
        timed = Timed(run)
        limits = BatchLimits(events=batch)
        with tempfile.TemporaryDirectory() as folder:
            sink = Hdf5Sink(Path(folder) / "run.h5")
            graph = GraphFile(Path("bench"), "", write)
            reduce_run(timed, graph, sink, options=Options(limits=limits))
        rates.append(timed.events / (time.perf_counter() - timed.first))
    return rates[0]


def bare_psana(directory: Path, fields: Collection[Signal]) -> float:
    """Events per second of a psana loop that touches the fields."""
    words = [sys.executable, "-c", PSANA, "xpptut26", "1", str(directory)]
    done = subprocess.run(
        [*words, json.dumps(list(fields))], capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise SystemExit(f"the psana loop failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])


def compare(
    what: str, directory: Path, write: Callable[[Graph, RunInfo], None], batch: int
) -> None:
    """Both readers against the bare loop, best of three, in turn."""
    source = FilesSource.from_run("xpptut26", 1, directory)
    (run,) = source.runs()
    g = build(write, run.info)
    fields = tuple(g.plan.signals)
    g.plan.close()
    rates: dict[str, list[float]] = {"native": [], "psana": [], "bare": []}
    for _ in range(3):
        rates["native"].append(whole_run(source, write, batch))
        by_psana = PsanaSource.from_run("xpptut26", 1, directory)
        rates["psana"].append(whole_run(by_psana, write, batch))
        rates["bare"].append(bare_psana(directory, fields))
    best = {name: max(values) for name, values in rates.items()}
    print(f"{what}: a whole run to HDF5, {len(fields)} fields")
    print(f"  bare psana loop, nothing written  {best['bare']:>12,.0f} events/s")
    for name in ("psana", "native"):
        ratio = best[name] / best["bare"]
        label = f"  --reader {name:<8}                 "
        print(f"{label}{best[name]:>12,.0f} events/s  x{ratio:.2f}")


def scalars(g: Graph, run: RunInfo) -> None:
    """The fields of the small detectors that are one number."""
    for name in ("gmd", "ebeam", "ipm2", "fim0"):
        info = run.detectors[name]
        single = [f"{a}.{f}" for (a, f), field in info.fields.items() if field.rank == 0]
        g.detector(name, fields=single)


def frames(g: Graph, run: RunInfo) -> None:
    """A region of interest of each raw frame."""
    g.detector("jungfrau", fields=[], calibration="raw").roi("ROI_0", BOX)


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    for size in (1, 64, 4096):
        cost = cost_of_the_graph(size)
        print(f"empty graph, batches of {size}: {cost:.4f} us per event and node")
    with tempfile.TemporaryDirectory() as folder:
        small = ("gmd", "ebeam", "ipm2", "fim0")
        directory = Path(folder) / "scalars"
        simulate(directory, Simulation(events=options.events, detectors=small))
        compare("scalars", directory, scalars, 2048)
        directory = Path(folder) / "frames"
        simulate(directory, Simulation(events=options.frames, detectors=("jungfrau",)))
        compare("frames 512x1024", directory, frames, 16)


if __name__ == "__main__":
    main()
