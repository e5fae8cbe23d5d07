"""What every sink has to do; subclass `SinkContract` in its tests."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import STRING, Column, Frames, Ragged, Values
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result, Sink, Spec
from smalldata_stream.run import RunInfo

OUTPUTS: Mapping[str, Spec] = {
    "gmd/energy": Spec(dtype=np.dtype(np.float64), unit="mJ", long_name="pulse energy"),
    "gmd/counts": Spec(dtype=np.dtype(np.int32)),
    "lightStatus/xray": Spec(dtype=np.dtype(bool)),
    "epics/state": Spec(dtype=STRING),
    "jungfrau/ROI_0_pj": Spec(dtype=np.dtype(np.float32), shape=(3,)),
    "jungfrau/full_area": Spec(dtype=np.dtype(np.uint16), shape=(4, 5), kind="frames"),
    "jungfrau/var_droplet_sparse/data": Spec(dtype=np.dtype(np.float64), kind="ragged"),
    "jungfrau/var_droplet_sparse/row": Spec(dtype=np.dtype(np.int16), kind="ragged"),
    "feespec/var_FWHM": Spec(dtype=np.dtype(np.float32), kind="ragged"),
    "late/value": Spec(dtype=np.dtype(np.int64), shape=None),
}
"""One column of each kind."""


def value(path: str, i: int) -> Any:
    """What the column ``path`` has in event ``i``, in plain Python."""
    if path == "epics/state":
        return f"état {i}"
    if path == "lightStatus/xray":
        return i % 3 == 0
    if path == "jungfrau/ROI_0_pj":
        return [i + 0.5, -i, 0.0]
    if path == "jungfrau/full_area":
        return [
            [(i * 7 + row * 5 + column) % 60000 for column in range(5)] for row in range(4)
        ]
    if "var_" in path:
        return [i + k for k in range(i % 4)]
    return i * 2


def column(path: str, events: Sequence[int], present: Sequence[bool]) -> Column:
    """The column ``path`` of ``events``, as a graph would make it."""
    spec = OUTPUTS[path]
    arrays = [
        np.array(value(path, i), spec.dtype)
        for i, has in zip(events, present, strict=True)
        if has
    ]
    values: Values
    if spec.kind == "ragged":
        values = Ragged.of(arrays, spec.dtype)
    elif spec.kind == "frames":
        values = Frames(arrays, shape=spec.shape, dtype=spec.dtype)
    else:
        values = np.array(arrays, spec.dtype).reshape(
            -1, *(arrays[0].shape if arrays else ())
        )
    return Column(values, np.array(present, bool))


@dataclass
class Written:
    """What a sink holds after a run.

    ``columns`` has per path one plain value per event (nested lists for arrays), None for a
    gap; a gap of a column of varying length may be an empty list.
    """

    timestamps: list[int]
    columns: Mapping[str, list[Any]]
    totals: Mapping[str, tuple[Any, int]] = field(default_factory=dict)
    complete: bool = True


class SinkContract(ABC):
    """Tests for any `smalldata_stream.protocols.Sink`.

    A subclass says how the sink is made, and how what it wrote is read back with gaps known
    by the sink's own rule.
    """

    @abstractmethod
    def make(self, folder: Path) -> Sink:
        """A sink that writes into ``folder``, or keeps what it gets."""

    @abstractmethod
    def read(self, folder: Path, sink: Sink) -> Written:
        """What ``sink`` wrote, also after ``abort``."""

    def run(
        self,
        folder: Path,
        presence: Mapping[str, Sequence[bool]],
        events: int,
        batch: int,
        *,
        end: bool = True,
    ) -> Written:
        """Write ``events`` in batches of ``batch``; a path not in ``presence`` has all."""
        sink = self.make(folder)
        run = RunInfo(exp="test", number=1, detectors={})
        totals = {"Sums/jungfrau_calib": Spec(dtype=np.dtype(np.float64), shape=(2,))}
        sink.begin(Declaration(run=run, outputs=OUTPUTS, totals=totals))
        for first in range(0, events, batch):
            numbers = range(first, min(first + batch, events))
            record = {
                path: column(
                    path,
                    numbers,
                    [presence[path][i] if path in presence else True for i in numbers],
                )
                for path in OUTPUTS
            }
            sink.write(np.array([_timestamp(i) for i in numbers], np.uint64), record)
        if end:
            total = Result(np.array([1.0, 2.0]), events)
            ledger = Ledger(read=events, written=events)
            sink.end({"Sums/jungfrau_calib": total}, ledger)
        else:
            sink.abort()
        return self.read(folder, sink)

    def check(
        self, written: Written, presence: Mapping[str, Sequence[bool]], events: int
    ) -> None:
        """Compare with the expectation in plain Python."""
        assert written.timestamps == [_timestamp(i) for i in range(events)]
        for path, spec in OUTPUTS.items():
            gap: list[Any] | None = [] if spec.kind == "ragged" else None
            here = presence.get(path, [True] * events)
            expected = [value(path, i) if here[i] else gap for i in range(events)]
            got = (
                list(written.columns[path]) if path in written.columns else [None] * events
            )
            if spec.kind == "ragged":
                got = [[] if item is None else item for item in got]
            assert got == expected, path

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    def test_no_gap(self, tmp_path: Path, batch: int) -> None:
        """Every value comes back, whatever the batches."""
        written = self.run(tmp_path, {}, 100, batch)
        self.check(written, {}, 100)
        assert written.complete
        assert written.totals == {"Sums/jungfrau_calib": ([1.0, 2.0], 100)}

    @pytest.mark.parametrize("events", [0, 1])
    def test_few_events(self, tmp_path: Path, events: int) -> None:
        """No event at all and one event are runs like others."""
        written = self.run(tmp_path, {}, events, 10)
        self.check(written, {}, events)
        assert written.totals == {"Sums/jungfrau_calib": ([1.0, 2.0], events)}

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    @pytest.mark.parametrize("where", ["early", "late", "everywhere", "alternating"])
    def test_gaps(self, tmp_path: Path, where: str, batch: int) -> None:
        """A gap is a gap, and the same one, wherever it is."""
        n = 40
        pattern = {
            "early": [i >= 25 for i in range(n)],
            "late": [i < 25 for i in range(n)],
            "everywhere": [False] * n,
            "alternating": [i % 2 == 0 for i in range(n)],
        }[where]
        presence = dict.fromkeys(OUTPUTS, pattern)
        self.check(self.run(tmp_path, presence, n, batch), presence, n)

    def test_any_presence(self) -> None:
        """Any pattern of gaps, any batches; columns that share lengths share gaps."""

        @settings(max_examples=30, deadline=None)
        @given(data=st.data())
        def check(data: st.DataObject) -> None:
            events = data.draw(st.integers(0, 20))
            batch = data.draw(st.integers(1, 8))
            pattern = st.lists(st.booleans(), min_size=events, max_size=events)
            presence = {path: data.draw(pattern) for path in OUTPUTS}
            shared = "jungfrau/var_droplet_sparse"
            presence[f"{shared}/row"] = presence[f"{shared}/data"]
            with tempfile.TemporaryDirectory() as folder:
                self.check(
                    self.run(Path(folder), presence, events, batch), presence, events
                )

        check()

    def test_abort_keeps_what_was_written(self, tmp_path: Path) -> None:
        """After abort the rows are there, and the run is known not to be whole."""
        written = self.run(tmp_path, {}, 30, 7, end=False)
        self.check(written, {}, 30)
        assert not written.complete

    def test_abort_outside_of_a_run(self, tmp_path: Path) -> None:
        """Abort can come before begin and after end; what was ended stays ended."""
        self.make(tmp_path).abort()
        sink = self.make(tmp_path)
        sink.begin(_nothing())
        sink.end({}, Ledger())
        sink.abort()
        assert self.read(tmp_path, sink).complete

    def test_write_needs_a_run(self, tmp_path: Path) -> None:
        """Before begin, after end and after abort nothing is taken."""
        some: tuple[np.ndarray[Any, np.dtype[np.uint64]], dict[str, Column]]
        some = (np.array([1], np.uint64), {})
        sink = self.make(tmp_path)
        with pytest.raises(OutputError, match="begin"):
            sink.write(*some)
        sink.begin(_nothing())
        with pytest.raises(OutputError, match="end or abort"):
            sink.begin(_nothing())
        sink.end({}, Ledger())
        with pytest.raises(OutputError, match="begin"):
            sink.write(*some)
        with pytest.raises(OutputError, match="begin"):
            sink.end({}, Ledger())


def _nothing() -> Declaration:
    return Declaration(run=RunInfo(exp="", number=0, detectors={}), outputs={})


def _timestamp(i: int) -> int:
    return (1_000_000_000 << 32) + 8_333_333 * i
