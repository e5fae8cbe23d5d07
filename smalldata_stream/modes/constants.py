"""Constants made, completed and fetched: what the command ``constants`` does."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from smalldata_stream.batch import Array, BatchLimits, Signal
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.dark import Dark
from smalldata_stream.detectors.dark_limits import DarkLimits
from smalldata_stream.detectors.families import FRAME_FIELDS
from smalldata_stream.errors import ConstantsError, SourceError, did_you_mean
from smalldata_stream.h5 import read_tree
from smalldata_stream.positions import Positions
from smalldata_stream.protocols import Run
from smalldata_stream.run import DetectorInfo, RunInfo

log = logging.getLogger(__name__)


def frame_signals(run: RunInfo, only: Collection[str] = ()) -> dict[str, Signal]:
    """The signal of the raw frames of each area detector, of those in ``only`` if any.

    Raises
    ------
    ConstantsError
        If one of ``only`` is not in the run or has no frames, or there is none at all.
    """
    found: dict[str, Signal] = {}
    for name, info in run.detectors.items():
        for algorithm in info.versions:
            field = FRAME_FIELDS.get((info.type, algorithm), "")
            if (algorithm, field) in info.fields:
                found[name] = Signal(name, algorithm, field)
    for name in only:
        if name not in found:
            raise ConstantsError(
                f"run {run.number} has no area detector {name!r}; "
                + did_you_mean(name, found)
            )
    if not found:
        raise ConstantsError(f"run {run.number} has no area detector")
    return {name: found[name] for name in only} if only else found


def make_dark(
    runs: Iterable[Run], only: Collection[str], limits: DarkLimits
) -> dict[str, Constants]:
    """Pedestals, noise and status of the area detectors of dark runs.

    Several runs are one, as where each is of another gain mode. Frames that are missing or
    damaged are left out.

    Raises
    ------
    ConstantsError
        If there is no area detector, or not one event of it.
    """
    darks: dict[str, Dark] = {}
    sources: dict[str, list[str]] = {}
    for run in runs:
        info = run.info
        signals = frame_signals(info, only)
        for name, signal in signals.items():
            detector = info.detectors[name]
            if name in darks:
                darks[name].configure(detector.config)
            else:
                darks[name] = _start(detector, signal)
            sources.setdefault(name, []).append(f"{info.exp} run {info.number}")
        for batch in run.batches(list(signals.values()), BatchLimits()):
            for name, signal in signals.items():
                darks[name].add(batch.columns[signal].values)
    made = {}
    for name, dark in darks.items():
        if not dark.number.any():
            raise ConstantsError(f"{name}: there is no frame in {', '.join(sources[name])}")
        source = "dark: " + ", ".join(sources[name])
        made[name] = dark.constants(source=source, limits=limits)
    if not made:
        raise ConstantsError("there is no dark run to be read")
    return made


def _start(detector: DetectorInfo, signal: Signal) -> Dark:
    field = detector.fields[signal.algorithm, signal.field]
    if field.shape is None:
        raise ConstantsError(f"{detector.name}: the shape of its frames is not known")
    return Dark(detector.name, detector.type, field.shape, field.dtype, detector.config)


def completed(
    made: Mapping[str, Constants], old: Mapping[str, Constants]
) -> dict[str, Constants]:
    """``made``, with what it lacks taken from ``old``; detectors of either."""
    found = dict(old)
    for name, new in made.items():
        before = old.get(name)
        if before is None:
            found[name] = new
            continue
        have = new.arrays()
        missing = {k: a for k, a in before.arrays().items() if k not in have}
        found[name] = replace(
            new,
            geometry=new.geometry or before.geometry,
            source=f"{new.source}; {', '.join(missing) or 'nothing'} of {before.source}",
            **missing,  # type: ignore[arg-type]  # arrays by the names of arrays
        )
    return found


def fetch(
    run: RunInfo, only: Collection[str], cache: Path | None = None
) -> dict[str, Constants]:
    """What psana's database, or its cache file, has for the area detectors of a run."""
    from smalldata_stream.sources.psana_constants import psana_constants

    names = frame_signals(run, only)
    detectors = [run.detectors[name] for name in names]
    found = psana_constants(run.exp, run.number, detectors, cache=cache)
    for name in names:
        if name not in found:
            log.warning(
                "%s: psana has no constants for %s run %d", name, run.exp, run.number
            )
    if not found:
        raise ConstantsError(
            f"psana has no constants for {', '.join(names)} of {run.exp} run {run.number}"
        )
    return found


def with_ghost(constants: Constants, file: Path) -> Constants:
    """Constants with a ghost that was fitted, of an HDF5 file of whatever fits ghosts.

    The names of its two arrays end in ``p0`` and ``p1``; pixels without a fit are NaN.

    Raises
    ------
    ConstantsError
        If the file cannot be read, has none or several of one name, or does not fit.
    """
    try:
        tree = read_tree(file)
    except SourceError as error:
        raise ConstantsError(str(error)) from error
    found: dict[str, Array] = {}
    for end in ("p0", "p1"):
        names = [name for name in tree if name.endswith(end)]
        if len(names) != 1:
            raise ConstantsError(
                f"{file}: one array has a name that ends in {end}, not {len(names)}; there "
                f"is {', '.join(tree)}"
            )
        found[f"ghost_{end}"] = np.asarray(tree[names[0]], np.float32)
    source = "; ".join(filter(None, (constants.source, f"ghost of {file.name}")))
    return replace(
        constants, ghost_p0=found["ghost_p0"], ghost_p1=found["ghost_p1"], source=source
    )


def placed(
    constants: Constants, info: DetectorInfo | None, file: Path | None = None
) -> Constants:
    """Constants with the positions of the pixels, if their geometry is known.

    ``file`` is a geometry text of psana or a CrystFEL ``.geom``; without it, the geometry
    among the constants, else psana's standard one for this type of detector.

    Raises
    ------
    ConstantsError
        If the geometry cannot be read.
    """
    from smalldata_stream.sources.psana_geometry import psana_positions, standard_positions

    name = constants.detector
    if file is not None:
        if file.suffix == ".geom":
            from smalldata_stream.crystfel import crystfel_positions

            shape = _frame_shape(constants, info)
            where = crystfel_positions(file, shape)
            return constants.with_positions(where, f"geometry of {file.name}")
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConstantsError(f"{file}: {error}") from error
        where = psana_positions(text, str(file))
        named = replace(constants, geometry=text)
        return named.with_positions(where, f"geometry of {file.name}")
    if constants.geometry is not None:
        where = _positions(constants.geometry, name)
        return constants.with_positions(where, "positions from its geometry")
    if info is None:
        return constants
    standard = standard_positions(info.type, max(info.segments, default=0) + 1)
    if standard is None:
        return constants
    return constants.with_positions(standard[1], f"psana's standard geometry {standard[0]}")


def with_its_geometry(constants: Constants) -> Constants:
    """Constants with the positions that their geometry text describes, if they lack them.

    Raises
    ------
    ConstantsError
        If the geometry cannot be read.
    """
    if constants.geometry is None or constants.positions is not None:
        return constants
    return constants.with_positions(
        _positions(constants.geometry, constants.detector), "positions from its geometry"
    )


@cache
def _positions(text: str, what: str) -> Positions:
    from smalldata_stream.sources.psana_geometry import psana_positions

    return psana_positions(text, what)


def _frame_shape(constants: Constants, info: DetectorInfo | None) -> tuple[int, ...]:
    if info is not None:
        for algorithm in info.versions:
            field = info.fields.get(
                (algorithm, FRAME_FIELDS.get((info.type, algorithm), ""))
            )
            if field is not None and field.shape is not None:
                return field.shape
    for array in constants.arrays().values():
        return array.shape[-3:]
    raise ConstantsError(f"{constants.detector}: the shape of its frames is not known")
