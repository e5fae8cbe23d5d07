"""Several runs by one command: one after the other, and what failed at the end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from smalldata_stream.cli.run_list import as_text
from smalldata_stream.counted import counted
from smalldata_stream.errors import SmalldataError

FAILED = 1


def each_run(
    options: argparse.Namespace, reduce_one: Callable[[argparse.Namespace], int]
) -> int:
    """Call ``reduce_one`` for each run of ``options.run``, with one run in its options.

    A run that fails is told where it fails and again at the end, and does not keep the
    others from being reduced. Returns 1 if any failed, else the highest code of all.
    """
    if options.run is None:
        return reduce_one(options)
    runs: tuple[int, ...] = options.run
    if len(runs) == 1:
        return reduce_one(argparse.Namespace(**vars(options) | {"run": runs[0]}))
    code = 0
    failed: dict[int, str] = {}
    for position, number in enumerate(runs):
        mine = vars(options) | {"run": number, "output": output_of(options.output, number)}
        try:
            code = max(code, reduce_one(argparse.Namespace(**mine)))
        except (SmalldataError, OSError) as error:
            failed[number] = str(error)
            print(f"error: run {number}: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            tell(position, failed)
            print(f"not done: {as_text(runs[position:])}", file=sys.stderr)
            raise
    tell(len(runs), failed)
    return FAILED if failed else code


def output_of(given: Path | None, number: int) -> Path | None:
    """The output of one run of several: a file gets the number, a directory stays.

    >>> str(output_of(Path("a.h5"), 12))
    'a_Run0012.h5'
    """
    if given is None or given.is_dir():
        return given
    return given.with_name(f"{given.stem}_Run{number:04d}{given.suffix}")


def tell(tried: int, failed: dict[int, str]) -> None:
    """Say how many runs are done, and which failed and why."""
    print(f"{tried - len(failed)} of {counted(tried, 'run')} done", flush=True)
    if failed:
        print("failed:", file=sys.stderr)
    for number, why in failed.items():
        print(f"  run {number}: {why}", file=sys.stderr)
