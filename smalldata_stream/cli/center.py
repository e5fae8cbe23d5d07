"""``smalldata-stream center``: the centre of the rings in a mean image of a result file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smalldata_stream.cli.numbers import above_zero, at_least_one, percentile
from smalldata_stream.counted import counted
from smalldata_stream.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from smalldata_stream.kernels.center import Method

METHODS: tuple[Method, ...] = ("hough", "ransac", "threshold")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("file", type=Path, help="a result file with sums of the run")
    parser.add_argument("total", help="the sum under /Sums, such as jungfrau_calib")
    parser.add_argument("--tile", type=int, default=0, help="of a detector with tiles")
    parser.add_argument("--method", choices=METHODS, default="hough", help="default: hough")
    parser.add_argument(
        "--rings", type=at_least_one, default=1, help="how many to fit (default: 1)"
    )
    parser.add_argument(
        "--percentile",
        type=percentile,
        default=95,
        help="pixels above are points of the rings (default: %(default)s)",
    )
    parser.add_argument(
        "--radius",
        type=float,
        nargs=2,
        default=(0, float("inf")),
        metavar=("LEAST", "LARGEST"),
        help="pixels: the spot of the beam may be brighter than all rings",
    )
    parser.add_argument(
        "--tolerance",
        type=above_zero,
        default=3,
        help="pixels a point may be from its ring (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the centre; 1 where there is none."""
    from smalldata_stream.h5 import read_tree
    from smalldata_stream.kernels.center import find_center

    least, largest = options.radius
    if not 0 <= least < largest:
        raise SourceError(
            f"--radius {least:g} {largest:g}: write the least, then the largest"
        )
    sums = read_tree(options.file, "Sums")
    if options.total not in sums:
        hint = did_you_mean(options.total, sums)
        raise SourceError(f"{options.file}: no total {options.total!r} in /Sums; {hint}")
    image = np.asarray(sums[options.total], float)
    if image.ndim == 3:
        if not 0 <= options.tile < len(image):
            raise SourceError(f"--tile {options.tile}: {options.total} has {len(image)}")
        image = image[options.tile]
    if image.ndim != 2:
        raise SourceError(f"{options.total} is {image.shape}, no image")
    found = find_center(
        image,
        image != 0,  # bad pixels are 0 in sums of calibrated frames
        method=options.method,
        rings=options.rings,
        percentile=options.percentile,
        tolerance=options.tolerance,
        radius_range=tuple(options.radius),
    )
    if not found.points:
        raise SourceError(
            f"no {counted(options.rings, 'ring')} found in {options.total} by "
            f"{options.method}; try another --method, or a lower --percentile"
        )
    print(f"x {found.x:.3f}  y {found.y:.3f}  pixel (column, row)")
    for radius in found.radii:
        print(f"radius {radius:.3f}  pixel")
    print(f"rms {found.residual:.3f}  pixel, of {found.points} points")
    return 0
