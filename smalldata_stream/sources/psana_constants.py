"""Calibration constants from psana's database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from smalldata_stream.constants import UNITS, Constants
from smalldata_stream.errors import ConstantsError, DatabaseError, PsanaError
from smalldata_stream.run import DetectorInfo
from smalldata_stream.sources.psana_messages import ConstantsFound, ConstantsJob, Failed
from smalldata_stream.sources.psana_process import PsanaProcess

LONGEST_REASON = 120
"""Of what psana says of a failure: it tells every layer of a refused connection."""


def psana_constants(
    exp: str,
    run: int,
    detectors: Iterable[DetectorInfo],
    *,
    cache: Path | None = None,
    seconds: float = 60.0,
) -> dict[str, Constants]:
    """The constants that psana's database has for some detectors, by name.

    ``cache`` is the file in which psana keeps what it has fetched, to be read instead; it
    is a pickle, so it can do harm if others can write it. A detector without constants is
    left out. psana asks the web service that the variable
    ``LCLS_CALIB_HTTP`` names, else that of SLAC, by the detector's type and serial numbers.

    Raises
    ------
    ConstantsError
        If psana is not there, or the database refuses or does not answer in ``seconds``,
        or sends something that is no set of constants. It is a DatabaseError where the
        database is not reached, so that nothing else need be asked of it.
    """
    names = {info.name: f"{info.type}_{info.serial}" for info in detectors}
    place = f"psana's cache {cache}" if cache else "psana's database"
    asked = f"{place}, asked for {', '.join(sorted(names))} of {exp} run {run}"
    instead = "" if cache else "; --constants FILE takes them from a file"
    with PsanaProcess() as process:
        process.tell(
            ConstantsJob(
                exp=exp,
                run=run,
                long_names=names,
                cache=str(cache.resolve() if cache else ""),
            )
        )
        try:
            answer = process.hear(seconds)
        except TimeoutError:
            # Constants of many pixels may take longer, and those of another detector not.
            kind = ConstantsError if process.count else DatabaseError
            raise kind(f"{asked}: no answer in {seconds:g} s{instead}") from None
        except PsanaError as death:
            raise ConstantsError(f"{asked}: {death}") from death
    if isinstance(answer, Failed):
        what = shorten(answer.what, LONGEST_REASON)
        kind = DatabaseError if answer.down else ConstantsError
        raise kind(f"{asked}: {what}{instead}")
    assert isinstance(answer, ConstantsFound)
    return {
        name: _constants(name, found) for name, found in answer.constants.items() if found
    }


def _constants(detector: str, found: Any) -> Constants:
    values: dict[str, Any] = {}
    for name, (value, _) in found.items():
        if name == "geometry":
            values[name] = str(value)
        elif name == "pixel_mask":
            values[name] = np.asarray(value, bool)
        elif name in UNITS:
            values[name] = np.asarray(value)
    if "status_extra" in found:  # further reasons, as psana's own mask takes them
        extra = np.asarray(found["status_extra"][0]).astype(np.uint64)
        status = np.asarray(values.get("pixel_status", np.zeros_like(extra)))
        values["pixel_status"] = status.astype(np.uint64) | extra
    origins = (f"{name} of {origin}" for name, (_, origin) in sorted(found.items()))
    source = f"psana's database: {', '.join(origins)}"
    return Constants(detector=detector, source=source, **values)
