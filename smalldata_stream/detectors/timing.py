"""The timing system: event codes, pulse id, where the electrons went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Signal, Values
from smalldata_stream.detectors.default import (
    Names,
    OneDetector,
    Part,
    Reading,
    field_of,
    handed_on,
    has_field,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.protocols import Spec
from smalldata_stream.run import DetectorInfo, RunInfo

CODES = 288
"""Event codes are 0 to 287: 18 words of 16 bits in the timing message."""

TIMING: tuple[str, ...] = ("timing", "evr0", "evr1", "evr2")
"""What the timing detector is called: that of LCLS-II, then those of LCLS-I."""

DESTINATIONS: Mapping[str, int] = {
    "LASER_Standby": 0,
    "SC_DIAG0": 1,
    "SC_BSYD": 2,
    "SC_HXR": 3,
    "SC_SXR": 4,
    "SC_LESA": 5,
}
"""Where the electrons of the superconducting linac may go."""

_LISTS = ("eventCodes", "eventCode")
"""Names of a list of the codes of an event, as LCLS-I has it."""

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Timing(OneDetector):
    """Event codes, pulse id, destination and inhibit counts of each event.

    Event codes are a table of 288 flags, also where the data (of LCLS-I) have a list. The
    destinations are those of `LightStatus`.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "eventcodes": Output("1 where the event has the code", "", "uint8", "(288,)"),
        "pulseId": Output("number of the pulse", dtype="uint64"),
        "destination": Output("where the electrons went, by number", dtype="uint8"),
        "timestamp": Output("time of the pulse, as the timing system has it", "", "uint64"),
        "inhibitCounts": Output("triggers inhibited, by cause", "", "uint32", "(8,)"),
        "*": Output("", dtype="as the data say", shape="as the data say"),
    }
    SAID: ClassVar[tuple[str, ...]] = (
        "eventcodes",
        "pulseId",
        "destination",
        "timestamp",
        "inhibitCounts",
    )

    detector: Names = TIMING

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or "timing"

    def read(self, run: RunInfo) -> Reading:
        """The fields that psana's detector has; all but lists for another's."""
        info = self.find(run)
        parts = [
            part
            for part in handed_on(info, self.OUTPUTS)
            if part.inputs[0].field not in _LISTS
            and (info.type != "ts" or next(iter(part.outputs)) in self.SAID)
        ]
        if has_field(info, *_LISTS) and not has_field(info, "eventcodes"):
            signal, table = codes_of(info)
            spec = Spec(
                dtype=np.dtype(np.uint8),
                shape=(CODES,),
                long_name=self.OUTPUTS["eventcodes"].says,
            )

            def listed(codes: Values) -> Mapping[str, Values]:
                return {"eventcodes": table(codes)}

            parts.append(
                Part(inputs=(signal,), outputs={"eventcodes": spec}, compute=listed)
            )
        return Reading(parts=tuple(parts), config=self.config(info))


def codes_of(info: DetectorInfo) -> tuple[Signal, Callable[[Values], Array]]:
    """The signal of the event codes, and what makes a table ``(n, 288)`` of its values."""
    if has_field(info, "eventcodes"):
        signal, one = field_of(info, ("eventcodes",))
        if one.shape not in (None, (CODES,)):
            raise ValueError(
                f"{info.name}: event codes have shape {one.shape}, not ({CODES},)"
            )
        return signal, lambda codes: np.asarray(codes)
    signal, _ = field_of(info, _LISTS, "the table of event codes")
    return signal, table_of


def table_of(codes: Values) -> Codes:
    """The table ``(n, 288)`` of lists of event codes; 0 is no code.

    >>> from smalldata_stream.batch import Ragged
    >>> lists = Ragged.of([np.array([40, 137]), np.array([40])], np.dtype("u2"))
    >>> [np.flatnonzero(row).tolist() for row in table_of(lists)]
    [[40, 137], [40]]

    Raises
    ------
    ValueError
        If a code is above 287.
    """
    table = np.zeros((len(codes), CODES), np.uint8)
    for row, event in zip(table, codes, strict=True):
        given = np.asarray(event).reshape(-1)
        if given.size and given.max() >= CODES:
            raise ValueError(f"event code {given.max()}: they are 0 to {CODES - 1}")
        row[given[given > 0].astype(np.int64)] = 1
    return table
