"""Directions and corrections of azimuthal integration beside pyFAI and vectors."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.kernels import scattering
from smalldata_stream.positions import Positions
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.azimuthal import Azimuthal
from smalldata_stream.reductions.roi import Roi
from tests.reductions.frames import noisy
from tests.reductions.scattering import PLACE, SHAPE, integrated

PONI = """\
poni_version: 2.1
Detector: Detector
Detector_config: {"pixel1": 7.5e-05, "pixel2": 5e-05, "orientation": 3}
Distance: 0.02
Poni1: 0.007
Poni2: 0.006
Rot1: 0.05
Rot2: -0.03
Rot3: 0.4
Wavelength: 1.3e-10
"""


@pytest.fixture
def poni(tmp_path: Path) -> str:
    (tmp_path / "detector.poni").write_text(PONI)
    return str(tmp_path / "detector.poni")


def pyfai(path: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pyFAI").load(path)


@pytest.mark.parametrize("polarization", [1.0, 0.4, None])
@pytest.mark.parametrize("solid_angle", [True, False])
def test_pyfai_gives_the_same(
    poni: str, polarization: float | None, solid_angle: bool
) -> None:
    rng = np.random.default_rng(4)
    frame = rng.gamma(2, 30, (180, 260)).astype(np.float32)
    mask = rng.random(frame.shape) > 0.1
    theirs = pyfai(poni)
    shared = {
        "mask": ~mask,
        "unit": "q_A^-1",
        "method": ("no", "histogram", "cython"),
        "radial_range": (0.1, 1.0),
        "correctSolidAngle": solid_angle,
        "polarization_factor": None if polarization is None else 2 * polarization - 1,
    }
    want = theirs.integrate1d(frame, 60, error_model="azimuthal", **shared)
    edges = np.linspace(0.1, 1.0, 61)
    got = integrated(
        frame,
        mask,
        poni=poni,
        q_bins=edges,
        polarization=polarization,
        solid_angle=solid_angle,
        counts=True,
        standard_error=True,
    )
    # pyFAI works in float32: a pixel near an edge may be in the bin beside it.
    same = (got["count"][0] == want.count) & (want.count > 1)
    assert np.count_nonzero(same) > 25
    # Its first bin has the pixels below the range, too.
    assert abs(got["count"][0, 1:].sum() - want.count[1:].sum()) < 5
    np.testing.assert_allclose(got["azav"][0][same], want.intensity[same], rtol=1e-4)
    np.testing.assert_allclose(got["sem"][0][same], want.sem[same], rtol=1e-3)
    np.testing.assert_allclose(got["config"]["q"], want.radial, rtol=1e-6)


def test_pyfai_gives_the_same_in_two_dimensions(poni: str) -> None:
    rng = np.random.default_rng(5)
    frame = rng.gamma(2, 30, (180, 260)).astype(np.float32)
    theirs = pyfai(poni)
    want = theirs.integrate2d(
        frame, 12, 6, unit="q_A^-1", method=("no", "histogram", "cython"),
        radial_range=(0.1, 1.0), azimuth_range=(-180, 180), polarization_factor=1,
    )  # fmt: skip
    got = integrated(
        frame,
        poni=poni,
        q_bins=np.linspace(0.1, 1.0, 13),
        phi_bins=np.linspace(0, 2 * np.pi, 7),
        counts=True,
    )
    # Theirs begin at -180 degrees.
    count, intensity = (np.roll(a, 3, axis=0) for a in (want.count, want.intensity))
    same = (got["count"] == count) & (count > 0)
    assert np.count_nonzero(same) > 50
    np.testing.assert_allclose(got["azav"][same], intensity[same], rtol=1e-4)


def test_every_direction_is_that_of_pyfai(poni: str) -> None:
    theirs = pyfai(poni)
    config = integrated(np.ones((60, 70), np.float32), poni=poni)["config"]
    np.testing.assert_allclose(config["matrix_q"], theirs.qArray((60, 70)) / 10, rtol=1e-6)
    chi = np.asarray(theirs.chiArray((60, 70))) % (2 * np.pi)
    np.testing.assert_allclose(config["matrix_phi"], chi, rtol=1e-5)
    both = theirs.solidAngleArray((60, 70)) * theirs.polarization((60, 70), 1.0)
    np.testing.assert_allclose(config["correction"], both, rtol=1e-5)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (8.0, 0.0), (0.0, -12.0), (7.0, 11.0)])
def test_directions_are_those_of_vectors(tilt: tuple[float, float]) -> None:
    """Two rotations of the beam instead of the written-out formula."""
    tx, ty = np.deg2rad(tilt)
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tx), np.sin(tx)], [0, -np.sin(tx), np.cos(tx)]]
    )
    about_y = np.array(
        [[np.cos(ty), 0, -np.sin(ty)], [0, 1, 0], [np.sin(ty), 0, np.cos(ty)]]
    )
    beam = about_y @ about_x @ np.array([0, 0, 1.0])
    x, y = (100.0 * a.astype(np.float64) for a in np.indices((9, 8)))
    center, distance = (310.0, 290.0), 2000.0
    sample = np.array([*center, 0.0]) - beam * distance / beam[2]
    rays = np.stack([x, y, np.zeros_like(x)], -1) - sample
    r = np.linalg.norm(rays, axis=-1)
    found = scattering.directions(x, y, center, distance, (tx, ty))
    np.testing.assert_allclose(np.cos(found.theta), rays @ beam / r, atol=1e-12)
    np.testing.assert_allclose(found.incidence, rays[..., 2] / r, rtol=1e-12)
    up = np.array([0, 1, 0]) - beam[1] * beam
    side = np.cross(up, beam)
    want = np.arctan2(rays @ side / np.linalg.norm(side), rays @ up / np.linalg.norm(up))
    np.testing.assert_allclose(np.exp(1j * found.phi), np.exp(1j * want), atol=1e-9)
    there = (np.array([310.0]), np.array([290.0]))
    at_center = scattering.directions(there[0], there[1], center, distance, (tx, ty))
    assert at_center.theta[0] == pytest.approx(0, abs=1e-12)


def test_an_even_intensity_is_flat_once_corrected() -> None:
    parameters = PLACE | {"tilt_deg": (5, -3)}
    config = integrated(np.ones(SHAPE, np.float32), **parameters)["config"]
    got = integrated(10 * config["correction"], **parameters, phi_bins=3, q_bins=0.1)
    filled = ~np.isnan(got["azav"])
    assert filled.any()
    np.testing.assert_allclose(got["azav"][filled], 10, rtol=1e-12)


@pytest.mark.parametrize("more", [{}, {"polarization": None, "solid_angle": False}])
def test_pixels_whose_place_is_not_known_are_bad(more: dict[str, Any]) -> None:
    frame = noisy((10, 12), "f4")
    x, y = 75.0 * np.indices(frame.shape)
    where = PLACE | {"pixel_size_um": None, "center_um": (300, 400), "q_bins": 0.05}
    where |= {"phi_bins": 3} | more
    mask = np.ones(frame.shape, bool)
    mask[2, 3] = mask[7, 7] = False
    want = integrated(frame, **where, x_um=x, y_um=y, mask=mask)["azav"]
    x[2, 3] = y[7, 7] = np.nan
    got = integrated(frame, **where, x_um=x, y_um=y)["azav"]
    assert np.array_equal(got, want, equal_nan=True)


def test_tiles_have_positions_of_their_own() -> None:
    frame = noisy((2, 10, 12), "f4")
    x, y = (75.0 * i for i in np.indices((20, 12)))
    where = PLACE | {"pixel_size_um": None, "center_um": (700, 400), "q_bins": 0.05}
    whole = integrated(frame.reshape(20, 12), **where, x_um=x, y_um=y)
    tiles: dict[str, Any] = {"x_um": x.reshape(2, 10, 12), "y_um": y.reshape(2, 10, 12)}
    assert np.array_equal(integrated(frame, **where, **tiles)["azav"], whole["azav"])


def test_positions_come_from_the_geometry_of_the_detector(poni: str) -> None:
    frame = noisy((2, 10, 12), "f4")
    x, y = (75.0 * i.reshape(2, 10, 12) - 300 for i in np.indices((20, 12)))
    known = Positions.of(x, y, 0 * x, pixel_um=75.0)
    spec = Spec(dtype=frame.dtype, shape=frame.shape, positions=known)
    where = PLACE | {"pixel_size_um": None, "center_um": (100, 90), "q_bins": 0.05}
    given = integrated(frame, **where, x_um=x, y_um=y)["azav"]
    found = Azimuthal(**where).prepare(spec).compute(frame[None])["azav"]
    assert np.array_equal(np.asarray(found)[0], given, equal_nan=True)
    # In pyFAI the first pixel is half a pixel, 37.5 and 25 µm, from the corner.
    tiles: dict[str, Any] = {"x_um": x + 300 + 37.5, "y_um": y + 300 + 25}
    by_poni: dict[str, Any] = {"poni": poni, "q_bins": 0.05}
    given = integrated(frame, **by_poni, **tiles)["azav"]
    found = Azimuthal(**by_poni).prepare(spec).compute(frame[None])["azav"]
    np.testing.assert_allclose(np.asarray(found)[0], given, rtol=1e-12)


def chained_spec(prepared: PerEvent) -> Spec:
    assert isinstance(prepared.chained, tuple)
    return prepared.chained[0]


def in_three_dimensions() -> Positions:
    """Two tiles, the second 900 µm behind the first and tilted by 300 µm."""
    x, y = (75.0 * i.reshape(2, 30, 70) for i in np.indices((60, 70)))
    z = np.zeros(x.shape)
    z[1] = 900 + np.linspace(0, 300, 70)
    return Positions.of(x, y, z + 5000, pixel_um=75.0)


def test_pixels_that_are_in_no_plane_are_where_pyfai_has_them(poni: str) -> None:
    where = in_three_dimensions()
    frame = np.ones(where.shape, np.float32)
    spec = Spec(dtype=frame.dtype, shape=frame.shape, positions=where)
    prepared = Azimuthal(poni=poni, q_bins=0.05).prepare(spec)
    config = prepared.config
    theirs = pyfai(poni)
    pixel1, pixel2 = theirs.detector.pixel1, theirs.detector.pixel2
    rows = (where.x * 1e-6 + pixel1 / 2) / pixel1 - 0.5
    columns = (where.y * 1e-6 + pixel2 / 2) / pixel2 - 0.5
    for tile, row, column in [(0, 3, 5), (1, 0, 0), (1, 29, 69), (1, 12, 40)]:
        at = tile, row, column
        theirs.dist = pyfai(poni).dist + 1e-6 * (where.z[at] - where.z.mean())
        d1, d2 = np.array([rows[at]]), np.array([columns[at]])
        q = theirs.qFunction(d1, d2)[0] / 10
        assert config["matrix_q"][at] == pytest.approx(q, rel=1e-9)
        chi = theirs.chi(d1, d2)[0] % (2 * np.pi)
        assert config["matrix_phi"][at] == pytest.approx(chi, rel=1e-9)


def test_height_by_the_vector_to_each_pixel() -> None:
    """Angles, and the solid angle as cosine of the incidence over distance squared."""
    where = in_three_dimensions()
    place = PLACE | {"pixel_size_um": None, "polarization": None, "q_bins": 0.05}
    frame = noisy(where.shape, "f4")
    spec = Spec(dtype=frame.dtype, shape=frame.shape, positions=where)
    prepared = Azimuthal(**place).prepare(spec)
    rays = [where.x - 1510, where.y - 1217, 4000 + where.z - where.z.mean()]
    r = np.sqrt(sum(a**2 for a in rays))
    q = 4 * np.pi * 9.5 / 12.398419843320026 * np.sin(np.arccos(rays[2] / r) / 2)
    np.testing.assert_allclose(prepared.config["matrix_q"], q, rtol=1e-9)
    solid_angle = (rays[2] / r) / r**2 * 4000**2
    np.testing.assert_allclose(prepared.config["correction"], solid_angle, rtol=1e-9)
    # A region of interest is where it is in the whole detector.
    roi = Roi("part", [[1, 2], [5, 25], [10, 60]]).prepare(spec)
    area = chained_spec(roi)
    found = Azimuthal(**place).prepare(area)
    part = np.s_[1, 5:25, 10:60]
    np.testing.assert_array_equal(
        found.config["matrix_q"], prepared.config["matrix_q"][part]
    )


def test_a_part_of_a_detector_and_a_poni(poni: str) -> None:
    where = in_three_dimensions()
    spec = Spec(dtype=np.dtype("f4"), shape=where.shape, positions=where)
    whole = Azimuthal(poni=poni).prepare(spec).config["matrix_q"]
    area = chained_spec(Roi("part", [[1, 2], [5, 25], [10, 60]]).prepare(spec))
    part = Azimuthal(poni=poni).prepare(area).config["matrix_q"]
    np.testing.assert_allclose(part, whole[1, 5:25, 10:60], rtol=1e-12)


def test_a_poni_that_is_not_there() -> None:
    pytest.importorskip("pyFAI")
    asked = Azimuthal(poni="nowhere.poni")
    with pytest.raises(ValueError, match="no such file"):
        asked.prepare(Spec(dtype=np.dtype("u2"), shape=SHAPE))
