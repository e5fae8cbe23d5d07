"""Compare what we read with what psana reads, value by value, bit for bit."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import STRING, Batch, BatchLimits, Column, Signal
from smalldata_stream.protocols import Run, Source

ROOT = Path(__file__).parents[2]
DATA = (
    Path(os.environ.get("SMALLDATA_STREAM_DATA", ROOT.parent / "shared" / "data")) / "xtc2"
)
TIMEOUT = 120
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real files in {DATA}; set SMALLDATA_STREAM_DATA"
)


def psana_reads(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The runs of one source as psana sees them."""
    runs: list[dict[str, Any]] = psana_reads_all(folder, {"one": arguments})["one"]
    return runs


def psana_reads_all(folder: Path, jobs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """By name of the job, the runs as psana sees them, read in a process of its own."""
    if importlib.util.find_spec("psana") is None:
        pytest.skip("psana is not installed")
    out = folder / "psana.pickle"
    script = ROOT / "tests" / "xtc2" / "psana_dump.py"
    done = subprocess.run(
        [sys.executable, str(script), str(out)],
        input=json.dumps(jobs),
        capture_output=True,
        timeout=TIMEOUT,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = pickle.loads(out.read_bytes())
    return found


def read(run: Run, limits: BatchLimits | None = None) -> list[dict[Signal, Any]]:
    """Per event, the value of every signal that has one; frames copied."""
    signals = [s for detector in run.info.detectors.values() for s in detector.signals()]
    return rows_of(run.batches(signals, limits or BatchLimits()))


def rows_of(batches: Iterable[Batch]) -> list[dict[Signal, Any]]:
    rows: list[dict[Signal, Any]] = []
    for batch in batches:
        columns = {signal: _spread(column) for signal, column in batch.columns.items()}
        for i in range(len(batch)):
            row = {s: values[i] for s, values in columns.items() if values[i] is not None}
            row[Signal("", "", "timestamp")] = int(batch.timestamps[i])
            row[Signal("", "", "step")] = int(batch.steps[i])
            rows.append(row)
    return rows


def _spread(column: Column) -> list[Any]:
    values = iter([np.array(v) if np.ndim(v) else v for v in column.values])
    return [next(values) if there else None for there in column.mask.tolist()]


def same_bits(ours: Any, theirs: Any) -> bool:
    """Equal to the last bit; psana's scalars are Python's."""
    if isinstance(theirs, str):
        return bool(ours == theirs)
    if isinstance(theirs, np.ndarray):
        ours = np.asarray(ours)
        if theirs.dtype == STRING:
            return bool(ours.tolist() == theirs.tolist())
        if ours.dtype != theirs.dtype or ours.size != theirs.size:
            return False
        return bool(ours.reshape(theirs.shape).tobytes() == theirs.tobytes())
    if isinstance(theirs, float):
        return bool(np.float64(ours).tobytes() == np.float64(theirs).tobytes())
    return bool(ours == theirs)


def compare_run(run: Run, psana: Mapping[str, Any]) -> int:
    """Assert equality of every raw field and count the values compared."""
    rows = read(run)
    events = psana["events"]
    assert [row.pop(Signal("", "", "timestamp")) for row in rows] == [
        event["timestamp"] for event in events
    ]
    compared = 0
    in_data = {(d, a, f) for event in events for d, _, a, f in event["raw"]}
    for row, event in zip(rows, events, strict=True):
        row.pop(Signal("", "", "step"))
        expected: set[Signal] = set()
        for (detector, segment, algorithm, name), theirs in event["raw"].items():
            if (detector, algorithm, name) in event["derived"]:
                continue
            there = {s for d, s, a, _ in event["raw"] if (d, a) == (detector, algorithm)}
            if there != set(run.info.detectors[detector].segments):
                continue
            signal, ours = _pick(run, row, (detector, algorithm, name), segment)
            assert same_bits(ours, theirs), (signal, segment, ours, theirs)
            expected.add(signal)
            compared += 1
        for name, theirs in event["env"].items():
            mine = [s for s in row if s.detector in ("epics", "scan") and s.field == name]
            if theirs is None:
                assert not mine
                continue
            assert same_bits(row[mine[0]], theirs), (mine, row[mine[0]], theirs)
            expected.add(mine[0])
            compared += 1
        for (detector, algorithm, method), theirs in event["derived"].items():
            signal = Signal(detector, algorithm, method)
            if theirs is None:
                assert signal not in row
                continue
            if isinstance(theirs, list):
                # psana gives lists of Python's numbers or texts: the dtype is ours.
                theirs = np.array(theirs, row[signal].dtype)
            assert same_bits(row[signal], theirs), (signal, row[signal], theirs)
            expected.add(signal)
            compared += 1
        # What we have beyond that is derived, never a value of an incomplete detector.
        assert not {tuple(signal) for signal in set(row) - expected} & in_data
    return compared


def _pick(
    run: Run, row: Mapping[Signal, Any], key: tuple[str, str, str], segment: int
) -> tuple[Signal, Any]:
    """Our value of one segment's field."""
    signal = Signal(*key)
    detector = run.info.detectors[signal.detector]
    alone = Signal(signal.detector, signal.algorithm, f"{signal.field}_{segment}")
    if (alone.algorithm, alone.field) in detector.fields:
        return alone, row[alone]
    value = row[signal]
    if len(detector.segments) > 1 and np.ndim(value):
        return signal, value[detector.segments.index(segment)]
    return signal, value


def compare(source: Source, psana: Sequence[Mapping[str, Any]]) -> int:
    """Assert that all runs are equal; the number of values compared."""
    compared, seen = 0, 0
    for run, theirs in zip(source.runs(), psana, strict=True):
        compared += compare_run(run, theirs)
        seen += 1
        assert not run.faults
        if theirs["exp"] is not None:
            assert (run.info.exp, run.info.number) == (theirs["exp"], theirs["number"])
    assert seen == len(psana)
    return compared
