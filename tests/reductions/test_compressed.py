from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.compressed import Compressed
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import DTYPES, as_input, noisy, random_mask, with_bad_values


def through_a_file(frame: Array) -> tuple[Array, int]:
    """The frame written with ZFP, and read again from the closed file."""
    image: Any = None
    options = dict(hdf5plugin.Zfp(accuracy=0.7))
    with h5py.File("zfp", "w", driver="core", backing_store=False) as f:
        f.create_dataset("a", data=frame, chunks=frame.shape, **options)
        size = f["a"].id.get_storage_size()
        f.flush()
        image = f.id.get_file_image()
    with h5py.File(h5py.h5f.open_file_image(image)) as f:
        back: Array = f["a"][...]
    return back, size


class TestCompressed(ReductionContract):
    def make(self) -> Compressed:
        return Compressed(codec="zfp", error_adu=0.7, area=True)

    def inputs(self) -> Sequence[Input]:
        shape = (2, 24, 37)
        mask = random_mask(shape[1:])
        found = [as_input(noisy(shape, dtype)) for dtype in DTYPES]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(noisy((2, 3, 8, 9), "f4")), as_input(noisy((2, 50), "f4"))]
        found += [as_input(noisy(shape, "f4"), mask=np.zeros(shape[1:], bool))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame)
        dtype = frame.dtype if frame.dtype.kind == "f" else "f4"
        clean = np.where(good, frame, 0).astype(dtype)
        back, size = through_a_file(clean)
        difference = (back.astype(float) - clean)[good]
        assert abs(difference).max(initial=0) <= 0.7
        assert difference.any() or not good.any()
        return {
            "area": np.where(good, back, 0),
            "ratio": frame.nbytes / size,
            "max_error": abs(difference).max(initial=0),
            "rms_error": np.sqrt((difference**2).mean()) if good.any() else np.nan,
        }


def test_the_error_counts_from_the_frame_not_from_its_float32() -> None:
    frames = np.full((1, 32, 32), 2**24 + 1, np.int32)  # 1 more than float32 can tell
    spec = Spec(dtype=frames.dtype, shape=(32, 32))
    found = Compressed(codec="sz3", error_adu=1e-3).prepare(spec).compute(frames)
    assert np.asarray(found["max_error"])[0] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("codec", ["zfp", "sz3"])
def test_a_larger_error_takes_fewer_bytes(codec: Any) -> None:
    frames = noisy((1, 64, 64), "f4")
    spec = Spec(dtype=frames.dtype, shape=(64, 64))
    found = [
        Compressed(codec=codec, error_adu=e).prepare(spec).compute(frames) for e in (0.1, 5)
    ]
    ratios = [np.asarray(f["ratio"])[0] for f in found]
    errors = [np.asarray(f["max_error"])[0] for f in found]
    assert 1 < ratios[0] < ratios[1]
    assert 0 < errors[0] <= 0.1 < errors[1] <= 5


@pytest.mark.parametrize(
    "kwargs",
    [{"codec": "jpeg"}, {"error_adu": 0}, {"error_adu": "a"}, {"error_adu": np.inf}],
)
def test_wrong_parameters(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"codec=|error_adu="):
        Compressed(**kwargs)
