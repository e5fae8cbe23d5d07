"""What changes slowly: EPICS variables, the steps of the scan, and what the run is."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from smalldata_stream.batch import STRING, Array
from smalldata_stream.simulate.machine import scan_positions
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.xtc2_writer import TEXT, Names, Values

FIRST, EVERY = 10, 30
"""A SlowUpdate comes before this event, and then before one in so many."""

RUNINFO = Names(
    detector="runinfo",
    type="runinfo",
    algorithm="runinfo",
    version=(0, 0, 1),
    fields={"expt": (TEXT, 1), "runnum": ("u4", 0)},
)
SCAN = Names(
    detector="scan",
    type="scan",
    algorithm="raw",
    version=(2, 0, 0),
    id="scan1234",
    fields={"step_value": ("f8", 0), "step_docstring": (TEXT, 1), "lxt": ("f8", 0)},
)
EPICS = Names(
    detector="epics",
    type="epics",
    algorithm="raw",
    version=(2, 0, 0),
    id="epics1234",
    fields={"sample_x": ("f8", 0), "temperature": ("f8", 0), "attenuator": (TEXT, 1)},
)
PV = {
    "sample_x": "XPP:SAM:MMS:01.RBV",
    "temperature": "XPP:SAM:TC:01:TEMP",
    "attenuator": "XPP:ATT:COM:STATE",
}
"""Process variables behind the names of `EPICS`."""

EPICSINFO = Names(
    detector="epicsinfo",
    type="epicsinfo",
    algorithm="epicsinfo",
    version=(1, 0, 0),
    id="epicsinfo1234",
    fields=dict.fromkeys(("keys", *PV), (TEXT, 1)),
)


def run_values(simulation: Simulation) -> Values:
    """What `RUNINFO` says of a run."""
    return {"expt": simulation.exp, "runnum": [simulation.run]}


def scan_values(simulation: Simulation, step: int) -> Values:
    """What `SCAN` says when a step begins; the motor lxt is in seconds."""
    return {
        "step_value": [step],
        "step_docstring": json.dumps({"detname": "scan", "step": step}),
        "lxt": [scan_positions(simulation.steps)[step] * 1e-12],
    }


class Epics:
    """The EPICS variables of a run, one set per SlowUpdate."""

    def __init__(self, simulation: Simulation):
        self._random = simulation.random("epics")
        self._updates: list[tuple[int, float, float, str]] = []

    def update(self, timestamp: int) -> Values:
        """The next values: the sample moves and warms up, the attenuator toggles."""
        n = len(self._updates)
        sample_x = 1.5 + 0.01 * n
        temperature = 295.0 + 0.2 * n + self._random.normal(0, 0.05)
        attenuator = "OUT" if n % 2 == 0 else "IN Si 320 µm"
        self._updates.append((timestamp, sample_x, temperature, attenuator))
        values = ([sample_x], [temperature], attenuator)
        return dict(zip(EPICS.fields, values, strict=True))

    def truth(self) -> Mapping[str, Array]:
        """All updates so far, and when they were."""
        return {
            "timestamps": np.array([update[0] for update in self._updates], np.uint64),
            "sample_x": np.array([update[1] for update in self._updates]),
            "temperature": np.array([update[2] for update in self._updates]),
            "attenuator": np.array([update[3] for update in self._updates], STRING),
        }
