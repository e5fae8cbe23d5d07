"""What ranks ask and tell others than each other: one of them does, for all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import h5py
import pytest

from tests.mpi.case import Case
from tests.mpi.jobs import BIN, GRAPH, job
from tests.web.service import serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BIN / "mpiexec").exists(), reason="no mpiexec: install mpich"),
]

VARIABLES = ["XPP:USR:01", "XPP:USR:02"]


def archive(path: str) -> tuple[int, bytes]:
    asked = parse_qs(urlsplit(path).query)
    if "pv" not in asked:
        return 200, b"{}"
    rows = [{"secs": 1_767_225_600, "nanos": 0, "val": 4.5}]
    return 200, json.dumps([{"meta": {"name": asked["pv"][0]}, "data": rows}]).encode()


def test_one_rank_asks_the_archiver_and_posts_to_the_page(
    case: Case, tmp_path: Path
) -> None:
    with serving() as service:
        service.answer = archive
        graph = tmp_path / "graph.py"
        line = f"    g.epics_archiver({VARIABLES!r}, url={service.url + '/archive'!r})\n"
        graph.write_text(GRAPH + line)
        page = {"ARP_JOB_ID": "1", "JID_UPDATE_COUNTERS": f"{service.url}/page"}
        arguments = (graph, *case.arguments(tmp_path / "out.h5")[1:])
        done = job(3, *arguments, more=page)
        assert done.returncode == 0, done.stderr
        queries = [parse_qs(urlsplit(path).query) for path, _ in service.asked]
        assert Counter(q["pv"][0] for q in queries if "pv" in q) == Counter(VARIABLES)
        posts = [body for path, body in service.asked if path == "/page"]
    said = [row["value"] for body in posts for row in body]
    assert said.count("~ 3 cores * 40 evts") == 1
    with h5py.File(tmp_path / "out.h5") as file:
        assert set(file["epics_archiver"]) == {"XPP_USR_01", "XPP_USR_02"}
