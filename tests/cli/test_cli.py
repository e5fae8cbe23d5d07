"""The command as a person meets it: in a process of its own, on a simulated run."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import h5py
import pytest

from smalldata_stream.cli import COMMANDS, main
from smalldata_stream.h5 import read_tree
from smalldata_stream.simulate import SimulatedFiles
from tests.cli.commands import COMMAND, GRAPH, SMALL, command, graph, where
from tests.processes import PATIENCE, started, until


def test_run_writes_a_file_and_tells_the_ledger(
    run: SimulatedFiles, tmp_path: Path
) -> None:
    done = command("run", graph(tmp_path), *where(run), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"60 +read\n", done.stdout)
    assert re.search(r"6 +filtered +no X-rays", done.stdout)
    assert "The ledger closes" in done.stdout
    with h5py.File(tmp_path / "xpptut26_Run0001.h5") as f:
        assert f["timestamp"].shape == (54,)
        assert (f["gmd/twice"][:] == 2 * f["gmd/energy"][:]).all()
        assert f["gmd/twice"].attrs["units"] == "mJ"
        assert f["lightStatus/xray"][:].all()


def test_check_shows_datasets_and_draws(run: SimulatedFiles, tmp_path: Path) -> None:
    svg = tmp_path / "graph.svg"
    done = command("check", graph(tmp_path), *where(run), "--svg", svg, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"/gmd/twice +float64 +mJ +8\n", done.stdout)
    assert re.search(r"/lightStatus/xray +bool +1\n", done.stdout)
    texts = [e.text for e in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"events", "gmd", "gmd/twice", "lightStatus"} <= set(texts)
    assert not list(tmp_path.glob("*.h5"))


def test_check_fits_a_terminal_and_hides_no_name(
    run: SimulatedFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "twice_the_pulse_energy_of_the_gas_monitor_upstream_of_the_attenuator"
    text = f"""
def graph(g, run):
    g.defaults("xpp")
    twice = g.function(lambda e: 2 * e, g.gmd()["energy"], name="gmd/{long}", unit="mJ")
    twice.plot.scan("scan/lxt")
"""
    words = map(str, ["check", graph(tmp_path, text), *where(run)])
    assert main([*words]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100
    assert re.search(rf"\n/gmd/{long}\n +float64 +mJ +8\n", said)
    assert re.search(
        rf"\n/plots/gmd/{long}_scan/position\n +\(first event\) +float64", said
    )
    assert re.search(r"\n/gmd/energy +float64 +mJ +8\n", said)
    (_, _, dropped) = said.partition("epics: no EPICS variable ")
    names = " ".join(dropped.partition("\ndropped")[0].split()).split(", ")
    assert {"att_T", "gon_kappa_samz", "las_drift_correction"} <= set(names)


def test_describe_tells_what_a_run_holds(run: SimulatedFiles, tmp_path: Path) -> None:
    done = command("describe", *where(run), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "xpptut26 run 1: 60 events" in done.stdout
    assert re.search(r"gmd +gmd +raw.energy +float64", done.stdout)
    assert re.search(r"timing +ts +raw.pulseId +uint64", done.stdout)


def test_nobody_reads_what_is_printed(run: SimulatedFiles, tmp_path: Path) -> None:
    words = [*COMMAND, "describe", *where(run)]
    with started(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 141


def test_simulate_writes_a_run(tmp_path: Path) -> None:
    done = command("simulate", "here", "--events", 20, "--detectors", "gmd", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / "xpptut26-r0001-s000-c000.xtc2").exists()
    assert "xpptut26-r0001-truth.h5" in done.stdout


def test_metrics_are_served_where_they_are_asked_for(
    run: SimulatedFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["live", str(graph(tmp_path)), "--publish", "tcp://127.0.0.1:*", "--metrics"]
    assert main([*words, "127.0.0.2:0", *map(str, where(run))]) == 0
    assert "metrics:   http://127.0.0.2:" in capsys.readouterr().out
    assert main([*words, "0", *map(str, where(run))]) == 0
    assert "metrics:   http://127.0.0.1:" in capsys.readouterr().out


def test_ctrl_c_while_a_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupted)
    assert main(["run", "tutorial"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_demo_replaces_its_own_run_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalldata_stream.cli.demo.reduce_and_draw", lambda *_: None)
    theirs = tmp_path / "xtc" / "xpp12345-r0001-s000-c000.xtc2"
    theirs.parent.mkdir()
    theirs.write_bytes(b"data of an experiment")
    for events in (10, 12):  # the second over the first
        assert main(["demo", str(tmp_path), "--events", str(events)]) == 0
    assert theirs.read_bytes() == b"data of an experiment"
    truth = read_tree(tmp_path / "xtc" / "xpptut26-r0001-truth.h5", "pulses")
    assert len(truth["timestamps"]) == 12


def test_the_demo_says_at_once_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("smalldata_stream.cli.demo.find_spec", lambda name: None)
    assert main(["demo", str(tmp_path / "here")]) == 1
    assert "its extras demo and plots" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_of_a_command_loads_nothing_that_takes_long(tmp_path: Path) -> None:
    asks = """
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from smalldata_stream.cli import COMMANDS, main
from smalldata_stream.h5 import read_tree
for name in COMMANDS:
    with suppress(SystemExit), redirect_stdout(StringIO()) as said:
        main([name, "--help"])
    assert "usage" in said.getvalue(), name
    slow = {"numba", "streamz", "psana", "scipy", "matplotlib", "bokeh", "mpi4py"}
    print(name, *sorted(slow & sys.modules.keys()))
"""
    words = [sys.executable, "-c", asks]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(COMMANDS)


def test_help_knows_every_command(tmp_path: Path) -> None:
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^ +{name}\s+\w", done.stdout, re.MULTILINE)


def test_damaged_data_end_with_their_own_exit_code(
    run: SimulatedFiles, tmp_path: Path
) -> None:
    whole = run.xtc2[0].read_bytes()
    cut = tmp_path / run.xtc2[0].name
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    arguments = ("run", graph(tmp_path), "--files", cut, "-o", tmp_path / "out.h5")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "damaged data" in done.stdout
    with h5py.File(tmp_path / "out.h5") as f:
        assert 20 <= len(f["timestamp"]) < 54


def test_ctrl_c_inside_an_exec_has_the_same_exit_code(
    run: SimulatedFiles, tmp_path: Path
) -> None:
    struck = "exec('import signal; signal.raise_signal(signal.SIGINT)')"
    done = command("check", graph(tmp_path, struck), *where(run), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_ctrl_c_ends_quietly_and_leaves_no_output(
    run: SimulatedFiles, tmp_path: Path
) -> None:
    slow = GRAPH.replace("2 * e", "__import__('time').sleep(60)")
    words = [*COMMAND, "run", graph(tmp_path, slow), *where(run)]
    with started(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: list(tmp_path.glob(".*.parts")))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (tmp_path / "xpptut26_Run0001.h5").exists()


@pytest.mark.parametrize("kept", [False, True])
def test_ctrl_c_says_how_to_go_on_where_something_is_done(
    kept: bool,
    run: SimulatedFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*job: object) -> None:
        if kept:
            (tmp_path / ".out.h5.parts").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("smalldata_stream.cli.reduce.reduce_blocks", interrupted)
    words = ["run", graph(tmp_path), *where(run), "-o", tmp_path / "out.h5"]
    assert main([str(word) for word in words]) == 130
    assert ("--resume goes on from here" in capsys.readouterr().err) is kept


def test_a_growing_run_is_followed_to_its_end(run: SimulatedFiles, tmp_path: Path) -> None:
    whole = run.xtc2[0].read_bytes()
    growing = tmp_path / "data" / f"{run.xtc2[0].name}.inprogress"
    growing.parent.mkdir()
    growing.write_bytes(whole[: len(whole) // 2])
    where = ("--exp", SMALL.exp, "--run", SMALL.run, "--dir", growing.parent)
    words = ["run", graph(tmp_path), *where, "--live-files", "-o", tmp_path / "out.h5"]
    with started([*COMMAND, *words], stdout=subprocess.PIPE) as process:
        until(lambda: list(tmp_path.glob(".*.parts")))
        assert process.poll() is None
        with growing.open("ab") as file:
            file.write(whole[len(whole) // 2 :])
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert re.search(r"60 +read\n", out)


def test_a_run_that_falls_silent_is_given_up(run: SimulatedFiles, tmp_path: Path) -> None:
    whole = run.xtc2[0].read_bytes()
    growing = tmp_path / f"{run.xtc2[0].name}.inprogress"
    growing.write_bytes(whole[: len(whole) // 2])
    where = ("--exp", SMALL.exp, "--run", SMALL.run, "--dir", tmp_path)
    done = command("run", graph(tmp_path), *where, "--live-files", 1, cwd=tmp_path)
    assert done.returncode == 1
    assert growing.name in done.stderr
    assert done.stderr.count("\n") == 1
