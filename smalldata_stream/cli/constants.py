"""smalldata-stream constants: fetch them, show them, make them from dark runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from smalldata_stream.cli.output import check_directory
from smalldata_stream.cli.run_list import run_list
from smalldata_stream.cli.source import first_run, open_source, source_arguments
from smalldata_stream.cli.tables import table
from smalldata_stream.constants import (
    UNITS,
    Constants,
    read_constants,
    write_constants,
)
from smalldata_stream.counted import counted
from smalldata_stream.detectors.dark_limits import DarkLimits
from smalldata_stream.errors import OutputError, SmalldataError
from smalldata_stream.protocols import Run
from smalldata_stream.run import RunInfo


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    text = "save what psana's database has for the area detectors of a run, with positions"
    one = what.add_parser("fetch", help=text, description=text)
    source_arguments(one)
    _output(one)
    one.add_argument(
        "--cache",
        type=Path,
        metavar="FILE",
        help="read psana's cache (/dev/shm/calibconst.pkl) instead of asking the database",
    )
    one.add_argument(
        "--constants",
        type=Path,
        metavar="FILE",
        help="take the constants of this file instead, to add positions or a ghost",
    )
    one.add_argument(
        "--geometry",
        nargs="+",
        default=[],
        metavar="DETECTOR=FILE",
        help="use this geometry: psana's text, or a CrystFEL .geom",
    )
    one.add_argument(
        "--ghost",
        nargs="+",
        default=[],
        metavar="DETECTOR=FILE",
        help="add the ghost that was fitted: an HDF5 file with one array whose name ends "
        "in p0, and one in p1",
    )
    text = "print a table of a constants file, and draw the constants"
    one = what.add_parser("show", help=text, description=text)
    one.add_argument("file", type=Path, help="a constants file")
    one.add_argument("--png", type=Path, metavar="DIR", help="draw a picture per detector")
    text = "make pedestal, noise and status from dark runs"
    one = what.add_parser("dark", help=text, description=text)
    source_arguments(one)
    one.add_argument(
        "--more-runs",
        type=run_list,
        default=(),
        metavar="RUNS",
        help="further runs of the same --exp and --dir, as in 13-14: other gain modes",
    )
    _output(one)
    limits = DarkLimits()
    one.add_argument(
        "--sigmas",
        type=float,
        default=limits.sigmas,
        help="a pixel is bad if its noise is so many robust sigmas from the median "
        "(default: %(default)g)",
    )
    one.add_argument(
        "--margin",
        type=float,
        default=limits.margin_adu,
        metavar="ADU",
        help="or its pedestal so near to an end of the range (default: %(default)g)",
    )
    one.add_argument(
        "--constants",
        type=Path,
        metavar="FILE",
        help="take gain, geometry and other detectors from this constants file",
    )


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detectors", nargs="+", default=[], metavar="NAME", help="only these detectors"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the constants file (default: <exp>-rNNNN-constants.h5 here)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(options: argparse.Namespace) -> int:
    """Do what is asked for."""
    return {"fetch": run_fetch, "show": run_show, "dark": run_dark}[options.what](options)


def run_fetch(options: argparse.Namespace) -> int:
    """Fetch, add positions, write."""
    from smalldata_stream.modes.constants import fetch, placed, with_ghost

    geometry = files_of("--geometry", options.geometry)
    ghosts = files_of("--ghost", options.ghost)
    check_directory(options.output)
    info = first_run(open_source(options)).info
    refuse_to_overwrite(options, info)
    if options.constants is not None:
        only = options.detectors or None
        found = read_constants(options.constants, only)
    else:
        found = fetch(info, options.detectors, options.cache)
    for option, given in (("--geometry", geometry), ("--ghost", ghosts)):
        for name in given.keys() - found.keys():
            raise SmalldataError(
                f"{option} {name}=...: there are no constants of {name}; there are those "
                f"of {', '.join(found)}"
            )
    found |= {name: with_ghost(found[name], file) for name, file in ghosts.items()}
    made = [
        placed(constants, info.detectors.get(name), geometry.get(name))
        for name, constants in found.items()
    ]
    return _write(options, info, {one.detector: one for one in made})


def run_show(options: argparse.Namespace) -> int:
    """Print the table, draw the pictures."""
    found = read_constants(options.file)
    print(described(found))
    if options.png is not None:
        from smalldata_stream.modes.constants_picture import draw_constants

        options.png.mkdir(parents=True, exist_ok=True)
        for name, constants in found.items():
            path = options.png / f"{name}.png"
            draw_constants(constants, path)
            print(f"drawn: {path}")
    return 0


def run_dark(options: argparse.Namespace) -> int:
    """Add the runs up, write."""
    from smalldata_stream.modes.constants import completed, make_dark

    try:
        limits = DarkLimits(sigmas=options.sigmas, margin_adu=options.margin)
    except ValueError as error:
        raise SmalldataError(str(error)) from error
    check_directory(options.output)
    first: list[RunInfo] = []
    old = read_constants(options.constants) if options.constants is not None else {}
    made = make_dark(_dark_runs(options, first), options.detectors, limits)
    return _write(options, first[0], completed(made, old))


def _dark_runs(options: argparse.Namespace, seen: list[RunInfo]) -> Iterator[Run]:
    numbers = [options.run, *options.more_runs]
    if options.more_runs and options.files:
        raise SmalldataError("--more-runs needs --exp, --run and --dir")
    for number in numbers:
        options.run = number
        for one in open_source(options).runs():
            if not seen:
                refuse_to_overwrite(options, one.info)
            seen.append(one.info)
            yield one
            for fault in one.faults:
                print(f"damage: {fault.where}: {fault.what}")


def _write(
    options: argparse.Namespace, info: RunInfo, constants: Mapping[str, Constants]
) -> int:
    path = output_file(options, info)
    write_constants(path, constants.values())
    print(described(constants))
    print(f"written: {path}")
    return 0


def output_file(options: argparse.Namespace, info: RunInfo) -> Path:
    """Where the constants are written."""
    by_default = Path(f"{info.exp or 'unknown'}-r{info.number:04d}-constants.h5")
    return options.output or by_default


def refuse_to_overwrite(options: argparse.Namespace, info: RunInfo) -> None:
    """Say before the work what is there: nobody fits a ghost twice."""
    path = output_file(options, info)
    if path.exists() and not options.overwrite:
        raise OutputError(f"{path} exists; write --overwrite to replace it")


def files_of(option: str, given: list[str]) -> dict[str, Path]:
    """``DETECTOR=FILE`` as a path per detector.

    >>> files_of("--geometry", ["jungfrau=a.geom"])
    {'jungfrau': PosixPath('a.geom')}
    """
    found = {}
    for one in given:
        name, equals, file = one.partition("=")
        if not (name and equals and file):
            raise SmalldataError(f"{option} {one}: write DETECTOR=FILE")
        found[name] = Path(file)
    return found


def described(found: Mapping[str, Constants]) -> str:
    """Constants for people: a table for each detector, its source and hash.

    >>> print(described({"cam": Constants(detector="cam", pedestals=np.ones((1, 2)))}))
    cam  sha256 f115a050...
      constant   shape   dtype    unit  median  lowest  highest  not finite or bad
      pedestals  (1, 2)  float64  ADU   1       1       1        0
    """
    parts = []
    for name, constants in found.items():
        head = f"{name}  sha256 {constants.digest[:8]}..."
        parts.append(head + (f"  from {constants.source}" if constants.source else ""))
        rows = [_row(what, array) for what, array in constants.arrays().items()]
        header = ["constant", "shape", "dtype", "unit", "median", "lowest", "highest"]
        shown = table([*header, "not finite or bad"], rows)
        if constants.geometry is not None:
            lines = counted(len(constants.geometry.splitlines()), "line")
            shown += f"\ngeometry: text of {lines}"
        parts += [f"  {line}".rstrip() for line in shown.splitlines()]
    return "\n".join(parts)


def _row(name: str, array: np.ndarray) -> list[str]:
    bad = ~array if name == "pixel_mask" else ~np.isfinite(array)
    if name == "pixel_status":
        bad = array != 0
    values = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    numbers = ["", "", ""]
    if values.size and name not in ("pixel_mask", "pixel_status"):
        numbers = [f"{f(values):.6g}" for f in (np.median, np.min, np.max)]
    return [
        name,
        str(array.shape),
        str(array.dtype),
        UNITS[name],
        *numbers,
        str(np.count_nonzero(bad)),
    ]
