"""The time tool from its traces: saved, and fitted again with one's own filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Column, Frames, Mask, Signal, Values
from smalldata_stream.detectors.default import (
    OneDetector,
    Part,
    Reading,
    field_of,
    has_field,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.detectors.timetool import check_polynomial, polynomial
from smalldata_stream.kernels.edge import find_edges, step_filter
from smalldata_stream.protocols import Spec
from smalldata_stream.run import DetectorInfo, RunInfo

Rows = tuple[int, int]
_IMAGES = ("image", "raw", "value", "calib")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TimeToolRaw(OneDetector):
    """The traces of the time tool, and a fit of the edge in them.

    The trace that is fitted is (signal - sideband) / (reference - sideband). It is filtered
    with ``weights``; a parabola through the extremum gives the position, its height the
    amplitude. Where there is no edge, or one below ``min_amplitude``, position, amplitude,
    width and time are gaps and ``fitted`` is false.

    The reference is what the camera sees with laser and without X-rays. Here it does not
    run along with the events, so that the result of an event depends on that event alone:
    it is given, or it is the reference of the DAQ in the same event. To make one, let
    ``["tt_signal"].sum("calib", where=...)`` add up the shots with laser and without X-rays
    of a run; the total divided by its attribute ``count`` is the reference.

    Parameters
    ----------
    rows, sideband
        Half-open rows of the image, of which the signal and the background are the means.
        Without ``rows`` the projections of the DAQ are taken.
    columns
        Half-open columns of image or projection that are used; None for all.
    reference
        ``(columns,)`` average trace, sideband not subtracted.
    weights
        The digital filter, convolved with the trace; None for a step of ``half`` samples
        on each side.
    half
        See ``weights``.
    edge
        ``"down"`` where the light falls at the edge, along the columns, ``"up"`` where it
        rises.
    polynomial_ps
        c0, c1 ... of time = c0 + c1 x + c2 x^2, x in pixels of image or projection.
    min_amplitude
        Smaller edges are none; in units of the reference for the default filter.
    fit
        False to save the traces alone.

    Raises
    ------
    ValueError
        If rows or columns are outside of the image, the reference or the filter has another
        length, or there is nothing to fit against.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "tt_signal": Output("trace of the signal", "ADU", shape="(columns,)"),
        "tt_sideband": Output("trace of the background", "ADU", shape="(columns,)"),
        "tt_reference": Output("trace of the reference", "ADU", shape="(columns,)"),
        "pos": Output("position of the edge", "pixel"),
        "amp": Output("amplitude of the edge"),
        "fwhm": Output("width of the peak that the filter makes of the edge", "pixel"),
        "pos_ps": Output("time of the edge", "ps"),
        "fitted": Output("whether there is an edge", dtype="bool"),
    }

    rows: Rows | None = None
    sideband: Rows | None = None
    columns: Rows | None = None
    reference: Array | None = None
    weights: Array | None = None
    half: int = 20
    edge: Literal["down", "up"] = "down"
    polynomial_ps: tuple[float, ...] | None = None
    min_amplitude: float = 0.0
    fit: bool = True

    def __post_init__(self) -> None:
        check_polynomial("polynomial_ps", self.polynomial_ps)
        if self.edge not in ("down", "up"):
            raise ValueError(f"edge={self.edge!r}: write 'down' or 'up'")
        if self.half < 1:
            raise ValueError(f"half={self.half}: at least 1 sample")
        if self.sideband is not None and self.rows is None:
            raise ValueError("a sideband is cut from the image: give rows, too")
        for name in ("reference", "weights"):
            given = getattr(self, name)
            if given is not None:
                array = np.asarray(given, np.float64)
                if array.ndim != 1 or not np.isfinite(array).all():
                    raise ValueError(f"{name}: give a finite array of one dimension")
                object.__setattr__(self, name, array)

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or "ttRaw"

    def read(self, run: RunInfo) -> Reading:
        """Traces from the image or from the DAQ, and the fit."""
        info = self.find(run)
        return Reading(parts=tuple(self._parts(info)), config=self.config(info))

    def _parts(self, info: DetectorInfo) -> Iterator[Part]:
        trace = partial(_projection, columns=self.columns)
        if self.rows is None:
            signal, one = field_of(info, ("proj_sig",), "timetool_raw without rows")
            shape = one.shape
        else:
            signal, one = field_of(info, _IMAGES, "timetool_raw with rows")
            shape = one.shape
            if shape is None or len(shape) != 2:
                raise ValueError(f"{info.name}: images are {shape}, not (rows, columns)")
            for name in ("rows", "sideband"):
                _inside(name, getattr(self, name), shape[0])
            trace = partial(_mean_of_rows, rows=self.rows, columns=self.columns)
        if shape is None:
            raise ValueError(f"{info.name}: the length of {signal.field} is not known")
        _inside("columns", self.columns, shape[-1])
        first, last = self.columns or (0, shape[-1])
        n = last - first
        yield self._trace("tt_signal", signal, n, trace)
        if self.sideband is not None:
            background = partial(_mean_of_rows, rows=self.sideband, columns=self.columns)
            yield self._trace("tt_sideband", signal, n, background)
        of_daq = (
            field_of(info, ("proj_ref",))[0]
            if has_field(info, "proj_ref") and self.rows is None
            else None
        )
        if of_daq is not None:
            yield self._trace(
                "tt_reference", of_daq, n, partial(_projection, columns=self.columns)
            )
        if not self.fit:
            return
        if self.reference is None and of_daq is None:
            raise ValueError(
                f"{info.name}: give reference=, the mean trace of shots without X-rays, "
                "or fit=False to save the traces alone"
            )
        if self.reference is not None and len(self.reference) != n:
            raise ValueError(f"reference has {len(self.reference)} columns, a trace {n}")
        weights = step_filter(self.half) if self.weights is None else self.weights
        reach = max(1, round(len(weights) / 10))
        if n - len(weights) < 2 * reach:
            raise ValueError(f"a trace of {n} is too short for a filter of {len(weights)}")
        inputs = (
            (signal,)
            if self.reference is not None or of_daq is None
            else (
                signal,
                of_daq,
            )
        )
        yield Part(
            inputs=inputs,
            outputs=self._fitted(),
            compute=partial(self._fit, trace, weights, reach, first),
        )

    def _trace(self, name: str, signal: Signal, n: int, make: Any) -> Part:
        known = self.OUTPUTS[name]
        spec = Spec(
            dtype=np.dtype(np.float64), shape=(n,), unit="ADU", long_name=known.says
        )

        def compute(values: Values) -> Mapping[str, Values]:
            return {name: make(values)}

        return Part(inputs=(signal,), outputs={name: spec}, compute=compute)

    def _fitted(self) -> Mapping[str, Spec]:
        names = ["pos", "amp", "fwhm"] + ["pos_ps"] * (self.polynomial_ps is not None)
        of = {n: scalar(self.OUTPUTS[n].says, self.OUTPUTS[n].unit) for n in names}
        return {**of, "fitted": scalar(self.OUTPUTS["fitted"].says, dtype=bool)}

    def _fit(
        self,
        trace: Any,
        weights: Array,
        reach: int,
        first: int,
        images: Values,
        of_daq: Values | None = None,
    ) -> Mapping[str, Values | Column]:
        signal = trace(images)
        if self.reference is not None:
            reference = np.broadcast_to(self.reference, signal.shape)
        else:
            assert of_daq is not None
            reference = _projection(of_daq, self.columns)
        if self.sideband is not None:
            background = _mean_of_rows(images, self.sideband, self.columns)
            signal, reference = signal - background, reference - background
        lit = reference > 0
        ratio = np.divide(signal, reference, out=np.full_like(signal, np.nan), where=lit)
        found = np.empty((len(signal), 3))
        sign = -1.0 if self.edge == "down" else 1.0
        find_edges(ratio, weights, sign, reach, found)
        position, amplitude, width = found.T
        fitted: Mask = np.isfinite(position) & (amplitude >= self.min_amplitude)
        wide = fitted & np.isfinite(width)
        position = position + first
        results: dict[str, Values | Column] = {
            "pos": Column(position[fitted], fitted),
            "amp": Column(amplitude[fitted], fitted),
            "fwhm": Column(width[wide], wide),
        }
        if self.polynomial_ps is not None:
            time = polynomial(position[fitted], self.polynomial_ps)
            results["pos_ps"] = Column(time, fitted)
        return {**results, "fitted": fitted}


def _inside(name: str, bounds: Rows | None, size: int) -> None:
    if bounds is not None and not 0 <= bounds[0] < bounds[1] <= size:
        raise ValueError(f"{name}={bounds}: half-open, within 0 and {size}")


def _mean_of_rows(images: Values, rows: Rows, columns: Rows | None) -> NDArray[np.float64]:
    """Mean over rows of each image, ``(n, columns)``."""
    first, last = columns or (0, _size(images))
    means = np.empty((len(images), last - first))
    for mean, image in zip(means, images, strict=True):
        np.mean(np.asarray(image)[slice(*rows), first:last], axis=0, out=mean)
    return means


def _size(images: Values) -> int:
    if isinstance(images, Frames):
        return (images.shape or (0,))[-1]
    return int(np.asarray(images).shape[-1])


def _projection(traces: Values, columns: Rows | None) -> NDArray[np.float64]:
    cut = slice(*columns) if columns else slice(None)
    return np.asarray(traces, np.float64)[:, cut]
