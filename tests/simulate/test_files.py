"""psana reads from the files what was written into them."""

from __future__ import annotations

import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.errors import OutputError
from smalldata_stream.h5 import read_attributes, read_tree
from smalldata_stream.simulate import DETECTORS, Simulation, simulate
from smalldata_stream.simulate.xtc2_writer import Names, Stream
from tests.simulate.conftest import SMALL, SimulatedRun, recorded

SMDINFO = 1048 + 2 * 524
"""Bytes of the Names of smdinfo, the last thing in Configure."""


def test_psana_sees_the_run_and_its_detectors(small: SimulatedRun) -> None:
    found = small.psana
    assert (found["exp"], found["run"]) == ("xpptut26", 1)
    assert found["detnames"] - {"epicsinfo"} == set(DETECTORS)
    assert list(small.events) == small.truth["pulses/timestamps"].tolist()


def test_every_field_is_what_was_written(small: SimulatedRun) -> None:
    fields = {key for values in small.events.values() for key in values if len(key) == 4}
    fields = {key for key in fields if key[0] in DETECTORS and key[2] != "_xtc"}
    assert fields == small.written.keys()
    for key, by_time in small.written.items():
        read = {t: values[key] for t, values in small.events.items() if key in values}
        assert read.keys() == by_time.keys()
        for timestamp, value in by_time.items():
            np.testing.assert_array_equal(read[timestamp], value, err_msg=str(key))
            assert np.shape(read[timestamp]) == np.shape(value)


def test_nothing_is_damaged(small: SimulatedRun) -> None:
    for detector in ("timing", "jungfrau", "atmopal"):
        assert small.column(detector, 0, "_xtc", "damage") == [0] * 60


def test_types_are_the_data_acquisitions(small: SimulatedRun) -> None:
    (first, *_) = small.events.values()
    types = {
        ("timing", 0, "raw", "sequenceValues"): (np.uint16, (18,)),
        ("timing", 0, "raw", "inhibitCounts"): (np.uint32, (8,)),
        ("fim0", 0, "raw", "raw_7"): (np.uint16, (200,)),
        ("atmopal", 0, "raw", "image"): (np.uint16, (256, 256)),
        ("atmopal", 0, "ttproj", "proj_sig"): (np.float64, (256,)),
        ("jungfrau", 1, "raw", "raw"): (np.uint16, (1, 64, 512)),
    }
    for key, (dtype, shape) in types.items():
        assert (first[key].dtype, first[key].shape) == (dtype, shape)


def test_psana_s_own_methods(small: SimulatedRun) -> None:
    pulses = {name[7:]: v for name, v in small.truth.items() if name.startswith("pulses/")}
    codes = np.array(small.column("timing", "raw", "eventcodes"))
    assert codes.shape == (60, 288)
    expected = np.zeros_like(codes)
    expected[:, 40] = 1
    expected[:, 90], expected[:, 91] = pulses["laser"], ~pulses["laser"]
    expected[:, 162] = ~pulses["xray"]
    np.testing.assert_array_equal(codes, expected)
    destination = np.array(small.column("timing", "raw", "destination"))
    np.testing.assert_array_equal(destination == 3, pulses["xray"])
    assert small.column("timing", "raw", "pulseId") == pulses["pulse_ids"].tolist()
    assert small.column("timing", "raw", "timestamp") == list(small.events)
    assert small.column("fim0", "raw", "raw_all")[0].shape == (8, 200)
    assert small.column("jungfrau", "raw", "raw")[0].shape == (2, 64, 512)


def test_steps_and_the_encoder_that_follows(small: SimulatedRun) -> None:
    times, begun = zip(*small.psana["steps"], strict=True)
    assert list(times) == small.truth["scan/timestamps"].tolist()
    assert [step["step_value"] for step in begun] == [0, 1, 2]
    assert [step["lxt"] for step in begun] == pytest.approx([-0.5e-12, 0.5e-12, 1.5e-12])
    assert begun[1]["step_docstring"] == '{"detname": "scan", "step": 1}'
    steps = [values["step"] for values in small.events.values()]
    assert (
        steps == np.repeat([0, 1, 2], 20).tolist() == small.truth["pulses/steps"].tolist()
    )
    lxt = np.array([values["lxt"] for values in small.events.values()])
    millimetres = np.array(small.column("encoder", "raw", "value"))
    # The laser travels the way of the stage twice.
    delay = (millimetres - 10) * 2e-3 / 299_792_458
    np.testing.assert_allclose(delay, lxt, atol=0.001e-12)


def test_epics_changes_during_the_run(small: SimulatedRun) -> None:
    truth = small.truth
    names = {"sample_x": "sample_x", "attenuator": "attenuator"}
    names["temperature"] = "XPP:SAM:TC:01:TEMP"
    assert len(truth["epics/timestamps"]) == 2
    for timestamp, values in small.events.items():
        last = np.searchsorted(truth["epics/timestamps"], timestamp) - 1
        for name, asked in names.items():
            expected = truth[f"epics/{name}"][last] if last >= 0 else None
            assert values[asked] == expected
    assert {values["attenuator"] for values in small.events.values()} == {
        None,
        "OUT",
        "IN Si 320 µm",
    }


def test_the_slow_camera_comes_with_every_tenth_event(small: SimulatedRun) -> None:
    images = small.column("andor_slow", "raw", "raw")
    there = [i for i, image in enumerate(images) if image is not None]
    assert there == [9, 19, 29, 39, 49, 59]


def smdwriter() -> Path:
    spec = importlib.util.find_spec("psana")
    if spec is None or spec.origin is None:
        pytest.skip("psana is not installed: no smdwriter to compare with")
    return Path(spec.origin).parents[1] / "bin" / "smdwriter"


def test_small_data_files_are_those_of_smdwriter(
    small: SimulatedRun, tmp_path: Path
) -> None:
    program = smdwriter()
    for path in small.files.xtc2:
        theirs = tmp_path / path.name
        subprocess.run(
            [program, "-f", path, "-o", theirs],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
        expected = np.fromfile(theirs, np.uint8)
        smd = path.parent / "smalldata" / path.with_suffix(".smd.xtc2").name
        found = np.fromfile(smd, np.uint8)
        assert len(found) == len(expected)
        different = np.flatnonzero(found != expected)
        # smdwriter leaves a few bytes behind the names of smdinfo as they were in memory.
        end_of_configure = 12 + int(expected[20:24].view("<u4")[0])
        assert len(different) <= 3
        assert np.all(different < end_of_configure)
        assert np.all(different >= end_of_configure - SMDINFO)


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path) -> None:
    def bytes_of(name: str, **more: Any) -> list[bytes]:
        shape = (1, 64, 128)
        simulation = Simulation(events=40, jungfrau_shape=shape, **more)
        files = simulate(tmp_path / name, simulation)
        return [path.read_bytes() for path in files.xtc2]

    one = bytes_of("one")
    assert bytes_of("two") == one
    other = bytes_of("three", seed=1)
    assert all(a != b for a, b in zip(one, other, strict=True))


def test_a_detector_does_not_depend_on_the_others(
    small: SimulatedRun, tmp_path: Path
) -> None:
    chosen = ("gmd", "andor_slow", "jungfrau")
    _, written = recorded(tmp_path, replace(SMALL, detectors=chosen))
    assert {key[0] for key in written} == set(chosen)
    for key, by_time in written.items():
        assert by_time.keys() == small.written[key].keys()
        for timestamp, value in by_time.items():
            np.testing.assert_array_equal(value, small.written[key][timestamp])


def test_truth_has_the_parameters_and_units(small: SimulatedRun) -> None:
    parameters = read_attributes(small.files.truth)
    assert parameters["seed"] == 5
    assert list(parameters["detectors"]) == list(DETECTORS)
    assert read_attributes(small.files.truth, "pulses/delay_ps") == {"unit": "ps"}
    assert len(read_tree(small.files.truth, "pulses")["energy_mj"]) == 60


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    few = Simulation(events=2, steps=1, detectors=("gmd",))
    simulate(tmp_path, few)
    with pytest.raises(OutputError, match=r"xpptut26-r0001-.* exists"):
        simulate(tmp_path, few)
    with pytest.raises(OutputError, match="cannot be written"):
        simulate(tmp_path / "smalldata" / "xpptut26-r0001-s000-c000.smd.xtc2", few)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_of_a_run_that_is_not_finished_nothing_is_left(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    few = Simulation(events=2, steps=1, detectors=("gmd",))
    other = simulate(tmp_path, replace(few, run=2))
    with monkeypatch.context() as patch:
        patch.setattr("smalldata_stream.simulate.run.write_truth", fails)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            simulate(tmp_path, few)
    assert not list(tmp_path.rglob("xpptut26-r0001-*"))
    assert all(path.exists() for path in (*other.xtc2, other.truth, other.constants))
    assert simulate(tmp_path, few).truth.exists()


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'jungfrau'"):
        Simulation(detectors=("jungfrua",))
    with pytest.raises(ValueError, match="steps=5 and events=4"):
        Simulation(events=4, steps=5)
    with pytest.raises(ValueError, match="rate_hz"):
        Simulation(rate_hz=0)
    with pytest.raises(ValueError, match="seed=-1"):
        Simulation(seed=-1)
    with pytest.raises(ValueError, match="'gmd' is named twice"):
        Simulation(detectors=("gmd", "timing", "gmd"))


def test_values_of_another_rank_are_refused(tmp_path: Path) -> None:
    names = Names(
        detector="cam", type="axis", algorithm="raw", version=(1, 0, 0),
        fields={"value": ("u2", 2)},
    )  # fmt: skip
    with Stream(tmp_path / "a", tmp_path / "b", [names]) as stream:
        stream.configure(1)
        with pytest.raises(ValueError, match=r"cam\.raw\.value has rank 2"):
            stream.events(np.array([2]), [(names, {"value": np.zeros((4, 4))})])
