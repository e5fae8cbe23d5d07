"""Random events of any make-up against what the writer was given."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import rows_of
from tests.xtc2 import writer as w

BLOCKS = [
    w.Block(
        0x10 + i,
        f"det{i}",
        "gmd",
        "raw",
        (2, 1, 0),
        {"a": ("u1", 0), "wave": ("i2", 1), "b": ("f8", 0), "text": (w.CHARSTR, 1)},
    )
    for i in range(3)
]

values = st.fixed_dictionaries(
    {
        "a": st.integers(0, 255),
        "wave": st.lists(st.integers(-(2**15), 2**15 - 1), max_size=4),
        "b": st.floats(allow_nan=False),
        "text": st.text(
            st.characters(blacklist_characters="\0", codec="utf-8"), max_size=5
        ),
    }
)
style = st.fixed_dictionaries(
    {
        "data_first": st.booleans(),
        "garbage": st.integers(0, 2**32 - 1),
        "pad": st.integers(0, 2),
        "damage": st.sampled_from([0, 0, 0, 4]),
    }
)
contribution = st.tuples(st.integers(0, 2), values, style)
events = st.lists(
    st.tuples(
        st.lists(contribution, max_size=3, unique_by=lambda one: one[0]),
        st.booleans(),
        st.sampled_from([0, 0, 0, 0, 32]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(events=events, per_batch=st.integers(1, 12))
def test_events(events: list[Any], per_batch: int) -> None:
    data = [w.configure([w.RUNINFO, *BLOCKS]), w.begin_run("tstx00417", 1)]
    expected: list[dict[Signal, Any]] = []
    for i, (parts, nested, damage) in enumerate(events):
        made = [w.shapes_data(BLOCKS[k], value, **how) for k, value, how in parts]
        if nested and made:
            made = [w.xtc(w.PARENT, w.xtc(w.PARENT, made[0])), *made[1:]]
        data.append(w.dgram(10 + i, w.L1_ACCEPT, made, damage=damage))
        expected.append(
            {
                Signal(f"det{k}", "raw", name): one
                for k, value, how in parts
                if not how["damage"] and not damage
                for name, one in value.items()
            }
        )
    with tempfile.TemporaryDirectory() as folder:
        path = w.write_stream(Path(folder), data)
        (run,) = FilesSource.from_files([path]).runs()
        signals = [s for d in run.info.detectors.values() for s in d.signals()]
        rows = rows_of(run.batches(signals, BatchLimits(events=per_batch)))
        assert run.faults == []
    assert len(rows) == len(expected)
    for row, truth in zip(rows, expected, strict=True):
        found = {s: v for s, v in row.items() if s.detector}
        assert set(found) == set(truth)
        for signal, value in truth.items():
            assert np.array_equal(found[signal], value), signal
