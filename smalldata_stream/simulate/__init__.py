"""Simulated runs, written as real xtc2 files, with their truth."""

from smalldata_stream.simulate.run import SimulatedFiles, remove_run, simulate
from smalldata_stream.simulate.simulation import DETECTORS, ON_REQUEST, Simulation

__all__ = [
    "DETECTORS",
    "ON_REQUEST",
    "SimulatedFiles",
    "Simulation",
    "remove_run",
    "simulate",
]
