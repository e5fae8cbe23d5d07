"""Where the detector of the tests of azimuthal integration stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.azimuthal import Azimuthal

SHAPE = (40, 50)


PLACE: dict[str, Any] = {
    "center_um": (1510.0, 1217.0),
    "distance_mm": 4.0,
    "photon_energy_kev": 9.5,
    "pixel_size_um": 75.0,
}


def integrated(frame: Array, mask: Mask | None = None, **parameters: Any) -> Any:
    spec = Spec(dtype=frame.dtype, shape=frame.shape, mask=mask)
    prepared = Azimuthal(**parameters).prepare(spec)
    assert isinstance(prepared, PerEvent)
    results = prepared.compute(frame[None])
    return {field: np.asarray(v)[0] for field, v in results.items()} | {
        "config": prepared.config
    }
