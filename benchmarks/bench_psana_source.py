"""psana in its own process against a bare loop over psana, on one file in one run.

Prints events per second of both and their ratio, for a stream of 81 small fields and for
a camera. The bare loop touches the same fields and keeps nothing; importing psana and
opening the file is left out on both sides (the clock starts at our first batch).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from smalldata_stream.batch import BatchLimits, Frames, Signal
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate.xtc2_writer import Names, Service, Stream
from smalldata_stream.sources.psana import PsanaSource

ROUNDS = 3

BARE = """
import json, sys, time
from smalldata_stream.sources.psana_child_open import import_psana
psana = import_psana()
path, signals, look = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
run = next(psana.DataSource(files=[path], skip_calib_load="all").runs())
events = 0
began = time.perf_counter()
for event in run.events():
    dgram = event._dgrams[0]
    for detector, algorithm, field in signals:
        value = getattr(getattr(getattr(dgram, detector)[0], algorithm), field)
        if look and getattr(value, "nbytes", 0) >= 65536:
            value.sum()
    events += 1
print(json.dumps([events, time.perf_counter() - began]))
"""

SMALL = [
    Names(
        detector=f"diode{i}",
        type="diode",
        algorithm="raw",
        version=(1, 0, 0),
        fields={
            **{f"value{k}": ("f8", 0) for k in range(6)},
            "count": ("u4", 0),
            "wave": ("u2", 1),
            "bits": ("u1", 1),
        },
    )
    for i in range(9)
]
CAMERA = Names(
    detector="camera",
    type="camera",
    algorithm="raw",
    version=(1, 0, 0),
    fields={"frame": ("u2", 2), "exposure": ("f8", 0)},
)


def write_small(path: Path, events: int) -> None:
    """A stream of 81 fields."""
    values = {
        **{f"value{k}": np.arange(events) + 0.5 * k for k in range(6)},
        "count": np.arange(events),
        "wave": np.ones((events, 250)),
        "bits": np.zeros((events, 16)),
    }
    with Stream(path, Path(os.devnull), SMALL) as stream:
        stream.configure(1)
        stream.transition(2, Service.BEGIN_RUN)
        stream.events(10 + np.arange(events), [(names, values) for names in SMALL])
        stream.transition(10 + events, Service.END_RUN)


def write_camera(path: Path, events: int) -> None:
    """A stream of frames of 1 MB."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 4096, (1, 512, 1024), np.uint16)
    with Stream(path, Path(os.devnull), [CAMERA]) as stream:
        stream.configure(1)
        stream.transition(2, Service.BEGIN_RUN)
        for i in range(events):
            values = {"frame": frame + i % 7, "exposure": np.array([1.0])}
            stream.events(np.array([10 + i]), [(CAMERA, values)])
        stream.transition(10 + events, Service.END_RUN)


def bare(path: Path, signals: list[Signal], look: bool) -> float:
    """Events per second of psana's own loop."""
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(path), json.dumps(signals), str(int(look))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    events, seconds = json.loads(done.stdout.splitlines()[-1])
    return float(events / seconds)


def all_signals(info: RunInfo) -> list[Signal]:
    """Every field of the run."""
    return [signal for each in info.detectors.values() for signal in each.signals()]


def compare(path: Path, what: str, look: bool = False) -> None:
    """Both, alternating; the best of each counts, for the machine is shared."""
    theirs: list[float] = []
    mine: list[float] = []
    for _ in range(ROUNDS):
        for run in PsanaSource.from_files([path]).runs():
            signals = all_signals(run.info)
            batches = run.batches(signals, BatchLimits(events=500))
            next(batches)
            events = 0
            began = time.perf_counter()
            for batch in batches:
                events += len(batch)
                for column in batch.columns.values() if look else ():
                    if isinstance(column.values, Frames):
                        _ = [np.sum(frame) for frame in column.values]
            mine.append(events / (time.perf_counter() - began))
        theirs.append(bare(path, signals, look))
    print(
        f"{what}: bare psana {max(theirs):,.0f} events/s, through our process "
        f"{max(mine):,.0f} events/s, ratio {max(mine) / max(theirs):.2f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "small.xtc2"
        write_small(path, 10_000)
        compare(path, "81 small fields")
        path = Path(directory) / "camera.xtc2"
        write_camera(path, 2000)
        compare(path, "camera of 1 MB, nobody looks at a pixel")
        compare(path, "camera of 1 MB, pixels summed", look=True)


if __name__ == "__main__":
    main()
