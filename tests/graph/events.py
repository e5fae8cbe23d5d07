"""A small run in memory: a camera, a monitor, event codes, a scan; and its batches."""

from __future__ import annotations

import numpy as np

from smalldata_stream.batch import Array, Batch, Column, Mask, Signal, Status
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo

EVENTS = 12
SHAPE = (4, 6)
IMAGE = Signal("cam", "raw", "value")
ENERGY = Signal("gmd", "raw", "energy")
CODES = Signal("timing", "raw", "eventcodes")
MOTOR = Signal("scan", "raw", "lxt")


def field(dtype: type, shape: tuple[int, ...] = ()) -> FieldInfo:
    return FieldInfo(dtype=np.dtype(dtype), rank=len(shape), shape=shape)


def detector(name: str, kind: str, field_name: str, info: FieldInfo) -> DetectorInfo:
    return DetectorInfo(
        name=name,
        type=kind,
        fields={("raw", field_name): info},
        versions={"raw": (1, 0, 0)},
    )


RUN = RunInfo(
    exp="tst",
    number=7,
    detectors={
        "cam": detector("cam", "axis", "value", field(np.uint16, SHAPE)),
        "gmd": detector("gmd", "gmd", "energy", field(np.float64)),
        "timing": detector("timing", "ts", "eventcodes", field(np.uint8, (288,))),
        "scan": detector("scan", "scan", "lxt", field(np.float64)),
    },
    events=EVENTS,
)

FRAMES: Array = (
    np.random.default_rng(3).integers(0, 1000, (EVENTS, *SHAPE)).astype(np.uint16)
)
ENERGIES: Array = np.arange(1.0, EVENTS + 1)
LASER: Mask = np.arange(EVENTS) % 2 == 0
XRAY: Mask = np.arange(EVENTS) % 5 != 0
STEP: Array = np.repeat(np.array([-1, 0, 1], np.int32), 4)
CAM_THERE: Mask = np.arange(EVENTS) != 3
GMD_THERE: Mask = ~np.isin(np.arange(EVENTS), [5, 6])


def codes() -> Array:
    table = np.zeros((EVENTS, 288), np.uint8)
    table[LASER, 90] = 1
    table[~XRAY, 162] = 1
    return table


def whole() -> Batch:
    """All events as one batch: the camera is missing in 3, the monitor in 5 and 6."""

    def status(there: Mask) -> Array:
        return np.where(there, Status.OK, Status.MISSING).astype(np.uint8)

    everywhere = np.ones(EVENTS, bool)
    return Batch(
        np.arange(EVENTS, dtype=np.uint64) + 100,
        STEP,
        {
            IMAGE: Column(FRAMES[CAM_THERE], CAM_THERE),
            ENERGY: Column(ENERGIES[GMD_THERE], GMD_THERE),
            CODES: Column(codes()),
            MOTOR: Column(STEP[4:].astype(float), STEP >= 0),
        },
        {
            "cam": status(CAM_THERE),
            "gmd": status(GMD_THERE),
            "timing": status(everywhere),
            "scan": status(STEP >= 0),
        },
    )


def batches(*cuts: int) -> list[Batch]:
    """The events in batches that end after the given numbers of events."""
    ends = [*sorted({c for c in cuts if 0 < c < EVENTS}), EVENTS]
    number = np.arange(EVENTS)
    return [
        whole().select((number >= start) & (number < end))
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
