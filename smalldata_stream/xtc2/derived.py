"""Fields that psana computes in Python from those of the data, as functions of columns.

Keyed by what psana keys its classes by: detector type, algorithm, major version. Each
function takes the columns ``(n, ...)`` of its inputs and works for any number of events
and of stacked segments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smalldata_stream.batch import STRING, Array
from smalldata_stream.run import FieldInfo

EVENT_CODES = 288
TRIAL_LENGTH = 192
TIMING_BYTES = 48
TITLE_BYTES = 48
LCLS1_BIT = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True)
class Derived:
    """A field made of others: ``compute`` of the columns ``inputs``.

    ``inputs`` ending in ``*`` stand for all fields that begin so, in the order of their
    numbers. ``compute`` is None where the field is another name for its input.
    """

    field: str
    inputs: tuple[str, ...]
    compute: Callable[..., Array] | None

    def inputs_among(self, fields: Sequence[str]) -> list[str]:
        """The inputs as this run has them; empty where one is missing."""
        found: list[str] = []
        for name in self.inputs:
            if name.endswith("*"):
                head = name[:-1]
                many = [f"{head}{i}" for i in range(8)]
                found += [one for one in many if one in fields]
            elif name in fields:
                found.append(name)
            else:
                return []
        return found

    def describe(self, inputs: Sequence[FieldInfo]) -> FieldInfo | None:
        """The kind of result; None where these inputs give none."""
        if self.compute is None:
            return inputs[0]
        if any(info.variable for info in inputs):
            return None
        if self.inputs[0].endswith("*") and len({info.shape for info in inputs}) > 1:
            return None
        zeros = [np.zeros((1, *_trial_shape(info)), info.dtype) for info in inputs]
        try:
            result: Array = self.compute(*zeros)
        except (IndexError, ValueError):
            return None
        known = all(info.shape is not None for info in inputs)
        return FieldInfo(
            dtype=result.dtype,
            rank=result.ndim - 1,
            shape=result.shape[1:] if known else None,
        )


def _trial_shape(info: FieldInfo) -> tuple[int, ...]:
    """The shape of one event's value, or one that is large enough for any function."""
    return info.shape if info.shape is not None else (TRIAL_LENGTH,) * info.rank


def _event_codes(sequence: Array) -> Array:
    """The bits of 18 words of 16 bits, lowest first."""
    if sequence.shape[-1] < EVENT_CODES // 16:
        raise IndexError(f"{sequence.shape[-1]} words have no {EVENT_CODES} event codes")
    words = np.ascontiguousarray(sequence[..., : EVENT_CODES // 16], "<u2")
    return np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")


def _pulse_id(pulse_id: Array) -> Array:
    without: Array = pulse_id & ~LCLS1_BIT
    return without


def _encoder(value: Array, scale: Array, denominator: Array) -> Array:
    """Counts times scale / denominator; counts where the denominator is 0."""
    good = denominator > 0
    ratio = np.divide(
        scale.astype(float), denominator.astype(float), out=np.ones(good.shape), where=good
    )
    position: Array = value.astype(float) * ratio
    return position


def _encoder_array(value: Array, scale: Array, denominator: Array) -> Array:
    """First channel; without denominator the scale is in millionths."""
    value, scale, denominator = (a[..., 0] for a in (value, scale, denominator))
    good = denominator > 0
    ratio = np.divide(
        scale.astype(float), denominator.astype(float), out=np.ones(good.shape), where=good
    )
    return np.where(good, value * ratio, value * 1e-6 * scale)


def _encoder_millionths(value: Array, scale: Array) -> Array:
    result: Array = value[..., 0] * 1e-6 * scale[..., 0]
    return result


def _waveforms(*channels: Array) -> Array:
    return np.stack(channels, axis=-2)


def _integers(*channels: Array) -> Array:
    return np.stack(channels, axis=-1).astype(np.int64)


def _total(counts: Array) -> Array:
    result: Array = counts.reshape(len(counts), -1).astype(np.int64).sum(axis=1)
    return result


def _first(counts: Array) -> Array:
    result: Array = counts.reshape(len(counts), -1)[:, 0]
    return result


def _bits(shift: int, mask: int) -> Callable[[Array], Array]:
    def bits(data: Array) -> Array:
        found: Array = (data >> data.dtype.type(shift)) & data.dtype.type(mask)
        return found

    return bits


def _line(image: Array) -> Array:
    """A line camera's line, also where it was written as an image of one column."""
    line: Array = image if image.ndim == 2 else image[..., 0]
    return line


def _sequencer(data: Array) -> Array:
    words: Array = np.ascontiguousarray(data[..., TIMING_BYTES:]).view("<u2")
    return words


def _descriptions(name: Array) -> Array:
    """Texts of 48 bytes each, back to back."""
    known: dict[bytes, list[str]] = {}
    rows = np.ascontiguousarray(name).reshape(len(name), -1)
    for raw in {row.tobytes() for row in rows}:
        parts = [raw[i : i + TITLE_BYTES] for i in range(0, len(raw), TITLE_BYTES)]
        known[raw] = [part.decode("utf-8", "replace").strip("\0") for part in parts]
    texts: Array = np.array([known[row.tobytes()] for row in rows], STRING)
    return texts


def _alias(field: str, source: str) -> Derived:
    return Derived(field, (source,), None)


_TIMING_2_1 = (
    Derived("eventcodes", ("sequenceValues",), _event_codes),
    Derived("pulseId", ("pulseId",), _pulse_id),
    _alias("timestamp", "timeStamp"),
    _alias("destination", "ebeamDestn"),
)
_ENCODER_SCALARS = (Derived("value", ("encoderValue", "scale", "scaleDenom"), _encoder),)

DERIVED: Mapping[tuple[str, str, int], tuple[Derived, ...]] = {
    ("ts", "raw", 2): _TIMING_2_1,
    ("ts", "ts", 0): (Derived("eventcodes", ("sequenceValues",), _event_codes),),
    ("ts", "ts", 1): (Derived("sequencer_info", ("data",), _sequencer),),
    ("encoder", "raw", 0): (
        Derived("value", ("encoderValue", "scale"), _encoder_millionths),
    ),
    ("encoder", "raw", 2): (
        Derived("value", ("encoderValue", "scale", "scaleDenom"), _encoder_array),
    ),
    ("encoder", "raw", 3): _ENCODER_SCALARS,
    ("encoder", "interpolated", 3): _ENCODER_SCALARS,
    ("hrencoder", "raw", 0): (_alias("value", "position"),),
    ("wave8", "raw", 0): (Derived("raw_all", ("raw_*",), _waveforms),),
    ("wave8", "fex", 0): (
        Derived("integral_all", ("integral_*",), _integers),
        Derived("base_all", ("base_*",), _integers),
    ),
    ("opal", "raw", 2): (_alias("raw", "image"),),
    ("opal", "ref", 2): (_alias("raw", "image"),),
    ("opal", "simfex", 2): (_alias("raw", "image"),),
    ("fakecam", "raw", 2): (_alias("raw", "array_raw"),),
    ("axis", "raw", 1): (_alias("raw", "value"),),
    ("archon", "raw", 1): (_alias("raw", "value"),),
    ("piranha4", "raw", 2): (Derived("raw", ("image",), _line),),
    ("usdusb", "raw", 1): (Derived("descriptions", ("_name",), _descriptions),),
    ("jungfrau", "raw", 0): (
        Derived("num_hot_pixels", ("numHotPixels",), _total),
        Derived("hot_pixel_thresh", ("hotPixelThresh",), _first),
    ),
    ("triginfo", "triginfo", 0): (
        Derived("prescale", ("data",), _bits(0, 1)),
        Derived("persist", ("data",), _bits(1, 1)),
        Derived("monitor", ("data",), _bits(2, 0xF)),
    ),
}


def derived_of(
    kind: str, algorithm: str, version: tuple[int, int, int], fields: Sequence[str]
) -> tuple[Derived, ...]:
    """The derived fields of one algorithm; ``fields`` are those of the data, in order."""
    if (kind, algorithm, version[0]) == ("scbld", "raw", 1) and "severity" in fields:
        named = [name for name in fields if name != "severity"]
        return tuple(
            Derived(f"{name}_sevr", ("severity",), _bits(2 * i, 3))
            for i, name in enumerate(named)
        )
    return DERIVED.get((kind, algorithm, version[0]), ())
