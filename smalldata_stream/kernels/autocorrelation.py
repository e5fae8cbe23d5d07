"""Autocorrelation of images under a mask, and the size of speckles in it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]

PAIRS = 0.5
"""A lag with fewer pairs of good pixels than this has none, but for rounding."""


ROUNDING = 1e-13
"""What a transform may leave of nothing, of the largest correlation that there can be."""


class Lags(NamedTuple):
    """The sizes of an autocorrelation: of the box, of the transform, and the lags.

    ``size`` is at least box plus lags, so that no pair is counted around the edges.
    """

    box: tuple[int, int]
    size: tuple[int, int]
    lags: tuple[int, int]


def lags_of(box: tuple[int, int], lags: tuple[int, int]) -> Lags:
    """Lags up to ``lags`` of a box of pixels.

    >>> lags_of((100, 50), (50, 10)).size
    (150, 60)
    """
    size = [_fast(n + most) for n, most in zip(box, lags, strict=True)]
    return Lags(box, (size[0], size[1]), lags)


def _fast(n: int) -> int:
    """The next number from ``n`` on of factors 2, 3 and 5 alone, and even."""
    n += n % 2
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 2


def transform(image: Floats, lags: Lags) -> Array:
    """Fourier transform of ``image``, of the box, with 0 around it."""
    return np.fft.rfft2(image, lags.size)


def correlation(product: Array, lags: Lags) -> Floats:
    """The correlation of which ``product`` is the transform, ``(2 * lags + 1)``.

    From -lags to lags: lag 0 is at ``[lags[0], lags[1]]``. Of the inverse transform only
    the rows of these lags are made, which saves half of it.
    """
    rows, columns = (np.arange(-most, most + 1) for most in lags.lags)
    columnwise = np.take(np.fft.ifft(product, axis=0), rows, axis=0, mode="wrap")
    whole = np.fft.irfft(columnwise, lags.size[1], axis=1)
    return np.take(whole, columns, axis=1, mode="wrap")


def pairs(mask: Array, lags: Lags) -> tuple[Array, Floats]:
    """Transform of the mask, and the number of pairs of good pixels at each lag."""
    of_mask = transform(mask.astype(np.float64), lags)
    return of_mask, np.rint(correlation(abs(of_mask) ** 2, lags)[:-1, :-1])


def normalised(
    power: Array, of_image: Array, of_mask: Array, number: Floats, lags: Lags
) -> Floats:
    """The autocorrelation in units of that of an even image: 1 where there is no structure.

    With I the image, 0 where the mask M is, and C_AB(d) = Σ A(x) B(x + d)::

        A(d) = C_II(d) C_MM(d) / (C_IM(d) C_MI(d))

    Parameters
    ----------
    power
        |F(I)|², or its mean over images.
    of_image, of_mask
        F(I), or its mean, and F(M).
    number
        C_MM, as `pairs` has it. A lag without pairs is NaN, and one at which all of the
        image moves out of the mask, so that C_IM or C_MI is 0.

    Notes
    -----
    Symmetric normalisation: Schätzel et al., J. Mod. Opt. 35, 711 (1988).
    """
    both = correlation(power, lags)[:-1, :-1]
    # C_MI at a lag is C_IM at the opposite one.
    cross = correlation(np.conj(of_image) * of_mask, lags)
    one, other = cross[:-1, :-1], cross[::-1, ::-1][:-1, :-1]
    below = one * other
    at_0 = lags.lags
    least = ROUNDING * np.sqrt(abs(both[at_0]) * number[at_0])
    some = (number > PAIRS) & (abs(one) > least) & (abs(other) > least)
    out = np.full(both.shape, np.nan)
    np.divide(both * number, below, out=out, where=some)
    return out


class Speckle(NamedTuple):
    """A Gaussian on a constant: ``background + contrast * exp(-d² / (2 sigma²))``."""

    sigma: float
    contrast: float
    background: float


def fit_speckle(line: Array) -> Speckle:
    """The Gaussian nearest to a line through an autocorrelation, lag 0 in the middle.

    Lag 0 itself is left out: there, the noise of each pixel is correlated with itself.
    ``sigma`` is in pixels, of the autocorrelation: that of the speckle itself is
    ``sigma / √2``.
    NaN where there are fewer than four lags to fit.

    >>> d = np.arange(-20, 20)
    >>> line = 1 + 0.2 * np.exp(-(d**2) / (2 * 3.0**2))
    >>> speckle = fit_speckle(line)
    >>> [round(float(x), 4) for x in speckle]
    [3.0, 0.2, 1.0]
    """
    lag = np.arange(len(line)) - len(line) // 2
    some = (lag != 0) & np.isfinite(line)
    if np.count_nonzero(some) < 4:
        return Speckle(np.nan, np.nan, np.nan)
    d2, y = lag[some].astype(float) ** 2, np.asarray(line, float)[some]

    def solved(sigma: float) -> tuple[float, Speckle]:
        bell = np.exp(-d2 / (2 * sigma**2))
        terms = np.stack([bell, np.ones_like(bell)], axis=1)
        (contrast, background), *_ = np.linalg.lstsq(terms, y, rcond=None)
        off = y - contrast * bell - background
        return float(off @ off), Speckle(sigma, float(contrast), float(background))

    widths = np.geomspace(0.3, max(1.0, abs(lag).max()), 60)
    best = int(np.argmin([solved(sigma)[0] for sigma in widths]))
    low, high = widths[max(best - 1, 0)], widths[min(best + 1, len(widths) - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if solved(left)[0] < solved(right)[0]:
            high = right
        else:
            low = left
    return solved((low + high) / 2)[1]
