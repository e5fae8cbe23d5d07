"""The default detectors, one line each: a method of the graph and its parameters.

A line ties a method of `Graph` to the frozen dataclass that holds its parameters, so that
editors and type checkers know its exact signature and a misspelled parameter is an error
before it is run. To add one: one file in ``detectors/``, one line in `Defaults`, one
contract test, one changelog line; ``make docs`` puts it on its page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Generic, ParamSpec, overload

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.encoder import Encoder
from smalldata_stream.detectors.environment import Environment
from smalldata_stream.detectors.epics import epics
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields_of import FieldsOf
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.hsd import Hsd
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.qadc import Qadc
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.detectors.timetool_raw import TimeToolRaw
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.detectors.usdusb import Usdusb
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xgmd import Xgmd
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.words import check_parameters

if TYPE_CHECKING:
    from smalldata_stream.flow import Node

P = ParamSpec("P")


class Default(Generic[P]):
    """A method that adds one default detector to a graph; made by `default`."""

    def __init__(self, make: Callable[P, DefaultDetector]):
        self.make = make
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, graph: None, owner: type) -> Default[P]: ...
    @overload
    def __get__(self, graph: Defaults, owner: type) -> Callable[P, Node]: ...
    def __get__(
        self, graph: Defaults | None, owner: type
    ) -> Default[P] | Callable[P, Node]:
        if graph is None:
            return self

        @wraps(self.make)
        def add(*args: P.args, **kwargs: P.kwargs) -> Node:
            check_parameters(self.name, self.make, args, kwargs)
            return graph.add(self.make(*args, **kwargs))

        return add


def default(make: Callable[P, DefaultDetector]) -> Default[P]:
    """The method whose parameters are those of ``make``, a frozen dataclass."""
    return Default(make)


class Defaults:
    """Every default detector, as a method of the graph."""

    light_status = default(LightStatus)
    timing = default(Timing)
    scan = default(Scan)
    epics = default(epics)
    damage = default(Damage)
    gmd = default(Gmd)
    xgmd = default(Xgmd)
    gas_detector = default(GasDetector)
    ebeam = default(Ebeam)
    phase_cavity = default(PhaseCavity)
    ipm = default(Ipm)
    bmmon = default(Bmmon)
    wave8 = default(Wave8)
    fim = default(Wave8)
    hsd = default(Hsd)
    acromag = default(Acromag)
    qadc = default(Qadc)
    usdusb = default(Usdusb)
    encoder = default(Encoder)
    feespec = default(FeeSpec)
    timetool = default(TimeTool)
    timetool_raw = default(TimeToolRaw)
    xtcav = default(Xtcav)
    environment = default(Environment)
    fields_of = default(FieldsOf)

    def add(self, kind: DefaultDetector) -> Node:
        """Add a default detector, also one that has no method of its own."""
        raise TypeError(f"{type(self).__name__} takes no detectors")
