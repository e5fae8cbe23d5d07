"""EPICS variables: motors, temperatures, states, at the value they had in each event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from smalldata_stream.batch import Signal
from smalldata_stream.detectors.default import NotInRun, Part, Reading, find
from smalldata_stream.detectors.fields import Output, Outputs, spec_of
from smalldata_stream.errors import did_you_mean
from smalldata_stream.run import DetectorInfo, RunInfo

Variable: TypeAlias = str | tuple[str, str]
"""The name of a variable or of its PV, or one of these and the name to write it under."""


@dataclass(frozen=True, slots=True)
class Epics:
    """EPICS variables; a text is written as a text.

    Parameters
    ----------
    variables
        Names or PVs, or pairs of one of these and the name to write it under; None for all.
    once
        Write the value of the first event of the run that has one, to
        ``/epicsOnce/<name>``, instead of one per event.
    name
        The HDF5 group; ``epics``, or ``epicsOnce``, unless given.

    Raises
    ------
    ValueError
        If a variable is no text and no pair of texts.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "*": Output("", dtype="float64 or text", shape="as the data say")
    }

    variables: tuple[Variable, ...] | None = None
    once: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        for one in self.variables or ():
            pair = isinstance(one, tuple) and [type(part) for part in one] == [str, str]
            if not (isinstance(one, str) or pair):
                raise ValueError(
                    f"{one!r} is no variable: write g.epics('lxt', ('XPP:SAM:X', 'sam_x'))"
                )

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or ("epicsOnce" if self.once else "epics")

    def read(self, run: RunInfo) -> Reading:
        """Those that the run has; the others are lacking."""
        info = find(run, "epics")
        lacking: list[str] = []
        parts = tuple(self._parts(info, lacking))
        hint = did_you_mean(lacking[0], known(info)) if lacking else ""
        if not parts:
            raise NotInRun(f"no EPICS variable {', '.join(lacking) or 'at all'}", hint)
        config = {"PVname_" + str(i): next(iter(p.outputs)) for i, p in enumerate(parts)}
        config |= {
            f"PV_{i}": info.fields[p.inputs[0][1:]].long_name or p.inputs[0].field
            for i, p in enumerate(parts)
        }
        return Reading(
            parts=parts, config=config, lacking=tuple(lacking), hint=hint, once=self.once
        )

    def _parts(self, info: DetectorInfo, lacking: list[str]) -> Iterator[Part]:
        wanted = self.variables
        if wanted is None:
            wanted = tuple(field for _, field in info.fields)
        for variable in dict.fromkeys(wanted):
            asked, name = (variable, variable) if isinstance(variable, str) else variable
            signal = variable_of(info, asked)
            if signal is None:
                lacking.append(asked)
                continue
            spec = spec_of(info.fields[signal[1:]])
            if isinstance(variable, str):
                name = signal.field
            var = "var_" if spec.kind == "ragged" else ""
            yield Part(inputs=(signal,), outputs={var + name: spec})


def variable_of(info: DetectorInfo, asked: str) -> Signal | None:
    """The signal of a variable, by its name or by that of its PV."""
    for signal in info.signals():
        if asked in (signal.field, info.fields[signal[1:]].long_name):
            return signal
    return None


def known(info: DetectorInfo) -> list[str]:
    """Every name that a variable may be asked for by."""
    pvs = [one.long_name for one in info.fields.values() if one.long_name]
    return [name for _, name in info.fields] + pvs


def epics(*variables: Variable, once: bool = False, name: str = "") -> Epics:
    """EPICS variables, all or those named, at the value they had in each event."""
    return Epics(variables or None, once, name)
