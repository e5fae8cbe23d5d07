"""The three packages belong together, load little, and are all that a wheel holds."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import smalldata_stream
from smalldata_stream.errors import SmalldataError
from smalldata_stream.packages import PACKAGES, check_packages

ROOT = Path(__file__).parents[1]
FOREIGN = (
    "psana",
    "streamz",
    "mpi4py",
    "h5py",
    "hdf5plugin",
    "zmq",
    "numba",
    "matplotlib",
    "bokeh",
    "prometheus_client",
    "msgpack",
)


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh interpreter that looks for modules in ``path`` first."""
    paths = os.pathsep.join(map(str, (*path, ROOT)))
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_packages_come_from_here() -> None:
    assert set(PACKAGES) == {"smalldata_stream", "sinks", "graphs"}
    for name in PACKAGES:
        file = importlib.import_module(name).__file__
        assert file is not None
        assert Path(file).resolve() == (ROOT / name / "__init__.py").resolve()
    check_packages()


@pytest.mark.parametrize("name", ["sinks", "graphs"])
def test_an_intruder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    code = "from smalldata_stream.packages import check_packages; check_packages()"
    done = python(code, tmp_path)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert SmalldataError.__name__ in last
    assert repr(name) in last
    assert str(tmp_path) in last


def test_importing_loads_none_of_the_large_libraries() -> None:
    modules = ["smalldata_stream", "smalldata_stream.protocols", "smalldata_stream.cli"]
    code = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    done = python(code)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "smalldata_stream" in loaded
    assert not loaded.intersection(FOREIGN)


def test_the_psana_source_leaves_psana_to_its_process() -> None:
    code = "import sys, smalldata_stream.sources.psana\nprint(*sys.modules)"
    done = python(code)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded.intersection({"psana", "mpi4py", "streamz"})


def test_one_version() -> None:
    try:
        installed = version("smalldata_stream")
    except PackageNotFoundError:
        pytest.skip("smalldata_stream is not installed, only on the path")
    assert installed == smalldata_stream.__version__


def test_the_constraints_name_every_requirement() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(one for extra in extras for one in extra)]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    names = {requirement.partition(";")[0] for requirement in asked}
    names = {name.split(">")[0].split("[")[0].strip().lower() for name in names}
    assert names - {"smalldata_stream"} <= pinned
    assert not [line for line in lines if "/" in line or line.startswith("-")]


def test_every_module_has_its_place_in_the_layers() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in tool["contracts"] if c["type"] == "layers")
    placed = [name for layer in layers for name in layer.replace(":", "|").split(" | ")]
    inside = [p for p in (ROOT / "smalldata_stream").iterdir() if p.suffix in ("", ".py")]
    exists = {f"smalldata_stream.{p.stem}" for p in inside if p.name[0] != "_"}
    assert sorted(placed) == sorted({*exists, "sinks", "graphs"})


def test_a_wheel_holds_the_packages_and_no_tests(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: no wheel can be built offline")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    tops = {name.parts[0] for name in names if ".dist-info" not in name.parts[0]}
    assert tops == set(PACKAGES)
    here = {
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert here <= set(names)
    assert not [name for name in names if name.stem.startswith("test_")]
