"""The time tool as the DAQ fitted it, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.detectors.default import DefaultDetector, NotInRun
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.testing.detectors import Data, DetectorContract, run_of

GAP = None
POLYNOMIAL = (1.0, -0.5, 0.01)
FLTPOS = [100.0, 0.0, 120.0, 300.0, GAP]
AMPL = [0.2, 0.0, 0.01, 0.3, GAP]


def corrected(x: float) -> float:
    return 1.0 - 0.5 * x + 0.01 * x * x


class TestOfTheDaq(DetectorContract):
    """The second event has the 0 of a failed fit, the third too small an edge.

    Those of the others are at the ends of what is believed.
    """

    def make(self) -> DefaultDetector:
        return TimeTool("opal", polynomial_ps=POLYNOMIAL, amplitude=(0.2, 0.3), traces=True)

    def data(self) -> Mapping[str, Data]:
        signal = [np.arange(3.0)] * 4 + [GAP]
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("ttfex", "fltpos"): FLTPOS,
            ("ttfex", "ampl"): AMPL,
            ("ttproj", "proj_sig"): signal,
        }
        return {"opal": Data(type="opal", fields=fields)}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "fltpos": FLTPOS,
            "ampl": AMPL,
            "proj_sig": [[0, 1, 2]] * 4 + [GAP],
            "fitted": [True, False, False, True, GAP],
            "ttCorr": [corrected(100.0), GAP, GAP, corrected(300.0), GAP],
        }


class TestUnderTheNamesOfLcls1(DetectorContract):
    """Without a polynomial, the time that the DAQ found; the name is the PV's.

    A position that is no number is none.
    """

    positions = (*FLTPOS[:4], np.nan, GAP)
    times = (0.5, 0.0, 0.6, 0.7, 0.8, GAP)

    def make(self) -> DefaultDetector:
        return TimeTool("TTSPEC")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "FLTPOS"): self.positions,
            ("xtc1dump", "FLTPOS_PS"): self.times,
            ("xtc1dump", "proj_sig"): [*[np.zeros(3)] * 5, GAP],
        }
        return {"TTSPEC": Data(type="generic_container", fields=fields)}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "fltpos": self.positions,
            "fltpos_ps": self.times,
            "fitted": [True, False, True, True, False, GAP],
            "ttCorr": [0.5, GAP, 0.6, 0.7, GAP, GAP],
        }


class TestFromEpicsVariables(DetectorContract):
    def make(self) -> DefaultDetector:
        return TimeTool(("opal_tt", "epics"))

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "TTSPEC:FLTPOS"): FLTPOS,
            ("raw", "TTSPEC:FLTPOS_PS"): [0.5, 0.0, 0.6, 0.7, GAP],
            ("raw", "lxt"): [1.0, 1.0, 1.0, 1.0, GAP],
        }
        return {"epics": Data(type="epics", fields=fields)}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "fltpos": FLTPOS,
            "fltpos_ps": [0.5, 0.0, 0.6, 0.7, GAP],
            "fitted": [True, False, True, True, GAP],
            "ttCorr": [0.5, GAP, 0.6, 0.7, GAP],
        }


class TestOfTheIoc(DetectorContract):
    def make(self) -> DefaultDetector:
        return TimeTool("alvium_tt", fwhm_pixel=(5.0, 50.0))

    def data(self) -> Mapping[str, Data]:
        value = [
            np.array([100.0, 0.5, 20.0, 0.2, 0.01, 99.0]),
            np.array([110.0, 0.6, 80.0, 0.2, 0.01, 99.0]),
            GAP,
        ]
        fields = {("raw", "value"): value}
        return {"alvium_tt": Data(type="pv", fields=fields)}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "fltpos": [100.0, 110.0, GAP],
            "fltpos_ps": [0.5, 0.6, GAP],
            "fltposfwhm": [20.0, 80.0, GAP],
            "ampl": [0.2, 0.2, GAP],
            "amplnxt": [0.01, 0.01, GAP],
            "refampl": [99.0, 99.0, GAP],
            "fitted": [True, False, GAP],
            "ttCorr": [0.5, GAP, GAP],
        }


@pytest.mark.parametrize(
    ("parameters", "says"),
    [({"amplitude": (0.1, 1.0)}, "'ampl'"), ({"fwhm_pixel": (5.0, 50.0)}, "'fltposfwhm'")],
)
def test_a_window_of_what_the_data_do_not_have(
    parameters: dict[str, Any], says: str
) -> None:
    data = {"opal": Data(type="opal", fields={("ttfex", "fltpos"): FLTPOS})}
    with pytest.raises(NotInRun, match=f"has no field {says}.*, which .*= needs"):
        TimeTool("opal", **parameters).read(run_of(data))


class TestWithoutATime(DetectorContract):
    """Neither the data nor the user say what time a pixel is."""

    def make(self) -> DefaultDetector:
        return TimeTool("opal")

    def data(self) -> Mapping[str, Data]:
        return {"opal": Data(type="opal", fields={("ttfex", "fltpos"): FLTPOS})}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "fltpos": FLTPOS,
            "fitted": [True, False, True, True, GAP],
            "ttCorr": [GAP] * 5,
        }


def test_an_array_that_is_no_fit() -> None:
    for value in (np.zeros(5), np.zeros((6, 1))):
        data = {"ioc": Data(type="pv", fields={("raw", "value"): [value]})}
        with pytest.raises(NotInRun, match="a time tool has 6 numbers"):
            TimeTool("ioc").read(run_of(data))
