"""PVs of an archiver of our own, after the run."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h5py
import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.detectors.epics_archiver import EpicsArchiver, samples_of
from smalldata_stream.simulate import Simulation, simulate
from tests.web.service import Service

GRAPH = """
def graph(g, run):
    g.detector("gmd")
    g.epics_archiver(
        ["XPP:USR:01", ("XPP:MMS:07.RBV", "sam_x"), "NO:SUCH", "A:TEXT"], url={url!r}
    )
"""
SAMPLES: dict[str, list[tuple[int, int, Any]]] = {
    "XPP:USR:01": [(1_767_225_600, 250_000_000, 3), (1_767_225_601, 0, 4.5)],
    "XPP:MMS:07.RBV": [(1_767_225_599, 0, -1.0)],
    "A:TEXT": [(1_767_225_599, 0, "Open")],
}


UNITS = {"XPP:USR:01": "mm"}
"""Of the others the archiver has none."""


def archive(path: str) -> tuple[int, bytes]:
    (pv,) = parse_qs(urlsplit(path).query)["pv"]
    rows = [
        {"secs": s, "nanos": n, "val": v, "severity": 0, "status": 0}
        for s, n, v in SAMPLES.get(pv, [])
    ]
    meta = {"name": pv} | ({"EGU": UNITS[pv]} if pv in UNITS else {})
    answer: list[Any] = [{"meta": meta, "data": rows}] if rows else []
    return 200, json.dumps(answer).encode()


def run(folder: Path, url: str) -> int:
    simulate(folder, Simulation(events=20, detectors=("gmd",)))
    graph = folder / "graph.py"
    graph.write_text(GRAPH.format(url=url))
    where = ["--exp", "xpptut26", "--run", "1", "--dir", str(folder)]
    return main(["run", str(graph), *where, "-o", str(folder / "a.h5")])


def test_variables_are_in_the_file(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = archive
    assert run(tmp_path, service.url + "/retrieval/") == 0
    with h5py.File(tmp_path / "a.h5") as f:
        assert set(f["epics_archiver"]) == {"XPP_USR_01", "sam_x"}
        for name, pv in (("XPP_USR_01", "XPP:USR:01"), ("sam_x", "XPP:MMS:07.RBV")):
            dataset = f["epics_archiver"][name]
            want = [[s + 1e-9 * n, v] for s, n, v in SAMPLES[pv]]
            np.testing.assert_array_equal(dataset[:], want)
            assert dataset.attrs["count"] == len(want)
            assert dataset.attrs["long_name"].startswith(pv)
            assert dataset.attrs.get("units") == UNITS.get(pv)
        missing = {name.decode() for name in f["provenance/never_seen"]}
        assert missing == {"epics_archiver/NO_SUCH", "epics_archiver/A_TEXT"}
        stamps = f["timestamp"][:].astype(np.uint64)
    assert "NO:SUCH: the archiver has no such variable" in caplog.text
    assert "A:TEXT: left out, as its value is text" in caplog.text
    asked = parse_qs(urlsplit(service.asked[0][0]).query, keep_blank_values=True)
    assert urlsplit(service.asked[0][0]).path == "/retrieval/data/getData.json"
    assert "donotchunk" in asked
    # The span of the run, the other way round: seconds since 1990 from the texts.
    first, last = (
        datetime.fromisoformat(asked[end][0]).timestamp() - 631_152_000
        for end in ("from", "to")
    )
    seconds = (stamps >> np.uint64(32)) + 1e-9 * (stamps & np.uint64(0xFFFFFFFF))
    assert first <= seconds[0] <= seconds[-1] <= last + 1e-6
    assert seconds[-1] == pytest.approx(last, abs=0.0011)


@pytest.mark.parametrize("answers", [True, False])
def test_an_archiver_that_fails_is_a_warning(
    service: Service,
    nobody: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answers: bool,
) -> None:
    service.answer = lambda path: (500, b"")
    assert run(tmp_path, service.url if answers else nobody) == 0
    with h5py.File(tmp_path / "a.h5") as f:
        assert f.attrs["complete"]
        assert "epics_archiver" not in f
        assert len(f["provenance/never_seen"]) == 4
    assert len(service.asked) == (4 if answers else 0)
    said = [r for r in caplog.records if "epics archiver" in r.getMessage()]
    assert len(said) == (4 if answers else 2)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ([], "no such variable"),
        ([{"data": []}], "nothing at that time"),
        ([{"data": [{"secs": 1, "nanos": 2, "val": [1, 2]}]}], "is an array"),
        ({"error": "x"}, "in another form"),
        ([{"data": [{"val": 2}]}], "in another form"),
        (None, "in another form"),
    ],
)
def test_other_answers(answer: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        samples_of(answer)


@pytest.mark.parametrize(
    ("variables", "match"),
    [
        ([], "write a list of names"),
        ("XPP:USR:01", "write a list of names"),
        (["A:B", "A_B"], "same name in the file"),
        ([("A", "x"), ("B", "x")], "same name in the file"),
        ([("A", "x/y")], "no name for a dataset"),
        ([("A", "x", "y")], "write a name, or"),
    ],
)
def test_wrong_lists(variables: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        EpicsArchiver(variables=variables)
