"""The time tool: a camera on which the arrival of the x-rays is an edge in the light.

The laser's white light falls on the camera through a foil; what has come after the x-rays
is absorbed. Where the light drops is when the x-rays came. The DAQ projects the image and
finds the edge in the projection (opal ttproj and ttfex).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.xtc2_writer import Names, Values

SHAPE = (256, 256)
"""Rows and columns of the camera."""

ROWS = slice(96, 160)
"""Rows that are projected."""

PS_PER_PIXEL, ZERO_PIXEL = 0.005, 128.0
"""Time per column, and the edge's column when the x-rays come as set."""

EDGE_WIDTH, EDGE_DEPTH, FIT_NOISE = 6.0, 0.4, 0.5
"""Of the edge: width in columns, share of the light that is lost, error of the fit."""

DARK, LIGHT = 40.0, 2000.0
"""Counts per pixel without light, and in the brightest part."""

_SERIAL = "opal1234"

IMAGE = Names(
    detector="atmopal",
    type="opal",
    algorithm="raw",
    version=(2, 0, 0),
    id=_SERIAL,
    fields={"image": ("u2", 2)},
)
FEX = Names(
    detector="atmopal",
    type="opal",
    algorithm="ttfex",
    version=(2, 1, 1),
    id=_SERIAL,
    fields=dict.fromkeys(
        ("ampl", "fltpos", "fltpos_ps", "fltposfwhm", "amplnxt", "refampl"), ("f8", 0)
    ),
)
PROJECTION = Names(
    detector="atmopal",
    type="opal",
    algorithm="ttproj",
    version=(2, 0, 0),
    id=_SERIAL,
    fields={"proj_sig": ("f8", 1), "proj_ref": ("f8", 1)},
)


def edge_position(jitter_ps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Column of the edge for x-rays that come ``jitter_ps`` after the set delay.

    >>> edge_position(np.array([0.05]))
    array([138.])
    """
    return ZERO_PIXEL + jitter_ps / PS_PER_PIXEL


class TimeTool:
    """The time-tool camera atmopal, as a `SimulatedDetector`."""

    stream = 1
    names: Sequence[Names] = (IMAGE, FEX, PROJECTION)

    def __init__(self, simulation: Simulation):
        self._random = simulation.random("atmopal")
        rows, columns = (np.arange(n, dtype=np.float32) for n in SHAPE)
        self._beam = np.exp(-(((rows - 128) / 40) ** 2))[:, None]
        self._spectrum = LIGHT * np.exp(-(((columns - 140) / 110) ** 2))
        self._reference = (self._beam * self._spectrum + DARK)[ROWS].mean(axis=0)
        self._edges: list[NDArray[np.float64]] = []

    def contents(
        self, pulses: Pulses, events: NDArray[np.int64]
    ) -> Sequence[tuple[Names, Values]]:
        """Image, projection and fit of ``events``; only laser and x-rays make an edge."""
        laser, seen = pulses.laser[events], (pulses.laser & pulses.xray)[events]
        edges = np.where(seen, edge_position(pulses.jitter_ps[events]), np.nan)
        self._edges.append(edges)
        column = np.arange(SHAPE[1])
        drop = 0.5 * (1 + np.tanh((column - edges[:, None]) / EDGE_WIDTH))
        left = 1 - EDGE_DEPTH * np.where(seen[:, None], drop, 0)
        light = (left * self._spectrum * laser[:, None]).astype(np.float32)
        image = self._expose(DARK + self._beam * light[:, None, :])
        signal = image[:, ROWS].mean(axis=1)
        reference = np.broadcast_to(self._reference, signal.shape)
        return [
            (IMAGE, {"image": image}),
            (FEX, self._fit(edges, seen)),
            (PROJECTION, {"proj_sig": signal, "proj_ref": reference}),
        ]

    def _expose(self, mean: NDArray[np.float32]) -> NDArray[np.uint16]:
        # A normal stands for the Poisson distribution: the mean is 40 and more everywhere,
        # and drawing it is three times as fast.
        noise = self._random.standard_normal(mean.shape, np.float32)
        return (mean + 0.5 + np.sqrt(mean) * noise).astype(np.uint16)

    def _fit(self, edges: NDArray[np.float64], seen: NDArray[np.bool_]) -> Values:
        n, random = len(edges), self._random
        # Without an edge the fit still answers: somewhere, and with little amplitude.
        found = np.where(seen, edges, random.uniform(0, SHAPE[1], n))
        position = found + random.normal(0, FIT_NOISE, n)
        return {
            "ampl": np.where(seen, EDGE_DEPTH / 2, 0.01) * random.normal(1, 0.05, n),
            "fltpos": position,
            "fltpos_ps": (position - ZERO_PIXEL) * PS_PER_PIXEL,
            "fltposfwhm": np.where(seen, 4 * EDGE_WIDTH, 80) * random.normal(1, 0.05, n),
            "amplnxt": random.normal(0.01, 0.001, n),
            "refampl": np.full(n, self._reference.mean()),
        }

    def configuration(self) -> Sequence[tuple[Names, Values]]:
        """Nothing."""
        return ()

    def truth(self) -> Mapping[str, Array]:
        """The edge's column, NaN where there is none."""
        return {"edge_position": np.concatenate([[], *self._edges])}

    def constants(self) -> None:
        """None: the camera gives counts."""
