"""The newest event of a record, detector by detector."""

from __future__ import annotations

import numpy as np
import pytest

from sinks.zmq_record import messages_of_record
from smalldata_stream.batch import STRING, Column, Frames, Ragged
from smalldata_stream.message import Message
from smalldata_stream.protocols import Spec

TIMESTAMPS = np.array([10, 20, 2**63 + 30], np.uint64)


def messages(record: dict[str, Column], **units: str) -> dict[str, Message]:
    outputs = {
        p: Spec(dtype=c.values.dtype, unit=units.get(p, "")) for p, c in record.items()
    }
    made = messages_of_record(TIMESTAMPS, record, outputs, {"run": 3})
    return {topic: make() for topic, make in made}


@pytest.mark.parametrize("dtype", ["u1", "u2", "u8", "i4", "i8", "f4", "f8", "?"])
def test_the_newest_event_with_its_dtype(dtype: str) -> None:
    values = np.array([0, 0, 1]).astype(dtype)
    message = messages({"gmd/energy": Column(values)})["gmd"]
    got = message.arrays["energy"]
    assert (got.dtype, got.shape, got.item()) == (np.dtype(dtype), (), 1)
    assert message.metadata["timestamp"] == 2**63 + 30
    assert type(message.metadata["timestamp"]) is int
    assert message.metadata["run"] == 3


def test_a_gap_is_absence_and_never_another_event() -> None:
    gap = np.array([True, True, False])
    found = messages({
        "gmd/energy": Column(np.array([1.0, 2.0]), gap),
        "cam/sum": Column(np.array([1.0, 2.0]), gap),
        "cam/max": Column(np.array([5.0, 6.0, 7.0])),
        "opal/sum": Column(np.empty(0), np.zeros(3, bool)),
    })  # fmt: skip
    assert found.keys() == {"gmd", "cam"}
    assert found["gmd"].metadata["timestamp"] == 20
    assert found["gmd"].arrays["energy"] == 2.0
    assert found["cam"].metadata["timestamp"] == 2**63 + 30
    assert dict(found["cam"].arrays) == {"max": 7.0}


def test_arrays_text_and_variable_length_but_no_frames() -> None:
    found = messages({
        "cam/projection": Column(np.arange(6).reshape(3, 2)),
        "cam/calib": Column(Frames([np.zeros((4, 4))] * 3)),
        "hsd/var_peaks/x": Column(Ragged.of([np.arange(2), np.arange(1), np.arange(3)])),
        "scan/name": Column(np.array(["a", "b", "fluence"], STRING)),
        "evr": Column(np.array([1, 2, 3])),
    })  # fmt: skip
    assert found["cam"].arrays.keys() == {"projection"}
    assert found["cam"].arrays["projection"].tolist() == [4, 5]
    assert found["hsd"].arrays["var_peaks/x"].tolist() == [0, 1, 2]
    assert found["scan"].arrays["name"].item() == "fluence"
    assert found["evr"].arrays["evr"] == 3


def test_what_is_made_outlives_the_batch() -> None:
    values = np.array([[1.0, 2.0]] * 3)
    outputs = {"cam/line": Spec(dtype=values.dtype, shape=(2,), unit="adu")}
    made = messages_of_record(TIMESTAMPS, {"cam/line": Column(values)}, outputs, {})
    ((topic, make),) = made
    values[:] = 0
    message = make()
    assert (topic, message.metadata["units"]) == ("cam", {"line": "adu"})
    assert message.arrays["line"].tolist() == [1.0, 2.0]
