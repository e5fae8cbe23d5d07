"""Several runs by one command."""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream.cli import main, many_runs
from smalldata_stream.cli.run_list import as_text, run_list
from smalldata_stream.simulate import Simulation, simulate

GRAPH = """
def graph(g, run):
    g.detector("gmd")
    if run.number == 4:
        g.detector("nowhere")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for number in (1, 2, 4):
        simulate(folder, Simulation(events=20, run=number, detectors=("gmd",)))
    (folder / "graph.py").write_text(GRAPH)
    return folder


def run(data: Path, runs: str, *more: str) -> int:
    where = ["--exp", "xpptut26", "--run", runs, "--dir", str(data)]
    return main(["run", str(data / "graph.py"), *where, *more])


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("7", (7,)),
        ("12-14,55", (12, 13, 14, 55)),
        ("3, 1 - 2", (3, 1, 2)),
        ("5-5", (5,)),
    ],
)
def test_a_list_of_runs(text: str, runs: tuple[int, ...]) -> None:
    assert run_list(text) == runs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing between two commas, or at an end, in ''"),
        ("12,", "at an end, in '12,'"),
        ("12-", "'12-' in '12-' is no run"),
        ("-3", "'-3' in '-3' is no run"),
        ("12-x", "write runs and ranges, as in 12-40,55"),
        ("1.5", "'1.5' in '1.5' is no run"),
        ("40-12", "runs backwards; write 12-40"),
        ("12-14,13", "run 13 is named twice, by '12-14' and '13'"),
        ("1-999999999999", "more than 10,000 runs"),
        ("٣", "is no run"),
    ],
)
def test_what_is_no_list_of_runs(text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        run_list(text)
    assert says in str(error.value)


@given(st.lists(st.integers(0, 99), unique=True, min_size=1))
def test_runs_as_text_are_a_list_of_the_same_runs(runs: list[int]) -> None:
    assert run_list(as_text(runs)) == tuple(runs)


def test_one_output_per_run_and_failures_at_the_end(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(data, "1-4") == 1
    said = capsys.readouterr()
    end = said.err.splitlines()[-3:]
    assert end[0] == "failed:"
    assert end[1].startswith("  run 3: no run 3 of xpptut26 in ")
    assert end[2].startswith("  run 4: ")
    assert "graph.py:5: no detector 'nowhere'" in end[2]
    assert said.out.splitlines()[-1] == "2 of 4 runs done"
    names = [f"xpptut26_Run{n:04d}.h5" for n in (1, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        with h5py.File(tmp_path / name) as f:
            assert f["timestamp"].shape == (20,)


def test_all_well_is_zero(data: Path, tmp_path: Path) -> None:
    assert run(data, "2,1", "-o", str(tmp_path)) == 0
    assert len(list(tmp_path.glob("xpptut26_Run000[12].h5"))) == 2
    assert run(data, "1,2", "-o", str(tmp_path / "a.h5")) == 0
    assert len(list(tmp_path.glob("a_Run000[12].h5"))) == 2


def test_a_wrong_list_is_a_usage_error(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(data, "40-12")
    assert exit_.value.code == 2
    assert "argument --run: the range 40-12 runs backwards" in capsys.readouterr().err


def test_ctrl_c_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    def reduce_one(options: argparse.Namespace) -> int:
        if options.run == 6:
            raise KeyboardInterrupt
        return 0

    options = argparse.Namespace(run=(5, 6, 7, 9), output=None)
    with pytest.raises(KeyboardInterrupt):
        many_runs.each_run(options, reduce_one)
    said = capsys.readouterr()
    assert said.out == "1 of 1 run done\n"
    assert said.err == "not done: 6-7,9\n"


def test_damaged_data_in_one_run_is_the_exit_code_of_all() -> None:
    codes = {1: 0, 2: 3, 3: 0}
    options = argparse.Namespace(run=(1, 2, 3), output=None)
    assert many_runs.each_run(options, lambda one: codes[one.run]) == 3
