"""Units of what the DAQ records; the data themselves do not say them.

The units of beam-line data are those of the LCLS documentation of the BLD types.
"""

from __future__ import annotations

from collections.abc import Mapping

_EBEAM = {
    "ebeamCharge": "nC",
    "ebeamL3Energy": "MeV",
    "ebeamPkCurrBC1": "A",
    "ebeamPkCurrBC2": "A",
    "ebeamEnergyBC1": "mm",  # a beam position in the bunch compressor, related to energy
    "ebeamEnergyBC2": "mm",
    "ebeamXTCAVAmpl": "MV",
    "ebeamXTCAVPhase": "deg",
    "ebeamPhotonEnergy": "eV",
    **dict.fromkeys(("ebeamLTUPosX", "ebeamLTUPosY", "ebeamUndPosX", "ebeamUndPosY"), "mm"),
    **dict.fromkeys(
        ("ebeamLUTAngX", "ebeamLTUAngY", "ebeamUndAngX", "ebeamUndAngY"), "mrad"
    ),
    **dict.fromkeys(("ebeamLTU250", "ebeamLTU450"), "mm"),
}

UNITS: Mapping[str, Mapping[str, str]] = {
    "ebeam": _EBEAM,
    "gmd": {"energy": "mJ", "xpos": "mm", "ypos": "mm", "millijoulesperpulse": "mJ"},
    "xgmd": {"energy": "mJ", "xpos": "mm", "ypos": "mm", "millijoulesperpulse": "mJ"},
    "gasdet": {f"f{n}ENRC": "mJ" for n in (11, 12, 21, 22, 63, 64)},
    "pcav": {"fitTime1": "ps", "fitTime2": "ps", "charge1": "pC", "charge2": "pC"},
    "bmmon": {
        "totalIntensityJoules": "J",
        "xPositionMeters": "m",
        "yPositionMeters": "m",
    },
    "opal": {"fltpos": "pixel", "fltposfwhm": "pixel", "fltpos_ps": "ps"},
    "scan": {"lxt": "s"},
}
"""Unit by type of detector and field."""


def unit_of(detector_type: str, field: str) -> str:
    """The unit of a field; empty where it has none or it is not known.

    >>> unit_of("gmd", "energy"), unit_of("gmd", "flag")
    ('mJ', '')
    """
    return UNITS.get(detector_type, {}).get(field, "")
