"""Events per second through psana's shared memory: our source against psana's own loop.

    python benchmarks/bench_shmem.py [--seconds 3]

Both read the same run from the same server with the same settings: a real shmemServer that
`smalldata_stream.play` feeds at a rate, in a process of its own, with one client. What a
reader does not get in time the server overwrites. CPU time is that of all the reader's
processes, per event that it got.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.live_session import write_events  # noqa: E402
from smalldata_stream.batch import BatchLimits, Signal  # noqa: E402
from smalldata_stream.simulate.xtc2_writer import Names  # noqa: E402
from smalldata_stream.sources.shmem import ShmemSource  # noqa: E402

CASES = [
    ("40 scalars", 0, (120, 1000, 4000, 10_000)),
    ("1 MB frame", 724, (120, 500, 1000)),
]
FIELDS = 40
SCALARS = Names(
    detector="scalars",
    type="generic_container",
    algorithm="xtc1dump",
    version=(0, 1, 0),
    fields={f"s{i}": ("f8", 0) for i in range(FIELDS)},
)
CAM = Names(
    detector="cam",
    type="generic_container",
    algorithm="xtc1dump",
    version=(0, 1, 0),
    fields={"s0": ("f8", 0), "image": ("u2", 2)},
)
PLAY = """
import sys
from smalldata_stream.play import Play, play
from smalldata_stream.sources.files import FilesSource
source = FilesSource.from_files([sys.argv[1]])
how = Play(tag=sys.argv[2], rate_hz=float(sys.argv[3]), loops=int(sys.argv[4]))
print(play(source, how).events)
"""
PSANA = """
import os, sys, time, types, resource
krtc = types.ModuleType("krtc"); krtc.KerberosTicket = type("KerberosTicket", (), {})
sys.modules["krtc"] = krtc
from psana import DataSource
run = next(DataSource(shmem=sys.argv[1], skip_calib_load="all").runs())
read = getattr(run.Detector(sys.argv[2]).xtc1dump, sys.argv[3])
n = 0
for event in run.events():
    if not n:
        begin, used = time.perf_counter(), time.process_time()
    assert read(event) is not None
    n += 1
    last = time.perf_counter()
print(n, (last - begin), time.process_time() - used, file=sys.stderr)
sys.stderr.flush()
os._exit(0)
"""


def write(path: Path, side: int, events: int) -> tuple[str, str]:
    """A run; the detector and the field to read."""
    names, count = CAM if side else SCALARS, np.arange(events)
    values = {name: count for name in names.fields if name != "image"}
    if side:
        values["image"] = np.broadcast_to(count[:, None, None], (events, side, side))
    write_events(path, names, values)
    return names.detector, "image" if side else "s0"


def ours(tag: str, detector: str, field: str) -> tuple[int, float, float]:
    """Events, seconds from the first to the last, CPU seconds."""
    before = _cpu()
    n, begin, last = 0, 0.0, 0.0
    runs = ShmemSource(tag, timeout=30).runs()
    limits = BatchLimits(seconds=0.1)
    for batch in next(runs).batches([Signal(detector, "xtc1dump", field)], limits):
        begin = begin or time.perf_counter()
        n += len(batch)
        last = time.perf_counter()
    runs.close()
    return n, last - begin, _cpu() - before


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (0, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def psana(tag: str, detector: str, field: str) -> tuple[int, float, float]:
    """The same with psana's own loop."""
    done = subprocess.run(
        [sys.executable, "-c", PSANA, tag, detector, field],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    n, seconds, cpu = done.stderr.split("\n")[-2].split()
    return int(n), float(seconds), float(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    seconds = parser.parse_args().seconds
    head = f"{'events':>12} {'rate':>7}   {'reader':6} {'got':>7} {'of':>7}"
    print(f"{head} {'CPU us/event':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for name, side, rates in CASES:
            path = Path(folder) / f"{side}.xtc2"
            per_loop = 60 if side else 500
            detector, field = write(path, side, per_loop)
            for rate in rates:
                loops = max(1, round(rate * seconds / per_loop))
                for who, reader in (("ours", ours), ("psana", psana)):
                    tag = f"bench{os.getpid()}"
                    player = subprocess.Popen(
                        [sys.executable, "-c", PLAY, path, tag, f"{rate}", f"{loops}"],
                        stdout=subprocess.PIPE, text=True,
                    )  # fmt: skip
                    n, _took, cpu = reader(tag, detector, field)
                    sent = int(player.communicate(timeout=120)[0])
                    print(
                        f"{name:>12} {rate:>5}/s   {who:6} {n / sent:>6.1%} {sent:>7} "
                        f"{cpu / n * 1e6:>13.0f}"
                    )


if __name__ == "__main__":
    main()
