"""The machine's own MPI, where it has one: its launcher, its library, the same bits."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mpi.case import Case, check
from tests.mpi.jobs import BIN, ROOT, environment, job

OPEN_MPI, MPICH = "mpiexec.openmpi", "mpiexec.mpich"
PACKAGES = {OPEN_MPI: "openmpi-bin", MPICH: "mpich"}

pytestmark = pytest.mark.slow


@pytest.fixture(params=[OPEN_MPI, MPICH])
def launcher(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need(name)
    return name


def need(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name}: install the package {PACKAGES[name]}")


@pytest.fixture
def settings(launcher: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the environment must say, as docs/batch.md tells."""
    if launcher == OPEN_MPI:  # more ranks than cores, and as root, are this test's wish
        allow = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
        return {**dict.fromkeys(allow, "1"), "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    # Debian's library has another name than all others of MPICH's family.
    (library,) = Path("/usr/lib").glob("*/libmpich.so.12")
    folder = tmp_path_factory.mktemp("lib")
    (folder / "libmpi.so.12").symlink_to(library)
    return {"LD_LIBRARY_PATH": str(folder), "MPI4PY_LIBMPI": "libmpi.so.12"}


LIBRARIES = """
from smalldata_stream.modes.ranks import ranks
ranks()
print({line.split()[-1] for line in open("/proc/self/maps") if "/libmpi" in line})
"""


def test_the_library_is_the_machines(launcher: str, settings: dict[str, str]) -> None:
    done = subprocess.run(
        [launcher, "-n", "1", sys.executable, "-c", LIBRARIES],
        env=environment() | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "/usr/lib" in done.stdout
    assert "site-packages" not in done.stdout
    assert str(BIN.parent / "lib") not in done.stdout


def test_the_same_bits(
    case: Case, tmp_path: Path, launcher: str, settings: dict[str, str]
) -> None:
    output = tmp_path / "out.h5"
    done = job(3, *case.arguments(output), more=settings, mpiexec=launcher)
    assert done.returncode == 0, done.stderr
    assert "15 blocks by 3 ranks" in done.stdout
    check(case, output)


@pytest.mark.parametrize(
    ("who", "says"),
    [("kill", "was killed by SIGKILL"), ("parent", "lost the process that watches it")],
)
def test_a_killed_rank_is_told(
    case: Case,
    tmp_path: Path,
    launcher: str,
    settings: dict[str, str],
    who: str,
    says: str,
) -> None:
    output = tmp_path / "out.h5"
    more = {**settings, "DIE": f"1:4:{who}"}
    done = job(3, *case.arguments(output), more=more, mpiexec=launcher)
    assert done.returncode != 0
    assert re.search(rf"error: rank 1 {says}.* with block \d+", done.stderr)
    done = job(1, *case.arguments(output, "--resume"))
    assert done.returncode == 0, done.stderr
    check(case, output)


def test_a_library_of_the_other_family_is_told(case: Case, tmp_path: Path) -> None:
    need(OPEN_MPI)
    need(MPICH)
    arguments = case.arguments(tmp_path / "out.h5")
    allow = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    more = {**dict.fromkeys(allow, "1"), "MPI4PY_MPIABI": "openmpi"}
    done = job(2, *arguments, more=more, mpiexec=MPICH)
    assert done.returncode == 1
    assert "error: the launcher started 2 processes, but Open MPI" in done.stderr
    assert list(tmp_path.iterdir()) == []
