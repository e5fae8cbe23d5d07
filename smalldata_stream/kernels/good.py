"""Masks that may be absent, for compiled kernels: None means that every pixel is good.

`else` stands where it need not, because numba then leaves out the other branch.
"""

from __future__ import annotations

from typing import Any

from smalldata_stream.kernels.compiled import compiled


@compiled
def row_of(pixels: Any, r: int) -> Any:
    """Row ``r`` of a table of pixels, None where there is no table.

    >>> row_of(None, 3) is None
    True
    """
    if pixels is None:
        return None
    else:  # noqa: RET505
        return pixels[r]


@compiled
def is_good(good: Any, p: int) -> Any:
    """Whether pixel ``p`` is good.

    >>> is_good(None, 3)
    True
    """
    if good is None:
        return True
    else:  # noqa: RET505
        return good[p]


@compiled
def part(pixels: Any, start: int, stop: int) -> Any:
    """``pixels[start:stop]``, None where there are none.

    >>> part(None, 0, 9) is None
    True
    """
    if pixels is None:
        return None
    else:  # noqa: RET505
        return pixels[start:stop]
