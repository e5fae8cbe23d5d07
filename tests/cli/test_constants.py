"""The command ``constants``, as a person uses it on a simulated run."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.constants import Constants, read_constants, write_constants
from smalldata_stream.errors import ConstantsError
from smalldata_stream.h5 import write_tree
from smalldata_stream.modes.constants import with_ghost

EVENTS = 30


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run, and the options that name it."""
    folder = tmp_path_factory.mktemp("simulated")
    detectors = ["timing", "jungfrau"]
    asked = ["simulate", str(folder), "--events", str(EVENTS), "--detectors", *detectors]
    assert main(asked) == 0
    (constants,) = folder.glob("*-constants.h5")
    name = constants.name.removesuffix("-constants.h5")
    exp, number = name.split("-r")
    return constants, ["--exp", exp, "--run", str(int(number)), "--dir", str(folder)]


def test_dark_makes_constants_that_the_next_run_can_use(
    run: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, which = run
    made = tmp_path / "dark.h5"
    command = ["constants", "dark", *which, "-o", str(made), "--constants", str(truth)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "jungfrau  sha256" in said
    assert f"written: {made}" in said
    new = read_constants(made)["jungfrau"]
    old = read_constants(truth)["jungfrau"]
    assert new.pedestals is not None
    assert old.pedestals is not None
    assert old.pixel_offset is not None
    assert old.pixel_gain is not None
    assert new.pixel_gain is not None
    assert np.array_equal(new.pixel_gain, old.pixel_gain)
    # Most pixels see no photon in most events: their mean is near the pedestal.
    away = np.abs(new.pedestals[0] - old.pedestals[0] - old.pixel_offset[0])
    assert np.nanmedian(away) < 2.5
    assert np.isnan(new.pedestals[1:]).all()
    assert "dark: " in new.source


@pytest.mark.parametrize("what", ["dark", "fetch"])
def test_an_existing_file_is_replaced_only_when_asked(
    what: str,
    run: tuple[Path, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = tmp_path / "made.h5"
    made.write_text("fitted by hand")
    command = ["constants", what, *run[1], "-o", str(made), "--constants", str(run[0])]
    assert main(command) == 1
    said = capsys.readouterr()
    assert said.err == f"error: {made} exists; write --overwrite to replace it\n"
    assert made.read_text() == "fitted by hand"
    assert main([*command, "--overwrite"]) == 0
    assert "jungfrau" in read_constants(made)


def test_show_prints_and_draws(
    run: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "png"
    assert main(["constants", "show", str(run[0]), "--png", str(pictures)]) == 0
    said = capsys.readouterr().out
    assert "pedestals" in said
    assert "ADU/keV" in said
    png = (pictures / "jungfrau.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(png) > 20_000


@pytest.mark.skipif(importlib.util.find_spec("psana") is None, reason="needs psana")
def test_fetch_from_psanas_cache_with_positions(
    run: tuple[Path, list[str]], tmp_path: Path
) -> None:
    old = read_constants(run[0])["jungfrau"]
    extra = np.zeros((1, 512, 1024), np.uint64)
    extra[0, 3, 4] = 1
    meta = {"experiment": "xpptut26", "run": 1}
    found: dict[str, Any] = {name: (array, meta) for name, array in old.arrays().items()}
    found["status_extra"] = (extra, meta)
    found["geometry"] = (old.geometry, meta)
    cache = tmp_path / "calibconst.pkl"
    cache.write_bytes(pickle.dumps({"det_info": {}, "calib_const": {"jungfrau": found}}))
    made = tmp_path / "fetched.h5"
    command = ["constants", "fetch", *run[1], "--cache", str(cache), "-o", str(made)]
    assert main(command) == 0
    new = read_constants(made)["jungfrau"]
    assert new.pixel_gain is not None
    assert old.pixel_gain is not None
    assert np.array_equal(new.pixel_gain, old.pixel_gain)
    assert new.pixel_status is not None
    assert (new.pixel_status[:, 0, 3, 4] == 1).all()
    assert new.positions is not None
    assert new.positions.shape == (1, 512, 1024)
    assert "xpptut26 run 1" in new.source


def test_a_crystfel_geometry(tmp_path: Path, run: tuple[Path, list[str]]) -> None:
    pytest.importorskip("cfelpyutils", reason="cfelpyutils has no wheel for this Python")
    geometry = tmp_path / "one.geom"
    geometry.write_text(
        "clen = 0.1\nres = 13333.333\nphoton_energy = 9500\nadu_per_photon = 1\n"
        "data = /data\nmask_good = 0\nmask_bad = 1\n"
        "p0/min_fs = 0\np0/max_fs = 1023\np0/min_ss = 0\np0/max_ss = 511\n"
        "p0/fs = +1.0x +0.0y\np0/ss = +0.0x -1.0y\np0/corner_x = -512\np0/corner_y = 256\n"
    )
    made = tmp_path / "placed.h5"
    command = ["constants", "fetch", *run[1], "--constants", str(run[0]), "-o", str(made)]
    assert main([*command, "--geometry", f"jungfrau={geometry}"]) == 0
    where = read_constants(made)["jungfrau"].positions
    assert where is not None
    rows, columns = np.mgrid[0:512, 0:1024]
    assert np.array_equal(where.row[0], rows)
    assert np.array_equal(where.column[0], columns)
    np.testing.assert_allclose(where.y[0], (columns - 512) * 75.0, atol=0.01)
    np.testing.assert_allclose(where.x[0], (rows - 256) * 75.0, atol=0.01)


@pytest.mark.skipif(importlib.util.find_spec("psana") is None, reason="needs psana")
def test_a_ghost_that_was_fitted(tmp_path: Path, run: tuple[Path, list[str]]) -> None:
    p0, p1 = np.random.default_rng(0).normal(size=(2, 1, 512, 1024)).astype("f4")
    p0[0, 3, 4] = np.nan
    fits, made = tmp_path / "GhostFits_xpptut26_Run001.h5", tmp_path / "with_ghost.h5"
    write_tree(fits, {"jungfrau_OLS_p0": p0, "jungfrau_OLS_p1": p1})
    command = ["constants", "fetch", *run[1], "--constants", str(run[0]), "-o", str(made)]
    assert main([*command, "--ghost", f"jungfrau={fits}"]) == 0
    new, old = read_constants(made)["jungfrau"], read_constants(run[0])["jungfrau"]
    assert new.ghost_p0 is not None
    assert new.ghost_p1 is not None
    assert new.ghost_p0.tobytes() == p0.tobytes()
    assert new.ghost_p1.tobytes() == p1.tobytes()
    assert "ghost of GhostFits_xpptut26_Run001.h5" in new.source
    assert new.digest != old.digest
    write_tree(fits, {"a/p0": p0, "b/p0": p0, "p1": p1})
    with pytest.raises(ConstantsError, match=r"ends in p0, not 2; there is a/p0, b/p0, p1"):
        with_ghost(old, fits)
    write_tree(fits, {"p0": p0[:, :2], "p1": p1[:, :2]})
    with pytest.raises(ConstantsError, match="shapes do not fit each other"):
        with_ghost(old, fits)


@pytest.mark.parametrize(
    ("command", "match"),
    [
        (["fetch", "--ghost", "jungfrau"], "--ghost jungfrau: write DETECTOR=FILE"),
        (
            ["fetch", "--ghost", "cam=a.h5"],
            "--ghost cam=...: there are no constants of cam",
        ),
        (["fetch", "--ghost", "jungfrau=nothing.h5"], "nothing.h5: no such file"),
        (["show", "nothing.h5"], "nothing.h5: no such file"),
        (["dark", "--detectors", "gmd"], "no area detector 'gmd'"),
        (["dark", "--sigmas", "0"], "sigmas=0"),
        (["fetch", "--geometry", "jungfrau"], "write DETECTOR=FILE"),
        (["fetch", "--geometry", "cam=a.geom"], "no constants of cam"),
        (["fetch", "--geometry", "jungfrau=nothing.geom"], "nothing.geom: no such file"),
        (["fetch", "--geometry", "jungfrau=nothing.txt"], "nothing.txt"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    run: tuple[Path, list[str]],
    command: list[str],
    match: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    what, *rest = command
    more = [] if what == "show" else run[1]
    if what == "fetch":
        more = [*more, "--constants", str(run[0]), "-o", str(tmp_path / "x.h5")]
    assert main(["constants", what, *more, *rest]) == 1
    said = capsys.readouterr().err
    assert match in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x.h5").exists()


def test_constants_of_other_detectors_stay(
    tmp_path: Path, run: tuple[Path, list[str]]
) -> None:
    old = tmp_path / "old.h5"
    other = Constants(detector="cam", pedestals=np.ones((2, 3)))
    write_constants(old, [other])
    made = tmp_path / "dark.h5"
    command = ["constants", "dark", *run[1], "--constants", str(old), "-o", str(made)]
    assert main(command) == 0
    found = read_constants(made)
    assert set(found) == {"cam", "jungfrau"}
    assert found["cam"].digest == other.digest
