"""The truth file of a simulated run: what was behind the data, in HDF5.

::

    /pulses/...                one row per event: timestamps, pulse_ids, steps, laser, xray,
                               energy_mj, photon_energy_kev, lxt_ps, delay_ps, jitter_ps
    /epics/timestamps, ...     one row per SlowUpdate
    /scan/timestamps, lxt_ps   one row per step
    /atmopal/edge_position     column of the time tool's edge; NaN where there is none
    /jungfrau/photon_...       single photons, ragged: event i has those from
                               photon_offsets[i] to photon_offsets[i + 1]; photon_row and
                               photon_column in pixels of the stacked segments (pixel r
                               reaches from r to r + 1), photon_kev
    /jungfrau/spot_...         photons per event in the pixels of the strong spot
    /jungfrau/ring_factor      per event, ring over the ring without laser
    /jungfrau/centre           of ring and spot: row, column, counted with the gaps between
                               the chips; ring_radius likewise, in pixels
    /andor_slow/...            one row per image: photons, and energy_mj of its ten pulses

Read it with `smalldata_stream.h5.read_tree`. Attributes of the file are the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.h5 import write_tree
from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.simulation import Simulation

UNITS = {"_mj": "mJ", "_kev": "keV", "_ps": "ps", "_row": "pixel", "_column": "pixel"}
"""Units by the end of a name."""


def write_truth(
    path: Path,
    simulation: Simulation,
    pulses: Pulses,
    others: Mapping[str, Mapping[str, Array]],
) -> None:
    """Write the truth of a run; ``others`` has values by name, by group."""
    by_event = {field.name: getattr(pulses, field.name) for field in fields(pulses)}
    groups = {"pulses": by_event | {"jitter_ps": pulses.jitter_ps}, **others}
    tree = {
        f"{group}/{name}": value
        for group, values in groups.items()
        for name, value in values.items()
    }
    units = {
        name: {"unit": unit}
        for name in tree
        for end, unit in UNITS.items()
        if name.endswith(end)
    }
    parameters = asdict(simulation)
    parameters["detectors"] = np.array(simulation.detectors).astype(object)
    write_tree(path, tree, {"/": parameters, **units}, compress=True)
