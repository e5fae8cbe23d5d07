"""Reductions of waveforms for waveforms whose length varies from event to event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Column, Ragged, Values
from smalldata_stream.columns import as_columns, join, no_values, reordered
from smalldata_stream.protocols import PerEvent, Spec

LONGEST = 1 << 20
"""Samples of a waveform for which parameters are checked before the first event."""

MOST_LENGTHS = 64
"""Lengths whose reductions are kept: each has a mask, and every event may have another."""

Prepare = Callable[[Spec], PerEvent]


def of_any_length(prepare: Prepare, spec: Spec) -> PerEvent:
    """What ``prepare`` gives for waveforms ``(samples,)``, for those of any length.

    Events are taken together by the length of their waveform, and each length has a
    reduction of its own. What has the shape of the waveform becomes of variable length.
    A parameter that does not fit the waveform of an event is an error of that event.

    >>> def mean(spec):
    ...     return PerEvent(outputs={"": Spec(dtype=np.dtype(float))},
    ...                     compute=lambda waves: {"": waves.mean(axis=1)})
    >>> ready = of_any_length(mean, Spec(dtype=np.dtype(float), kind="ragged"))
    >>> ready.compute(Ragged.of([np.ones(2), np.zeros(3), np.ones(1)]))[""].values
    array([1., 0., 1.])
    """
    if spec.found_in is not None:
        raise ValueError(
            f"the input is a list of what was found in frames ({spec.long_name}), and no "
            "waveform"
        )
    nominal = prepare(_fixed(spec, LONGEST))
    by_length = _ByLength(prepare, spec, nominal.outputs)
    chained = nominal.chained
    if isinstance(chained, tuple):
        varying = replace(chained[0], kind="ragged", shape=(), mask=None)
        chained = (varying, by_length.chained)
    return replace(nominal, compute=by_length.compute, chained=chained)


def _fixed(spec: Spec, samples: int) -> Spec:
    return replace(spec, kind="dense", shape=(samples,))


@dataclass(frozen=True, slots=True)
class _ByLength:
    """The reduction of each length that was met."""

    prepare: Prepare
    spec: Spec
    outputs: Mapping[str, Spec]
    _prepared: dict[int, PerEvent] = field(default_factory=dict)

    def compute(self, values: Values) -> Mapping[str, Column]:
        """The results of each event."""
        return self._apply(values, self.outputs, lambda ready, waves: ready.compute(waves))

    def chained(self, values: Values) -> Values:
        """What is chained behind it, of each event."""
        waves = {"": replace(self.spec, kind="ragged", shape=())}
        return self._apply(values, waves, _chained)[""].values

    def _apply(
        self, values: Values, specs: Mapping[str, Spec], apply: Callable[..., Any]
    ) -> dict[str, Column]:
        assert isinstance(values, Ragged)
        lengths, parts, places = values.lengths, [], []
        for length in np.unique(lengths).tolist():
            events = np.flatnonzero(lengths == length)
            samples = values.offsets[events, None] + np.arange(length)
            waves: Array = values.values[samples]
            results = apply(self._of(length), waves)
            parts.append(as_columns(results, specs, len(events)))
            places.append(events)
        if not parts:
            return {name: Column(no_values(one)) for name, one in specs.items()}
        if len(parts) == 1:
            return parts[0]
        order = np.argsort(np.concatenate(places))
        return {
            name: reordered(join([part[name] for part in parts]), order) for name in specs
        }

    def _of(self, length: int) -> PerEvent:
        if length not in self._prepared:
            if len(self._prepared) >= MOST_LENGTHS:
                self._prepared.clear()
            self._prepared[length] = self.prepare(_fixed(self.spec, length))
        return self._prepared[length]


def _chained(ready: PerEvent, waves: Array) -> Mapping[str, Values]:
    assert isinstance(ready.chained, tuple)
    out = np.asarray(ready.chained[1](waves))
    offsets = np.arange(len(out) + 1, dtype=np.int64) * out.shape[1]
    return {"": Ragged(out.ravel(), offsets)}
