"""How fast xtc2 files become columns, as ratios to psana and numpy on the same files.

    python benchmarks/bench_xtc2.py [--events 20000] [--most 1000000]

Times are the best of some rounds; psana's loop runs in a process of its own and is timed
without its start.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smalldata_stream.batch import BatchLimits, Frames, Signal  # noqa: E402
from smalldata_stream.sources.files import FilesSource  # noqa: E402
from smalldata_stream.sources.files_stream import MappedFile  # noqa: E402
from smalldata_stream.xtc2.index import ROW, walk_headers  # noqa: E402
from tests.xtc2 import writer as w  # noqa: E402

ROUNDS = 5
DETECTORS, SCALARS, ARRAYS = 8, 8, 2
SHAPE = (512, 1024)
FRAMES = 200
PSANA = """
import sys, time, types
krtc = types.ModuleType("krtc"); krtc.KerberosTicket = type("KerberosTicket", (), {})
sys.modules["krtc"] = krtc
from psana import DataSource
source = DataSource(files=sys.argv[1], skip_calib_load="all", max_events=int(sys.argv[2]))
run = next(source.runs())
wanted = [name.split(".") for name in sys.argv[3:]]
detectors = {name: run.Detector(name).xtc1dump for name, _ in wanted}
calls = [getattr(detectors[name], field) for name, field in wanted]
begin, n = time.perf_counter(), 0
for event in run.events():
    for call in calls:
        call(event)
    n += 1
print((time.perf_counter() - begin) / n)
"""


def block(number: int, scalars: int = SCALARS, arrays: int = ARRAYS) -> w.Block:
    fields: dict[str, tuple[str | int, int]] = {f"s{i}": ("f8", 0) for i in range(scalars)}
    fields |= {f"a{i}": ("u2", 1) for i in range(arrays)}
    kind, algorithm = "generic_container", "xtc1dump"
    return w.Block(0x100 + number, f"det{number}", kind, algorithm, (0, 1, 0), fields)


def write(path: Path, blocks: list[w.Block], parts: list[bytes], events: int) -> None:
    """``events`` copies of one event, with their own timestamps."""
    with path.open("wb") as file:
        file.write(w.configure([w.RUNINFO, *blocks]) + w.begin_run("tstx00417", 1))
        one = np.frombuffer(w.dgram(0, w.L1_ACCEPT, parts), np.uint8)
        step = max(1, (64 << 20) // len(one))
        for begin in range(0, events, step):
            count = min(step, events - begin)
            many = np.tile(one, (count, 1))
            stamps = np.arange(100 + begin, 100 + begin + count, dtype="<u8")
            many[:, :8] = stamps.view(np.uint8).reshape(count, 8)
            many.tofile(file)
        file.write(w.dgram(10**12, w.END_RUN))


def best(function: Callable[[], float]) -> float:
    return min(function() for _ in range(ROUNDS))


def read_columns(path: Path, signals: Iterable[Signal]) -> float:
    """Seconds per event, opening included."""
    begin = time.perf_counter()
    (run,) = FilesSource.from_files([path]).runs()
    events = sum(len(batch) for batch in run.batches(list(signals), BatchLimits()))
    return (time.perf_counter() - begin) / events


def psana_loop(path: Path, events: int, fields: Iterable[str]) -> float:
    command = [sys.executable, "-c", PSANA, str(path), str(events), *fields]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(done.stdout.split()[-1])


def against_psana(folder: Path, events: int) -> None:
    blocks = [block(i) for i in range(DETECTORS)]
    values = {f"s{i}": i / 3 for i in range(SCALARS)}
    arrays = {f"a{i}": np.arange(100) for i in range(ARRAYS)}
    parts = [w.shapes_data(one, values | arrays) for one in blocks]
    path = folder / "fields.xtc2"
    write(path, blocks, parts, events)
    every = [Signal(b.detector, b.algorithm, name) for b in blocks for name in b.fields]
    ten = [s for s in every if s.field.startswith("s")][:10]
    print(
        f"{len(every)} fields, {sum(map(len, parts)) + 24} bytes an event, {events} events"
    )
    for title, signals in (("10 scalars", ten), (f"all {len(every)}", every)):
        ours = best(lambda signals=signals: read_columns(path, signals))  # type: ignore[misc]
        names = [f"{s.detector}.{s.field}" for s in signals]
        theirs = min(psana_loop(path, min(events, 3000), names) for _ in range(2))
        print(
            f"  {title:11s} {ours * 1e6:7.2f} us/event, psana {theirs * 1e6:7.1f} us: "
            f"{theirs / ours:6.0f} x"
        )


def camera(folder: Path) -> None:
    one = w.Block(0x100, "camera", "opal", "raw", (2, 0, 0), {"image": ("u2", 2)})
    image = np.random.default_rng(1).integers(0, 4096, SHAPE, dtype=np.uint16)
    path = folder / "camera.xtc2"
    write(path, [one], [w.shapes_data(one, {"image": image})], FRAMES)
    signal = Signal("camera", "raw", "image")

    def ours() -> float:
        begin = time.perf_counter()
        total = 0
        (run,) = FilesSource.from_files([path]).runs()
        for batch in run.batches([signal], BatchLimits()):
            values = batch.columns[signal].values
            assert isinstance(values, Frames)
            total += sum(int(frame.sum()) for frame in values)
        assert total == FRAMES * int(image.sum())
        return (time.perf_counter() - begin) / FRAMES

    rows = walk_headers(MappedFile(path).buffer).rows
    places = rows["offset"][rows["service"] == w.L1_ACCEPT].astype(int) + 24 + 12 + 32 + 12

    def numpy_alone() -> float:
        buffer = MappedFile(path).buffer
        begin = time.perf_counter()
        total = 0
        for at in places.tolist():
            total += int(np.ndarray(SHAPE, "<u2", buffer, at).sum())
        assert total == FRAMES * int(image.sum())
        return (time.perf_counter() - begin) / FRAMES

    pairs = [(ours(), numpy_alone()) for _ in range(ROUNDS)]
    read, alone = (min(times) for times in zip(*pairs, strict=True))
    rate = image.nbytes / read / 1e9
    print(
        f"camera {SHAPE} uint16, {FRAMES} frames: read and sum {read * 1e6:.0f} us/frame "
        f"({rate:.1f} GB/s), numpy alone {alone * 1e6:.0f}: {100 * alone / read:.0f} %"
    )


def flat(folder: Path, most: int) -> None:
    one = block(0, scalars=8, arrays=1)
    values = {f"s{i}": 1.5 for i in range(8)} | {"a0": np.arange(10)}
    signals = [Signal(one.detector, one.algorithm, name) for name in one.fields]
    print(
        f"cost per event against the number of events ({ROW.itemsize} bytes of index each)"
    )
    events = 1000
    while events <= most:
        path = folder / f"flat{events}.xtc2"
        write(path, [one], [w.shapes_data(one, values)], events)
        spent = best(lambda path=path: read_columns(path, signals))  # type: ignore[misc]
        print(f"  {events:9d} events: {spent * 1e6:6.2f} us/event")
        path.unlink()
        events *= 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--no-psana", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not chosen.no_psana:
            against_psana(folder, chosen.events)
        camera(folder)
        flat(folder, chosen.most)


if __name__ == "__main__":
    main()
