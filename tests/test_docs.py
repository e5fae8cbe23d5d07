"""What the pages show is run, and what exists is on a page."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalldata_stream.cli import COMMANDS, main
from smalldata_stream.detectors.families import FAMILIES
from smalldata_stream.graph_files import known_graphs
from smalldata_stream.loading import load_graph
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.words import Word, Words

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = Simulation(events=40)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), RUN)


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def reduce(run: SimulatedFiles, graph: Path | str, output: Path) -> int:
    where = ["--exp", RUN.exp, "--run", str(RUN.run), "--dir", str(run.directory)]
    return main(["run", str(graph), *where, "-o", str(output), "--overwrite"])


@pytest.mark.parametrize("page", ["README.md", "docs/calibration.md", "docs/graph.md"])
def test_the_graph_on_a_page_runs(page: str, run: SimulatedFiles, tmp_path: Path) -> None:
    graphs = [text for text in blocks(ROOT / page) if "def graph(" in text]
    assert graphs
    for text in graphs:
        graph = tmp_path / "page.py"
        graph.write_text(text)
        assert reduce(run, graph, tmp_path / "page.h5") == 0


def test_the_result_opens_as_the_readme_says(
    run: SimulatedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = blocks(ROOT / "README.md")
    graph, opening = tmp_path / "page.py", tmp_path / "opening.py"
    (text,) = (b for b in readme if "def graph(" in b)
    graph.write_text(text)
    assert reduce(run, graph, tmp_path / "run1.h5") == 0
    (text,) = (b for b in readme if "h5py.File" in b)
    opening.write_text(text)
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(opening))
    assert found["ring"].shape == (36,)
    assert found["laser"].any()
    assert np.isfinite(found["mean"]).all()


@pytest.mark.parametrize("name", sorted(known_graphs()))
def test_every_graph_runs_on_the_simulated_run(
    name: str, run: SimulatedFiles, tmp_path: Path
) -> None:
    assert load_graph(name).function.__doc__
    assert reduce(run, name, tmp_path / "run.h5") == 0
    with h5py.File(tmp_path / "run.h5") as f:
        ledger = f["ledger"].attrs
        assert ledger["closes"]
        assert ledger["read"] == RUN.events
        assert f["timestamp"].shape == (ledger["written"],)
        assert f.attrs["complete"]


def test_every_type_of_area_detector_is_on_the_page_of_calibration() -> None:
    text = (ROOT / "docs" / "calibration.md").read_text()
    (head, *rows) = re.findall(r"^\| (.*?) \|", text.partition("## How far")[2], re.M)
    assert head == "`calibration=`"
    types = {name.strip() for row in rows for name in row.split(",")}
    assert set(FAMILIES) <= types


def test_the_page_of_calibration_says_of_each_type_what_the_code_does() -> None:
    text = (ROOT / "docs" / "calibration.md").read_text()
    head, end = "| type | gain of a pixel | bank | ASIC |\n|---|---|---|---|\n", "\n\n"
    table = text.partition(head)[2].partition(end)[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    said = {name: rest for types, *rest in rows for name in types.split(", ")}
    for name, family in FAMILIES.items():
        gain, bank, asic = said[name]
        assert (gain == "one") <= (not family.modes), name
        for cell, have in ((bank, family.bank), (asic, family.asic)):
            want = re.fullmatch(r"(\d+) x (\d+)", cell)
            if want is not None:
                assert have == tuple(map(int, want.groups())), name
            else:
                assert have is None or (cell == "ASIC" and have == family.asic), name


def test_every_word_and_command_is_on_a_page() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    words = [name for name, word in vars(Words).items() if isinstance(word, Word)]
    assert words
    assert [w for w in words if f"`.{w}(" not in text] == []
    assert [c for c in COMMANDS if f"smalldata-stream {c}" not in text] == []


def test_every_link_leads_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_changelog_says_what_changes_numbers() -> None:
    assert "### Results that change numbers" in (ROOT / "CHANGELOG.md").read_text()
