"""How fast the HDF5 sink writes, next to psana's own smalldata writer.

    python -m benchmarks.bench_hdf5 [--events N] [--no-psana]

100 float64 datasets, from Column to closed file, in batches of 1024 and 4096; frames in
MB/s. psana runs in a child process, its ``SmallData`` alone, event by event. All figures
are processor time of one core, best of three.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import Column, Frames
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Spec
from smalldata_stream.run import RunInfo

DATASETS = 100
PSANA = """
import json, sys, time, types
module = types.ModuleType("krtc")
module.KerberosTicket = type("KerberosTicket", (), {})
sys.modules["krtc"] = module
import numpy as np
from psana.smalldata import SmallData
path, events, datasets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
values = np.random.default_rng(0).random((events, datasets))
names = [f"detector{i % 10}/value{i}" for i in range(datasets)]
first = (1 << 60) + 1
start = time.process_time()
file = SmallData()
file.setup_parms(filename=path, batch_size=1000)
for i in range(events):
    file.event(first + i, dict(zip(names, values[i])))
file.done()
print(json.dumps(time.process_time() - start))
"""


def best(run: Callable[[Path], float]) -> float:
    """Shortest of three, each in a new directory."""
    seconds = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            seconds.append(run(Path(folder) / "run.h5"))
    return min(seconds)


def write(
    sink: Hdf5Sink, outputs: Mapping[str, Spec], record: Mapping[str, Column], batches: int
) -> float:
    """Processor seconds for ``batches`` times the same record, with begin and end."""
    size = len(next(iter(record.values())))
    run = RunInfo(exp="bench", number=1, detectors={})
    start = time.process_time()
    sink.begin(Declaration(run=run, outputs=outputs))
    for batch in range(batches):
        first = (1 << 60) + 1 + batch * size
        sink.write(np.arange(first, first + size, dtype=np.uint64), record)
    sink.end({}, Ledger(read=batches * size, written=batches * size))
    return time.process_time() - start


def scalars(events: int, batch: int, gaps: bool) -> float:
    """Events per second of 100 float64 datasets."""
    random = np.random.default_rng(0)
    outputs = {
        f"detector{i % 10}/value{i}": Spec(dtype=np.dtype("f8")) for i in range(DATASETS)
    }
    present = random.random(batch) < 0.9 if gaps else np.ones(batch, bool)
    record = {path: Column(random.random(present.sum()), present) for path in outputs}
    seconds = best(lambda path: write(Hdf5Sink(path), outputs, record, events // batch))
    return events / seconds


def frames(compression: str, shape: tuple[int, ...], count: int) -> float:
    """MB per second of detector-like uint16 frames."""
    random = np.random.default_rng(0)
    images = [random.poisson(2, shape).astype(np.uint16) * 10 + 2800 for _ in range(8)]
    outputs = {
        "jungfrau/full": Spec(dtype=np.dtype("u2"), shape=shape, kind="frames"),
    }
    record = {"jungfrau/full": Column(Frames(images))}

    def run(path: Path) -> float:
        sink = Hdf5Sink(path, compression=compression)  # type: ignore[arg-type]
        return write(sink, outputs, record, count // 8)

    return images[0].nbytes * count / best(run) / 1e6


def psana(events: int) -> float:
    """Events per second of psana's writer, the same 100 datasets."""

    def run(path: Path) -> float:
        command = [sys.executable, "-c", PSANA, str(path), str(events), str(DATASETS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise SystemExit(f"psana's writer failed:\n{done.stderr[-2000:]}")
        return float(json.loads(done.stdout.splitlines()[-1]))

    return events / best(run)


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--no-psana", action="store_true")
    options = parser.parse_args()
    rates = {}
    for batch in (1024, 4096):
        rates[batch] = scalars(options.events, batch, gaps=False)
        print(f"{DATASETS} scalars, batches of {batch}: {rates[batch]:,.0f} events/s")
    rate = scalars(options.events, 4096, gaps=True)
    print(f"{DATASETS} scalars, batches of 4096, 10 % gaps: {rate:,.0f} events/s")
    if not options.no_psana:
        theirs = psana(10_000)
        print(f"{DATASETS} scalars, psana's SmallData: {theirs:,.0f} events/s")
        print(
            f"ratio: {rates[1024] / theirs:.0f} (1024), {rates[4096] / theirs:.0f} (4096)"
        )
    for compression in ("none", "bitshuffle-lz4", "gzip"):
        for shape in ((512, 1024), (100, 200)):
            speed = frames(compression, shape, 32 if compression == "gzip" else 256)
            print(f"frames u2{shape}, {compression}: {speed:,.0f} MB/s")


if __name__ == "__main__":
    main()
