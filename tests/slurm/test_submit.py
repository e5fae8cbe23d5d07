"""What `submit` would give to SLURM, and how the watch remembers; no SLURM needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from smalldata_stream.cli import main, submit_watch
from smalldata_stream.cli.submit_watch import BEGUN, OLD, Watch, alone, recall, remember
from smalldata_stream.errors import OutputError, SmalldataError
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.slurm import Job, SlurmError, mpiexec


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for number in (1, 2, 7):
        simulate(folder, Simulation(events=5, run=number, detectors=("gmd",)))
    return folder


def submit(data: Path, *more: str) -> int:
    return main(["submit", "tutorial", "--exp", "xpptut26", "--dir", str(data), *more])


def dry_run(data: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    assert submit(data, "--dry-run", *more) == 0
    return capsys.readouterr().out.splitlines()


def test_the_script_of_one_run(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [
        "--run",
        "7",
        "--account",
        "lcls:xpptut26",
        "--reservation",
        "beam",
        "-o",
        "h5",
    ]
    lines = dry_run(data, capsys, *asked)
    assert lines[0] == "#!/bin/bash"
    assert lines[1:10] == [
        "#SBATCH --job-name=xpptut26-tutorial-r7",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --account=lcls:xpptut26",
        "#SBATCH --reservation=beam",
        f"#SBATCH --output={tmp_path}/slurm/%x-%j.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "",
    ]
    assert lines[-1].startswith("exec ")
    assert "mpiexec" not in lines[-1]
    assert f"--output {tmp_path}/h5 " in lines[-1]
    assert lines[-1].endswith("--run 7 $how")
    assert list(tmp_path.iterdir()) == []


def test_the_script_of_several_runs_under_mpi(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--run", "1-2,7", "--nodes", "2", "--ntasks-per-node", "60"]
    lines = dry_run(data, capsys, *asked, "--with", "--reader", "psana")
    assert "#SBATCH --array=1,2,7" in lines
    assert "#SBATCH --ntasks-per-node=60" in lines
    assert any(line.endswith("/%x-%A_%a.log") for line in lines)
    assert lines[-1].startswith(f'exec {mpiexec()} -n "$SLURM_NTASKS" ')
    assert lines[-1].endswith('--reader psana --run "$SLURM_ARRAY_TASK_ID" $how')


@pytest.mark.parametrize(
    ("runs", "first"), [([], 8), (["--run", "12,3-4"], 3), (["--exp", "other"], 1)]
)
def test_what_a_watch_would_submit(
    data: Path, capsys: pytest.CaptureFixture[str], runs: list[str], first: int
) -> None:
    """The next run of the experiment, or the first of those that are watched for."""
    assert submit(data, "--watch", "--dry-run", *runs) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[1].endswith(f"-tutorial-r{first}")
    assert lines[-1].endswith(f"--live-files --run {first} $how")
    assert said.err == f"run {first}; every run that appears gets one like it:\n"


def test_the_directory_of_logs_is_taken_as_it_is_called(tmp_path: Path) -> None:
    job = Job(name="x", runs=[4], command=["echo"], logs=tmp_path / "at 50%j")
    assert f"--output='{tmp_path}/at 50%%j/%x-%j.log'" in job.script()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("restarts", [None, 0, 2])
def test_a_restart_finishes_the_file(
    overwrite: bool, restarts: int | None, tmp_path: Path
) -> None:
    script = Job(
        name="x", runs=[4, 5], command=["echo", "a b"], logs=tmp_path, overwrite=overwrite
    ).script()
    set_by_slurm = {"SLURM_ARRAY_TASK_ID": "5"}
    if restarts is not None:
        set_by_slurm["SLURM_RESTART_COUNT"] = str(restarts)
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **set_by_slurm},
        capture_output=True,
        text=True,
        check=True,
    )
    # With both, what this job began is finished, and an older file is replaced.
    how = (" --overwrite" if overwrite else "") + (" --resume" if restarts else "")
    assert done.stdout == f"a b --run 5{how}\n"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ((), "say which runs: --run 12-40,55, or --watch"),
        (("--run", "3-4"), "no data of xpptut26 run 3-4 in "),
        (("--run", "3-4"), "; there are runs 1-2,7"),
        (("--run", "7", "--dir", "nowhere"), "nowhere: no such directory"),
    ],
)
def test_a_mistake_is_told_before_the_queue(
    data: Path, asked: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(data, *asked) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_options_of_run_are_checked_before_the_queue(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        submit(data, "--run", "7", "--with", "--raeder", "psana")
    assert exit_.value.code == 2
    assert "no option --raeder; did you mean --reader?" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["0", "-1", "2.5", "many"])
def test_wrong_numbers_are_usage_errors(data: Path, wrong: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        submit(data, "--run", "7", f"--nodes={wrong}")
    assert exit_.value.code == 2


def test_existing_files_are_not_replaced_by_accident(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "xpptut26_Run0002.h5").touch()
    asked = ("--run", "1-2", "-o", str(tmp_path), "--dry-run")
    assert submit(data, *asked) == 1
    assert "1 of 2 runs (2); write --overwrite" in capsys.readouterr().err
    assert submit(data, *asked, "--overwrite") == 0
    assert "how=--overwrite" in capsys.readouterr().out


def test_a_machine_without_slurm(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert submit(data, "--run", "7") == 1
    assert "there is no sbatch on this machine" in capsys.readouterr().err


class Cluster:
    """Takes jobs, and may refuse them."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.refuses: SmalldataError | None = None

    def give(self, number: int) -> str:
        if self.refuses is not None:
            raise self.refuses
        self.given.append(number)
        return str(100 + number)


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_watch, "queued", lambda name: None)


def watch(
    cluster: Cluster, data: Path, state: Path, runs: tuple[int, ...] | None = None
) -> Watch:
    return Watch(
        exp="xpptut26",
        directory=data,
        state=state,
        runs=runs,
        every_seconds=0.01,
        name="job-{}".format,
        give=cluster.give,
    )


def new_run(folder: Path, number: int) -> None:
    (folder / f"xpptut26-r{number:04d}-s000-c000.xtc2.inprogress").touch()


@pytest.mark.usefixtures("no_queue")
def test_each_new_run_is_given_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, state = Cluster(), tmp_path / "s.json"
    new_run(tmp_path, 3)
    one = watch(cluster, tmp_path, state)
    jobs = one._begin()
    one.look(jobs)
    assert cluster.given == []
    new_run(tmp_path, 4)
    (tmp_path / "other-r0009-s000-c000.xtc2").touch()
    one.look(jobs)
    one.look(jobs)
    assert cluster.given == [4]
    new_run(tmp_path, 5)  # while nobody watches
    again = watch(cluster, tmp_path, state)
    again.look(again._begin())
    assert cluster.given == [4, 5]
    assert recall(state) == {3: OLD, 4: "104", 5: "105"}
    assert "there before, not submitted: run 3" in capsys.readouterr().out


@pytest.mark.usefixtures("no_queue")
def test_named_runs_are_given_also_if_they_are_there(data: Path, tmp_path: Path) -> None:
    cluster = Cluster()
    one = watch(cluster, data, tmp_path / "s.json", runs=(2, 7, 8))
    one.look(one._begin())
    assert cluster.given == [2, 7]


@pytest.mark.usefixtures("no_queue")
def test_a_refused_job_is_tried_again(data: Path, tmp_path: Path) -> None:
    cluster, state = Cluster(), tmp_path / "s.json"
    one = watch(cluster, data, state, runs=(1,))
    jobs = one._begin()
    cluster.refuses = SlurmError("down")
    with pytest.raises(SlurmError):
        one.look(jobs)
    assert recall(state) == {1: BEGUN}
    cluster.refuses = None
    one.look(jobs)
    assert cluster.given == [1]


def test_a_job_that_slurm_has_already_is_not_given_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, state = Cluster(), tmp_path / "s.json"
    remember(state, {1: BEGUN})
    monkeypatch.setattr(submit_watch, "queued", {"job-1": "77"}.get)
    one = watch(cluster, data, state, runs=(1,))
    one.look(one._begin())
    assert cluster.given == []
    assert recall(state) == {1: "77"}


@pytest.mark.usefixtures("no_queue")
@pytest.mark.parametrize("refuses", [SlurmError("down"), OutputError("disk full")])
def test_a_watch_goes_on_while_nothing_can_be_given_and_ends_with_ctrl_c(
    refuses: SmalldataError,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Cluster()
    cluster.refuses = refuses
    looks = iter(range(3))

    def sleep(seconds: float) -> None:
        if next(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("smalldata_stream.cli.submit_watch.time.sleep", sleep)
    assert watch(cluster, data, tmp_path / "s.json", runs=(1,)).follow() == 0
    said = capsys.readouterr()
    assert said.err == f"warning: {refuses}; trying again\n"
    assert "no longer watching" in said.out


def test_only_one_watch_of_the_same_runs(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    with (
        alone(state),
        pytest.raises(SmalldataError, match="another watch"),
        alone(state),
    ):
        pass
    with alone(state):
        pass


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', "nonsense"])
def test_a_memory_that_is_none_is_an_error(text: str, tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    state.write_text(text)
    with pytest.raises(SmalldataError, match="remove it to begin anew"):
        recall(state)
