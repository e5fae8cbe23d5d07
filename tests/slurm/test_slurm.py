"""Jobs in a real SLURM: from the graph file to the HDF5 file."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from smalldata_stream.cli import main
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.slurm import Job, submit
from tests.mpi.case import Case, check
from tests.mpi.jobs import BIN, ROOT
from tests.slurm.cluster import (
    cluster,
    command,
    environment_of,
    missing,
    state_of,
    wait_for,
)

GRAPH = """
def graph(g, run):
    g.detector("gmd")
"""

LOGS = 'lo%jgs of d\'x "y" $HOME'

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with cluster(tmp_path_factory.mktemp("slurm")) as conf:
        yield conf


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "the data"
    for number in (1, 2):
        add_run(folder, number)
    return folder


def add_run(folder: Path, number: int) -> None:
    simulate(folder, Simulation(events=20, run=number, detectors=("gmd",)))


def graph_in(folder: Path) -> Path:
    path = folder / "my graph.py"
    path.write_text(GRAPH)
    return path


def test_a_range_of_runs_becomes_files(
    slurm: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm))
    monkeypatch.chdir(tmp_path)
    where = ["--exp", "xpptut26", "--run", "1-3", "--dir", str(data), "-o", "out put"]
    asked = ["--account", "lcls:xpptut26", "--partition", "main", "--time", "5"]
    asked += ["--logs", LOGS]
    assert main(["submit", str(graph_in(tmp_path)), *where, *asked]) == 0
    said = capsys.readouterr()
    assert said.err == "no data, left out: run 3\n"
    match = re.match(r"job (\d+): xpptut26 run 1-2", said.out)
    assert match
    wait_for(lambda: state_of(slurm, match[1]) == {"COMPLETED"})
    for number in (1, 2):
        with h5py.File(tmp_path / "out put" / f"xpptut26_Run{number:04d}.h5") as f:
            assert f["timestamp"].shape == (20,)
            assert f.attrs["complete"]
    logs = sorted((tmp_path / LOGS).glob("xpptut26-my_graph-*.log"))
    assert len(logs) == 2
    assert all("The ledger closes" in log.read_text() for log in logs)


def test_slurm_says_no(
    slurm: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm))
    monkeypatch.chdir(tmp_path)
    where = ["--exp", "xpptut26", "--run", "1", "--dir", str(data)]
    asked = ["--partition", "nowhere"]
    assert main(["submit", str(graph_in(tmp_path)), *where, *asked]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: SLURM refused: sbatch: error: ")
    assert "invalid partition" in said
    assert said.count("\n") == 1


def test_a_job_for_every_new_run_also_after_a_restart(
    slurm: Path, data: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "smalldata_stream.cli", "submit"]
    words += [str(graph_in(tmp_path)), "--watch", "--every", "0.1"]
    words += ["--exp", "xpptut26", "--dir", str(data)]

    def watch_until(sign: Path) -> str:
        process = subprocess.Popen(
            words,
            cwd=tmp_path,
            env=environment_of(slurm),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for(lambda: sign.exists() or process.poll() is not None)
        finally:
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        assert process.returncode == 0, out
        return out

    out = watch_until(tmp_path / "slurm" / "xpptut26-my_graph-submitted.json")
    assert "there before, not submitted: run 1-2\n" in out
    add_run(data, 5)  # while nobody watches
    out = watch_until(tmp_path / "xpptut26_Run0005.h5")
    assert len(re.findall(r"^job \d+: ", out, re.MULTILINE)) == 1
    assert "xpptut26 run 5" in out
    assert [path.name for path in tmp_path.glob("*.h5")] == ["xpptut26_Run0005.h5"]


@pytest.mark.slow  # SLURM waits before it starts a job again
@pytest.mark.skipif(not (BIN / "mpiexec").exists(), reason="no mpiexec: install mpich")
def test_put_back_into_the_queue_a_job_goes_on_where_it_was(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    output = results / "out.h5"
    run, graph, *options = map(str, ("run", *case.arguments(output)))
    del options[options.index("--run") : options.index("--run") + 2]  # the script has it
    job = Job(
        name="requeued",
        runs=[1],
        command=[sys.executable, "-m", "tests.mpi.program", run, graph, *options],
        logs=tmp_path,
        tasks_per_node=2,
    )
    script = tmp_path / "job.sh"
    script.write_text(job.script())
    for name, value in {"SLURM_CONF": str(slurm), "DIE": "0:4:requeue"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    number = submit(script)
    log = tmp_path / f"requeued-{number}.log"
    wait_for(lambda: "Restarts=1" in command(slurm, "scontrol", "show", "job", number))
    wait_for(lambda: state_of(slurm, number) & {"COMPLETED", "FAILED"})
    said = log.read_text()
    assert state_of(slurm, number) == {"COMPLETED"}, said
    assert re.search(r"resumed: [1-9]\d* of 15 blocks were done before", said)
    check(case, output)
