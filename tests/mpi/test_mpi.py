"""Any number of ranks, one file, the same bits; killed anywhere, resumed, the same bits."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import h5py
import pytest

from smalldata_stream.lead_in import NOTHING_BEFORE
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.psana import PsanaSource
from tests.mpi.case import Case, check
from tests.mpi.compare import differences
from tests.mpi.jobs import BIN, GRAPH, SIMULATION, environment, job, words

pytestmark = pytest.mark.skipif(
    not (BIN / "mpiexec").exists(), reason="no mpiexec: install mpich"
)


def test_the_case_has_all_that_is_hard(case: Case) -> None:
    """Filtered events, dead letters, a dataset that few blocks have, varying lengths; and
    frames that depend on those before, which may be in another block."""
    ledger = case.report.ledger
    assert 0 < ledger.filtered["no X-rays"] < ledger.read == SIMULATION.events
    assert len(ledger.dead_letters) == 20 < ledger.gaps["gmd/picky"]
    assert ledger.unknown == {f"jungfrau: {NOTHING_BEFORE}": 1}  # the first event
    with h5py.File(case.serial) as file:
        rare = file["gmd/rare"][:, 0]
        assert 0 < (rare == rare).sum() < 15
        assert len(set(file["jungfrau/var_droplet_sparse_len"][:].tolist())) > 1


@pytest.mark.parametrize("ranks", [pytest.param(0, marks=pytest.mark.slow), 3])
def test_any_number_of_ranks(case: Case, tmp_path: Path, ranks: int) -> None:
    counted = case.folder / f"{ranks}.prom"
    arguments = case.arguments(tmp_path / "out.h5", "--metrics-textfile", counted)
    done = job(ranks, *arguments)
    assert done.returncode == 0, done.stderr
    assert "The ledger closes" in done.stdout
    if ranks:
        assert f"15 blocks by {ranks} ranks" in done.stdout
        assert re.search(r"put together from \d parts: .* MB/s", done.stdout)
    assert done.stdout.count("120 events") == 1
    check(case, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["provenance/ranks"].asstr()[()].startswith(f"{ranks or 1} on ")
    assert len(list(case.folder.glob(f"{ranks}*.prom"))) == 1
    assert counts(counted) == counts(case.serial.with_suffix(".prom"))


def counts(textfile: Path) -> dict[str, float]:
    """All that counts events, by the name and the labels but the file's."""
    lines = textfile.read_text().replace(f'file="{textfile.name}"', "").splitlines()
    samples = [line.rpartition(" ") for line in lines if "_total{" in line]
    kept = {name: float(n) for name, _, n in samples if "seconds" not in name}
    assert len(kept) > 20
    return kept


def test_a_killed_rank_ends_the_job_and_it_is_resumed(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    # Rank 1 gets block 4 or a later one when one of the first is done, and noted.
    done = job(3, *case.arguments(output), more={"DIE": "1:4:kill"})
    assert done.returncode != 0
    assert re.search(
        r"error: rank 1 was killed by SIGKILL with block \d+ \(events \d+ to \d+\)",
        done.stderr,
    )
    assert not output.exists()
    done = job(2, *case.arguments(output, "--resume"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"resumed: [1-9]\d* of 15 blocks were done before", done.stdout)
    check(case, output)
    done = job(2, *case.arguments(output, "--resume"))
    assert (done.returncode, "nothing to resume" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("parent", "error: rank 1 lost the process that watches it, which was killed,"),
        ("interrupt", "error: rank 1 of 2 was interrupted"),
    ],
)
def test_a_rank_that_ends_in_another_way_says_where(
    case: Case, tmp_path: Path, how: str, says: str
) -> None:
    done = job(2, *case.arguments(tmp_path / "out.h5"), more={"DIE": f"1:2:{how}"})
    assert done.returncode != 0
    block = r"with block \d+ \(events \d+ to \d+\) in hand"
    assert re.search(f"{says} {block}", done.stderr)


@pytest.mark.slow
def test_a_rank_that_raises_says_where(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    done = job(2, *case.arguments(output), more={"DIE": "1:2:raise"})
    assert done.returncode != 0
    assert re.search(r"error: rank 1 of 2, block \d+ \(events \d+ to \d+\): ", done.stderr)
    assert "RuntimeError: this test wants it so" in done.stderr
    # Another graph must not finish it.
    other = tmp_path / "other.py"
    other.write_text(GRAPH.replace("% 4", "% 7"))
    arguments = (other, *case.arguments(output)[1:])
    done = job(0, *arguments, "--resume")
    assert done.returncode == 1
    assert "graph_sha256 was" in done.stderr
    done = job(0, *case.arguments(output))
    assert (done.returncode, "--resume finishes it" in done.stderr) == (1, True)
    other.unlink()
    assert job(0, *case.arguments(output, "--resume")).returncode == 0
    check(case, output)


def test_what_all_ranks_find_wrong_is_said_once(case: Case, tmp_path: Path) -> None:
    graph = tmp_path / "wrong.py"
    graph.write_text("def graph(g, run):\n    g.detector('gmdd')\n")
    done = job(2, graph, *case.arguments(tmp_path / "out.h5")[1:])
    assert done.returncode == 1
    assert done.stderr.count("did you mean 'gmd'") == 1
    assert list(tmp_path.iterdir()) == [graph]


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        (
            Simulation(
                events=90, detectors=("gmd", "jungfrau"), jungfrau_shape=(1, 64, 64)
            ),
            "ranks see different data: rank 0 run 1 with 120 events in blocks of 8; "
            "rank 1 run 1 with 90 events in blocks of 8",
        ),
        (
            Simulation(
                events=120, detectors=("gmd", "jungfrau"), jungfrau_shape=(2, 64, 64)
            ),
            "rank 1 of 2: jungfrau/frame_cnt is not the same here and in rank 0",
        ),
    ],
    ids=["events", "detectors"],
)
def test_ranks_that_see_different_data(
    case: Case, tmp_path: Path, theirs: Simulation, says: str
) -> None:
    results, graph = tmp_path / "results", tmp_path / "graph.py"
    results.mkdir()
    graph.write_text(
        "def graph(g, run):\n"
        "    g.detector('gmd')\n"
        "    g.detector('jungfrau').projection(axis=-1)\n"
    )
    files = simulate(tmp_path / "theirs", theirs)
    arguments = (graph, *case.arguments(results / "out.h5")[1:])
    done = job(2, *arguments, more={"SEES": f"1:{files.directory}"})
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error: ") == 1
    assert says in done.stderr
    assert list(results.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["native", "psana"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
class TestMatrix:
    """Every number of ranks, with both readers, killed at each kind of moment."""

    def test_undisturbed(self, case: Case, tmp_path: Path, ranks: int, reader: str) -> None:
        output = tmp_path / "out.h5"
        done = job(ranks, *case.arguments(output, "--reader", reader))
        assert done.returncode == 0, done.stderr
        self.check(case, output, reader)

    @pytest.mark.parametrize(
        "die",
        ["0:0:kill", "0:6:kill", "1:3:parent", "0:8:disk", "1:5:raise", "0:merge:kill",
         "0:merge:disk", "0:publish:kill"],
    )  # fmt: skip
    def test_killed_and_resumed(
        self, case: Case, tmp_path: Path, ranks: int, reader: str, die: str
    ) -> None:
        output = tmp_path / "out.h5"
        arguments = case.arguments(output, "--reader", reader)
        done = job(ranks, *arguments, more={"DIE": die})
        reached = "merge" not in die or ranks > 1
        if reached and int(die[0]) < ranks:
            assert done.returncode != 0
            if "publish" not in die:
                assert not output.exists()
                told = "merge" not in die
                alone = r"cannot be written" if ranks == 1 and "disk" in die else "never"
                where = rf"rank \d.*block|{alone}"
                assert re.search(where, done.stderr) or not told
        done = job(2, *arguments, "--resume")
        assert done.returncode == 0, done.stderr
        self.check(case, output, reader)

    def check(self, case: Case, output: Path, reader: str) -> None:
        if reader == "native":
            check(case, output)
            return
        serial = case.folder / "psana.h5"
        if not serial.exists():
            case.reduce(PsanaSource)
        assert differences(serial, output) == []


@pytest.mark.slow
def test_whole_job_killed(case: Case, tmp_path: Path) -> None:
    """mpiexec and all under it are killed, again and again, until the file is whole."""
    output = tmp_path / "out.h5"
    for attempt in range(40):
        process = subprocess.Popen(
            words(3, *case.arguments(output, "--resume")),
            env=environment(),
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(2 + 0.25 * attempt)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            time.sleep(1)
        if output.exists():
            break
    done = job(1, *case.arguments(output, "--resume"))
    assert done.returncode == 0, done.stderr
    check(case, output)
