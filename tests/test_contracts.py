"""Contracts of reductions and detectors see a number where there should be several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.fields_of import FieldsOf
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.testing.detectors import Data, DetectorContract
from smalldata_stream.testing.reductions import Input, ReductionContract

PAIR = Spec(dtype=np.dtype(float), shape=(2,))


@dataclass(frozen=True, slots=True)
class Ones:
    """Two ones for each event."""

    name: str = "ones"

    def prepare(self, *inputs: Spec) -> PerEvent:
        return PerEvent(outputs={"ones": PAIR}, compute=lambda v: {"ones": np.ones((2, 2))})


class OfReduction(ReductionContract):
    def __init__(self, expected: Any):
        self._expected = expected

    def make(self) -> Ones:
        return Ones()

    def inputs(self) -> Sequence[Input]:
        return [(PAIR, np.zeros((2, 2)))]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return {"ones": self._expected}


class OfDetector(DetectorContract):
    def __init__(self, expected: Any):
        self._expected = expected

    def make(self) -> DefaultDetector:
        return FieldsOf("cam")

    def data(self) -> Mapping[str, Data]:
        fields = {("raw", "ones"): [np.ones(2), None]}
        return {"cam": Data(type="generic_container", fields=fields)}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {"ones": [self._expected, None]}


def test_one_number_is_not_two_of_a_reduction() -> None:
    OfReduction([1.0, 1.0]).test_results_are_the_expected_ones()
    with pytest.raises(AssertionError, match="ones"):
        OfReduction(1.0).test_results_are_the_expected_ones()


def test_one_number_is_not_two_of_a_detector() -> None:
    OfDetector([1.0, 1.0]).test_outputs_are_the_expected_ones()
    with pytest.raises(AssertionError, match="ones"):
        OfDetector(1.0).test_outputs_are_the_expected_ones()
