"""The pages of the reductions: each graph builds and runs, each picture is made."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import matplotlib
import pytest

from smalldata_stream.cli import main
from smalldata_stream.simulate import (
    DETECTORS,
    ON_REQUEST,
    SimulatedFiles,
    Simulation,
    simulate,
)
from smalldata_stream.words import Word, Words

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    "reductions-azimuthal.md",
    "reductions-center.md",
    "reductions-corrections.md",
    "reductions-droplets.md",
    "reductions-frames.md",
    "reductions-peaks.md",
    "reductions-speckle.md",
    "reductions-waveforms.md",
]
RUN = Simulation(events=6, detectors=DETECTORS + ON_REQUEST)


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), RUN)


@pytest.mark.parametrize(
    "word", [name for name, one in vars(Words).items() if isinstance(one, Word)]
)
def test_every_word_has_a_page(word: str) -> None:
    """It is in the table of graph.md, and the page that it names says what it does."""
    rows = (DOCS / "graph.md").read_text().splitlines()
    (row,) = (row for row in rows if row.startswith("| `.") and f"`.{word}(" in row)
    (page,) = re.findall(r"\]\(([\w-]+\.md)\)", row)
    assert f".{word}(" in (DOCS / page).read_text()
    assert page in PAGES or page == "calibration.md"


@pytest.mark.parametrize("page", PAGES)
def test_the_graphs_of_the_page_run(page: str, run: SimulatedFiles, tmp_path: Path) -> None:
    graphs = [text for text in blocks(page) if "def graph(" in text]
    assert graphs
    where = ["--exp", RUN.exp, "--run", str(RUN.run), "--dir", str(run.directory)]
    for number, text in enumerate(graphs):
        graph, output = tmp_path / f"page{number}.py", tmp_path / f"page{number}.h5"
        graph.write_text(text)
        assert main(["run", str(graph), *where, "-o", str(output)]) == 0


@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_the_page_makes_its_picture(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (text for text in blocks(page) if "savefig(" in text)
    picture = page.replace(".md", ".png")
    assert f"(pictures/{picture})" in (DOCS / page).read_text()
    assert (DOCS / "pictures" / picture).stat().st_size > 5000
    matplotlib.use("Agg")
    (tmp_path / "example.py").write_text(example)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert (tmp_path / picture).stat().st_size > 5000
