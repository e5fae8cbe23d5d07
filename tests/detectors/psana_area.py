"""Run by test_psana_area.py in a process of its own: psana's calib of every type.

Arguments: an npz of what test_psana_area.py makes, the npz to write. Of psana's classes
only the access to the data is replaced.
"""

from __future__ import annotations

import sys
import types
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

META = {"experiment": "none", "run": 1}
CM = {"rows": 1, "columns": 2, "banks": 4, "banks+rows+columns": 7, "rows+columns": 3}

Given = dict[str, Any]


def import_psana() -> SimpleNamespace:
    """What is used of psana; nothing of it is imported when pytest looks at this file."""
    krtc = types.ModuleType("krtc")
    krtc.KerberosTicket = object  # type: ignore[attr-defined]
    sys.modules.setdefault("krtc", krtc)
    names = ["UtilsJungfrau", "UtilsMask", "archon", "epix10ka", "epix100", "epixhr2x2"]
    names += ["epixm320", "epixuhr", "epixuhr3x2", "UtilsAreaDetector"]
    found = {name: import_module(f"psana.detector.{name}") for name in names}
    store = import_module("psana.pscalib.geometry.SegGeometryStore")
    access = import_module("psana.pscalib.geometry.GeometryAccess").GeometryAccess
    return SimpleNamespace(sgs=store.sgs, GeometryAccess=access, **found)


def detector(kind: type, given: Given, config: list[Any] | None = None, **more: Any) -> Any:
    """One of psana's detectors, with these constants and this frame."""

    class Filled(kind):  # type: ignore[misc]
        def __new__(cls) -> Any:
            return object.__new__(cls)

        def __init__(self) -> None:
            self._det_name, self._store_ = "cam", None
            gain = given.get("gain")
            self._calibconst = {"pedestals": (given["pedestals"], META)}
            self._gain_factor_ = None if gain is None else 1 / gain
            for name, value in more.items():
                setattr(self, name, value)

        def raw(self, evt: Any, copy: bool = True) -> Any:
            return given["raw"]

        def _pedestals(self, **kwargs: Any) -> Any:
            return given["pedestals"]

        def _gain(self, **kwargs: Any) -> Any:
            return given.get("gain")

        def _mask(self, **kwargs: Any) -> Any:
            return given["mask"].astype(np.uint8)

        def _shape_as_daq(self) -> Any:
            return given["mask"].shape

        def _seg_configs(self) -> Any:
            return {i: SimpleNamespace(config=one) for i, one in enumerate(config or [])}

    return Filled()


def nothing(**kwargs: Any) -> None:
    """No common mode among the constants."""


def of(given: Given, case: str) -> Given:
    head = f"{case}/"
    return {k.removeprefix(head): v for k, v in given.items() if k.startswith(head)}


def jungfrau(p: Any, given: Given) -> Given:
    offset, factor = given["pedestals"], 1 / given["gain"]
    mask = given["mask"].astype(np.uint8)
    return {
        f"jungfrau/{name}": p.UtilsJungfrau.calib_jungfrau_single_panel(
            given["raw"], factor, offset, mask, (7, mode, 100, 10)
        )
        for name, mode in CM.items()
    }


def epix(case: str, kind: type, given: Given, gain_bit: int, shift: int) -> Given:
    configs = [
        SimpleNamespace(asicPixelConfig=one, trbit=t)
        for one, t in zip(given["pixels"], given["trbits"], strict=True)
    ]
    bits = {
        "_data_bit_mask": 0x3FFF,
        "_data_gain_bit": gain_bit,
        "_gain_bit_shift": shift,
        "_data_gain_bitnum": 14,
    }
    found = {}
    for name, mode in {"none": 0, **CM}.items():
        made = detector(kind, given, configs, **bits)
        found[f"{case}/{name}"] = made.calib(None, cmpars=(7, mode, 100, 10))
    return found


def epix10ka_3(p: Any, given: Given) -> Given:
    configs = [
        SimpleNamespace(asicPixelConfig=c, trbit=0, cbitsConfig=c) for c in given["cbits"]
    ]
    bits = {"_data_bit_mask": 0x3FFF, "_data_gain_bitnum": 14, "_common_mode": nothing}
    made = detector(p.epix10ka.epix10ka_raw_3_0_1, given, configs, **bits)
    return {"epix10ka_3/none": made.calib(None)}


def epix100_(p: Any, given: Given) -> Given:
    found = {}
    for name, mode in {"none": 0, **CM}.items():
        made = detector(p.epix100.epix100_raw_2_0_1, given)
        pars = None if name == "none" else (0, mode, 100, 10)
        found[f"epix100/{name}"] = made.calib(None, cmpars=pars)
    return found


def others(p: Any, given: Given) -> Given:
    m320 = of(given, "epixm320")
    uhr3x2 = of(given, "epixuhr3x2")
    configs = [
        SimpleNamespace(gainAsic=asic, gainCSVAsic=pixels)
        for asic, pixels in zip(uhr3x2["asics"], uhr3x2["pixels"], strict=True)
    ]
    segments = {
        i: SimpleNamespace(raw=raw.copy()) for i, raw in enumerate(uhr3x2["asic_raw"])
    }
    kind = p.epixuhr3x2.epixuhr3x2_raw_0_1_0
    bits = {"_data_gain_bitnum": 1, "_data_bit_mask": 0x0FFE, "_common_mode": nothing}
    arranged = detector(kind, {**uhr3x2, "pedestals": None}, configs, **bits)
    arranged._segment_numbers = [0, 1]
    arranged._segments = lambda evt: segments
    uhr3x2["raw"] = kind.raw(arranged, 1)
    uhr = object.__new__(p.epixuhr.epixuhr_raw_0_0_0)
    ccd = detector(
        p.archon.archon_raw_1_0_0,
        of(given, "archon"),
        _nbanks=2,
        _fakePixelsPerBank=36,
        _realPixelsPerBank=264,
        _totPixelsPerBank=300,
        _gainfact=1,
        _cmpars=(1, 0, 0),
    )
    return {
        "epixm320/none": detector(
            p.epixm320.epixm320_raw_0_0_0,
            m320,
            _data_gain_bit=0x8000,
            _data_bit_mask=0x7FFF,
        ).calib(1),
        "epixuhr/raw": uhr._descramble_3d_frames(given["epixuhr/raw"]),
        "epixuhr3x2/raw": uhr3x2["raw"],
        "epixuhr3x2/none": detector(kind, uhr3x2, configs, **bits).calib(None),
        "archon/overscan": ccd.calib(None),
    }


def masks(p: Any, given: Given) -> Given:
    good = given["masks/good"].astype(np.uint8)
    found = {
        f"masks/{ours}": p.UtilsMask.mask_neighbors(good, 3, psanas)
        for ours, psanas in {"diamond": "r", "circle": "c", "square": "s"}.items()
    }
    found["masks/edges"] = p.UtilsMask.mask_edges(np.ones((2, 20, 30), np.uint8), width=2)
    for name in ("EPIX10KA:V1", "EPIX100:V1", "SENS2X1:V1"):
        segment = p.sgs.Create(segname=name)
        none = {"width": 0, "edge_rows": 0, "edge_cols": 0}
        if name == "SENS2X1:V1":
            own = {"wcenter": 0, "center_cols": 0}
            for what, bits in (("unbonded", 4), ("unbonded_neighbours", 12)):
                mask = segment.pixel_mask_array(mbits=bits, **none, **own)
                found[f"masks/{what}"] = mask
        else:
            mask = segment.pixel_mask_array(**none, center_rows=2, center_cols=2)
            found[f"masks/{name}"] = mask
    return found


def image(p: Any, given: Given) -> Given:
    """psana's image by its parts, without the filling of holes."""
    geometry = p.GeometryAccess()
    geometry.load_pars_from_str(str(given["text"]))
    x, y, z = geometry.get_pixel_coords()
    row, column = geometry.get_pixel_coord_indexes()
    whole = p.UtilsAreaDetector.img_from_pixel_arrays(row, column, weight=given["frame"])
    found = {"image": whole, "x": x, "y": y, "z": z, "row": row, "column": column}
    return {f"image/{name}": value for name, value in found.items()}


if __name__ == "__main__":
    file, out = sys.argv[1:]
    with np.load(file) as archive:
        arrays = dict(archive)
    p = import_psana()
    found = jungfrau(p, of(arrays, "jungfrau"))
    quad, hr = p.epix10ka.epix10ka_raw_2_0_1, p.epixhr2x2.epixhr2x2_raw_2_0_1
    found |= epix("epix10ka", quad, of(arrays, "epix10ka"), 0x4000, 9)
    found |= epix("epixhr2x2", hr, of(arrays, "epixhr2x2"), 0x8000, 10)
    found |= epix10ka_3(p, of(arrays, "epix10ka_3"))
    found |= epix100_(p, of(arrays, "epix100"))
    found |= others(p, arrays)
    found |= masks(p, arrays)
    found |= image(p, of(arrays, "image"))
    np.savez(out, **found)
