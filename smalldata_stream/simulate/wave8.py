"""Fast diodes read by a wave8 digitizer: eight traces and their integrals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.xtc2_writer import Names, Values

SAMPLES, GATE = 200, slice(60, 160)
"""Length of a trace, and where it is integrated; the base is what comes before."""

FIM0_RAW = Names(
    detector="fim0",
    type="wave8",
    algorithm="raw",
    version=(0, 0, 1),
    id="wave8_1234",
    fields={f"raw_{i}": ("u2", 1) for i in range(8)},
)
FIM0_FEX = Names(
    detector="fim0",
    type="wave8",
    algorithm="fex",
    version=(0, 0, 1),
    id="wave8_1234",
    fields={
        "itrigCount": ("u2", 0),
        **{f"integral_{i}": ("i4", 0) for i in range(8)},
        **{f"base_{i}": ("u2", 0) for i in range(8)},
    },
)


def fim0(
    pulses: Pulses, events: NDArray[np.int64], random: np.random.Generator
) -> tuple[Values, Values]:
    """Eight diodes: traces over a base, and the integrals the digitizer makes of them."""
    n, channel = len(events), np.arange(8)[None, :, None]
    since = (np.arange(SAMPLES) - GATE.start - 5).clip(0)
    pulse = 1500 * (since / 8) * np.exp(1 - since / 8) / (1 + 0.1 * channel)
    noise = random.normal(0, 3, (n, 8, SAMPLES))
    energy = pulses.energy_mj[events, None, None]
    traces = np.round(1800 + 50 * channel + energy * pulse + noise).astype(np.uint16)
    base = np.round(traces[:, :, : GATE.start].mean(axis=2)).astype(np.uint16)
    gate = traces[:, :, GATE].astype(np.int64)
    integral = gate.sum(axis=2) - gate.shape[2] * base.astype(np.int64)
    fex = {"itrigCount": events & 0xFFFF}
    fex |= {f"integral_{i}": integral[:, i] for i in range(8)}
    fex |= {f"base_{i}": base[:, i] for i in range(8)}
    return {f"raw_{i}": traces[:, i] for i in range(8)}, fex
