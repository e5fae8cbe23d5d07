"""A file larger than the memory of the machine, in a process that may have little of it.

Mapped bytes count as address space but as nobody's memory, so what is limited is the data
segment: all that is allocated. The file has holes for pixels, and takes no room either.
"""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.xtc2 import writer as w

SHAPE = (8192, 8192)
PIXEL_BYTES = SHAPE[0] * SHAPE[1] * 2
MEMORY_BYTES = 400 << 20
GRAPH = """
def graph(g, run):
    g.detector("cam", calibration="raw").roi("ROI_0", [[0, 2], [0, 3]])
"""


def events_in(folder: Path) -> int:
    """So many that their pixels are twice the memory of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < 1 << 30:
        pytest.skip("less than 1 GB of disk is free")
    return min(2 * memory, 200 << 30) // PIXEL_BYTES


def write_holes(path: Path, events: int) -> None:
    """Frames of zeros that are not on the disk, but for the number of the event."""
    block = w.Block(0x300, "cam", "opal", "raw", (2, 0, 0), {"image": ("u2", 2)})
    one = w.dgram(0, w.L1_ACCEPT, [w.shapes_data(block, {"image": np.zeros(SHAPE, "u2")})])
    at_pixels = len(one) - PIXEL_BYTES
    with path.open("wb") as file:
        file.write(w.configure([w.RUNINFO, block]) + w.begin_run("tstx00417", 1))
        for event in range(events):
            start = file.tell()
            file.write(struct.pack("<Q", 10 + event) + one[8:at_pixels])
            file.write(struct.pack("<H", event))
            file.truncate(start + len(one))
            file.seek(start + len(one))
        file.write(w.dgram(10 + events, w.END_RUN))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit holds on Linux alone")
def test_a_file_larger_than_the_memory(tmp_path: Path) -> None:
    path, graph, output = (tmp_path / name for name in ("big.xtc2", "graph.py", "out.h5"))
    events = events_in(tmp_path)
    write_holes(path, events)
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip("this file system keeps no holes")
    graph.write_text(GRAPH)
    command = [sys.executable, "-m", "smalldata_stream.cli", "run", str(graph)]
    done = subprocess.run(
        [*command, "--files", str(path), "-o", str(output)],
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES)
        ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with h5py.File(output) as file:
        sums = file["cam/ROI_0_sum"][:]
    np.testing.assert_array_equal(sums, np.arange(events, dtype=np.uint16))
