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
