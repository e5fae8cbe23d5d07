"""The report of a simulated run: from the job, from its file, and in a real browser."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.constants import read_constants
from smalldata_stream.errors import OutputError, SourceError
from smalldata_stream.graph import FindConstants, Graph, build
from smalldata_stream.ledger import DeadLetter, Ledger
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.report import report_of, report_of_file, write_report
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Fault
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from tests.plots.chromium import opened

pytest.importorskip("bokeh", reason="Bokeh is not installed: no report can be made")

SIMULATION = Simulation(events=60, steps=3, seed=5, jungfrau_shape=(2, 64, 512))
LASER = "lightStatus/laser"


def graph(g: Graph, run: RunInfo) -> None:
    g.light_status(xray_excluded=[162], laser_required=[90])
    g.scan()
    gmd = g.detector("gmd")["energy"]
    jungfrau = g.detector("jungfrau")
    g.detector("absent", optional=True).plot.image()
    ring = jungfrau.roi("ROI_0", [[0, 1], [0, 64], [300, 500]])
    profile = ring.projection(axis=0)
    gmd.plot.strip(group="beam")
    gmd.plot.histogram((0, 3, 30), group="beam")
    ring["sum"].plot.scatter(gmd, group="beam")
    jungfrau.plot.image(title="<mean> & last")
    profile.plot.line()
    profile.plot.line(by=LASER, name="by_laser")
    ring["sum"].plot.scan("scan/lxt", by=LASER)
    ring["sum"].plot.scan("scan/varStep", name="by_step")
    ring["sum"].plot.histogram((1e9, 2e9, 5), name="nothing_inside")


PLOTS = 9


@dataclass(frozen=True)
class Job:
    report: Report
    constants: FindConstants
    h5: Path
    html: Path


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    directory = tmp_path_factory.mktemp("report")
    files = simulate(directory / "xtc", SIMULATION)
    source = FilesSource.from_run(SIMULATION.exp, SIMULATION.run, files.directory)
    (run,) = source.runs()
    file = GraphFile(Path(__file__), inspect.getsource(graph), graph)
    h5, html = directory / "run.h5", directory / "run.html"
    constants = read_constants(files.constants).get
    report = reduce_run(run, file, Hdf5Sink(h5), constants)
    report_of(report, html)
    return Job(report, constants, h5, html)


def test_the_file_says_how_its_plots_are_shown(job: Job) -> None:
    with h5py.File(job.h5) as file:
        said = dict(file["plots/gmd/energy_histogram"].attrs)
        image = file["plots/jungfrau/image/mean"]
        counts = file["plots/gmd/energy_histogram/counts"]
        assert file.attrs["plots"] == PLOTS
        assert image.shape == (2, 64, 512)  # in full
        assert (image.dtype, image.attrs["count"]) == (np.float64, 60)
        assert image.attrs["units"] == "keV"
        energy = file["gmd/energy"][:]
        inside = energy[(energy >= 0) & (energy <= 3)]
        assert counts[:].sum() == len(inside)
        assert counts.attrs["count"] == 60
        sums = file["jungfrau/ROI_0_sum"][:]
        steps = file["scan/varStep"][:]
        means = [sums[steps == step].mean() for step in (0, 1, 2)]
        assert file["plots/jungfrau/ROI_0_sum_by_step/mean"][:] == pytest.approx(means)
    assert said == {
        "kind": "histogram",
        "title": "gmd/energy",
        "x_label": "gmd/energy (mJ)",
        "y_label": "events",
        "group": "beam",
        "number": 1,
    }


def test_the_report_of_the_file_is_that_of_the_job(job: Job, tmp_path: Path) -> None:
    report_of_file(job.h5, tmp_path / "again.html")
    one, other = job.html.read_text(), (tmp_path / "again.html").read_text()
    assert readable(one) == readable(other)
    assert drawn(one) == drawn(other)
    assert list(tmp_path.iterdir()) == [tmp_path / "again.html"]


def readable(html: str) -> list[str]:
    """The text of the page; Bokeh numbers its places at random."""
    body = html[html.rindex("<body>") :]
    return [line for line in re.sub(r"<[^>]*>", "\n", body).splitlines() if line.strip()]


def drawn(html: str) -> set[str]:
    """All numbers that are drawn, as Bokeh encodes them, and all titles."""
    data = re.findall(r'"__ndarray__":"?([^"]{20,}|\{[^}]*\})', html)
    data += re.findall(r'"type":"bytes","data":"([^"]*)"', html)
    assert len(data) > 20
    return set(data)


def test_what_the_report_says(job: Job) -> None:
    html = job.html.read_text()
    text = readable(html)
    assert "xpptut26 run 1" in text
    assert "the ledger closes" in text
    assert "absent: not in this run" in text
    assert "absent/image: needs absent" in text
    assert any("gmd.plot.strip(group=&quot;beam&quot;)" in line for line in text)
    for name in ("beam", "jungfrau", "Ledger", "Graph", "Provenance"):
        assert text.count(name) >= 2  # as a link and as a heading


def test_the_report_in_a_browser(job: Job) -> None:
    with opened(job.html.as_uri()) as seen:
        page = seen.page
        page.wait_for_function("window.Bokeh && Bokeh.documents.length > 0")
        page.wait_for_function("Bokeh.documents.every((d) => d.is_idle)")
        assert page.evaluate("Bokeh.documents[0].roots().length") == PLOTS
        assert empty_cards(page) == []
        assert page.title() == "xpptut26 run 1"
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 1500  # nothing sticks out
        assert visible_layers(page) == [True, False, False, False]
        for button in ("last", "log"):
            page.get_by_text(button, exact=True).first.click()
        assert visible_layers(page) == [False, False, False, True]
    assert seen.complaints == []
    assert seen.requests == [job.html.as_uri()]


def visible_layers(page: Any) -> list[bool]:
    """Which of the four images (mean, last; linear, log) is seen."""
    code = """() => {
        const seen = []
        for (const model of Bokeh.documents[0]._all_models.values())
            if (model.type == "GlyphRenderer" && model.glyph.type == "Image")
                seen.push([Number(model.id.replace(/\\D/g, "")), model.visible])
        return seen.sort((a, b) => a[0] - b[0]).map((pair) => pair[1])
    }"""
    seen: list[bool] = page.evaluate(code)
    return seen


def empty_cards(page: Any) -> list[int]:
    """Numbers of the cards in which nothing is drawn."""
    code = """() => {
        const canvases = (node) => [...node.querySelectorAll("*")].flatMap((e) =>
            [...(e.tagName == "CANVAS" ? [e] : []),
             ...(e.shadowRoot ? canvases(e.shadowRoot) : [])])
        const inked = (canvas) => {
            if (!canvas.width || !canvas.height) return false
            const pixels = canvas.getContext("2d").getImageData(
                0, 0, canvas.width, canvas.height).data
            return new Set(new Uint32Array(pixels.buffer)).size > 10
        }
        return [...document.querySelectorAll(".card")].map((card, i) =>
            canvases(card).some(inked) ? -1 : i).filter((i) => i >= 0)
    }"""
    found: list[int] = page.evaluate(code)
    return found


# ---------------------------------------------------------------------- without events


RUN = RunInfo(exp="tst", number=3, detectors={})


def test_a_ledger_that_does_not_close_and_all_that_went_wrong(tmp_path: Path) -> None:
    ledger = Ledger(read=5, written=3)
    ledger.gaps["gmd/<x>"] = 1
    ledger.dead_letters = [DeadLetter(7, "gmd/<x>", "ValueError: a < b", "")]
    path = tmp_path / "r.html"
    faults = [Fault("stream 2", "the data stop here", 4)]
    write_report(path, [], ledger, {"graph": "if a < b:"}, RUN, faults=faults)
    text = readable(path.read_text())
    assert "the ledger does not close" in text
    assert "stream 2: the data stop here (4)" in text
    assert "gmd/&lt;x&gt; at event 7: ValueError: a &lt; b" in text
    assert "if a &lt; b:" in text
    assert text[text.index("missing") + 1] == "2"
    assert any("has no plots" in line for line in text)


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "no" / "r.html", [], Ledger(), {}, RUN)
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "taken", [], Ledger(), {}, RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_files_that_are_not_ours_or_not_finished(job: Job, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(SourceError, match="smalldata-stream wrote"):
        report_of_file(other, tmp_path / "r.html")
    half = tmp_path / "half.h5"
    half.write_bytes(job.h5.read_bytes())
    with h5py.File(half, "a") as file:
        file.attrs["complete"] = False
    with pytest.raises(SourceError, match="not finished"):
        report_of_file(half, tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_the_graph_of_the_documentation_is_one(job: Job) -> None:
    page = Path(__file__).parents[2] / "docs" / "plots.md"
    (text,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(text, str(page), "exec"), names)
    plan = build(names["graph"], job.report.run, job.constants).plan
    kinds = re.findall(r"^\| `\.plot\.(\w+)\(", page.read_text(), re.MULTILINE)
    assert {plot.kind for plot in plan.plots().values()} == set(kinds)
