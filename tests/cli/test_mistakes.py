"""What a person writes wrongly, or may not do: one line says what to write instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from smalldata_stream.cli import main
from smalldata_stream.simulate import SimulatedFiles
from tests.cli.commands import command, graph, where

FAILING = """
def no_light(energy):
    raise ValueError("dark")

def graph(g, run):
    g.function(no_light, g.detector("gmd")["energy"], name="gmd/light")
"""


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
