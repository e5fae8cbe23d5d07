"""Diodes that the board has not made anything of: sum and positions from the formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.graph import Graph, build
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.detectors import Data, batch_of, run_of

DIODES: Array = np.array([[1, 7, 3, 2], [5, 5, 5, 5], [0, 0, 0, 0], [2, 0, 1, 0]])


def written(data: Data, **parameters: Any) -> dict[str, list[Any]]:
    """What is written of each event; None is a gap."""

    def write(g: Graph, run: RunInfo) -> None:
        g.add(Ipm("box", name="ipm2", **parameters))

    g = build(write, run_of({"box": data}))
    batch = batch_of({"box": data})
    g.plan.push(batch)
    assert not g.plan.failures
    found: dict[str, list[Any]] = {}
    for path in g.plan.outputs():
        column = batch.record[path]
        values = iter(np.asarray(column.values))
        found[path.partition("/")[2]] = [next(values) if t else None for t in column.mask]
    return found


def check(found: dict[str, list[Any]], x_scale: float, y_scale: float) -> None:
    for event, (c0, c1, c2, c3) in enumerate(DIODES.tolist()):
        assert found["sum"][event] == c0 + c1 + c2 + c3
        for name, scale, a, b in (("xpos", x_scale, c1, c3), ("ypos", y_scale, c0, c2)):
            if a + b:
                want = scale * (a - b) / (a + b)
                assert found[name][event] == pytest.approx(want, rel=1e-15)
            else:  # without light there is no position
                assert found[name][event] is None


@pytest.mark.parametrize("field", ["channel", "channels"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u2"])
def test_from_channels_alone(field: str, dtype: str) -> None:
    channels: Sequence[Any] = list(DIODES.astype(dtype))
    found = written(Data(type="ipimb", fields={("raw", field): channels}))
    check(found, 1.0, 1.0)
    np.testing.assert_array_equal(found["channels"], DIODES)
    scaled = Ipm("box", x_scale=2.0, y_scale=-3.0)
    data = Data(type="ipimb", fields={("raw", field): channels})
    check(written(data, x_scale=scaled.x_scale, y_scale=scaled.y_scale), 2.0, -3.0)


def test_from_voltages_without_a_word_of_how() -> None:
    fields = {
        ("raw", f"channel{i}Volts"): list(DIODES[:, i].astype("f4")) for i in range(4)
    }
    found = written(Data(type="ipimb", fields=fields))
    check(found, 1.0, 1.0)
    np.testing.assert_array_equal(found["channels"], DIODES)


def test_large_counts_do_not_wrap() -> None:
    full = np.full((1, 4), 65535, np.uint16)
    found = written(Data(type="ipimb", fields={("raw", "channel"): list(full)}))
    assert found["sum"] == [4 * 65535]
    assert found["xpos"] == [0.0]


def test_the_numbers_of_the_daqs_configuration() -> None:
    """A box whose signal takes the voltage down from its base, in the words of pds."""
    base, scale, x_scale, y_scale = (9.5, 9.0, 9.5, 8.0), (2.0, 1.0, 0.5, 4.0), -3.0, 2.0
    volts = [4.5, 6.0, 8.5, 7.5]
    daq = [s * (b - v) for b, s, v in zip(base, scale, volts, strict=True)]
    fields = {("raw", f"channel{i}Volts"): [v] for i, v in enumerate(volts)}
    found = written(
        Data(type="ipimb", fields=fields),
        base=base,
        scale=tuple(-s for s in scale),
        x_scale=x_scale,
        y_scale=y_scale,
    )
    assert found["channels"][0].tolist() == daq == [10.0, 3.0, 0.5, 2.0]
    assert found["sum"] == [15.5]
    assert found["xpos"] == [-3.0 * (3.0 - 2.0) / (3.0 + 2.0)]
    assert found["ypos"] == [2.0 * (10.0 - 0.5) / (10.0 + 0.5)]
