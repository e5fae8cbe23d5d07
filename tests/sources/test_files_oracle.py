"""Every value of every real file, and of odd generated ones, against psana."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import DATA, compare, needs_data, psana_reads_all
from tests.xtc2 import samples

JUNGFRAU = ["raw", "num_hot_pixels", "hot_pixel_thresh"]
REAL = {
    "ts": ["test_ts.xtc2", "xppts.ts.sequencer_info"],
    "jungfrau": [
        "test_jungfrau05M_calib.xtc2",
        *(f"jungfrau.raw.{method}" for method in JUNGFRAU),
    ],
    "timetool": ["test_timetool_psana.xtc2"],
}
DIRECTORIES = ["intg_det", "fakesteps", "chunking"]


@dataclass
class Oracle:
    """Where the generated runs are, and what psana read of all."""

    folder: Path
    methods: list[str]
    runs: dict[str, Any]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    folder = tmp_path_factory.mktemp("oracle")
    path, methods = samples.derived_detectors(folder / "derived")
    jobs = {"derived": ["files", str(path), *methods]}
    jobs["types"] = ["files", str(samples.every_type(folder / "types"))]
    jobs["runs"] = ["files", str(samples.three_runs(folder / "runs"))]
    exp, run = samples.several_streams(folder / "streams")
    jobs["streams"] = ["run", exp, str(run), str(folder / "streams")]
    if DATA.is_dir():
        for name, (file, *wanted) in REAL.items():
            jobs[name] = ["files", str(DATA / file), *wanted]
        for name in DIRECTORIES:
            jobs[name] = ["run", "xpptut15", "14", str(DATA / name)]
    return Oracle(folder, methods, psana_reads_all(folder, jobs))


@needs_data
@pytest.mark.parametrize(
    ("name", "values"), [("ts", 4), ("jungfrau", 16), ("timetool", 2649)]
)
def test_real_file(oracle: Oracle, name: str, values: int) -> None:
    source = FilesSource.from_files([DATA / REAL[name][0]])
    assert compare(source, oracle.runs[name]) == values


@needs_data
@pytest.mark.parametrize(
    ("folder", "values"), [("intg_det", 24), ("fakesteps", 34), ("chunking", 400)]
)
def test_real_directory(oracle: Oracle, folder: str, values: int) -> None:
    source = FilesSource.from_run("xpptut15", 14, DATA / folder)
    assert compare(source, oracle.runs[folder]) == values


@needs_data
def test_real_chunks_by_file_name(oracle: Oracle) -> None:
    first = DATA / "chunking" / "xpptut15-r0014-s000-c000.xtc2"
    assert compare(FilesSource.from_files([first]), oracle.runs["chunking"]) == 400


def test_every_field_type(oracle: Oracle) -> None:
    (path,) = (oracle.folder / "types").glob("*.xtc2")
    assert compare(FilesSource.from_files([path]), oracle.runs["types"]) > 1000


def test_derived_fields(oracle: Oracle) -> None:
    (path,) = (oracle.folder / "derived").glob("*.xtc2")
    compared = compare(FilesSource.from_files([path]), oracle.runs["derived"])
    assert compared >= 20 * len(oracle.methods)


def test_streams_segments_gaps_and_steps(oracle: Oracle) -> None:
    folder = oracle.folder / "streams"
    source = FilesSource.from_run("tstx00417", 3, folder)
    compared = compare(source, oracle.runs["streams"])
    assert compared > 500
    for index in (folder / "smalldata").iterdir():
        index.unlink()
    source = FilesSource.from_run("tstx00417", 3, folder)
    assert compare(source, oracle.runs["streams"]) == compared


def test_several_runs_with_another_configuration(oracle: Oracle) -> None:
    (path,) = (oracle.folder / "runs").glob("*.xtc2")
    assert len(oracle.runs["runs"]) == 3
    assert compare(FilesSource.from_files([path]), oracle.runs["runs"]) == 30
