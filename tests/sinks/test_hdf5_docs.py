"""The examples of docs/hdf5.md run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import STRING, Column, Ragged
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result, Spec
from smalldata_stream.run import RunInfo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hdf5.md"
OUTPUTS = {
    "gmd/energy": Spec(dtype=np.dtype("f8"), unit="mJ"),
    "gmd/counts": Spec(dtype=np.dtype("i4")),
    "epics/state": Spec(dtype=STRING),
    "jungfrau/var_droplet_sparse/data": Spec(dtype=np.dtype("f8"), kind="ragged"),
}


def make(path: Path) -> Hdf5Sink:
    sink = Hdf5Sink(path)
    total = {"Sums/jungfrau_calib": Spec(dtype=np.dtype("f8"), shape=(1, 2))}
    config = {"jungfrau": {"ROI_0__ROI_0_bound": ((0, 1), (10, 60))}}
    run = RunInfo(exp="xpptut15", number=14, detectors={})
    sink.begin(Declaration(run=run, outputs=OUTPUTS, totals=total, config=config))
    return sink


def write(sink: Hdf5Sink, events: int) -> None:
    first = 1_080_000_000 << 32
    record = {
        "gmd/energy": Column(np.array([1.5, 2.5]), np.array([True, False, True])),
        "gmd/counts": Column(np.array([10, 30], "i4"), np.array([True, False, True])),
        "epics/state": Column(np.array(["open", "open", "closed"], STRING)),
        "jungfrau/var_droplet_sparse/data": Column(
            Ragged(np.array([101.0, 99.0, 150.0]), np.array([0, 2, 2, 3]))
        ),
    }
    keep = np.arange(3) < events
    stamps = np.arange(first, first + 3, dtype=np.uint64)[keep]
    sink.write(stamps, {path: column.select(keep) for path, column in record.items()})


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole, killed = make(Path("run14.h5")), make(Path("run15.h5"))
    write(whole, 3)
    whole.end({"Sums/jungfrau_calib": Result(np.array([[3.0, 6.0]]), 3)}, Ledger(3, 3))
    write(killed, 2)
    killed.abort()
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(examples) == 6
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    names["file"].close()


def test_the_table_of_missing_values_is_true() -> None:
    from sinks.hdf5 import missing_value

    page = PAGE.read_text()
    for said, dtypes in {
        "| int32, int64 | -99999 |": ("i4", "i8"),
        "| int8, int16 | the smallest: -128, -32768 |": ("i1", "i2"),
        "the largest: 255, 65535, ...": ("u1", "u2"),
        "| bool, as int8 of 0 and 1 | -1 |": ("?",),
    }.items():
        assert said in page
        assert all(str(missing_value(np.dtype(dtype))) in said for dtype in dtypes)
