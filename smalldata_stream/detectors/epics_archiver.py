"""EPICS variables from the archiver, after the run: those that no one recorded with it."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.protocols import Result, Spec
from smalldata_stream.timestamps import EPOCH
from smalldata_stream.web import WebError, get_json, with_query

log = logging.getLogger(__name__)

LCLS = "https://pswww.slac.stanford.edu/archiveviewer/retrieval"
GROUP = "epics_archiver"

Variable = str | tuple[str, str]
"""The name of a process variable, or that name and the name in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpicsArchiver:
    """Process variables over the time of a run, from an EPICS Archiver Appliance.

    Attributes
    ----------
    variables
        Names, or pairs of name and name in the file. Written to
        ``/epics_archiver/<name in the file>``, float64 ``(samples, 2)``: seconds since
        1970 and value. The samples have the archiver's times, not those of events; the
        first is the one that was in force when the run began. The attribute ``units`` is
        that of the value, where the archiver has one.
    url
        The archiver's address, up to and with ``.../retrieval``.
    patience_s
        What one variable may take.

    Notes
    -----
    Asked for when the run has ended. A variable that the archiver has not got, that is
    text or an array, or an archiver that does not answer is a warning; the file is whole
    without it and names it in ``/provenance/never_seen``. ValueError for two variables of
    the same name in the file.

    Source: EPICS Archiver Appliance, retrieval of data as JSON.

    >>> EpicsArchiver(variables=["XPP:USR:01", ("CXI:MMS:07.RBV", "sam_x")]).names
    {'XPP_USR_01': 'XPP:USR:01', 'sam_x': 'CXI:MMS:07.RBV'}
    """

    variables: Sequence[Variable]
    url: str = LCLS
    patience_s: float = 10.0

    def __post_init__(self) -> None:
        if isinstance(self.variables, str) or not self.variables:
            raise ValueError(f"variables={self.variables!r}: write a list of names")
        if len(self.names) != len(self.variables):
            raise ValueError(
                f"variables={list(self.variables)}: two have the same name in the file; "
                "write (name, name in the file)"
            )
        wrong = [name for name in self.names if not re.fullmatch(r"[\w.-]+", name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no name for a dataset; write another")

    @property
    def names(self) -> dict[str, str]:
        """The names of the variables by the names in the file."""
        return dict(_named(variable) for variable in self.variables)

    @property
    def outputs(self) -> Mapping[str, Spec]:
        """What is written, by path."""
        return {
            f"{GROUP}/{name}": Spec(
                dtype=np.dtype(np.float64),
                shape=None,
                long_name=f"{pv}: seconds since 1970, value",
            )
            for name, pv in self.names.items()
        }

    def look_up(self, first: int, last: int) -> Mapping[str, Result]:
        """The samples from one timestamp to another, by path; says what there is not."""
        found: dict[str, Result] = {}
        for name, pv in self.names.items():
            query = {"pv": pv, "from": _iso(first), "to": _iso(last), "donotchunk": ""}
            address = with_query(f"{self.url.rstrip('/')}/data/getData.json", query)
            try:
                answer = get_json(address, self.patience_s)
                samples = samples_of(answer)
            except WebError as error:
                log.warning("epics archiver: %s", error)
                if not error.answered:  # nor would it for the others
                    log.warning("epics archiver: does not answer, not asked any further")
                    break
                continue
            except ValueError as error:
                log.warning("epics archiver: %s: %s", pv, error)
                continue
            result = Result(samples, len(samples), unit_of(answer))
            found[f"{GROUP}/{name}"] = result
        return found


def samples_of(answer: Any) -> Array:
    """Times and values ``(samples, 2)`` of what the archiver answers for one variable.

    >>> samples_of([{"data": [{"secs": 5, "nanos": 500_000_000, "val": 2}]}])
    array([[5.5, 2. ]])
    """
    if answer == []:
        raise ValueError("the archiver has no such variable, or nothing at that time")
    try:
        rows: Iterable[Mapping[str, Any]] = answer[0]["data"]
        samples = [(row["secs"] + 1e-9 * row["nanos"], row["val"]) for row in rows]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"the archiver answers in another form: {error!r}") from error
    if not samples:
        raise ValueError("the archiver has nothing at that time")
    for _, value in samples:
        if not isinstance(value, int | float):
            kind = "text" if isinstance(value, str) else "an array"
            raise ValueError(f"left out, as its value is {kind}")
    return np.array(samples, np.float64)


def unit_of(answer: Any) -> str:
    """The engineering unit that the archiver has for a variable; empty if it has none.

    >>> unit_of([{"meta": {"EGU": "mm"}, "data": []}]), unit_of([{"data": []}])
    ('mm', '')
    """
    meta = answer[0].get("meta")
    unit = meta.get("EGU") if isinstance(meta, Mapping) else None
    return unit.strip() if isinstance(unit, str) else ""


def _named(variable: Any) -> tuple[str, str]:
    if isinstance(variable, str):
        return variable.replace(":", "_"), variable
    pair = tuple(variable)
    if len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise ValueError(f"{variable!r}: write a name, or (name, name in the file)")
    return pair[1], pair[0]


def _iso(timestamp: int) -> str:
    """A timestamp as the archiver wants it.

    >>> _iso((1_000_000_000 - EPOCH) << 32)
    '2001-09-09T01:46:40.000Z'
    """
    seconds, nanoseconds = timestamp >> 32, timestamp & 0xFFFFFFFF
    time = datetime.fromtimestamp(seconds + EPOCH, UTC)
    # Rounded up: a sample within the last millisecond belongs to the run.
    milliseconds = min(999, math.ceil(nanoseconds / 1e6))
    return f"{time:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
