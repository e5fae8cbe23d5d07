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
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from tests.processes import PATIENCE, started, until

COMMAND = [sys.executable, "-m", "smalldata_stream.cli"]
SMALL = Simulation(events=60, detectors=("timing", "gmd", "encoder"))

GRAPH = """
def graph(g, run):
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    gmd = g.detector("gmd")
    g.scan()
    g.keep(light["xray"], why="no X-rays")
    g.function(lambda e: 2 * e, gmd["energy"], name="gmd/twice", unit="mJ")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), SMALL)


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def where(run: SimulatedFiles) -> tuple[object, ...]:
    return ("--exp", SMALL.exp, "--run", SMALL.run, "--dir", run.directory)


def graph(folder: Path, text: str = GRAPH) -> Path:
    path = folder / "my_graph.py"
    path.write_text(text)
    return path


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


def test_run_never_overwrites_by_itself(run: SimulatedFiles, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    output.write_text("precious")
    arguments = ("run", graph(tmp_path), *where(run), "-o", output)
    done = command(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "overwrite" in done.stderr
    assert output.read_text() == "precious"
    assert command(*arguments, "--overwrite", cwd=tmp_path).returncode == 0
    assert h5py.is_hdf5(output)


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("run", "tutorail", "--exp", "x", "--run", 1, "--dir", "."),
            "did you mean 'tutorial'",
        ),
        (("run", "./none.py", "--exp", "x", "--run", 1, "--dir", "."), "no graph file"),
        (("run", "tutorial"), "say which run"),
        (("run", "tutorial", "--exp", "x", "--run", 1, "--dir", "nowhere"), "nowhere"),
        (("describe", "--files", "none.xtc2"), "none.xtc2"),
        (("demo", "here", "--events", 9), "the demo needs 10 events or more"),
        (("simulate", ".", "--detectors", "jungfrua"), "did you mean 'jungfrau'"),
        (("simulate", ".", "--events", 0), "events"),
        (("simulate", ".", "--exp", "a/b"), "exp='a/b': write letters and digits"),
        (("simulate", ".", "--run", 10**6), "run=1000000: write a number from 0"),
        (("play", "--tag", "a b", "--files", "x.xtc2"), "x.xtc2: no such file"),
        (("describe", "--exp", "x", "--run", 1), "or --files; --dir is missing"),
        (("describe", "--files", "."), ".: a directory; give the files in it"),
        (("live", "tutorial"), "say which run: --shmem TAG"),
        (("live", "tutorial", "--workers", 2), "--workers needs --shmem"),
        (("live", "tutorial", "--shmem", "x", "--exp", "x"), "give either --shmem"),
        (("live", "tutorial", "--shmem", "x", "--live-files"), "--live-files and --reader"),
        (("live", "tutorial", "--shmem", "x", "--reader", "psana"), "are of files"),
        (("import-config", "no.py"), "no.py: cannot be read: No such file or directory\n"),
        (("center", "x.h5", "a", "--radius", 30, 20), "the least, then the largest"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: tuple[object, ...], says: str, tmp_path: Path
) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", ["constants dark", "constants fetch", "basis gmd.energy", "live tutorial"]
)
def test_a_wrong_path_is_told_before_the_work(
    words: str, run: SimulatedFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(run.directory / "none" / "x.h5")
    assert main([*words.split(), *map(str, where(run)), "-o", output]) == 1
    assert capsys.readouterr().err == (
        f"error: no directory {run.directory / 'none'}, where x.h5 is to go\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--channel 9", "--channel 9: gmd.energy has 0 to 0"),
        ("--roi 5 2", "--roi=[5, 2]: write [first, last]"),
    ],
)
def test_a_basis_of_what_is_not_there(
    words: str,
    says: str,
    run: SimulatedFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command_line = ["basis", "gmd.energy", *map(str, where(run)), *words.split()]
    assert main([*command_line, "-o", str(tmp_path / "basis.h5")]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def graph(g, run):\n    g.detector('gmdd')\n", ":2: no detector 'gmdd'"),
        (
            "def graph(g, run):\n    g.detctor('gmd')\n",
            ":2: g has no word 'detctor'; did you mean 'detector'",
        ),
        ("def graph(g):\n    pass\n", ":1: graph(g): write graph(g, run)"),
        ("def graph(g, run)\n    pass\n", ":1: not Python"),
        ("import nonsense\n", ":1: ModuleNotFoundError"),
        (
            "def graph(g, run):\n    g.detector('gmd')['energy'].photons()\n",
            ":2: photons needs adu_per_photon; its parameters are: ",
        ),
        (
            "def graph(g, run):\n    g.function(max, g.detector('gmd')['energy'],"
            " name='x')\n",
            ":2: name='x': write group/name",
        ),
        (
            "def graph(g, run):\n    f = lambda a, b: a\n"
            "    g.function(f, g.detector('gmd')['energy'], name='gmd/x')\n",
            ":3: function 'x' takes (a, b), and gets 1 value, one for each input",
        ),
        ("x = 1\n", "has no function graph(g, run)"),
        (
            "from functools import partial\ngraph = partial(lambda a, b, c: None)\n",
            ":1: graph(a, b, c): write graph(g, run)",
        ),
    ],
)
def test_a_wrong_graph_file_names_the_line(
    run: SimulatedFiles, text: str, says: str, tmp_path: Path
) -> None:
    done = command("check", graph(tmp_path, text), *where(run), cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run tutorial --raeder psana", "no option --raeder; did you mean --reader?"),
        ("rnu tutorial", "did you mean run?"),
        ("run tutorial --reader psanna", "did you mean psana?"),
        ("run tutorial more", "'more' is too much"),
        ("run tutorial --max-failures 20", "such as 0.2 for 20 %"),
        ("run tutorial --live-files -3", "write a number above 0"),
        ("describe --run 12-40", "write the number of one run, such as 12"),
        ("live tutorial --rate 0", "write a number above 0"),
        ("live tutorial --publish here:5556", "write tcp://HOST:PORT"),
        ("live tutorial --publish tcp://127.0.0.1:99999", "write tcp://HOST:PORT"),
        ("live tutorial --metrics 99999", "write a port"),
        ("live tutorial --metrics :9300", "write PORT, or HOST:PORT"),
        ("live tutorial --psplot 0", "write a port, 1 to 65534"),
        ("live tutorial --psplot 65535", "write a port, 1 to 65534"),
        ("constants fetch --ouptut x", "no option --ouptut; did you mean --output?"),
        ("demo --events 0", "write a whole number, 1 or more"),
        ("center x.h5 a --percentile 120", "from 0 to 100"),
    ],
)
def test_a_wrong_command_line_says_what_to_write(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_metrics_are_served_where_they_are_asked_for(
    run: SimulatedFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["live", str(graph(tmp_path)), "--publish", "tcp://127.0.0.1:*", "--metrics"]
    assert main([*words, "127.0.0.2:0", *map(str, where(run))]) == 0
    assert "metrics:   http://127.0.0.2:" in capsys.readouterr().out
    assert main([*words, "0", *map(str, where(run))]) == 0
    assert "metrics:   http://127.0.0.1:" in capsys.readouterr().out


def test_a_directory_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refused)  # to root, nothing is forbidden
    assert main(["describe", "--exp", "x", "--run", "1", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: Permission denied\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_cannot_be_printed_is_told(run: SimulatedFiles, tmp_path: Path) -> None:
    words = ["describe", *map(str, where(run))]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "smalldata_stream.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: what is printed cannot be written: No space left on device\n"
    )


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


FAILING = """
def no_light(energy):
    raise ValueError("dark")

def graph(g, run):
    g.function(no_light, g.detector("gmd")["energy"], name="gmd/light")
"""


def test_a_node_that_fails_too_often_is_told_with_its_line(
    run: SimulatedFiles, tmp_path: Path
) -> None:
    path = graph(tmp_path, FAILING)
    arguments = ("run", path, *where(run), "-o", tmp_path / "x.h5")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert f"ValueError: dark ({path}:3); --max-failures 1 goes on" in done.stderr
    assert done.stderr.count("\n") == 1
    done = command(*arguments, "--max-failures", 1, cwd=tmp_path)
    assert done.returncode == 0
    assert "failed: 15 more of these, see /ledger/dead_letters" in done.stdout


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
