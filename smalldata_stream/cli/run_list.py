"""Run numbers as people write them: ``12-40,55``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

MOST_RUNS = 10_000
"""More than any experiment has: a list that names more is a slip of the finger."""


def run_list(text: str) -> tuple[int, ...]:
    """Runs and ranges of runs, both ends included, in the order written.

    Raises ``argparse.ArgumentTypeError``, which the command line shows, where the text is
    no list of runs or names one twice.

    >>> run_list("12-14,55")
    (12, 13, 14, 55)
    >>> run_list("14-12")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: the range 14-12 runs backwards; write 12-14
    """
    runs: dict[int, str] = {}
    for part in text.split(","):
        for number in one_range(part.strip(), text):
            if number in runs:
                first = runs[number]
                both = repr(first) if first == part else f"{first!r} and {part!r}"
                raise argparse.ArgumentTypeError(f"run {number} is named twice, by {both}")
            runs[number] = part
            if len(runs) > MOST_RUNS:
                raise argparse.ArgumentTypeError(
                    f"{text!r} names more than {MOST_RUNS:,} runs"
                )
    return tuple(runs)


def one_range(part: str, text: str) -> range:
    """The runs of one part of a list."""
    match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part, re.ASCII)
    if match is None:
        what = repr(part) if part else "nothing between two commas, or at an end,"
        raise argparse.ArgumentTypeError(
            f"{what} in {text!r} is no run; write runs and ranges, as in 12-40,55"
        )
    first = int(match[1])
    last = int(match[2] or match[1])
    if last < first:
        raise argparse.ArgumentTypeError(
            f"the range {part} runs backwards; write {last}-{first}"
        )
    return range(first, last + 1)


def as_text(runs: Sequence[int]) -> str:
    """Runs as people write them, the opposite of `run_list`.

    >>> as_text([12, 13, 14, 55])
    '12-14,55'
    """
    parts: list[list[int]] = []
    for run in runs:
        if parts and run == parts[-1][-1] + 1:
            parts[-1][1:] = [run]
        else:
            parts.append([run])
    return ",".join("-".join(map(str, part)) for part in parts)
