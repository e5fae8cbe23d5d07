"""The electron beam, as the accelerator measures it for each pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Names, OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


@dataclass(frozen=True, slots=True)
class Ebeam(OneDetector):
    """Charge, energies, orbit and photon energy of the electrons, by the accelerator.

    Outputs are the fields of the data, see ``OUTPUTS``; ``ebeamh`` (the hard X-ray line of
    LCLS-II) has the same.

    >>> Ebeam("ebeamh", name="ebeam").group
    'ebeam'
    """

    OUTPUTS: ClassVar[Outputs] = {
        "damageMask": Output("which of the values are not valid, by bit", dtype="uint32"),
        "ebeamCharge": Output("charge of the bunch", "nC"),
        "ebeamDumpCharge": Output("charge at the dump, in electrons"),
        "ebeamL3Energy": Output("energy after linac 3", "MeV"),
        "ebeamPhotonEnergy": Output("photon energy that follows from the energy", "eV"),
        "ebeamPkCurrBC1": Output("peak current after bunch compressor 1", "A"),
        "ebeamPkCurrBC2": Output("peak current after bunch compressor 2", "A"),
        "ebeamEnergyBC1": Output("position in bunch compressor 1, by its energy", "mm"),
        "ebeamEnergyBC2": Output("position in bunch compressor 2, by its energy", "mm"),
        "ebeamLTUPosX": Output("position before the undulator, x", "mm"),
        "ebeamLTUPosY": Output("position before the undulator, y", "mm"),
        "ebeamLUTAngX": Output(
            "angle before the undulator, x", "mrad", also=("ebeamLTUAngX",)
        ),
        "ebeamLTUAngY": Output("angle before the undulator, y", "mrad"),
        "ebeamUndPosX": Output("position in the undulator, x", "mm"),
        "ebeamUndPosY": Output("position in the undulator, y", "mm"),
        "ebeamUndAngX": Output("angle in the undulator, x", "mrad"),
        "ebeamUndAngY": Output("angle in the undulator, y", "mrad"),
        "ebeamLTU250": Output("position at the dispersive monitor 250, x", "mm"),
        "ebeamLTU450": Output("position at the dispersive monitor 450, x", "mm"),
        "ebeamXTCAVAmpl": Output("amplitude of the transverse cavity", "MV"),
        "ebeamXTCAVPhase": Output("phase of the transverse cavity", "deg"),
    }

    detector: Names = "ebeam"
