"""What a Names block is about, and how a field of a run is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from smalldata_stream.batch import STRING, Signal
from smalldata_stream.run import FieldInfo
from smalldata_stream.xtc2.derived import Derived
from smalldata_stream.xtc2.names import Names

NO_DETECTORS = frozenset({"runinfo", "epicsinfo", "chunkinfo", "smdinfo", "pvdetinfo"})


class Kind(Enum):
    """Which datagrams a Names block is about."""

    EVENT = "L1Accept"
    SLOW = "SlowUpdate"
    STEP = "BeginStep"
    CONFIG = "Configure"
    NONE = "none"


def kind_of(names: Names) -> Kind:
    """Whether ``names`` describes events, EPICS, a scan, or a configuration."""
    if names.detector in NO_DETECTORS:
        return Kind.NONE
    if names.type == "epics" or names.detector == "epics":
        return Kind.SLOW
    if names.type in ("scan", "scanDet") or names.detector == "scan":
        return Kind.STEP
    if names.algorithm.startswith("cfgscan"):
        return Kind.STEP
    if "config" in names.algorithm.lower():
        return Kind.CONFIG
    return Kind.EVENT


class Place(NamedTuple):
    """One algorithm of one segment of a detector."""

    detector: str
    algorithm: str
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a field of a run is made: which segments' field, stacked or not.

    ``shape`` is one segment's in one event, None where it varies or is text. Where
    ``derived`` is set, ``inputs`` are the fields it is computed from.
    """

    info: FieldInfo
    kind: Kind
    field: str = ""
    segments: tuple[int, ...] = (0,)
    shape: tuple[int, ...] | None = None
    derived: Derived | None = None
    inputs: tuple[Signal, ...] = ()

    @property
    def by_first_value(self) -> bool:
        """Whether the shape is that of the first value met, as none was known before."""
        return self.shape is None and not (self.info.variable or self.info.dtype == STRING)
