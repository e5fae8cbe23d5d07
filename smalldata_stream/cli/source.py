"""The options that say where a run comes from, the same for every command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_stream.cli.numbers import above_zero, run_number
from smalldata_stream.cli.run_list import run_list
from smalldata_stream.errors import SmalldataError, SourceError
from smalldata_stream.protocols import Run, Source

if TYPE_CHECKING:
    from smalldata_stream.sources.files import FilesSource

SILENCE_SECONDS = 60.0
"""Without data for so long, a run that is being written is given up."""


def run_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add --files, or --exp, --run and --dir; ``several`` runs are a tuple of numbers."""
    parser.add_argument(
        "--files", nargs="+", type=Path, metavar="XTC2", help="the files of the run"
    )
    parser.add_argument("--exp", help="experiment, as in xpptut26")
    if several:
        parser.add_argument(
            "--run", type=run_list, metavar="N", help="run number, or several: 12-40,55"
        )
    else:
        parser.add_argument("--run", type=run_number, metavar="N", help="run number")
    parser.add_argument("--dir", type=Path, help="directory of the xtc2 files")


def source_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add what says which run, who reads it, and whether it is still being written."""
    run_arguments(parser, several=several)
    parser.add_argument(
        "--reader",
        choices=["native", "psana"],
        default="native",
        help="who decodes the files: ours (default), or psana itself",
    )
    parser.add_argument(
        "--live-files",
        nargs="?",
        type=above_zero,
        const=SILENCE_SECONDS,
        metavar="SECONDS",
        help="follow a run that is still being written, to its end; give up after so many "
        "seconds without data (default: %(const)s)",
    )


def check_run(options: argparse.Namespace) -> None:
    """Raise `SmalldataError` where `run_arguments` do not say one run, or say it twice."""
    by_run = (options.exp, options.run, options.dir)
    if options.files and any(x is not None for x in by_run):
        raise SmalldataError("give either --files, or --exp, --run and --dir")
    if not options.files and None in by_run:
        names = [n for n in ("exp", "run", "dir") if getattr(options, n) is None]
        missing = f"; --{' and --'.join(names)} is missing" if len(names) < 3 else ""
        raise SmalldataError(f"say which run: --exp, --run and --dir, or --files{missing}")


def open_source(options: argparse.Namespace) -> Source:
    """The source that the options name."""
    check_run(options)
    growing = options.live_files is not None
    if growing and (options.files or options.reader == "psana"):
        raise SmalldataError(
            "--live-files needs --exp, --run and --dir, and our own reader"
        )
    if options.reader == "psana":
        from smalldata_stream.sources.psana import PsanaSource

        if options.files:
            return PsanaSource.from_files(options.files)
        return PsanaSource.from_run(options.exp, options.run, options.dir)
    return open_files(options, options.live_files)


def open_files(
    options: argparse.Namespace, silence_seconds: float | None = None
) -> FilesSource:
    """The files that `run_arguments` name, for our own reader.

    They are waited for and may still be growing where ``silence_seconds`` is given.
    """
    from smalldata_stream.sources.files import FilesSource, LiveFiles

    check_run(options)
    if options.files:
        return FilesSource.from_files(options.files)
    live = None if silence_seconds is None else LiveFiles(silence_seconds=silence_seconds)
    return FilesSource.from_run(options.exp, options.run, options.dir, live=live)


def first_run(source: Source) -> Run:
    """The first run of a source; `SourceError` where it has none."""
    found = next(iter(source.runs()), None)
    if found is None:
        raise SourceError("the data hold no run")
    return found


def data_directory(options: argparse.Namespace) -> Path:
    """Where the data are; constants may lie beside them."""
    directory: Path = options.dir or options.files[0].parent
    return directory
