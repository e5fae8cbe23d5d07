"""A high-speed digitizer (hsd): waveforms of some GHz, and the peaks it found in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Column, Ragged, Signal, Values
from smalldata_stream.detectors.default import (
    Names,
    NotInRun,
    OneDetector,
    Part,
    Reading,
    dense,
    field_of,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.errors import did_you_mean
from smalldata_stream.kernels import hsd as kernel
from smalldata_stream.protocols import Spec
from smalldata_stream.run import DetectorInfo, RunInfo

SAMPLE_INTERVAL_S = 1 / (6.4e9 * 13 / 14)
"""Time between two samples: the digitizer's clock follows the accelerator's."""

KNOWN = (2, 3)
"""Major versions of the data whose layout is known."""

BASELINES = 4
"""From version 3 on the first samples of the first peak are the baselines of an event."""

_CHANNEL = re.compile(r"chan(\d\d)(?:_(\d+))?")


class _Channel(NamedTuple):
    """One channel: how it is called, its data, and where in these its segment is."""

    name: str
    header: Signal
    data: Signal
    place: int
    stacked: bool


@dataclass(frozen=True, slots=True)
class Hsd(OneDetector):
    """The channels of a digitizer: ``hsd_0`` is that of segment 0, and so on.

    The waveform of a channel is there to chain words to, ``g.hsd()["hsd_0"].hits(...)``,
    though it is not written; its length may vary. A digitizer that sends waveforms of some
    events only has gaps in the others. Samples are in ADU, as the digitizer has them.

    Parameters
    ----------
    rois
        ``[first, last]`` in samples, last not included, by channel: this part of the
        waveform is written, with its sum. Events with a shorter waveform have a gap.
    full
        Write the whole waveforms.
    peaks
        Write the peaks that the digitizer has found.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "full_hsd_*__ROI_wf": Output(
            "the part of the waveform that `rois` says", "ADU", "uint16", "(samples,)"
        ),
        "full_hsd_*__ROI_sum": Output("sum over that part", "ADU", "int64"),
        "var_full_hsd_*": Output(
            "waveform; only with full=True", "ADU", "uint16", "varies"
        ),
        "var_peaks_hsd_*/start": Output(
            "first sample of each peak in the waveform", "samples", "int32", "varies"
        ),
        "var_peaks_hsd_*/length": Output(
            "number of samples of each peak", "samples", "int32", "varies"
        ),
        "var_peaks_hsd_*_samples": Output(
            "samples of all peaks, back to back, as the digitizer scales them",
            "",
            "uint16",
            "varies",
        ),
        "baselines_hsd_*": Output(
            "baselines of the four phases, in 1/16 ADU; of digitizers that take them off",
            "ADU/16",
            "uint16",
            "(4,)",
        ),
    }

    detector: Names = "hsd"
    _: KW_ONLY
    rois: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    full: bool = False
    peaks: bool = True

    def __post_init__(self) -> None:
        for channel, bounds in self.rois.items():
            if not _is_window(bounds):
                raise ValueError(
                    f"rois[{channel!r}]={bounds!r}: write [first, last] in samples, with "
                    "0 <= first < last; last is not part of it"
                )

    def read(self, run: RunInfo) -> Reading:
        """Waveforms, and what is asked for of them and of the peaks."""
        info = self.find(run)
        if info.type != "hsd":
            raise NotInRun(
                f"{info.name} is of type {info.type}, not hsd",
                f"g.fields_of({info.name!r}) hands on its fields",
            )
        header, _ = field_of(info, ("eventHeader",), "hsd")
        channels = list(_channels(info, header))
        names = [one.name for one in channels]
        for name in self.rois:
            if name not in names:
                raise NotInRun(
                    f"{info.name} has no channel {name!r}", did_you_mean(name, names)
                )
        version = info.versions[header.algorithm]
        if version[0] not in KNOWN:
            raise NotInRun(
                f"{info.name} has data of version {'.'.join(map(str, version))}; known are "
                + " and ".join(map(str, KNOWN)),
                f"g.detector({info.name!r}) hands on the bytes as they were recorded",
            )
        with_baselines = version[0] >= 3
        parts = [part for one in channels for part in self._parts_of(one, with_baselines)]
        config = {**self.config(info), "sample_interval_s": SAMPLE_INTERVAL_S}
        config["rois"] = {name: list(bounds) for name, bounds in self.rois.items()}
        return Reading(parts=tuple(parts), config=config)

    def _parts_of(self, one: _Channel, with_baselines: bool) -> Iterator[Part]:
        inputs, wave = (one.header, one.data), _spec("waveform", "ragged", unit="ADU")
        written = {f"var_full_{one.name}": wave} if self.full else {}
        yield Part(
            inputs=inputs,
            outputs=written,
            inner={one.name: wave},
            compute=partial(_waveforms, one, [one.name, *written]),
        )
        if one.name in self.rois:
            first, last = self.rois[one.name]
            head = f"full_{one.name}__ROI"
            yield Part(
                inputs=inputs,
                outputs={
                    f"{head}_wf": Spec(
                        dtype=np.dtype(np.uint16),
                        shape=(last - first,),
                        unit="ADU",
                        long_name=f"samples from {first} to before {last}",
                    ),
                    f"{head}_sum": Spec(
                        dtype=np.dtype(np.int64),
                        unit="ADU",
                        long_name=f"sum over the samples from {first} to before {last}",
                    ),
                },
                compute=partial(_roi, one, head, slice(first, last)),
            )
        if self.peaks:
            name = f"peaks_{one.name}"
            outputs = {
                f"var_{name}/start": _spec("first sample of a peak", "ragged", np.int32),
                f"var_{name}/length": _spec("samples of a peak", "ragged", np.int32),
                f"var_{name}_samples": _spec("samples of all peaks", "ragged"),
            }
            if with_baselines:
                outputs[f"baselines_{one.name}"] = Spec(
                    dtype=np.dtype(np.uint16),
                    shape=(BASELINES,),
                    unit="ADU/16",
                    long_name="baselines of the four phases",
                )
            yield Part(
                inputs=inputs,
                outputs=outputs,
                compute=partial(_peaks, one, list(outputs), with_baselines),
            )


def _spec(says: str, kind: Any, dtype: Any = np.uint16, unit: str | None = None) -> Spec:
    unit = unit if unit is not None else "samples" if dtype is np.int32 else ""
    return Spec(dtype=np.dtype(dtype), kind=kind, unit=unit, long_name=says)


def _is_window(bounds: Any) -> bool:
    try:
        first, last = bounds
    except (TypeError, ValueError):
        return False
    whole = all(isinstance(one, (int, np.integer)) for one in (first, last))
    return whole and bool(0 <= first < last)


def _channels(info: DetectorInfo, header: Signal) -> Iterator[_Channel]:
    """Every channel; the first of a segment has the name of the segment alone."""
    taken: set[int] = set()
    for signal in info.signals():
        found = _CHANNEL.fullmatch(signal.field)
        if found is None or signal.algorithm != header.algorithm:
            continue
        channel, segment = found.groups()
        several = len(info.segments) > 1
        stacked = several and segment is None
        for number in info.segments if segment is None else [int(segment)]:
            name = f"hsd_{number}" + (f"_{int(channel)}" if number in taken else "")
            taken.add(number)
            place = info.segments.index(number)
            yield _Channel(name, header, signal, place, stacked)


def _bytes_of(one: _Channel, header: Values, data: Values) -> tuple[Array, Array, Array]:
    """Headers ``(n,)``, and bytes of the channel with where each event's begin."""
    words = dense(header)
    words = words[:, one.place] if words.ndim == 3 else words
    if isinstance(data, Ragged):
        return words[:, 0].astype(np.uint32), np.asarray(data.values), data.offsets
    array = dense(data)
    array = array[:, one.place] if one.stacked else array
    offsets = np.arange(len(array) + 1) * array.shape[1]
    return words[:, 0].astype(np.uint32), np.ascontiguousarray(array).ravel(), offsets


class _Found(NamedTuple):
    """One stream of some events: its bytes; where each event's begins, and its samples."""

    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    samples: NDArray[np.int64]

    @property
    def there(self) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = self.start != kernel.ABSENT
        return there

    def at(self, events: NDArray[np.bool_]) -> _Found:
        return _Found(self.data, self.start[events], self.samples[events])


def _stream(one: _Channel, header: Values, data: Values, number: int) -> _Found:
    headers, raw, offsets = _bytes_of(one, header, data)
    start, samples = (np.empty(len(headers), np.int64) for _ in range(2))
    kernel.find_stream(raw, offsets.astype(np.int64), headers, number, start, samples)
    if (start == kernel.BROKEN).any():
        raise ValueError(f"{one.data}: the data are no streams of samples of an hsd")
    return _Found(raw, start, samples)


def _ragged(values: Array, lengths: NDArray[np.int64]) -> Ragged:
    return Ragged(values, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def _copied(found: _Found) -> Array:
    """The samples of each event, back to back."""
    ends = (found.start + 2 * found.samples).tolist()
    parts = [found.data[a:b] for a, b in zip(found.start.tolist(), ends, strict=True)]
    joined: Array = np.concatenate([np.empty(0, np.uint8), *parts])
    return joined.view("<u2")


def _waveforms(
    one: _Channel, names: list[str], header: Values, data: Values
) -> Mapping[str, Column]:
    found = _stream(one, header, data, kernel.RAW)
    there = found.there
    found = found.at(there)
    column = Column(_ragged(_copied(found), found.samples), there)
    return dict.fromkeys(names, column)


def _roi(
    one: _Channel, head: str, window: slice, header: Values, data: Values
) -> Mapping[str, Column]:
    found = _stream(one, header, data, kernel.RAW)
    there = found.there & (found.samples >= window.stop)
    found = found.at(there)
    length = window.stop - window.start
    part = _Found(
        found.data, found.start + 2 * window.start, np.full(len(found.start), length)
    )
    cut = _copied(part).reshape(-1, length)
    total = cut.sum(axis=1, dtype=np.int64)
    return {f"{head}_wf": Column(cut, there), f"{head}_sum": Column(total, there)}


def _peaks(
    one: _Channel, names: list[str], with_baselines: bool, header: Values, data: Values
) -> Mapping[str, Column]:
    found = _stream(one, header, data, kernel.PEAKS)
    there = found.there
    found = found.at(there)
    peaks, inside = (np.empty(len(found.start), np.int64) for _ in range(2))
    kernel.count_peaks(*found, peaks, inside)
    if (peaks < 0).any():
        raise ValueError(f"{one.data}: the samples of peaks are not in groups of four")
    start, length = (np.empty(int(peaks.sum()), np.int32) for _ in range(2))
    samples = np.empty(int(inside.sum()), np.uint16)
    kernel.unpack_peaks(*found, start, length, samples)
    columns: list[Column] = []
    if with_baselines:
        begin, any_peak = np.cumsum(inside) - inside, peaks > 0
        places = begin[any_peak, None] + np.arange(BASELINES)
        # The digitizer sends them less 2^14, in 16 bits.
        baselines = samples[places] + np.uint16(1 << 14)
        first = (np.cumsum(peaks) - peaks)[any_peak]
        start[first] += BASELINES
        length[first] -= BASELINES
        samples = np.delete(samples, places.ravel())
        inside = inside - BASELINES * any_peak
        with_peak = there.copy()
        with_peak[there] = any_peak
        columns = [Column(baselines, with_peak)]
    lists = [_ragged(start, peaks), _ragged(length, peaks), _ragged(samples, inside)]
    return dict(zip(names, [*(Column(one, there) for one in lists), *columns], strict=True))
