"""Dark runs, beside numpy and beside what was put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.dark import EXTREME, NOISY, QUIET, UNSEEN, Dark
from smalldata_stream.detectors.dark_limits import DarkLimits
from smalldata_stream.errors import ConstantsError
from smalldata_stream.protocols import Spec

SHAPE = (2, 30, 40)
U2 = np.dtype("u2")


def frames(rng: np.random.Generator, level: Array, bits: int, n: int = 40) -> Array:
    """Raw frames of one gain."""
    values = np.rint(level + rng.normal(0, 3, (n, *level.shape)))
    return values.astype("u2") | np.uint16(bits)


def jungfrau() -> tuple[list[Array], Array]:
    """Frames of the three gains, and their pedestals."""
    rng = np.random.default_rng(2)
    levels = np.stack([rng.normal(at, 50, SHAPE) for at in (2800, 14500, 14200)])
    gains = zip(levels, (0, 0x4000, 0xC000), strict=True)
    return [frames(rng, level, bits) for level, bits in gains], levels


def test_pedestal_and_noise_per_gain() -> None:
    runs, levels = jungfrau()
    dark = Dark("jf", "jungfrau", SHAPE, U2)
    for raw in runs:
        dark.add(Frames(list(raw)))
    made = dark.constants(source="test")
    assert made.pedestals is not None
    assert made.pixel_rms is not None
    adu = np.stack([raw & 0x3FFF for raw in runs]).astype(float)
    np.testing.assert_array_equal(made.pedestals, adu.mean(axis=1).astype("f4"))
    np.testing.assert_allclose(made.pixel_rms, adu.std(axis=1), rtol=1e-6)
    assert np.abs(made.pedestals - levels).max() < 2.5
    assert made.pixel_status is not None
    assert not made.pixel_status.any()


def test_any_order_and_any_split_give_the_same_bits() -> None:
    runs, _ = jungfrau()
    whole = Dark("jf", "jungfrau", SHAPE, U2)
    for raw in runs:
        whole.add(raw)
    parts = [Dark("jf", "jungfrau", SHAPE, U2) for _ in range(3)]
    every = np.concatenate(runs)
    order = np.random.default_rng(1).permutation(len(every))
    for part, chosen in zip(parts, np.array_split(order, 3), strict=True):
        for k in chosen:
            part.add(Frames([every[k]]))
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    assert parts[2].constants(source="").digest == whole.constants(source="").digest
    with pytest.raises(ValueError, match="do not add"):
        whole.merge(Dark("jf", "jungfrau", (1, 30, 40), U2))


def test_what_makes_a_pixel_bad() -> None:
    rng = np.random.default_rng(3)
    raw = frames(rng, np.full(SHAPE, 900.0), 0)
    raw[:, 0, 0, 0] = 900 + 400 * (np.arange(40) % 2)
    raw[:, 0, 0, 1] = 900
    raw[:, 0, 0, 2] = 3 + np.arange(40) % 9
    dark = Dark("cam", "opal", SHAPE, U2)
    dark.add(raw)
    status = dark.constants(source="").pixel_status
    assert status is not None
    # The bits that files have, as the page says.
    assert status[0, 0, :3].tolist() == [NOISY, QUIET, EXTREME] == [1, 2, 4]
    assert UNSEEN == 8
    assert np.count_nonzero(status) == 3
    wide = dark.constants(source="", limits=DarkLimits(sigmas=1e4, margin_adu=0))
    assert wide.pixel_status is not None
    assert np.argwhere(wide.pixel_status).tolist() == [[0, 0, 1]]


def test_a_gain_that_few_pixels_were_in_is_not_known() -> None:
    rng = np.random.default_rng(4)
    raw = frames(rng, np.full(SHAPE, 2800.0), 0)
    raw[:, 0, 0, 0] = 0x4000 | 9000
    dark = Dark("jf", "jungfrau", SHAPE, U2)
    dark.add(raw)
    made = dark.constants(source="")
    assert made.pedestals is not None
    assert made.pixel_status is not None
    assert np.isnan(made.pedestals[1:]).all()
    assert not made.pixel_status[1:].any()
    assert np.argwhere(made.pixel_status[0]).tolist() == [[0, 0, 0]]
    assert made.pixel_status[0, 0, 0, 0] == UNSEEN
    # Calibrated with these, all is near 0; the pixel that is not known is bad.
    ready = Calibration(calibration="pedestal").prepare(
        "jungfrau", Spec(dtype=U2, shape=SHAPE), made
    )
    mask = ready.outputs[""].mask
    assert mask is not None
    assert np.argwhere(~mask).tolist() == [[0, 0, 0]]
    assert abs(float(np.mean(np.asarray(ready.compute(raw)[""])))) < 0.05


def test_epix10ka_by_the_configuration_of_each_run() -> None:
    rng = np.random.default_rng(5)
    shape = (352, 384)
    dark = Dark("epix", "epix10ka", shape, U2, config(16))
    dark.add(frames(rng, np.full(shape, 3000.0), 0, n=12))
    dark.add(frames(rng, np.full(shape, 2000.0), 0x4000, n=12))
    dark.configure(config(28))
    dark.add(frames(rng, np.full(shape, 3300.0), 0, n=12))
    made = dark.constants(source="")
    assert made.pedestals is not None
    means = [np.mean(one) for one in made.pedestals]
    assert np.allclose(np.array(means)[[0, 3, 5]], [3300, 3000, 2000], atol=0.2)
    assert np.isnan(np.array(means)[[1, 2, 4, 6]]).all()


def config(bits: int) -> dict[tuple[str, str], Any]:
    return {("config", "cbitsConfig"): np.full((352, 384), bits, "u1")}


def test_what_cannot_be_made() -> None:
    with pytest.raises(
        ConstantsError, match="is known for type 'hsd'; write --detectors and"
    ):
        Dark("hsd", "hsd", (10,), U2)
    with pytest.raises(ConstantsError, match="not float32"):
        Dark("cam", "opal", (10, 10), np.dtype("f4"))
    with pytest.raises(ValueError, match="margin_adu=-1"):
        DarkLimits(margin_adu=-1)
