"""The time tool: when the X-rays came relative to the laser, as the DAQ found it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Column, Mask, Signal, Values
from smalldata_stream.detectors.default import (
    NotInRun,
    OneDetector,
    Part,
    Reading,
    called,
    field_of,
    has_field,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs, output_of, spec_of
from smalldata_stream.run import DetectorInfo, RunInfo

FIT = ("ampl", "fltpos", "fltpos_ps", "fltposfwhm", "amplnxt", "refampl")
IOC = ("fltpos", "fltpos_ps", "fltposfwhm", "ampl", "amplnxt", "refampl")
"""What the six numbers are that an EPICS time tool puts into one array ``value``."""
TRACES = ("proj_sig", "proj_ref", "proj_sb")
_UNITS = {"fltpos": "pixel", "fltpos_ps": "ps", "fltposfwhm": "pixel"}
_SAYS = {
    "ampl": "amplitude of the edge",
    "fltpos": "position of the edge",
    "fltpos_ps": "time of the edge, by the calibration of the DAQ",
    "fltposfwhm": "width of the peak that the filter makes of the edge",
    "amplnxt": "amplitude of the next best edge",
    "refampl": "amplitude of the reference",
}

Window = tuple[float, float]


def check_polynomial(name: str, polynomial: tuple[float, ...] | None) -> None:
    """Raise ValueError where a polynomial is not one coefficient or more."""
    if polynomial is not None and not len(polynomial):
        raise ValueError(f"{name}=(): give c0, c1 ... of c0 + c1 x + c2 x^2 ...")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeTool(OneDetector):
    """The edge that the DAQ found, its time, and whether it found one.

    ``ttCorr`` is the time in ps: the polynomial of ``fltpos``, or without one what the DAQ
    made of it. Where the fit failed it is a gap, and ``fitted`` is false: the DAQ writes 0
    for the position, or amplitude or width are outside of what an edge has.

    The detector is a camera whose DAQ fits the edge, an EPICS time tool with its six
    numbers in one array, or ``epics``, with variables such as ``TTSPEC:FLTPOS``.

    Parameters
    ----------
    polynomial_ps
        c0, c1, c2 ... of c0 + c1 x + c2 x^2, x in pixels, of a calibration of one's own.
    amplitude, fwhm_pixel
        From and to, of an edge that is believed; both ends are in. None believes all.
    traces
        Write the projections of signal and reference, too.

    Raises
    ------
    ValueError
        If the polynomial has no coefficient.

    >>> TimeTool("atmopal", polynomial_ps=(-0.64, 0.005)).group
    'tt'
    """

    OUTPUTS: ClassVar[Outputs] = {
        **{
            name: Output(_SAYS[name], _UNITS.get(name, ""), also=(name.upper(),))
            for name in FIT
        },
        "fitted": Output("whether an edge was found", dtype="bool"),
        "ttCorr": Output("time of the X-rays after the laser, corrected", "ps"),
        "proj_*": Output("projection of the image; only with traces=True", shape="(n,)"),
    }

    polynomial_ps: tuple[float, ...] | None = None
    amplitude: Window | None = None
    fwhm_pixel: Window | None = None
    traces: bool = False

    def __post_init__(self) -> None:
        check_polynomial("polynomial_ps", self.polynomial_ps)

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or "tt"

    def read(self, run: RunInfo) -> Reading:
        """The fit of the DAQ, whatever camera it is of."""
        info = self.find(run)
        parts = tuple(self._ioc(info)) or tuple(self._daq(info))
        return Reading(parts=parts, config=self.config(info))

    def _daq(self, info: DetectorInfo) -> Iterator[Part]:
        found: dict[str, Signal] = {}
        for signal in info.signals():
            name = called(self.OUTPUTS, signal.field.rpartition(":")[2])
            if name in FIT or (self.traces and name in TRACES):
                one = info.fields[signal[1:]]
                if name in FIT:
                    found[name] = signal
                spec = spec_of(one, output_of(self.OUTPUTS, name))
                yield Part(inputs=(signal,), outputs={name: spec})
        needed = {"fltpos": "the time tool"}
        needed |= {"ampl": "amplitude="} if self.amplitude is not None else {}
        needed |= {"fltposfwhm": "fwhm_pixel="} if self.fwhm_pixel is not None else {}
        for name, what in needed.items():
            if name not in found:
                field_of(info, (name, name.upper()), what)  # says what there is
        yield Part(
            inputs=tuple(found.values()),
            outputs=self._judged(),
            compute=partial(self._judge, tuple(found)),
        )

    def _ioc(self, info: DetectorInfo) -> Iterator[Part]:
        if has_field(info, "fltpos", "FLTPOS") or not has_field(info, "value"):
            return
        signal, one = field_of(info, ("value",))
        if one.shape is None or len(one.shape) != 1 or one.shape[0] < len(IOC):
            raise NotInRun(
                f"{info.name}: value is {one.shape}; a time tool has {len(IOC)} numbers"
            )
        specs = {name: scalar(_SAYS[name], _UNITS.get(name, "")) for name in IOC}

        def compute(values: Any) -> Mapping[str, Values | Column]:
            table = np.asarray(values, np.float64)
            columns = {name: table[:, i] for i, name in enumerate(IOC)}
            return {**columns, **self._judge(IOC, *columns.values())}

        yield Part(inputs=(signal,), outputs={**specs, **self._judged()}, compute=compute)

    def _judged(self) -> dict[str, Any]:
        return {
            "fitted": scalar(self.OUTPUTS["fitted"].says, dtype=bool),
            "ttCorr": scalar(self.OUTPUTS["ttCorr"].says, "ps"),
        }

    def _judge(self, names: tuple[str, ...], *fit: Any) -> Mapping[str, Values | Column]:
        of = {name: np.asarray(v, np.float64) for name, v in zip(names, fit, strict=True)}
        position = of["fltpos"]
        fitted: Mask = np.isfinite(position) & (position != 0)
        for name, window in (("ampl", self.amplitude), ("fltposfwhm", self.fwhm_pixel)):
            if window is not None:
                low, high = window
                fitted &= (of[name] >= low) & (of[name] <= high)
        if self.polynomial_ps is not None:
            time = polynomial(position[fitted], self.polynomial_ps)
        elif "fltpos_ps" in of:
            time = of["fltpos_ps"][fitted]
        else:
            return {
                "fitted": fitted,
                "ttCorr": Column(np.empty(0), np.zeros(len(fitted), bool)),
            }
        return {"fitted": fitted, "ttCorr": Column(time, fitted)}


def polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """c0 + c1 x + c2 x^2 + ...

    >>> polynomial(np.array([2.0]), (1.0, 3.0, 0.5))
    array([9.])
    """
    total = np.zeros(np.shape(x))
    for c in reversed(coefficients):
        total = total * x + c
    return total
