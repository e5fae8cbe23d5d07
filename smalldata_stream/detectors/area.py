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
from smalldata_stream.detectors.archon import ARCHON
from smalldata_stream.detectors.camera import CAMERA
from smalldata_stream.detectors.common_mode import Choice, CommonMode
from smalldata_stream.detectors.cspad import CSPAD
from smalldata_stream.detectors.epix10ka import EPIX10KA, EPIXHR2X2
from smalldata_stream.detectors.epix100 import EPIX100
from smalldata_stream.detectors.epixm320 import EPIXM320
from smalldata_stream.detectors.epixuhr import EPIXUHR, EPIXUHR3X2
from smalldata_stream.detectors.family import Config, Family, Kind, Old
from smalldata_stream.detectors.jungfrau import JUNGFRAU
from smalldata_stream.detectors.masks import NO_MASKING, Masking
from smalldata_stream.detectors.tables import Tables, calibrating, good_in
from smalldata_stream.errors import ConstantsError
from smalldata_stream.positions import Positions
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

FRAME_FIELDS: Mapping[tuple[str, str], str] = {
    ("alvium", "raw"): "value",
    ("andor", "raw"): "value",
    ("archon", "raw"): "value",
    ("axis", "raw"): "value",
    ("cspad", "raw"): "arrayRaw",
    ("epix", "raw"): "raw",
    ("epix100", "raw"): "raw",
    ("epix100hw", "raw"): "raw",
    ("epix10ka", "raw"): "raw",
    ("epixhr2x2", "raw"): "raw",
    ("epixm320", "raw"): "raw",
    ("epixuhr", "raw"): "raw",
    ("epixuhr3x2", "raw"): "raw",
    ("generic_container", "xtc1dump"): "calib",
    ("jungfrau", "raw"): "raw",
    ("opal", "raw"): "image",
    ("piranha4", "raw"): "image",
    ("rayonix", "raw"): "value",
    ("zyla", "raw"): "value",
}
"""The field that holds the pixels, by type of detector and algorithm, as in psana.

A generic_container is a detector of LCLS-I in a run that was converted to xtc2; its frames
are calibrated already. psana has no class for alvium, andor, rayonix and zyla: they have
the field of an axis. In data under another name, ``frames=`` says which.
"""

FAMILIES: Mapping[str, Family] = {
    "archon": ARCHON,
    "cspad": CSPAD,
    "epix": EPIX10KA,
    "epix10ka": EPIX10KA,
    "epixhr2x2": EPIXHR2X2,
    "epixm320": EPIXM320,
    "epixuhr": EPIXUHR,
    "epixuhr3x2": EPIXUHR3X2,
    "jungfrau": JUNGFRAU,
    **dict.fromkeys(("epix100", "epix100hw"), EPIX100),
    **dict.fromkeys(
        ("alvium", "andor", "axis", "opal", "piranha4", "rayonix", "zyla"), CAMERA
    ),
}
"""What is known of each type of detector."""

GAIN_SWITCHING = tuple(kind for kind, family in FAMILIES.items() if family.modes)
"""Types whose pixels choose their gain: without constants their values mean little."""


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
                raise ValueError("local_gain must be finite")
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
        kind, common_mode = self._chosen(detector_type, constants)
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
        given = _needed(constants, name, kind) if kind != "adu" else None
        tables = _tables(given, shape, family, config or {}, kind, name)
        good = tables.good & self._good(name, raw, shape, constants, family)
        blind = family.blind[1](shape) if family.blind else None
        tables = tables.restricted(good, blind)
        if self.local_gain is not None:
            tables = tables.scaled(_of_pixels(self.local_gain, shape, name))
        noise = None if constants is None else constants.pixel_rms
        if common_mode and common_mode.method.startswith("quiet") and noise is None:
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
            long_name="calibrated frame",
            positions=_positions(constants, shape, name),
        )
        return PerEvent(
            outputs={"": calibrated},
            compute=partial(_compute, kernel, arrange, calibrated, Memory()),
            config=self._config(constants, good, kind, common_mode),
        )

    def _chosen(
        self, detector_type: str, constants: Constants | None
    ) -> tuple[Kind, CommonMode | None]:
        """Kind and common mode, from words or from an old number."""
        kind, common_mode = self.calibration, self.common_mode
        if isinstance(common_mode, int):
            old = _old(detector_type, common_mode)
            if kind is not None and old.kind not in (None, kind):
                raise ValueError(
                    f"common_mode={common_mode} means calibration={old.kind!r}, and "
                    f"calibration={kind!r} is written; leave one of them out"
                )
            kind, common_mode = kind or old.kind, old.common_mode
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
        return kind, common_mode

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
            positions=None if shape is None else _positions(constants, shape, name),
        )
        config: dict[str, Any] = {"calibration": "raw"}
        if bad:
            config["mask"] = good
        compute = _same if arrange is None else partial(_rearranged, arrange, unchanged)
        return PerEvent(outputs={"": unchanged}, compute=compute, config=config)

    def _config(
        self,
        constants: Constants | None,
        good: Mask,
        kind: Kind,
        common_mode: CommonMode | None,
    ) -> Mapping[str, Any]:
        """What ``/UserDataCfg`` keeps, under the names of smalldata_tools."""
        config: dict[str, Any] = {"mask": good, "calibration": kind}
        if constants is not None:
            arrays = constants.arrays()
            config |= {CONFIG_NAMES[k]: a for k, a in arrays.items() if k in CONFIG_NAMES}
            config["constants_sha256"] = constants.digest
        if common_mode is not None:
            config["common_mode"] = common_mode.method
            pars = (common_mode.most_adu, float(common_mode.least_pixels))
            config["common_mode_pars"] = np.array(pars)
        if self.local_gain is not None:
            config["local_gain"] = self.local_gain
        return config


CONFIG_NAMES = {
    "pedestals": "ped",
    "pixel_gain": "gain",
    "pixel_offset": "offset",
    "pixel_rms": "rms",
    "pixel_status": "pixel_status",
    "pixel_x": "x",
    "pixel_y": "y",
    "pixel_z": "z",
    "image_row": "ix",
    "image_column": "iy",
}
"""Constants and what smalldata_tools calls them in ``/UserDataCfg``."""


def as_far_as_possible(detector_type: str, constants: Constants | None) -> Kind:
    """The calibration where the user chose none.

    Pixels that switch their gain are nothing without it; a camera with one gain is
    calibrated as far as its constants go.

    >>> as_far_as_possible("jungfrau", None), as_far_as_possible("opal", None)
    ('gain', 'raw')
    """
    if detector_type in GAIN_SWITCHING:
        return "gain"
    have = constants.arrays() if constants else {}
    if "pedestals" not in have:
        return "raw"
    return "gain" if "pixel_gain" in have else "pedestal"


def _old(detector_type: str, number: int) -> Old:
    """What a number of smalldata_tools means for this type."""
    numbers = FAMILIES.get(detector_type, CAMERA).old
    if number not in numbers:
        words = "a word such as common_mode='rows'"
        known = ", ".join(map(str, sorted(numbers)))
        raise ValueError(
            f"common_mode={number} means nothing for detectors of type {detector_type!r}; "
            f"write {words}, or one of {known}"
        )
    return numbers[number]


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


def _positions(
    constants: Constants | None, shape: tuple[int, ...], name: str
) -> Positions | None:
    """Where the pixels of frames of ``shape`` are, if the constants know."""
    found = None if constants is None else constants.positions
    if found is None or found.shape == shape:
        return found
    if [n for n in found.shape if n != 1] != [n for n in shape if n != 1]:
        raise ConstantsError(
            f"{name}: its constants have positions of {found.shape} pixels, the frames are "
            f"{shape}; fetch them again for this run"
        )
    arrays = (found.x, found.y, found.z, found.row, found.column)
    x, y, z, row, column = (np.reshape(a, shape) for a in arrays)
    return Positions(x=x, y=y, z=z, row=row, column=column)


def _same(values: Values) -> Mapping[str, Values]:
    return {"": values}


def _rearranged(
    arrange: Callable[[Array], Array], made: Spec, values: Values
) -> Mapping[str, Values]:
    out = np.empty((len(values), *(made.shape or ())), made.dtype)
    for i, frame in enumerate(values):
        out[i] = arrange(frame)
    return {"": pixels.packed(out, made)}


def _compute(
    kernel: Callable[[Array, NDArray[np.float32]], None],
    arrange: Callable[[Array], Array] | None,
    made: Spec,
    memory: Memory,
    values: Values,
) -> Mapping[str, Values]:
    size = math.prod(made.shape or ())
    out = memory.empty((len(values), size), made.dtype)
    for i, frame in enumerate(values):
        arranged = frame if arrange is None else arrange(frame)
        kernel(pixels.contiguous(arranged).reshape(size), out[i])
    return {"": pixels.packed(out, made)}


def _needed(constants: Constants | None, name: str, kind: Kind) -> Constants:
    """The constants, with all that ``kind`` needs; else ConstantsError."""
    have = constants.arrays() if constants else {}
    need = ["pedestals"] + (["pixel_gain"] if kind == "gain" else [])
    lacking = [what for what in need if what not in have]
    if constants is not None and not lacking:
        return constants
    weaker = "'pedestal' or 'raw'" if "pedestals" in have else "'raw'"
    raise ConstantsError(
        f"{name}: calibration={kind!r} needs {' and '.join(need)}; there is "
        f"{', '.join(have) or 'none of the constants'}. Give a constants file "
        f"(--constants FILE, or constants=... here), or write calibration={weaker}"
    )
