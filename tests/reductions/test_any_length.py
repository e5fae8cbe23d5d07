"""Waveforms of another length in each event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Ragged, concatenate
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.any_length import MOST_LENGTHS, of_any_length
from smalldata_stream.reductions.integral import Integral

SPEC = Spec(dtype=np.dtype(float), kind="ragged")


def test_reductions_of_ever_new_lengths_are_not_kept_for_good() -> None:
    prepared: list[int] = []

    def prepare(spec: Spec) -> PerEvent:
        assert spec.shape is not None
        prepared.append(spec.shape[0])
        return Integral().prepare(spec)

    ready = of_any_length(prepare, SPEC)
    rng = np.random.default_rng(0)
    lengths = range(1, 3 * MOST_LENGTHS)
    waves = [rng.normal(size=n) for n in lengths]
    for _ in range(2):
        got: Any = ready.compute(Ragged.of(waves))[""]
        np.testing.assert_allclose(got.values, [wave.sum() for wave in waves], rtol=1e-12)
    # Those that were let go were made again.
    assert len(prepared) > 1 + len(lengths)


def test_few_lengths_are_made_ready_once() -> None:
    prepared: list[Spec] = []

    def prepare(spec: Spec) -> PerEvent:
        prepared.append(spec)
        return Integral().prepare(spec)

    ready = of_any_length(prepare, SPEC)
    for _ in range(5):
        ready.compute(Ragged.of([np.ones(n) for n in (3, 7, 3)]))
    assert len(prepared) == 3


def test_lists_beside_values_of_one_shape_are_no_column() -> None:
    fixed: Array = np.ones((2, 3))
    with pytest.raises(ValueError, match="beside values of one shape"):
        concatenate([Ragged.of([np.ones(2)]), fixed])
