"""Contracts of reductions and of states: subclass one, and pytest runs all its tests."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import (
    Array,
    Column,
    Frames,
    Mask,
    Ragged,
    Values,
    concatenate,
    read_only,
    take,
)
from smalldata_stream.protocols import PerEvent, Reduction, Result, Spec, State

Input = tuple[Spec, Values]
Compute = Any


def same_bits(a: Values, b: Values) -> bool:
    """Whether two sets of values are equal to the last bit, NaN and signs of 0 included.

    >>> same_bits(np.array([0.0]), np.array([-0.0]))
    False
    """
    if isinstance(a, Ragged) and isinstance(b, Ragged):
        return same_bits(a.values, b.values) and same_bits(a.offsets, b.offsets)
    x, y = _stacked(a), _stacked(b)
    return (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())


def _stacked(values: Values) -> Array:
    if isinstance(values, Ragged):
        return values.values
    return values.stack() if isinstance(values, Frames) else np.asarray(values)


def _values(result: Values | Column, events: int) -> Values:
    """The values of a result that all events have."""
    if isinstance(result, Column):
        assert result.present is None, "give inputs for which every event has a result"
        result = result.values
    assert len(result) == events
    return result


def _pick(values: Values, events: Sequence[int]) -> Values:
    parts = [take(values, np.arange(len(values)) == event) for event in events]
    return concatenate(parts) if parts else take(values, np.zeros(len(values), bool))


class ReductionContract:
    """What every per-event reduction keeps.

    Subclass it with ``make``, ``inputs`` and ``expected``.

    ``inputs`` covers what the reduction may meet (dtypes, ranks, `Frames` and arrays, a
    mask, bad values), two events or more each.

    >>> class TestRoi(ReductionContract):
    ...     def make(self): return Roi("ROI_0")
    ...     def inputs(self): return [(Spec(dtype=frames.dtype, shape=(2, 3)), frames)]
    ...     def expected(self, frame, mask): return {"sum": frame[mask].sum()}
    """

    rtol = 1e-12
    """Relative error of floats against ``expected``."""

    def make(self) -> Reduction:
        """The reduction, with parameters."""
        raise NotImplementedError

    def inputs(self) -> Sequence[Input]:
        """Specs, and values for each."""
        raise NotImplementedError

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        """Fields of one event by other means; ``mask`` has the frame's shape."""
        raise NotImplementedError

    def prepared(self, spec: Spec) -> PerEvent:
        """The reduction made ready for ``spec``."""
        prepared = self.make().prepare(spec)
        assert isinstance(prepared, PerEvent)
        return prepared

    def test_outputs_are_as_declared(self) -> None:
        """Fields, dtypes, shapes and kinds are those of ``outputs``."""
        for spec, frames in self.inputs():
            prepared = self.prepared(spec)
            results = prepared.compute(frames)
            assert list(results) == [*prepared.outputs, *prepared.inner]
            for field, declared in (dict(prepared.outputs) | dict(prepared.inner)).items():
                _check_declared(declared, _values(results[field], len(frames)))
            if isinstance(prepared.chained, tuple):
                declared, make = prepared.chained
                _check_declared(declared, make(frames))

    def test_an_empty_batch_works(self) -> None:
        """No events in, no events out, of the declared dtypes and shapes."""
        for spec, frames in self.inputs():
            prepared = self.prepared(spec)
            none = take(frames, np.zeros(len(frames), bool))
            results = prepared.compute(none)
            assert list(results) == [*prepared.outputs, *prepared.inner]
            for field, declared in (dict(prepared.outputs) | dict(prepared.inner)).items():
                _check_declared(declared, _values(results[field], 0))

    def test_results_are_the_expected_ones(self) -> None:
        """Each field is what ``expected`` says, for every event."""
        assert self.inputs()
        for spec, frames in self.inputs():
            assert len(frames) > 1, "give two events or more: one cannot be mixed up"
            results = self.prepared(spec).compute(frames)
            assert spec.shape is not None
            mask = np.ones(spec.shape, bool) if spec.mask is None else spec.mask
            for event, frame in enumerate(frames):
                expected = self.expected(frame, mask)
                assert expected, "say what to expect of one field at least"
                for field, value in expected.items():
                    got = _values(results[field], len(frames))[event]
                    np.testing.assert_allclose(got, value, rtol=self.rtol, err_msg=field)
                    # What is compared with one number may be many.
                    assert np.shape(got) == np.shape(value), field

    def test_the_input_is_not_changed(self) -> None:
        """Read-only values are taken, and have the same bytes afterwards."""
        for spec, frames in self.inputs():
            before = _stacked(frames).tobytes()
            given_ = read_only(frames) if isinstance(frames, np.ndarray) else frames
            prepared = self.prepared(spec)
            prepared.compute(given_)
            if isinstance(prepared.chained, tuple):
                prepared.chained[1](given_)
            assert _stacked(frames).tobytes() == before

    def test_batches_do_not_matter(self) -> None:
        """One batch, batches of one event, and any order give the same bits."""
        for spec, frames in self.inputs():
            prepared = self.prepared(spec)
            n = len(frames)
            backwards = _pick(frames, range(n)[::-1])
            for of in _functions(prepared):
                whole = {field: _values(v, n) for field, v in of(frames).items()}
                for field, value in of(backwards).items():
                    again = _pick(_values(value, n), range(n)[::-1])
                    assert same_bits(again, whole[field]), f"{field} depends on the order"
                for event in range(n):
                    for field, value in of(_pick(frames, [event])).items():
                        alone = _values(value, 1)
                        together = _pick(whole[field], [event])
                        assert same_bits(alone, together), f"{field} depends on the batch"

    def test_parameters_are_fixed_named_and_shown(self) -> None:
        """A frozen dataclass: no new or changed field, all in the repr, none misspelled."""
        reduction: Any = self.make()
        names = [field.name for field in dataclasses.fields(reduction)]
        for name in names:
            assert f"{name}=" in repr(reduction)
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(reduction, name, getattr(reduction, name))
        assert not hasattr(reduction, "__dict__"), "write slots=True"
        with pytest.raises(TypeError):
            type(reduction)(**{names[-1] + "s": getattr(reduction, names[-1])})


def _functions(prepared: PerEvent) -> list[Compute]:
    if not isinstance(prepared.chained, tuple):
        return [prepared.compute]
    make = prepared.chained[1]
    return [prepared.compute, lambda values: {"chained": make(values)}]


def _check_declared(spec: Spec, values: Values) -> None:
    kinds = {Frames: "frames", Ragged: "ragged"}
    assert spec.kind == kinds.get(type(values), "dense")
    assert spec.dtype == values.dtype
    if spec.shape is not None and not isinstance(values, Ragged):
        got = values.shape if isinstance(values, Frames) else values.shape[1:]
        assert spec.shape == got
    if spec.mask is not None:
        assert spec.mask.shape == spec.shape


class StateContract:
    """What every state keeps; subclass with ``make``, ``frames``, ``expected``.

    ``expected`` computes the totals of a stack of frames by other means, to the last bit.
    """

    examples = 30
    """Ways to split, order and merge that are tried."""

    def make(self) -> State:
        """A state that has taken nothing."""
        raise NotImplementedError

    def frames(self) -> Array:
        """Values ``(n, *shape)`` of some events, hard ones among them."""
        raise NotImplementedError

    def expected(self, frames: Array) -> Mapping[str, Array]:
        """The totals of ``frames``, which may be none."""
        raise NotImplementedError

    def test_any_split_order_and_merge_gives_the_same_bits(self) -> None:
        """Events are dealt to states in any way, and the states merged in any order."""
        frames = self.frames()
        truth = self.expected(frames)

        @settings(max_examples=self.examples, deadline=None)
        @given(data=st.data())
        def check(data: st.DataObject) -> None:
            order = data.draw(st.permutations(range(len(frames))))
            cuts = st.lists(st.integers(0, len(frames)), max_size=4)
            ends = [0, *sorted(data.draw(cuts)), len(frames)]
            states = []
            for first, last in pairwise(ends):
                state, events = self.make(), frames[order[first:last]]
                middle = data.draw(st.integers(0, len(events)))
                state.add(events[:middle])
                state.add(Frames(list(events[middle:]), **_like(frames)))
                states.append(state)
            while len(states) > 1:
                one = states.pop(data.draw(st.integers(0, len(states) - 1)))
                states[data.draw(st.integers(0, len(states) - 1))].merge(one)
            _check_totals(states[0].value(), truth, len(frames))

        check()

    def test_after_no_event(self) -> None:
        """There is a value before the first event, with a count of 0."""
        _check_totals(self.make().value(), self.expected(self.frames()[:0]), 0)

    def test_add_is_all_or_nothing(self) -> None:
        """Frames of another shape are refused, and nothing is added."""
        frames = self.frames()
        state = self.make()
        state.add(frames)
        before = state.value()
        wrong = np.zeros((2, *frames.shape[1:], 2), frames.dtype)
        with pytest.raises(ValueError, match="declared"):
            state.add(wrong)
        for field, result in state.value().items():
            assert same_bits(result.value, before[field].value)
            assert result.count == before[field].count

    def test_the_input_is_not_changed_and_not_kept(self) -> None:
        """The frames have the same bytes afterwards, and may then be overwritten."""
        frames = self.frames().copy()
        state = self.make()
        before = frames.tobytes()
        state.add(read_only(frames))
        assert frames.tobytes() == before
        frames[...] = 1
        _check_totals(state.value(), self.expected(self.frames()), len(frames))

    def test_a_value_does_not_change_later(self) -> None:
        """What ``value`` gave stays as it is when more events come."""
        state = self.make()
        state.add(self.frames())
        early = state.value()
        state.add(self.frames())
        _check_totals(early, self.expected(self.frames()), len(self.frames()))

    def test_goes_to_another_process(self) -> None:
        """A state can be pickled, as ranks send it to each other."""
        state = self.make()
        state.add(self.frames())
        again = pickle.loads(pickle.dumps(state))
        _check_totals(again.value(), self.expected(self.frames()), len(self.frames()))


def _like(frames: Array) -> dict[str, Any]:
    return {"shape": frames.shape[1:], "dtype": frames.dtype}


def _check_totals(
    totals: Mapping[str, Result], truth: Mapping[str, Array], events: int
) -> None:
    assert list(totals) == list(truth)
    for field, result in totals.items():
        assert result.count == events
        np.testing.assert_array_equal(result.value, truth[field], err_msg=field)
        assert same_bits(result.value, truth[field]), f"{field}: NaN or 0 of another kind"
