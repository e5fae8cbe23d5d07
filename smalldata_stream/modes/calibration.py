"""Which constants a run is calibrated with: a file of ours, or psana's database."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from smalldata_stream.constants import Constants, read_constants
from smalldata_stream.errors import ConstantsError, DatabaseError
from smalldata_stream.graph import FindConstants
from smalldata_stream.modes.constants import placed, with_its_geometry
from smalldata_stream.run import RunInfo

log = logging.getLogger(__name__)

FROM_PSANA = "psana"
"""What to give instead of a file to ask psana's database."""


def find_constants(
    choice: str | None, run: RunInfo, directory: Path | None
) -> FindConstants:
    """How the constants of a detector of ``run`` are found.

    ``choice`` is a constants file, ``"psana"`` for psana's database, or None: then the file
    ``<exp>-rNNNN-constants.h5`` beside the data if there is one, else psana's database
    where the run names an experiment and the database answers. One that cannot be reached
    is not asked again in this run.

    Where a file has the geometry of a detector and not the positions of its pixels, psana
    makes these from it, once, when the detector's constants are asked for.
    """
    if choice == FROM_PSANA:
        return lambda detector: from_psana(run, detector)
    if choice is not None:
        return from_file(Path(choice))
    if directory is not None:
        beside = directory / f"{run.exp}-r{run.number:04d}-constants.h5"
        if beside.is_file():
            log.info("constants: %s", beside)
            return from_file(beside)

    not_reached_for = ""

    @cache
    def if_it_answers(detector: str) -> Constants | None:
        nonlocal not_reached_for
        if not run.exp:
            return None
        if not_reached_for:
            log.warning(
                "no constants for %s: psana's database could not be reached for %s, and is "
                "not asked again in this run",
                detector,
                not_reached_for,
            )
            return None
        try:
            return from_psana(run, detector)
        except ConstantsError as error:
            if isinstance(error, DatabaseError):
                not_reached_for = detector
            log.warning("no constants for %s: %s", detector, error)
            return None

    return if_it_answers


def from_file(path: Path) -> FindConstants:
    """The constants in a file of ours, with positions."""
    found = read_constants(path)

    @cache
    def of(detector: str) -> Constants | None:
        constants = found.get(detector)
        if constants is None:
            return None
        try:
            return with_its_geometry(constants)
        except ConstantsError as error:
            log.warning("no positions of the pixels of %s: %s", detector, error)
            return constants

    return of


def from_psana(run: RunInfo, detector: str) -> Constants | None:
    """The constants that psana's database has for a detector, with positions."""
    from smalldata_stream.sources.psana_constants import psana_constants

    info = run.detector(detector)
    found = psana_constants(run.exp, run.number, [info]).get(detector)
    if found is None:
        return None
    try:
        return placed(found, info)
    except ConstantsError as error:
        log.warning("no positions of the pixels of %s: %s", detector, error)
        return found
