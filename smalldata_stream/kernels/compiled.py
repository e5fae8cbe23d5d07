"""How kernels are compiled: once, cached on disk, releasing the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` with numba at its first call, keeping the exact arithmetic.

    No fastmath: sums in another order would be other bits.
    """
    kernel = numba.njit(cache=True, nogil=True)(function)
    return cast("Callable[P, R]", kernel)


@compiled
def _as_it_is(value: float) -> float:
    return value


def load_compiler() -> None:
    """Have the first kernel find everything loaded that compiling needs.

    That takes seconds, once in a process, even where all kernels are on the disk already.
    """
    _as_it_is(0.0)
