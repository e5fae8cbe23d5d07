"""When a pixel is bad, by a dark run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkLimits:
    """When a pixel is bad.

    ``sigmas``: its noise is so many robust sigmas from the median of its gain mode;
    ``margin_adu``: its pedestal is so near to an end of the range.

    >>> DarkLimits(sigmas=0)
    Traceback (most recent call last):
    ...
    ValueError: sigmas=0: write a number above 0
    """

    sigmas: float = 10.0
    margin_adu: float = 50.0

    def __post_init__(self) -> None:
        if not self.sigmas > 0:
            raise ValueError(f"sigmas={self.sigmas}: write a number above 0")
        if not self.margin_adu >= 0:
            raise ValueError(f"margin_adu={self.margin_adu}: write 0 or more")
