"""What all ranks of a job do, and must agree on whether it went well."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.folder import WholeAlreadyError
from smalldata_stream.modes.ranks import Ranks

T = TypeVar("T")


def agreed(ranks: Ranks, work: Callable[[], T]) -> T:
    """``work`` in all ranks; where it fails in one, all of them raise."""
    problem: SmalldataError | WholeAlreadyError | OSError | None = None
    try:
        value = work()
    except (SmalldataError, WholeAlreadyError, OSError) as error:
        problem = error
    said = ranks.gathered(None if problem is None else (type(problem), str(problem)))
    if problem is not None:
        raise problem
    for rank, what in enumerate(said):
        if what is not None:
            kind, text = what
            if kind is WholeAlreadyError:
                raise WholeAlreadyError(text)
            raise SmalldataError(f"rank {rank} of {ranks.size}: {text}")
    return value
