"""A real SLURM of one node, on loopback, in a directory of its own, for a bounded time."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

LIFE_SECONDS = 900
PATIENCE_SECONDS = 200.0
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=20
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 Port={daemon} CPUs=2 RealMemory=500 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What of SLURM this machine has not got; empty where all is there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        return f"no {', '.join(absent)}: install the packages slurm-wlm and munge"
    return "" if os.geteuid() == 0 else "slurmd starts jobs as root only"


@contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """SLURM and its munge; gives the path for ``SLURM_CONF``."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        controller, daemon = one.getsockname()[1], two.getsockname()[1]
    key = folder / "munge.key"
    key.write_bytes(os.urandom(256))
    key.chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            folder=folder,
            controller=controller,
            daemon=daemon,
        )
    )
    munge = ["munged", "--foreground", "--force", f"--key-file={key}"]
    for what in ("socket", "seed", "pid", "log"):
        option = "socket" if what == "socket" else f"{what}-file"
        munge.append(f"--{option}={folder}/munge.{what}")
    with ExitStack() as stack:
        stack.enter_context(started(munge, folder))
        wait_for((folder / "munge.socket").exists)
        stack.enter_context(started(["slurmctld", "-D"], folder, conf))
        stack.enter_context(started(["slurmd", "-D"], folder, conf))
        wait_for(lambda: "idle" in command(conf, "sinfo", "--noheader"))
        yield conf
        command(conf, "scancel", "--me")
        wait_for(lambda: not command(conf, "squeue", "--noheader"))


@contextmanager
def started(words: list[str], folder: Path, conf: Path | None = None) -> Iterator[None]:
    environment = environment_of(conf)
    environment["PATH"] += ":/usr/sbin:/sbin"
    with (folder / f"{words[0]}.out").open("wb") as out:
        process = subprocess.Popen(
            ["timeout", "--signal=KILL", str(LIFE_SECONDS), *words],
            stdout=out,
            stderr=out,
            env=environment,
            cwd=folder,
        )
    try:
        yield
    finally:
        process.terminate()  # timeout hands the signal on
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment_of(conf: Path | None) -> dict[str, str]:
    return {**os.environ, **({} if conf is None else {"SLURM_CONF": str(conf)})}


def command(conf: Path, *words: str) -> str:
    """What a SLURM command prints; empty while the controller does not answer."""
    done = subprocess.run(
        words,
        env=environment_of(conf),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def state_of(conf: Path, job: str) -> set[str]:
    """The states of a job and of all jobs of its array."""
    said = command(conf, "scontrol", "show", "job", job).split()
    return {w.removeprefix("JobState=") for w in said if w.startswith("JobState=")}


def wait_for(ask: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not ask():
        assert time.monotonic() < ends, f"nothing within {PATIENCE_SECONDS} s"
        time.sleep(0.1)
