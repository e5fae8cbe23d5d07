"""Every type of area detector: where its pixels are in the data, what is known of it."""

from __future__ import annotations

from collections.abc import Mapping

from smalldata_stream.constants import Constants
from smalldata_stream.detectors.archon import ARCHON
from smalldata_stream.detectors.camera import CAMERA
from smalldata_stream.detectors.cspad import CSPAD
from smalldata_stream.detectors.epix10ka import EPIX10KA, EPIXHR2X2
from smalldata_stream.detectors.epix100 import EPIX100
from smalldata_stream.detectors.epixm320 import EPIXM320
from smalldata_stream.detectors.epixuhr import EPIXUHR, EPIXUHR3X2
from smalldata_stream.detectors.family import Family, Kind, Old
from smalldata_stream.detectors.jungfrau import JUNGFRAU
from smalldata_stream.errors import ConstantsError

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


def of_old_number(detector_type: str, number: int) -> Old:
    """What a number of smalldata_tools means for this type."""
    family = FAMILIES.get(detector_type, CAMERA)
    numbers = family.old
    if number in family.refused:
        raise ValueError(f"common_mode={number} {family.refused[number]}")
    if number not in numbers:
        words = "a word such as common_mode='rows'"
        known = ", ".join(map(str, sorted(numbers)))
        raise ValueError(
            f"common_mode={number} means nothing for detectors of type {detector_type!r}; "
            f"write {words}, or one of {known}"
        )
    return numbers[number]


def needed(constants: Constants | None, name: str, kind: Kind) -> Constants:
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
