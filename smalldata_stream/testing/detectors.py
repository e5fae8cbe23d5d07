"""Contract of default detectors: subclass it, and pytest runs all its tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import (
    STRING,
    Batch,
    Column,
    Frames,
    Mask,
    Ragged,
    Signal,
    Status,
)
from smalldata_stream.columns import value_shape
from smalldata_stream.detectors.default import DefaultDetector, NotInRun
from smalldata_stream.detectors.fields import output_of
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Result
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo
from smalldata_stream.testing.reductions import same_bits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """A detector of the data: per (algorithm, field) one value per event, None a gap.

    ``frame`` has the fields that come as frames, ``config`` what Configure says.
    """

    type: str
    fields: Mapping[tuple[str, str], Sequence[Any]]
    frame: tuple[str, ...] = ()
    config: Mapping[tuple[str, str], Any] = dataclasses.field(default_factory=dict)
    pv: Mapping[str, str] = dataclasses.field(default_factory=dict)
    version: tuple[int, int, int] = (1, 0, 0)
    segments: tuple[int, ...] = (0,)

    def there(self) -> Mask:
        """In which events the detector is: those in which any field has a value."""
        values = [[v is not None for v in field] for field in self.fields.values()]
        there: Mask = np.any(values, axis=0)
        return there


class DetectorContract:
    """What every default detector keeps; subclass it with ``make``, ``data``, ``expected``.

    ``data`` has the detectors of a small run, one event without the detector among them;
    ``expected`` the outputs of its events by other means, None where there is a gap.

    >>> class TestGmd(DetectorContract):
    ...     def make(self): return Gmd()
    ...     def data(self):
    ...         energy = {("raw", "energy"): [1.0, None]}
    ...         return {"gmd": Data(type="gmd", fields=energy)}
    ...     def expected(self): return {"energy": [1.0, None]}
    """

    steps: Sequence[int] | None = None
    """The scan step of each event, -1 before the first; all 0 unless given."""

    def make(self) -> DefaultDetector:
        """The default detector, with parameters."""
        raise NotImplementedError

    def data(self) -> Mapping[str, Data]:
        """The detectors of a small run by name."""
        raise NotImplementedError

    def expected(self) -> Mapping[str, Sequence[Any]]:
        """Each output, by event."""
        raise NotImplementedError

    # ------------------------------------------------------------------------- inside

    def graph(self) -> Graph:
        """The graph of this detector alone."""
        return build(lambda g, _: void(g.add(self.make())), run_of(self.data()))

    def batches(self, *cuts: int) -> list[Batch]:
        """The events, in batches that end after the given numbers of events."""
        whole = batch_of(self.data(), self.steps)
        number = np.arange(len(whole))
        ends = [0, *sorted(cuts), len(whole)]
        return [whole.select((number >= a) & (number < b)) for a, b in pairwise(ends)]

    def columns(self, *cuts: int) -> list[dict[str, Column]]:
        """What the graph puts out, by batch and output."""
        g = self.graph()
        found = []
        for batch in self.batches(*cuts):
            g.plan.push(batch)
            found.append({path: batch.record[path] for path in self.outputs(g)})
        assert g.plan.failures == {}, g.plan.letters[0].traceback
        return found

    def outputs(self, g: Graph) -> dict[str, Any]:
        """The outputs of the detector itself, by path."""
        head = f"{self.make().group}/"
        return {p: s for p, s in g.plan.outputs().items() if p.startswith(head)}

    # -------------------------------------------------------------------------- tests

    def test_outputs_are_said_before_the_first_event(self) -> None:
        """Dtype, shape and kind are those declared, and every output is on its page."""
        g, kind = self.graph(), self.make()
        declared = self.outputs(g)
        assert {path.partition("/")[2] for path in declared} == set(self.expected())
        (columns,) = self.columns()
        for path, spec in declared.items():
            values = columns[path].values
            kinds = {Frames: "frames", Ragged: "ragged"}
            assert spec.kind == kinds.get(type(values), "dense")
            assert values.dtype == spec.dtype, path
            if spec.kind != "ragged":
                assert value_shape(values) == spec.shape, path
            known = output_of(kind.OUTPUTS, path.partition("/")[2])
            assert known is not None, f"{path} is not in OUTPUTS"
            if known.unit:
                assert spec.unit, f"{path} has no unit"

    def test_outputs_are_the_expected_ones(self) -> None:
        """Each output of each event, gaps where there must be one."""
        (columns,) = self.columns()
        head = self.make().group
        for field, events in self.expected().items():
            column = columns[f"{head}/{field}"]
            got = column.mask.tolist()
            assert got == [value is not None for value in events], field
            values = iter(column.values)
            for event, want in enumerate(events):
                if want is not None:
                    where = f"{field} of event {event}"
                    have = next(values)
                    if isinstance(want, str):
                        assert str(have) == want, where
                    else:
                        np.testing.assert_allclose(
                            have, want, rtol=1e-12, atol=1e-12, err_msg=where
                        )
                        assert np.shape(have) == np.shape(want), where

    def test_batches_do_not_matter(self) -> None:
        """One batch, and batches of one event, give the same bits."""
        (whole,) = self.columns()
        events = len(self.batches()[0])
        for event, alone in enumerate(self.columns(*range(1, events))):
            chosen = np.arange(events) == event
            for path, column in alone.items():
                assert same_bits(column.values, whole[path].select(chosen).values), path

    def test_the_data_are_not_changed(self) -> None:
        """The columns that come from the source are as they were."""
        (batch,) = self.batches()
        before = {s: _bytes(c) for s, c in batch.columns.items()}
        self.graph().plan.push(batch)
        assert {s: _bytes(c) for s, c in batch.columns.items()} == before

    def test_a_run_without_it_drops_it_and_says_so(self) -> None:
        """Dropped from ``g.defaults``; on a line of its own an error that says what is."""
        kind = self.make()
        other = {"something": Data(type="odd", fields={("raw", "x"): [1.0]})}
        with pytest.raises(NotInRun):
            kind.read(run_of(other))
        g = build(lambda g, _: void(g.defaults(kind)), run_of(other))
        assert [line.partition(":")[0] for line in g.plan.dropped] == [kind.group]
        assert self.outputs(g) == {}
        with pytest.raises(GraphError, match=r"something|in this run"):
            build(lambda g, _: void(g.add(kind)), run_of(other))

    def test_parameters_are_written_down(self) -> None:
        """``/UserDataCfg`` has every parameter and the detector that was read."""
        kind: Any = self.make()
        config = self.graph().plan.config[kind.group]
        for field in dataclasses.fields(kind):
            if field.name not in ("detector", "name", "variables", "once", "unit"):
                assert field.name in config
        assert any("detname" in name or name.startswith("PV") for name in config)

    def test_parameters_are_fixed_named_and_shown(self) -> None:
        """A frozen dataclass: no new or changed field, all in the repr, none misspelled."""
        kind: Any = self.make()
        for field in dataclasses.fields(kind):
            assert f"{field.name}=" in repr(kind)
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(kind, field.name, None)
        assert not hasattr(kind, "__dict__"), "write slots=True"
        with pytest.raises(TypeError):
            type(kind)(detektor="x")


class OnceContract:
    """What is written once; as `DetectorContract`, but ``expected`` is one value each."""

    def make(self) -> DefaultDetector:
        """The default detector, with parameters."""
        raise NotImplementedError

    def data(self) -> Mapping[str, Data]:
        """The detectors of a small run by name."""
        raise NotImplementedError

    def expected(self) -> Mapping[str, Any]:
        """Each output, of the run."""
        raise NotImplementedError

    def test_the_value_of_the_first_event_that_has_one(self) -> None:
        """However the events are cut into batches."""
        whole = batch_of(self.data())
        for cut in range(len(whole)):
            g = build(lambda g, _: void(g.add(self.make())), run_of(self.data()))
            for batch in (
                whole.select(np.arange(len(whole)) >= cut),
                whole.select(np.arange(len(whole)) < cut),
            ):
                g.plan.push(batch)
            results: Mapping[str, Result] = g.plan.results()
            head = self.make().group
            assert set(results) == {f"{head}/{field}" for field in self.expected()}
            for field, want in self.expected().items():
                assert results[f"{head}/{field}"].value.tolist() == want


def void(_: object) -> None:
    """Take a value and give none."""


def run_of(data: Mapping[str, Data]) -> RunInfo:
    """The run that has these data."""
    return RunInfo(
        exp="tst",
        number=1,
        detectors={
            name: DetectorInfo(
                name=name,
                type=one.type,
                fields={key: _info(one, key) for key in one.fields},
                versions={algorithm: one.version for algorithm, _ in one.fields},
                segments=one.segments,
                config=one.config,
            )
            for name, one in data.items()
        },
    )


def batch_of(data: Mapping[str, Data], steps: Sequence[int] | None = None) -> Batch:
    """All events of these data."""
    events = len(next(iter(next(iter(data.values())).fields.values())))
    columns, status = {}, {}
    for name, one in data.items():
        for key, values in one.fields.items():
            columns[Signal(name, *key)] = _column(values, _info(one, key))
        there = one.there()
        status[name] = np.where(there, Status.OK, Status.MISSING).astype(np.uint8)
    number = np.zeros(events, np.int32) if steps is None else np.array(steps, np.int32)
    timestamps = np.arange(events, dtype=np.uint64) + np.uint64(1 << 32)
    return Batch(timestamps, number, columns, status)


def _info(data: Data, key: tuple[str, str]) -> FieldInfo:
    values = [v for v in data.fields[key] if v is not None]
    long_name = data.pv.get(key[1], "")
    if isinstance(values[0], str):
        return FieldInfo(dtype=np.dtype(STRING), shape=(), long_name=long_name)
    arrays = [np.asarray(v) for v in values]
    variable = len({a.shape for a in arrays}) > 1
    return FieldInfo(
        dtype=arrays[0].dtype,
        rank=arrays[0].ndim,
        shape=None if variable else arrays[0].shape,
        variable=variable,
        frame=key[1] in data.frame,
        long_name=long_name,
    )


def _column(values: Sequence[Any], info: FieldInfo) -> Column:
    there = np.array([v is not None for v in values])
    given = [v for v in values if v is not None]
    if info.variable:
        return Column(Ragged.of(given, info.dtype), there)
    if info.frame:
        return Column(Frames(given, shape=info.shape, dtype=info.dtype), there)
    if info.dtype == STRING:
        return Column(np.array(given, STRING), there)
    array = np.array(given, info.dtype).reshape(len(given), *(info.shape or ()))
    return Column(array, there)


def _bytes(column: Column) -> bytes:
    values = column.values
    if isinstance(values, Ragged):
        return values.values.tobytes()
    array = values.stack() if isinstance(values, Frames) else values
    return repr(array.tolist()).encode() if array.dtype == STRING else array.tobytes()
