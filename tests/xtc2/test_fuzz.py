"""Damaged bytes never do more than a fault or a clear error.

Bounded to seconds; ``-m slow`` runs it longer, SMALLDATA_STREAM_FUZZ_EXAMPLES as long as
one likes.
"""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import BatchLimits
from smalldata_stream.errors import SourceError
from smalldata_stream.sources import fallback
from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import DATA, read, rows_of
from tests.xtc2 import samples

MANY = int(os.environ.get("SMALLDATA_STREAM_FUZZ_EXAMPLES", "2000"))
CPU_SECONDS = 20.0
"""A loop that does not end takes more, on any machine and whatever else that does."""

MOST_BYTES = 64 << 20
WORDS = [0, 1, 3, 4, 11, 12, 13, 24, 0xFFFF, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


@cache
def seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [samples.every_type(folder / "a", 8), samples.three_runs(folder / "b")]
        exp, run = samples.several_streams(folder / "c", 12)
        made += sorted((folder / "c").glob(f"{exp}-r{run:04d}-*.xtc2"))
        real = [
            DATA / "intg_det" / "xpptut15-r0014-s000-c000.xtc2",
            DATA / "chunking" / "xpptut15-r0014-s000-c000.xtc2",
            DATA / "fakesteps" / "xpptut15-r0014-s000-c000.xtc2",
        ]
        return [path.read_bytes() for path in [*made, *real] if path.exists()]


Change = tuple[str, float, int]
changes = st.lists(
    st.tuples(
        st.sampled_from(["byte", "word", "cut", "drop", "twice", "zeros"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, many: list[Change], late: bool) -> bytes:
    """``data`` with bytes changed, cut, dropped, repeated or zeroed; ``late`` = in the
    last part, where the events are."""
    out = bytearray(data)
    for what, where, value in many:
        low = len(out) * 3 // 4 if late else 0
        at = low + int(where * (len(out) - low))
        if what == "byte":
            out[at : at + 1] = bytes([value])
        elif what == "word":
            at -= at % 4
            out[at : at + 4] = WORDS[value % len(WORDS)].to_bytes(4, "little")
        elif what == "cut":
            del out[at:]
        elif what == "drop":
            del out[at : at + value]
        elif what == "twice":
            out[at:at] = out[at : at + value]
        else:
            out[at : at + value] = bytes(len(out[at : at + value]))
    return bytes(out)


def read_all(data: bytes, folder: Path) -> int:
    """Events that are read; SourceError is the only exception that may be."""
    path = folder / "fuzz.xtc2"
    path.write_bytes(data)
    events = 0
    begin = time.process_time()
    tracemalloc.start()
    try:
        for run in FilesSource.from_files([path]).runs():
            rows = read(run, BatchLimits(events=7))
            assert len(rows) == run.info.events
            events += len(rows)
            assert all(str(path) in fault.where for fault in run.faults)
    except SourceError as error:
        assert str(path) in str(error)  # noqa: PT017 (the error is one of two good ends)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MOST_BYTES
    assert time.process_time() - begin < CPU_SECONDS
    return events


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True, scope="module")
def _without_psana() -> Iterator[None]:
    """A damaged name of a type would start psana; that it may die is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fallback, "_installed", lambda: False)
        yield


def test_seeds_are_whole(folder: Path) -> None:
    assert all(read_all(seed, folder) for seed in seeds())


def check(folder: Path, seed: int, many: list[Change], late: bool) -> None:
    read_all(damaged(seeds()[seed % len(seeds())], many, late), folder)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(seed=st.integers(0, 20), many=changes, late=st.booleans())
def test_damage(folder: Path, seed: int, many: list[Change], late: bool) -> None:
    check(folder, seed, many, late)


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None, suppress_health_check=QUIET)
@given(seed=st.integers(0, 20), many=changes, late=st.booleans())
def test_much_damage(folder: Path, seed: int, many: list[Change], late: bool) -> None:
    check(folder, seed, many, late)


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(st.binary(max_size=400))
def test_garbage(folder: Path, data: bytes) -> None:
    path = folder / "garbage.xtc2"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"garbage\.xtc2: damaged at byte"):
        list(FilesSource.from_files([path]).runs())


@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(which=st.integers(0, 5), many=changes, late=st.booleans())
def test_damage_in_one_file_of_a_directory(
    folder: Path, which: int, many: list[Change], late: bool
) -> None:
    """The other streams give what they have, as if nothing had happened."""
    run = folder / "run"
    if not run.exists():
        samples.several_streams(run, 12)
    path = sorted([*run.glob("*.xtc2"), *run.glob("smalldata/*.xtc2")])[which]
    whole = path.read_bytes()
    expected = other_values(run, path)
    path.write_bytes(damaged(whole, many, late))
    try:
        assert other_values(run, path) == expected
    finally:
        path.write_bytes(whole)


def other_values(folder: Path, path: Path) -> list[str]:
    """Values of the detectors of which no segment is in the stream of ``path``."""
    stream = path.name.split("-")[2]
    detector = {"s000": "vary", "s001": "vary", "s004": "area"}[stream]
    runs = FilesSource.from_run("tstx00417", 3, folder).runs()
    found = []
    for run in runs:
        if detector not in run.info.detectors:
            continue
        signals = list(run.info.detectors[detector].signals())
        rows = rows_of(run.batches(signals, BatchLimits()))
        found += [repr(row) for row in rows if len(row) > 2]
    return [text.split("step")[0] for text in found]
