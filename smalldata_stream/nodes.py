"""The kinds of nodes of each event: a detector, and a reduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smalldata_stream.batch import Batch, Column, Signal, Status
from smalldata_stream.columns import common_events, spread
from smalldata_stream.detectors.damage import SLOW
from smalldata_stream.detectors.fields import spec_of
from smalldata_stream.detectors.units import known_of
from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.flow import Chosen, Node, below
from smalldata_stream.lead_in import NOTHING_BEFORE, Before
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.run import DetectorInfo

if TYPE_CHECKING:
    from smalldata_stream.plan import Plan


class PerEventNode(Node):
    """A reduction of each event by itself."""

    def __init__(self, plan: Plan, inputs: Sequence[Node], path: str, prepared: PerEvent):
        self.prepared = prepared
        self.keys = [node.key()[0] for node in inputs]
        super().__init__(plan, inputs, path)
        self.fields = {
            output_path(path, field, spec): field
            for field, spec in prepared.outputs.items()
        }
        self.outputs = {p: prepared.outputs[field] for p, field in self.fields.items()}
        # Not paths of the file: a word may take them, nobody writes them.
        self.inner = {f"{path}:{field}": field for field in prepared.inner}
        if isinstance(prepared.chained, str):
            self.value = self._field(prepared.chained)
        elif prepared.chained is not None:
            self.value = (path, prepared.chained[0])
        elif len(self.outputs) == 1:
            ((only, spec),) = self.outputs.items()
            self.value = (only, spec)

    def _field(self, field: str) -> tuple[str, Spec]:
        """Key in the record, and spec, of a field."""
        specs = {**self.prepared.inner, **self.prepared.outputs}
        keys = {f: key for key, f in {**self.inner, **self.fields}.items()}
        return keys[field], specs[field]

    def __getitem__(self, field: str) -> Node:
        """One of the results; of names with several parts the last is enough."""
        known = [*self.prepared.inner, *self.prepared.outputs]
        found = [f for f in known if f == field]
        found = found or [f for f in known if f.rpartition("/")[2] == field]
        if len(found) != 1:
            if below(self.path, field) in self.outputs or set(known) <= {""}:
                return super().__getitem__(field)
            raise GraphError(f"{self.path} has no {field!r}; {did_you_mean(field, known)}")
        key, spec = self._field(found[0])
        return Chosen(self, below(self.path, field), key, spec)

    def work(self, batch: Batch) -> None:
        """Compute over the events that have all inputs; the others have a gap."""
        inputs = [batch.record[key] for key in self.keys]
        events = common_events(inputs)
        values = [column.at(events) for column in inputs]
        timestamps = batch.timestamps[events]
        prepared = self.prepared
        specs = {**prepared.outputs, **prepared.inner}
        columns = self.columns(prepared.compute, specs, values, timestamps)
        for path, field in {**self.fields, **self.inner}.items():
            batch.record.add(path, spread(columns[field], events))
        if not isinstance(prepared.chained, tuple) or not self.wanted:
            return
        spec, cut = prepared.chained
        chained = self.columns(lambda *v: {"": cut(*v)}, {"": spec}, values, timestamps)
        batch.record.add(self.path, spread(chained[""], events))


def output_path(path: str, field: str, spec: Spec) -> str:
    """Where a field goes; what varies in length is marked as smallData marks it.

    >>> output_path("cam/ROI_0", "sum", Spec(dtype=np.dtype(float)))
    'cam/ROI_0_sum'
    >>> ragged = Spec(dtype=np.dtype(float), kind="ragged")
    >>> output_path("cam/droplet", "x", ragged)
    'cam/var_droplet/x'
    >>> output_path("cam/droplet", "sparse/x", ragged)
    'cam/var_droplet_sparse/x'
    >>> output_path("cam/droplet", "sparse/x", Spec(dtype=np.dtype(float), shape=(5,)))
    'cam/droplet_sparse_x'
    """
    if spec.kind == "ragged":
        group, _, branch = path.partition("/")
        part, _, last = field.rpartition("/")
        below_var = f"{group}/var_{branch}" + (f"_{part}" if part else "")
        return f"{below_var}/{last}" if last else below_var
    return below(path, field.replace("/", "_")) if field else path


class DetectorNode(Node):
    """A detector: puts what is asked of it into the record, calibrated where it has frames.

    Only the fields that the graph uses are read. ``written`` maps output path to signal,
    ``damage`` is the path of its damage, empty where it is not read out event by event.
    """

    def __init__(self, plan: Plan, info: DetectorInfo):
        super().__init__(plan, [plan.source], info.name)
        self.info = info
        self.written: dict[str, Signal] = {}
        self.read: dict[Signal, str] = {}
        self.frames: tuple[Signal, PerEvent] | None = None
        self.before: Before | None = None
        self._make_frames: Callable[[], None] | None = None
        self.damage = "" if info.name in SLOW else f"damage/{info.name}"
        if self.damage:
            says = f"1 where {info.name} is there and undamaged"
            self.outputs[self.damage] = Spec(dtype=np.dtype(bool), long_name=says)

    def want(self, signal: Signal) -> None:
        """Have the source read ``signal``."""
        self.read[signal] = str(signal)
        self.plan.signals[signal] = None

    def write(self, signal: Signal) -> None:
        """Write ``signal`` for each event."""
        path = self.field_path(signal)
        self.want(signal)
        self.written[path] = signal
        self.outputs[path] = field_spec(self.info, signal[1:])

    def make_frames(self, make: Callable[[], None]) -> None:
        """How frames are made ready once a word wants them: not all that exist are used."""
        self._make_frames = make

    def use_frames(self, signal: Signal, prepared: PerEvent, name: str) -> None:
        """Let chained words work on what ``prepared`` makes of ``signal``."""
        self.want(signal)
        self.frames = (signal, prepared)
        if prepared.before_ms:
            self.before = Before(signal, prepared.before_ms)
        self.value = (self.info.name, prepared.outputs[name])

    def field_path(self, signal: Signal) -> str:
        """Output path of a field: ``<detector>/<field>``, with the algorithm if needed."""
        same = [key for key in self.info.fields if key[1] == signal.field]
        name = signal.field if len(same) == 1 else f"{signal.algorithm}_{signal.field}"
        variable = self.info.fields[signal.algorithm, signal.field].variable
        return f"{self.info.name}/{'var_' if variable else ''}{name}"

    def signal(self, field: str) -> Signal:
        """The signal called ``field`` or ``algorithm.field``."""
        found = [
            signal
            for signal in self.info.signals()
            if field in (signal.field, f"{signal.algorithm}.{signal.field}")
        ]
        if len(found) == 1:
            return found[0]
        known = [f"{algorithm}.{name}" for algorithm, name in self.info.fields]
        if found:
            raise GraphError(
                f"{self.info.name} has {field!r} in several algorithms; write one of "
                + ", ".join(f"{s.algorithm}.{s.field}" for s in found)
            )
        raise GraphError(
            f"{self.info.name} has no field {field!r}; {did_you_mean(field, known)}"
        )

    def __getitem__(self, field: str) -> Node:
        """One field, to chain words behind it or to give it to a function."""
        return self.choose(self.signal(field))

    def choose(self, signal: Signal) -> Node:
        """One signal, to chain words behind it."""
        self.want(signal)
        spec = field_spec(self.info, signal[1:])
        return Chosen(self, f"{self.info.name}/{signal.field}", str(signal), spec)

    def key(self) -> tuple[str, Spec]:
        """The calibrated frames; `GraphError` where the detector has none."""
        if self.value is None and self._make_frames is not None:
            self._make_frames()
        if self.value is None:
            known = ", ".join(f"{a}.{f}" for a, f in self.info.fields)
            raise GraphError(
                f"{self.info.name} (type {self.info.type}) has no frames; choose "
                f"a field, as in {self.info.name}[...], of: {known}"
            )
        return super().key()

    def work(self, batch: Batch) -> None:
        """Hand the columns of the batch to the record; calibrate if anybody wants it."""
        for signal, key in self.read.items():
            batch.record.add(key, batch.columns[signal])
        for path, signal in self.written.items():
            batch.record.add(path, batch.columns[signal])
        if self.damage and self.info.name in batch.status:
            good = batch.status[self.info.name] == Status.OK
            batch.record.add(self.damage, Column(good))
        if self.frames is None or not self.wanted:
            return
        signal, prepared = self.frames
        inputs = [batch.columns[signal]]
        if self.before is not None:
            inputs.append(self.before.take(batch))
            unknown = int(inputs[0].mask.sum() - inputs[1].mask.sum())
            self.plan.unknown[f"{self.path}: {NOTHING_BEFORE}"] += unknown
        events = common_events(inputs)
        values = [column.at(events) for column in inputs]
        timestamps = batch.timestamps[events]
        made = self.columns(prepared.compute, prepared.outputs, values, timestamps)
        (frames,) = made.values()
        batch.record.add(self.info.name, spread(frames, events))


def field_spec(info: DetectorInfo, key: tuple[str, str]) -> Spec:
    """What a field of a detector puts out for one event; ``key`` is (algorithm, field)."""
    return spec_of(info.fields[key], known_of(info.type, key[1]))


def cheapest(info: DetectorInfo) -> Signal:
    """The signal that costs least to read, to know whether a detector is there.

    Raises `GraphError` where it has none.
    """
    fields = info.fields if info.recorded is None else info.recorded

    if not fields:
        raise GraphError(f"{info.name} (type {info.type}) has no field in this run")

    def cost(key: tuple[str, str]) -> tuple[bool, bool, int]:
        return fields[key].frame, fields[key].variable, fields[key].rank

    return Signal(info.name, *min(fields, key=cost))
