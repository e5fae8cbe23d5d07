"""The common centre of rings in an image: where the beam meets the detector."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float64]
Method: TypeAlias = Literal["hough", "ransac", "threshold"]

MOST_POINTS = 20_000
"""Points that are fitted; of more, every second, third ... is taken."""

ROUNDS = 12
"""Rounds of choosing the points of each ring and fitting them."""


SMOOTHED = 6
"""Times that the image is smoothed (1 2 1) before its gradient: a width of 1.7 pixels."""


class Center(NamedTuple):
    """Rings about one point.

    ``x`` and ``y`` are along columns and rows, in pixels or the unit of the coordinates;
    ``radii`` are those of the rings; ``residual`` is the root of the mean square distance
    of the points from their rings, ``points`` their number. NaN, and no points, where no
    ring was found.
    """

    x: float
    y: float
    radii: Floats
    residual: float
    points: int


def no_center(rings: int) -> Center:
    """What is said where no ring was found."""
    return Center(math.nan, math.nan, np.full(rings, np.nan), math.nan, 0)


def fit_rings(x: Floats, y: Floats, ring: NDArray[np.int64], weight: Floats) -> Center:
    """Least squares: circles about one centre, point i on circle ``ring[i]``.

    Minimises Σ weight (|p - c| - R)², by Gauss and Newton from the algebraic circle of the
    points of ring 0.

    >>> angle = np.linspace(0, 2, 9)
    >>> ring = np.arange(9) % 2
    >>> x, y = 3 + (5 + ring) * np.cos(angle), 4 + (5 + ring) * np.sin(angle)
    >>> center = fit_rings(x, y, ring, np.ones(9))
    >>> round(center.x, 6), round(center.y, 6), center.radii.round(6).tolist()
    (3.0, 4.0, [5.0, 6.0])
    """
    rings = int(ring.max()) + 1
    one = ring == 0
    root = np.sqrt(weight)
    xm, ym = float(x[one].mean()), float(y[one].mean())
    terms = np.stack([x[one] - xm, y[one] - ym, np.ones(one.sum())], axis=1)
    square = (x[one] - xm) ** 2 + (y[one] - ym) ** 2
    (a, b, _), *_ = np.linalg.lstsq(terms * root[one, None], square * root[one], rcond=None)
    cx, cy = xm + a / 2, ym + b / 2
    radii = np.zeros(rings)
    for _ in range(30):
        away = np.hypot(x - cx, y - cy)
        away[away == 0] = 1e-12
        slope = np.zeros((len(x), 2 + rings))
        slope[:, 0], slope[:, 1] = -(x - cx) / away, -(y - cy) / away
        slope[np.arange(len(x)), 2 + ring] = -1.0
        step, *_ = np.linalg.lstsq(
            slope * root[:, None], -(away - radii[ring]) * root, rcond=None
        )
        cx, cy, radii = cx + step[0], cy + step[1], radii + step[2:]
        if abs(step).max() < 1e-10 * (1 + abs(radii).max()):
            break
    off = np.hypot(x - cx, y - cy) - radii[ring]
    residual = math.sqrt(float((weight * off**2).sum() / weight.sum()))
    return Center(float(cx), float(cy), radii, residual, len(x))


@compiled
def _vote(
    x: Floats,
    y: Floats,
    dx: Floats,
    dy: Floats,
    votes: Floats,
    x0: float,
    y0: float,
    bin_: float,
    least: float,
    reach: float,
) -> None:
    """Each point votes for the bins along its gradient, ``least`` to ``reach`` away."""
    rows, columns = votes.shape
    steps = int(reach / bin_)
    for i in range(x.size):
        for k in range(-steps, steps + 1):
            if abs(k) * bin_ < least:
                continue
            r = int((y[i] + k * bin_ * dy[i] - y0) / bin_ + 0.5)
            c = int((x[i] + k * bin_ * dx[i] - x0) / bin_ + 0.5)
            if (r >= 0) & (r < rows) & (c >= 0) & (c < columns):
                votes[r, c] += 1.0


def find_center(
    image: Array,
    mask: NDArray[np.bool_] | None = None,
    *,
    method: Method = "hough",
    rings: int = 1,
    percentile: float = 95.0,
    tolerance: float = 3.0,
    radius_range: tuple[float, float] = (0.0, math.inf),
    x: Array | None = None,
    y: Array | None = None,
) -> Center:
    """The centre of the rings in an image, such as a mean image of the run.

    The points are the good pixels above ``percentile``. ``threshold`` fits one circle to
    all of them. ``hough`` lets each of them vote for the places along the gradient there,
    ``ransac`` draws three of them at a time and counts those near the circle through these;
    then, for both, the points within ``tolerance`` of the strongest rings are fitted, and
    chosen again, until they stay the same.

    Parameters
    ----------
    image
        ``(rows, columns)``, or any shape where ``x`` and ``y`` are given.
    mask
        True = good pixel. Those that are not finite are bad.
    method
        ``hough`` needs rows and columns, and the centre within one image's size around it;
        ``ransac`` and ``threshold`` take any coordinates.
    rings
        How many rings to fit about one centre.
    percentile
        Of the good pixels: those above are points.
    tolerance
        How far a point may be from its ring, in the unit of the coordinates.
    radius_range
        Least and largest radius of a ring, in the same unit: the spot of the beam itself
        may be brighter than all rings. Not for ``threshold``.
    x, y
        Coordinates of the pixels; column and row without them.

    Raises
    ------
    ValueError
        If a parameter is not of this form.

    Notes
    -----
    smalldata_tools: ``fitCenter`` (``threshold``), ``FitCircleAuto`` (the others). Gradient
    votes: Kimme et al., Commun. ACM 18, 120 (1975). Random samples: Fischler and Bolles,
    Commun. ACM 24, 381 (1981). The samples are the same at each call.

    >>> row, column = np.mgrid[:80, :90]
    >>> image = np.exp(-((np.hypot(row - 30.2, column - 51.7) - 25) ** 2) / 4)
    >>> center = find_center(image)
    >>> round(center.x, 1), round(center.y, 1), round(float(center.radii[0]), 1)
    (51.7, 30.2, 25.0)
    """
    image = np.asarray(image, float)
    if method not in get_args(Method):
        raise ValueError(f"method={method!r}: write one of {get_args(Method)}")
    if (x is None) != (y is None):
        raise ValueError("x and y: write both, or none of them")
    if x is None and image.ndim != 2:
        raise ValueError(f"an image of {image.shape} needs x and y of its pixels")
    if x is not None and method == "hough":
        raise ValueError("method='hough' knows rows and columns only; write 'ransac'")
    good = np.isfinite(image) if mask is None else np.isfinite(image) & mask
    if x is None or y is None:
        index = np.indices(image.shape).astype(float)
        y, x = index[0], index[1]
    if not good.any():
        return no_center(rings)
    level = np.percentile(image[good], percentile)
    points = good & (image > level)
    px, py = np.asarray(x, float)[points], np.asarray(y, float)[points]
    weight = image[points] - level
    too_thin = method == "hough" and min(image.shape) < 3
    if len(px) < 3 + 2 * rings or too_thin:
        return no_center(rings)
    every = -(-len(px) // MOST_POINTS)
    px, py, weight = px[::every], py[::every], weight[::every]
    if method == "threshold":
        return fit_rings(px, py, np.zeros(len(px), np.int64), weight)
    if method == "hough":
        cx, cy = _hough(image, good, points, radius_range)
    else:
        cx, cy = _ransac(px, py, tolerance, radius_range)
    return _refined(px, py, weight, cx, cy, rings, tolerance, radius_range)


def _hough(
    image: Array, good: Array, points: Array, between: tuple[float, float]
) -> tuple[float, float]:
    """Where most gradients of the points meet."""
    slopes: list[Floats] = [np.gradient(_smooth(image, good), axis=a) for a in (0, 1)]
    down, right = slopes
    # A gradient towards a bad pixel says nothing.
    inner = good.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            inner &= np.roll(good, shift, axis)
    inner[[0, -1], :] = False
    inner[:, [0, -1]] = False
    steep = np.hypot(down, right)
    chosen = points & inner & (steep > 0)
    y, x = (axis.astype(float) for axis in np.nonzero(chosen))
    dx, dy = right[chosen] / steep[chosen], down[chosen] / steep[chosen]
    every = max(1, -(-len(x) // MOST_POINTS))
    rows, columns = image.shape
    bin_ = 2.0
    votes = np.zeros((int(3 * rows / bin_) + 1, int(3 * columns / bin_) + 1))
    part = slice(None, None, every)
    reach = min(1.5 * math.hypot(rows, columns), between[1])
    x0, y0 = -float(columns), -float(rows)
    _vote(x[part], y[part], dx[part], dy[part], votes, x0, y0, bin_, between[0], reach)
    smooth = votes.copy()
    for axis in (0, 1):
        smooth += np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)
    r, c = np.unravel_index(int(smooth.argmax()), votes.shape)
    return float(c * bin_ - columns), float(r * bin_ - rows)


def _one_two_one(image: Array) -> Floats:
    """Means of three rows, the middle one twice; outside of the image is 0."""
    wide = np.pad(image, ((1, 1), (0, 0)))
    mean: Floats = (wide[:-2] + 2 * image + wide[2:]) / 4
    return mean


def _smooth(image: Array, good: Array) -> Floats:
    """The image without its noise: means over some pixels about each, of good ones."""
    total, weight = np.where(good, image, 0.0), good.astype(float)
    for _ in range(SMOOTHED):
        for part in (total, weight):
            part[...] = _one_two_one(part)
            part[...] = _one_two_one(part.T).T
    smooth: Floats = total / np.maximum(weight, 1e-12)
    return smooth


def _ransac(
    x: Floats, y: Floats, tolerance: float, between: tuple[float, float]
) -> tuple[float, float]:
    """The centre of the circle through three points that most points are near to."""
    rng = np.random.default_rng(0)
    best, found = -1.0, (float(x.mean()), float(y.mean()))
    size = max(float(np.ptp(x)), float(np.ptp(y)))
    few = rng.permutation(len(x))[:3000]
    for _ in range(600):
        i, j, k = rng.choice(len(x), 3, replace=False)
        ax, ay, bx, by = x[j] - x[i], y[j] - y[i], x[k] - x[i], y[k] - y[i]
        cross = 2 * (ax * by - ay * bx)
        if abs(cross) < 1e-9 * size**2:
            continue
        a2, b2 = ax**2 + ay**2, bx**2 + by**2
        ux, uy = (by * a2 - ay * b2) / cross, (ax * b2 - bx * a2) / cross
        radius = math.hypot(ux, uy)
        if radius > 2 * size or not between[0] <= radius <= between[1]:
            continue
        cx, cy = float(x[i] + ux), float(y[i] + uy)
        near = abs(np.hypot(x[few] - cx, y[few] - cy) - radius) < tolerance
        number = float(np.count_nonzero(near))
        if number > best:
            best, found = number, (cx, cy)
    return found


def _refined(
    x: Floats,
    y: Floats,
    weight: Floats,
    cx: float,
    cy: float,
    rings: int,
    tolerance: float,
    between: tuple[float, float],
) -> Center:
    """Choose the points of the strongest rings, fit, and choose again."""
    found = no_center(rings)
    chosen: Array | None = None
    # Wide at first: the start is right within some pixels only.
    for width in np.geomspace(3 * tolerance, tolerance, ROUNDS):
        away = np.hypot(x - cx, y - cy)
        radii = _strongest(away, weight, rings, float(width), between)
        if len(radii) < rings:
            return no_center(rings)
        off = abs(away[:, None] - radii)
        ring = off.argmin(axis=1)
        near = off.min(axis=1) < width
        if any(np.count_nonzero(near & (ring == k)) < 3 for k in range(rings)):
            return no_center(rings)
        found = fit_rings(x[near], y[near], ring[near], weight[near])
        if not math.isfinite(found.x + found.y):
            return no_center(rings)
        cx, cy = found.x, found.y
        if width == tolerance and chosen is not None and np.array_equal(chosen, near):
            break
        chosen = near
    order = np.argsort(found.radii)
    return found._replace(radii=found.radii[order])


def _strongest(
    away: Floats, weight: Floats, rings: int, width: float, between: tuple[float, float]
) -> Floats:
    """Radii of the strongest rings, each at least 2 widths from the others."""
    bin_ = width / 3
    counts = np.bincount((away / bin_).astype(np.int64), weight)
    profile: Floats = np.convolve(counts, np.ones(3), "same")
    # The same number of points is more on a smaller ring: it may be whole.
    profile /= np.sqrt(np.arange(len(profile)) + 3.0)
    at = (np.arange(len(profile)) + 0.5) * bin_
    profile[(at < between[0]) | (at > between[1])] = 0
    radii: list[float] = []
    for _ in range(rings):
        k = int(profile.argmax())
        if profile[k] <= 0:
            break
        near = abs(away - (k + 0.5) * bin_) < width
        radii.append(float(np.average(away[near], weights=weight[near])))
        profile[max(0, k - 6) : k + 7] = 0
    return np.array(sorted(radii))
