"""A camera with a ghost in a scripted run, and its constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.constants import Constants
from smalldata_stream.loading import GraphFile
from smalldata_stream.run import FieldInfo
from smalldata_stream.sources.simulated_detectors import (
    DETECTORS,
    ScriptedDetector,
    image,
)
from tests.reductions.frames import noisy

SHAPE = (32, 24)
PEDESTAL = np.float32(3)
FRAME = FieldInfo(dtype=np.dtype("u2"), rank=2, shape=SHAPE, frame=True)
CAM = ScriptedDetector(
    type="axis",
    fields={("raw", "image"): (FRAME, lambda event: image(event).reshape(SHAPE))},
)
WITH_CAM = {**DETECTORS, "cam": CAM}


def cam_constants(**changes: Any) -> Constants:
    given: dict[str, Any] = {
        "pedestals": np.full(SHAPE, PEDESTAL),
        "pixel_gain": np.full(SHAPE, np.float32(2)),
        "ghost_p0": noisy(SHAPE, "f4", 5),
        "ghost_p1": noisy(SHAPE, "f4", 6) / 1000,
    }
    return Constants(detector="cam", **given | changes)


def made(text: Any) -> GraphFile:
    return GraphFile(Path("ghost.py"), "", text)
