"""Calibration of area detectors: from the frames of the DAQ to keV per pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Values, read_only
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.camera import CAMERA
from smalldata_stream.detectors.common_mode import Choice, CommonMode
from smalldata_stream.detectors.families import (
    FAMILIES,
    as_far_as_possible,
    needed,
    of_old_number,
)
from smalldata_stream.detectors.family import Config, Family, Kind
from smalldata_stream.detectors.ghost import Calibrate, Ghost, GhostTables, without_ghost
from smalldata_stream.detectors.masks import NO_MASKING, Masking
from smalldata_stream.detectors.tables import Tables, calibrating, good_in, positions_in
from smalldata_stream.detectors.user_data_cfg import kept
from smalldata_stream.errors import ConstantsError
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """From raw frames to calibrated ones, and which pixels are good.

    Parameters
    ----------
    calibration
        ============  =================================================================
        ``gain``      (ADU - pedestals - pixel_offset) / pixel_gain, in keV
        ``pedestal``  ADU - pedestals - pixel_offset
        ``adu``       the ADU of the pixels, without their gain bits, float32
        ``raw``       the frames of the DAQ, unchanged, gain bits and bad pixels and all
        ============  =================================================================

        None is ``gain`` where pixels switch their gain, else as far as constants go.
    common_mode
        How the common mode is found and subtracted, before the gain: a word of
        `CommonMode`, such as ``"rows"``, a `CommonMode`, or a number of smalldata_tools,
        which also says ``calibration``. None corrects nothing.
    local_gain
        Calibrated values are multiplied by it: a number, or one for each pixel.
    mask
        True = good pixel, of the shape of the frame.
    masking
        Further pixels that are bad by where they are: edges of segments and ASICs,
        neighbours of bad ones, unbonded ones.
    ghost
        Subtract what the pixels still have of the pulse before, after common mode and gain
        and before ``local_gain``: a `Ghost`, or None for not.

    Raises
    ------
    ValueError
        If a parameter is not of this form.
    ConstantsError
        If (in ``prepare``) constants are needed that are not there or do not fit.

    Notes
    -----
    A pixel is bad where the user's mask or ``pixel_mask`` is False, ``pixel_status`` is not
    0 (in any gain that was measured), or no gain has a finite pedestal and a finite gain
    other than 0. Bad pixels are 0, and False in the mask of the output.

    Without ``pixel_mask`` these are the numbers of ``det.raw.calib`` of psana, to float32
    rounding; docs/calibration.md lists where psana does something else.

    Examples
    --------
    >>> constants = Constants(detector="cam", pedestals=np.full((1, 2), 10.0, "f4"))
    >>> raw = Spec(dtype=np.dtype("u2"), shape=(1, 2))
    >>> made = Calibration(calibration="pedestal").prepare("opal", raw, constants)
    >>> made.compute(np.array([[[12, 9]]], "u2"))[""].tolist()
    [[[2.0, -1.0]]]
    """

    calibration: Kind | None = None
    common_mode: Choice | None = None
    local_gain: float | Array | None = None
    mask: Mask | None = None
    masking: Masking = NO_MASKING
    ghost: Ghost | None = None

    def __post_init__(self) -> None:
        if self.calibration not in (None, *get_args(Kind)):
            raise ValueError(
                f"calibration={self.calibration!r}: write one of "
                + ", ".join(map(repr, get_args(Kind)))
            )
        if isinstance(self.common_mode, bool):
            raise ValueError("common_mode is a word such as 'rows', not True or False")
        if isinstance(self.common_mode, str):
            made = CommonMode(method=self.common_mode)
            object.__setattr__(self, "common_mode", made)
        if self.local_gain is not None:
            gain = np.asarray(self.local_gain, float)
            if not np.isfinite(gain).all():
                raise ValueError(
                    "local_gain has NaN or infinite values; write 1 where it is not known"
                )
            object.__setattr__(self, "local_gain", read_only(gain))
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))

    def prepare(
        self,
        detector_type: str,
        raw: Spec,
        constants: Constants | None = None,
        config: Config | None = None,
    ) -> PerEvent:
        """Make the tables for frames ``raw``; the output and its mask are field ``""``.

        ``config`` is what Configure says of the detector.
        """
        name = constants.detector if constants else detector_type
        kind, common_mode, ghost = self._chosen(detector_type, constants)
        family = FAMILIES.get(detector_type)
        if kind == "raw":
            return self._unchanged(name, raw, constants, family or CAMERA)
        if family is None:
            raise ConstantsError(
                f"{name}: no calibration is known for detectors of type "
                f"{detector_type!r}; write calibration='raw'"
            )
        shape, arrange = _arranged(
            family, pixels.frame_shape(raw, f"calibration of {name}")
        )
        given = needed(constants, name, kind) if kind != "adu" else None
        tables = _tables(given, shape, family, config or {}, kind, name)
        good = tables.good & self._good(name, raw, shape, constants, family)
        left = GhostTables.of(given, shape) if ghost and given else None
        if left is not None:
            good = good & left.good
            left = left.restricted(good)
        blind = family.blind[1](shape) if family.blind else None
        tables = tables.restricted(good, blind)
        if self.local_gain is not None:
            gain = _of_pixels(self.local_gain, shape, name)
            tables = tables.scaled(gain)
            left = left and left.scaled(gain)
        noise = None if constants is None else constants.pixel_rms
        if common_mode and common_mode.needs_noise() and noise is None:
            raise ConstantsError(
                f"{name}: common_mode={common_mode.method!r} needs pixel_rms; write "
                "common_mode='rows+columns', or give constants with noise"
            )
        kernel = calibrating(tables, family, raw.dtype, common_mode, noise, name)
        calibrated = pixels.pixel_spec(
            shape,
            np.dtype(np.float32),
            Spec(dtype=raw.dtype, unit="keV" if kind == "gain" else "ADU"),
            mask=None if good.all() else read_only(good),
            noise=tables.noise,
            long_name="calibrated frame",
            positions=positions_in(constants, shape, name),
        )
        calibrate = partial(_calibrate, kernel, arrange)
        compute: Callable[..., Mapping[str, Values]]
        compute = partial(_compute, calibrate, calibrated, Memory())
        if left is not None:
            compute = partial(without_ghost, calibrate, left, calibrated, Memory())
        return PerEvent(
            outputs={"": calibrated},
            compute=compute,
            config=kept(kind, constants, good, common_mode, self.local_gain, ghost),
            before_ms=ghost.most_ms if ghost else 0.0,
        )

    def _chosen(
        self, detector_type: str, constants: Constants | None
    ) -> tuple[Kind, CommonMode | None, Ghost | None]:
        """Kind, common mode and ghost, from words or from an old number."""
        kind, common_mode, ghost = self.calibration, self.common_mode, self.ghost
        if isinstance(common_mode, int):
            old = of_old_number(detector_type, common_mode)
            if kind is not None and old.kind not in (None, kind):
                raise ValueError(
                    f"common_mode={common_mode} means calibration={old.kind!r}, and "
                    f"calibration={kind!r} is written; leave one of them out"
                )
            kind, common_mode = kind or old.kind, old.common_mode
            ghost = ghost or old.ghost
        assert common_mode is None or isinstance(common_mode, CommonMode)
        if kind is None:
            kind = as_far_as_possible(detector_type, constants)
            if kind == "raw" and common_mode is not None:
                kind = "pedestal"  # which tells what is missing
        if common_mode is not None and kind in ("raw", "adu"):
            raise ValueError(
                f"common_mode={common_mode.method!r} needs calibration='pedestal' or "
                f"'gain', not {kind!r}"
            )
        if ghost is not None and kind != "gain":
            raise ValueError(f"ghost={ghost} needs calibration='gain', not {kind!r}")
        return kind, common_mode, ghost

    def _good(
        self,
        name: str,
        raw: Spec,
        shape: tuple[int, ...],
        constants: Constants | None,
        family: Family,
    ) -> Mask:
        """Good in the data, in the constants, by place and for the user."""
        in_data = Spec(
            dtype=raw.dtype, shape=shape, mask=raw.mask if raw.shape == shape else None
        )
        good = pixels.good_pixels(in_data, self.mask, f"calibration of {name}")
        if good is None:
            good = np.ones(shape, bool)
        if constants is not None:
            good = good & good_in(constants, shape, family)
        return self.masking.applied(good, family)

    def _unchanged(
        self, name: str, raw: Spec, constants: Constants | None, family: Family
    ) -> PerEvent:
        shape, arrange = raw.shape, None
        if family.arranged is not None and raw.shape is not None:
            shape, arrange = _arranged(family, raw.shape)
        good = None
        if shape is not None:
            good = self._good(name, raw, shape, constants, family)
        elif self.mask is not None:
            pixels.good_pixels(raw, self.mask, f"calibration of {name}")
        bad = good is not None and not good.all()
        unchanged = Spec(
            dtype=raw.dtype if arrange is None else np.dtype(np.uint16),
            shape=shape,
            kind=raw.kind,
            unit=raw.unit or "ADU",
            long_name="raw frame",
            mask=read_only(good) if good is not None and bad else None,
            positions=None if shape is None else positions_in(constants, shape, name),
        )
        compute = _same if arrange is None else partial(_rearranged, arrange, unchanged)
        config = kept("raw", constants, good if bad else None)
        return PerEvent(outputs={"": unchanged}, compute=compute, config=config)


def _arranged(
    family: Family, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], Callable[[Array], Array] | None]:
    return (shape, None) if family.arranged is None else family.arranged(shape)


def _tables(
    constants: Constants | None,
    shape: tuple[int, ...],
    family: Family,
    config: Config,
    kind: Kind,
    name: str,
) -> Tables:
    try:
        return Tables.of(constants, shape, family, config, gain=kind == "gain")
    except ConstantsError as error:
        if name in str(error):
            raise
        raise ConstantsError(f"{name}: {error}") from error


def _of_pixels(given: Any, shape: tuple[int, ...], name: str) -> Array:
    gain: Array = np.asarray(given)
    if gain.ndim and gain.shape != shape:
        raise ValueError(
            f"{name}: local_gain is {gain.shape}, the frame {shape}; give a number, or "
            "one for each pixel"
        )
    return gain


def _same(values: Values) -> Mapping[str, Values]:
    return {"": values}


def _rearranged(
    arrange: Callable[[Array], Array], made: Spec, values: Values
) -> Mapping[str, Values]:
    out = np.empty((len(values), *(made.shape or ())), made.dtype)
    for i, frame in enumerate(values):
        out[i] = arrange(frame)
    return {"": pixels.packed(out, made)}


def _calibrate(
    kernel: Calibrate,
    arrange: Callable[[Array], Array] | None,
    frame: Array,
    out: NDArray[np.float32],
) -> None:
    arranged = frame if arrange is None else arrange(frame)
    kernel(pixels.contiguous(arranged).reshape(out.size), out)


def _compute(
    calibrate: Calibrate, made: Spec, memory: Memory, values: Values
) -> Mapping[str, Values]:
    out = memory.empty((len(values), math.prod(made.shape or ())), made.dtype)
    for i, frame in enumerate(values):
        calibrate(frame, out[i])
    return {"": pixels.packed(out, made)}
