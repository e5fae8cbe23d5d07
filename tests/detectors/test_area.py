from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.families import FRAME_FIELDS
from smalldata_stream.errors import ConstantsError
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.testing.reductions import same_bits
from tests.reductions.frames import noisy, unaligned

SHAPE = (2, 3, 4)
RAW = Spec(dtype=np.dtype("u2"), shape=SHAPE)


def constants(**changes: Any) -> Constants:
    modes = (3, *SHAPE)
    given: dict[str, Any] = {
        "pedestals": noisy(modes, "f4", 1),
        "pixel_gain": noisy(modes, "f4", 2) + 300,
        "pixel_status": np.zeros(modes, np.uint64),
    }
    return Constants(detector="jf", source="a test", **given | changes)


def one(ready: PerEvent, frame: Array) -> Array:
    made = ready.compute(frame[None])[""]
    assert isinstance(made, (np.ndarray, Frames))
    (calibrated,) = made
    return np.asarray(calibrated)


RAW_FRAME = noisy(SHAPE, "u2", 3)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_pedestal_and_gain(mode: int) -> None:
    given = constants(pixel_offset=noisy((3, *SHAPE), "f4", 4))
    raw = RAW_FRAME | np.uint16([0, 0x4000, 0xC000][mode])
    assert given.pedestals is not None
    assert given.pixel_offset is not None
    assert given.pixel_gain is not None
    flat = RAW_FRAME - (given.pedestals + given.pixel_offset)[mode].astype(float)
    for kind, want in (("pedestal", flat), ("gain", flat / given.pixel_gain[mode])):
        ready = Calibration(calibration=kind).prepare("jungfrau", RAW, given)  # type: ignore[arg-type]
        np.testing.assert_allclose(one(ready, raw), want, rtol=1e-6, atol=1e-5)
        assert ready.outputs[""].unit == {"pedestal": "ADU", "gain": "keV"}[kind]
        assert ready.outputs[""].dtype == np.float32


def test_every_reason_for_a_bad_pixel() -> None:
    status = np.zeros((3, *SHAPE), np.uint64)
    status[2, 0, 0, 0] = 8
    of_constants, of_user = np.ones(SHAPE, bool), np.ones(SHAPE, bool)
    of_constants[0, 0, 1], of_user[0, 0, 2] = False, False
    pedestals = noisy((3, *SHAPE), "f4")
    pedestals[:, 0, 0, 3] = np.nan
    pedestals[1, 1, 1, 1] = np.nan
    gain = np.ones((3, *SHAPE), "f4")
    gain[:, 0, 1, 0] = 0
    given = constants(
        pixel_status=status, pixel_mask=of_constants, pedestals=pedestals, pixel_gain=gain
    )
    raw_mask = np.ones(SHAPE, bool)
    raw_mask[0, 1, 1] = False
    raw = Spec(dtype=np.dtype("u2"), shape=SHAPE, mask=raw_mask)
    ready = Calibration(mask=of_user).prepare("jungfrau", raw, given)
    mask = ready.outputs[""].mask
    assert mask is not None
    bad = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 1, 0), (0, 1, 1)]
    assert list(zip(*np.nonzero(~mask), strict=True)) == bad
    calibrated = one(ready, RAW_FRAME)
    assert not calibrated[~mask].any()
    assert not np.signbit(calibrated[~mask]).any()
    assert calibrated[mask].all()
    # A pixel without a pedestal in one gain is 0 in that gain, and good in the others.
    assert one(ready, RAW_FRAME | np.uint16(0x4000))[1, 1, 1] == 0
    assert np.array_equal(ready.config["mask"], mask)


def test_raw_frames_are_handed_on_as_they_are() -> None:
    mask = np.ones(SHAPE, bool)
    mask[1, 1, 1] = False
    frames = Frames([unaligned(RAW_FRAME)])
    ready = Calibration(calibration="raw", mask=mask).prepare("unheard of", RAW)
    assert ready.compute(frames)[""] is frames
    assert ready.outputs[""].mask is not None
    assert np.array_equal(ready.outputs[""].mask, mask)
    assert ready.outputs[""].dtype == np.uint16
    with_constants = Calibration(calibration="raw").prepare(
        "jungfrau", RAW, constants(pixel_mask=mask)
    )
    assert with_constants.outputs[""].mask is not None
    assert np.array_equal(with_constants.outputs[""].mask, mask)


def test_batches_do_not_matter_and_the_input_is_kept() -> None:
    shape = (1, 128, 300)
    raw = noisy((5, *shape), "u2")
    raw[2, 0, 5] |= 0x4000
    given = constants(
        pedestals=noisy((3, *shape), "f4"), pixel_gain=None, pixel_status=None
    )
    spec = Spec(dtype=raw.dtype, shape=shape, kind="frames")
    ready = Calibration(calibration="pedestal").prepare("jungfrau", spec, given)
    before = raw.tobytes()
    whole = ready.compute(Frames(list(raw)))[""]
    assert isinstance(whole, Frames)
    assert ready.outputs[""].kind == "frames"
    for i in range(5):
        alone = ready.compute(Frames([unaligned(raw[i])]))[""]
        assert isinstance(alone, Frames)
        assert same_bits(alone, whole[i : i + 1])
    none = ready.compute(Frames([], shape=shape, dtype=raw.dtype))[""]
    assert isinstance(none, Frames)
    assert (len(none), none.shape, none.dtype) == (0, shape, np.dtype("f4"))
    assert raw.tobytes() == before


def test_constants_of_one_segment_may_have_an_axis_more() -> None:
    given = Constants(detector="epix", pedestals=np.ones((1, 3, 4), "f4"))
    spec = Spec(dtype=np.dtype("u2"), shape=(3, 4))
    ready = Calibration(calibration="pedestal").prepare("epix100", spec, given)
    assert one(ready, np.full((3, 4), 5, "u2")).tolist() == [[4.0] * 4] * 3


@pytest.mark.parametrize(
    ("detector", "kind", "given", "match"),
    [
        ("jungfrau", "gain", None, "needs pedestals and pixel_gain; there is none.*'raw'"),
        (
            "jungfrau",
            "gain",
            constants(pixel_gain=None),
            "there is pedestals, pixel_status.*constants=.*'pedestal' or 'raw'",
        ),
        ("jungfrau", "pedestal", constants(pedestals=None), "needs pedestals; there is"),
        ("timepix", "gain", constants(), "no calibration is known.*'timepix'.*'raw'"),
        ("opal", "gain", constants(), r"pedestals is \(3, 2, 3, 4\).*need \(2, 3, 4\)"),
    ],
)
def test_constants_that_are_not_there_or_do_not_fit(
    detector: str, kind: Any, given: Constants | None, match: str
) -> None:
    with pytest.raises(ConstantsError, match=match):
        Calibration(calibration=kind).prepare(detector, RAW, given)


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match="calibration='gian': write one of 'gain'"):
        Calibration(calibration="gian")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="True for good"):
        Calibration(mask=np.full(SHAPE, 7))
    with pytest.raises(ValueError, match=r"mask is \(3,\), the frame \(2, 3, 4\)"):
        Calibration(mask=np.ones(3, bool)).prepare("jungfrau", RAW, constants())
    raw = Spec(dtype=np.dtype("f4"), shape=SHAPE)
    with pytest.raises(ValueError, match="uint16"):
        Calibration().prepare("jungfrau", raw, constants())
    with pytest.raises(TypeError):
        Calibration(calibrtion="raw")  # type: ignore[call-arg]


def test_frame_fields_of_the_types_that_are_calibrated() -> None:
    assert FRAME_FIELDS["jungfrau", "raw"] == "raw"
    assert FRAME_FIELDS["opal", "raw"] == "image"
    assert FRAME_FIELDS["axis", "raw"] == "value"


@pytest.mark.parametrize(
    ("bits", "told"),
    [(np.zeros((3, 5), "u1"), r"panels: \(3, 5\);"), (np.zeros((1, 3, 4), "u1"), "none")],
)
def test_a_configure_of_other_panels(bits: Array, told: str) -> None:
    given = Constants(
        detector="epix",
        pedestals=np.ones((7, 1, 3, 4), "f4"),
        pixel_gain=np.ones((7, 1, 3, 4), "f4"),
    )
    raw = Spec(dtype=np.dtype("u2"), shape=(1, 3, 4))
    with pytest.raises(ConstantsError, match=rf"epix: .*{told}.*frames are \(1, 3, 4\)"):
        Calibration().prepare("epix10ka", raw, given, {("config", "cbitsConfig"): bits})
