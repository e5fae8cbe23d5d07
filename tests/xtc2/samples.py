"""Small runs with everything odd in them, written for the tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.xtc2 import writer as w

SEED = 4

RANK_SHAPES = [(), (3,), (2, 3), (1, 2, 3), (2, 1, 2, 2), (1, 2, 1, 3, 2)]


def random(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Any:
    """Any bits, so that every value of an integer type occurs."""
    dtype = np.dtype("<" + kind)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    nbytes = dtype.itemsize * int(np.prod(shape))
    return np.frombuffer(rng.bytes(nbytes), dtype).reshape(shape)


EVERY_TYPE = w.Block(
    0x105,
    "odd",
    "gmd",
    "raw",
    (2, 1, 0),
    {
        "first": ("u1", 0),
        **{f"{kind}_rank{rank}": (kind, rank) for kind in w.TYPES for rank in range(6)},
        "word": (w.CHARSTR, 1),
        "mode:Mode": (w.ENUMVAL, 0),
        "off:Mode": (w.ENUMDICT, 0),
        "on:Mode": (w.ENUMDICT, 0),
        "last": ("f8", 0),
    },
)
VARYING = w.Block(
    0x106,
    "vary",
    "gmd",
    "raw",
    (2, 1, 0),
    {"head": ("u2", 1), "wave": ("u2", 1), "tail": ("f4", 0), "note": (w.CHARSTR, 1)},
)
EPICS = w.Block(
    0x107,
    "epics",
    "epics",
    "raw",
    (2, 0, 0),
    {"temperature": ("f8", 0), "shutter": (w.CHARSTR, 1), "image": ("f4", 2)},
)
SCAN = w.Block(
    0x108,
    "scan",
    "scan",
    "raw",
    (2, 0, 0),
    {"motor": ("f8", 0), "step_docstring": (w.CHARSTR, 1)},
)


def every_type_values(rng: np.random.Generator, i: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        f"{kind}_rank{rank}": random(rng, kind, RANK_SHAPES[rank])
        for kind in w.TYPES
        for rank in range(6)
    }
    return values | {
        "first": i % 256,
        "word": "µ" * (i % 5) + "x",
        "mode:Mode": i % 2,
        "off:Mode": 0,
        "on:Mode": 1,
        "last": i / 7,
    }


def every_type(folder: Path, events: int = 23) -> Path:
    """All types and ranks, unaligned; varying text and arrays; steps and EPICS."""
    rng = np.random.default_rng(SEED)
    blocks = [w.RUNINFO, EVERY_TYPE, VARYING, EPICS, SCAN]
    data = [w.configure(blocks), w.begin_run("tstx00417", 1)]
    at = 10
    for i in range(events):
        if i % 8 == 3:
            values: dict[str, Any] = {"motor": i / 2, "step_docstring": f"step {i}"}
            data.append(w.dgram(at, w.BEGIN_STEP, [w.shapes_data(SCAN, values)]))
            data.append(w.dgram(at + 1, w.ENABLE))
        if i % 5 == 2:
            slow = {
                "temperature": i / 3,
                "shutter": "open" * (i % 3),
                "image": np.full((2, 2), i),
            }
            data.append(w.dgram(at + 2, w.SLOW_UPDATE, [w.shapes_data(EPICS, slow)]))
        length = int(rng.integers(0, 9)) if i % 6 else 4
        vary = {
            "head": [i, i + 1],
            "wave": rng.integers(0, 999, length),
            "tail": i / 4,
            "note": "n" * (i % 4),
        }
        parts = [
            w.shapes_data(
                EVERY_TYPE,
                every_type_values(rng, i),
                data_first=i % 3 == 1,
                garbage=0xDEADBEEF * (i % 2),
                pad=i % 4 == 2,
            ),
            w.shapes_data(VARYING, vary, garbage=i),
        ]
        if i % 7 == 5:
            parts = [w.xtc(w.PARENT, b"".join(parts[::-1]))]
        data.append(w.dgram(at + 5, w.L1_ACCEPT, parts))
        at += 10
    data.append(w.dgram(at, w.END_RUN))
    return w.write_stream(folder, data)


def derived_detectors(folder: Path, events: int = 20) -> tuple[Path, list[str]]:
    """One detector of each kind with derived fields; and psana's methods."""
    rng = np.random.default_rng(SEED)
    timing = w.Block(
        0x100,
        "timing",
        "ts",
        "raw",
        (2, 1, 0),
        {
            "pulseId": ("u8", 0),
            "timeStamp": ("u8", 0),
            "ebeamDestn": ("u1", 0),
            "sequenceValues": ("u2", 1),
            "inhibitCounts": ("u4", 1),
        },
    )
    encoder3 = w.Block(
        0x101,
        "enc3",
        "encoder",
        "raw",
        (3, 0, 0),
        {"encoderValue": ("u4", 0), "scale": ("u2", 0), "scaleDenom": ("u2", 0)},
    )
    encoder2 = w.Block(
        0x102,
        "enc2",
        "encoder",
        "raw",
        (2, 1, 0),
        {"encoderValue": ("u4", 1), "scale": ("u2", 1), "scaleDenom": ("u2", 1)},
    )
    encoder0 = w.Block(
        0x103,
        "enc0",
        "encoder",
        "raw",
        (0, 0, 1),
        {"encoderValue": ("u4", 1), "scale": ("u2", 1)},
    )
    hrencoder = w.Block(0x104, "hr", "hrencoder", "raw", (0, 1, 0), {"position": ("i4", 0)})
    wave_raw = w.Block(
        0x105, "fim", "wave8", "raw", (0, 0, 1), {f"raw_{i}": ("u2", 1) for i in range(8)}
    )
    wave_fex = w.Block(
        0x106,
        "fim",
        "wave8",
        "fex",
        (0, 0, 1),
        {
            **{f"integral_{i}": ("i4", 0) for i in range(8)},
            **{f"base_{i}": ("u2", 0) for i in range(8)},
        },
    )
    opal = w.Block(0x107, "opal", "opal", "raw", (2, 0, 0), {"image": ("u2", 2)})
    axis = w.Block(0x108, "andor", "axis", "raw", (1, 0, 0), {"value": ("u2", 2)})
    piranha = w.Block(0x109, "pir", "piranha4", "raw", (2, 1, 0), {"image": ("u1", 1)})
    triginfo = w.Block(
        0x10A, "trig", "triginfo", "triginfo", (0, 0, 1), {"data": ("u4", 0)}
    )
    archon = w.Block(0x10B, "arch", "archon", "raw", (1, 0, 1), {"value": ("u2", 2)})
    column = w.Block(0x10C, "col", "piranha4", "raw", (2, 0, 0), {"image": ("u1", 2)})
    scbld = w.Block(
        0x10D,
        "bld",
        "scbld",
        "raw",
        (1, 0, 0),
        {"energy": ("f8", 0), "charge": ("f4", 0), "severity": ("u8", 0), "x": ("i4", 0)},
    )
    usdusb = w.Block(
        0x10E, "usb", "usdusb", "raw", (1, 0, 0), {"_name": ("i1", 1), "value": ("f8", 1)}
    )
    ref = w.Block(0x10F, "opal", "opal", "ref", (2, 0, 0), {"image": ("u2", 2)})
    fake = w.Block(0x110, "fake", "fakecam", "raw", (2, 0, 0), {"array_raw": ("u2", 2)})
    simulated = w.Block(0x111, "sim", "opal", "simfex", (2, 0, 0), {"image": ("u2", 2)})
    codes = {"sequenceValues": ("u2", 1)}
    timing2 = w.Block(0x112, "timing2", "ts", "raw", (2, 0, 0), codes)
    timing0 = w.Block(0x113, "timing0", "ts", "ts", (0, 0, 1), codes)
    encoder20 = replace(encoder2, id=0x114, detector="enc20", version=(2, 0, 0))
    between = replace(encoder3, id=0x115, algorithm="interpolated")
    panels = [
        w.Block(
            0x120 + s,
            "jf",
            "jungfrau",
            "raw",
            (0, 2, 0),
            {"raw": ("u2", 3), "hotPixelThresh": ("u2", 0), "numHotPixels": ("u4", 0)},
            s,
        )
        for s in (0, 1)
    ]
    blocks = [
        archon,
        column,
        scbld,
        usdusb,
        ref,
        fake,
        simulated,
        timing2,
        timing0,
        encoder20,
        between,
        *panels,
        timing,
        encoder3,
        encoder2,
        encoder0,
        hrencoder,
        wave_raw,
        wave_fex,
        opal,
        axis,
        piranha,
        triginfo,
    ]
    data = [w.configure([w.RUNINFO, *blocks]), w.begin_run("tstx00417", 1)]
    for i in range(events):
        big = int(rng.integers(0, 2**32))
        scale, denominator = int(rng.integers(0, 65536)), int(rng.integers(0, 3) * 17)
        values: list[tuple[w.Block, dict[str, Any]]] = [
            (
                timing,
                {
                    "pulseId": big | (1 << 63 if i % 2 else 0),
                    "timeStamp": 2**40 + i,
                    "ebeamDestn": i % 16,
                    "sequenceValues": rng.integers(0, 65536, 18),
                    "inhibitCounts": rng.integers(0, 99, 8),
                },
            ),
            (encoder3, {"encoderValue": big, "scale": scale, "scaleDenom": denominator}),
            (
                encoder2,
                {"encoderValue": [big], "scale": [scale], "scaleDenom": [denominator]},
            ),
            (encoder0, {"encoderValue": [big], "scale": [scale]}),
            (hrencoder, {"position": i - 10}),
            (wave_raw, {f"raw_{c}": rng.integers(0, 65536, 12) for c in range(8)}),
            (
                wave_fex,
                {f"integral_{c}": int(rng.integers(-(2**31), 2**31)) for c in range(8)}
                | {f"base_{c}": int(rng.integers(0, 65536)) for c in range(8)},
            ),
            (opal, {"image": rng.integers(0, 65536, (5, 7))}),
            (axis, {"value": rng.integers(0, 65536, (3, 4))}),
            (piranha, {"image": rng.integers(0, 256, 9)}),
            (triginfo, {"data": big}),
            (archon, {"value": rng.integers(0, 65536, (2, 4800))}),
            (column, {"image": rng.integers(0, 256, (9, 2))}),
            (scbld, {"energy": 1.5 * i, "charge": 0.1, "severity": big, "x": -i}),
            (
                usdusb,
                {
                    "_name": np.frombuffer(
                        b"".join(b"axis%d" % c + bytes(43) for c in range(4)), np.int8
                    ),
                    "value": rng.normal(size=4),
                },
            ),
            (ref, {"image": rng.integers(0, 65536, (5, 7))}),
            (fake, {"array_raw": rng.integers(0, 65536, (5, 7))}),
            (simulated, {"image": rng.integers(0, 65536, (5, 7))}),
            (timing2, {"sequenceValues": rng.integers(0, 65536, 18)}),
            (timing0, {"sequenceValues": rng.integers(0, 65536, 18)}),
            (
                encoder20,
                {"encoderValue": [big], "scale": [scale], "scaleDenom": [denominator]},
            ),
            (between, {"encoderValue": i, "scale": scale, "scaleDenom": 1 + i}),
            *(
                (
                    panel,
                    {
                        "raw": rng.integers(0, 65536, (1, 16, 32)),
                        "hotPixelThresh": i + panel.segment,
                        "numHotPixels": int(rng.integers(0, 99)),
                    },
                )
                for panel in panels
            ),
        ]
        parts = [w.shapes_data(block, value) for block, value in values]
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    data.append(w.dgram(1000, w.END_RUN))
    methods = [
        "timing.raw.eventcodes",
        "timing.raw.pulseId",
        "timing.raw.timestamp",
        "timing.raw.destination",
        "timing.raw.inhibitCounts",
        "enc3.raw.value",
        "enc2.raw.value",
        "enc0.raw.value",
        "hr.raw.value",
        "fim.raw.raw_all",
        "fim.fex.integral_all",
        "fim.fex.base_all",
        "opal.raw.raw",
        "andor.raw.raw",
        "pir.raw.raw",
        "trig.triginfo.prescale",
        "trig.triginfo.persist",
        "trig.triginfo.monitor",
        "arch.raw.raw",
        "col.raw.raw",
        "bld.raw.energy_sevr",
        "bld.raw.charge_sevr",
        "bld.raw.x_sevr",
        "usb.raw.descriptions",
        "opal.ref.raw",
        "fake.raw.raw",
        "sim.simfex.raw",
        "timing2.raw.eventcodes",
        "timing0.ts.eventcodes",
        "enc20.raw.value",
        "enc3.interpolated.value",
        "jf.raw.raw",
        "jf.raw.num_hot_pixels",
        "jf.raw.hot_pixel_thresh",
    ]
    return w.write_stream(folder, data), methods


def area(block_id: int, segment: int, name: str = "area") -> w.Block:
    fields: dict[str, tuple[str | int, int]] = {
        "raw": ("u2", 3),
        "count": ("u8", 0),
        "edges": ("i2", 1),
    }
    return w.Block(block_id, name, "gmd", "raw", (2, 1, 0), fields, segment)


def several_streams(folder: Path, events: int = 40) -> tuple[str, int]:
    """Three streams at different rates; a detector of four segments in two of them."""
    rng = np.random.default_rng(SEED)
    scan = SCAN
    streams: dict[int, list[w.Block]] = {
        0: [w.RUNINFO, EPICS, scan, area(0x201, 0), area(0x202, 1)],
        1: [w.RUNINFO, area(0x201, 2), area(0x207, 5)],
        4: [w.RUNINFO, VARYING],
    }
    data: dict[int, list[bytes]] = {
        s: [w.configure(blocks), w.begin_run("tstx00417", 3)]
        for s, blocks in streams.items()
    }
    for i in range(events):
        at = 100 + 10 * i
        if i % 10 == 4:
            step: dict[str, Any] = {"motor": float(i), "step_docstring": "s"}
            for s in streams:
                parts = [w.shapes_data(scan, step)] if s == 0 else []
                data[s].append(w.dgram(at - 8, w.BEGIN_STEP, parts))
                data[s].append(w.dgram(at - 7, w.ENABLE))
        if i % 7 == 3:
            slow = {"temperature": i / 3, "shutter": "shut", "image": np.eye(3) * i}
            for s in streams:
                parts = [w.shapes_data(EPICS, slow)] if s == 0 else []
                data[s].append(w.dgram(at - 3, w.SLOW_UPDATE, parts))
        for s, blocks in streams.items():
            if (s == 1 and i % 3 == 0) or (s == 4 and i % 5):
                continue
            parts = []
            for block in blocks:
                if block.detector == "area":
                    values: dict[str, Any] = {
                        "raw": rng.integers(0, 65536, (1, 4, 6)),
                        "count": i,
                        "edges": rng.integers(-9, 9, int(rng.integers(0, 5))),
                    }
                    parts.append(w.shapes_data(block, values))
                elif block is VARYING:
                    wave = rng.integers(0, 9, i % 4)
                    values = {"head": [1, 2], "wave": wave, "tail": i, "note": "é"}
                    parts.append(w.shapes_data(block, values))
            data[s].append(w.dgram(at, w.L1_ACCEPT, parts))
    for s in streams:
        data[s].append(w.dgram(10**6, w.END_RUN))
        w.write_stream(folder, data[s], run=3, stream=s)
    return "tstx00417", 3


def three_runs(folder: Path) -> Path:
    """Three runs in a file; the second begins with another Configure, other ids."""
    first = area(0x201, 0)
    second = w.Block(0x201, "other", "gmd", "raw", (2, 1, 0), {"x": ("f4", 0)})
    data = [w.configure([w.RUNINFO, first])]
    at = 10
    for run, block in ((1, first), (2, second), (3, second)):
        if run == 2:
            data.append(w.configure([w.RUNINFO, second], at))
        data.append(w.begin_run("tstx00417", run, at + 1))
        for i in range(6):
            values: dict[str, Any] = (
                {"raw": np.full((1, 2, 3), i), "count": i, "edges": [1]}
                if block is first
                else {"x": i}
            )
            data.append(w.dgram(at + 2 + i, w.L1_ACCEPT, [w.shapes_data(block, values)]))
        data.append(w.dgram(at + 9, w.END_RUN))
        at += 10
    return w.write_stream(folder, data)
