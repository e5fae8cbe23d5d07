"""What a result was made from: graph, parameters, versions, source, constants."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from smalldata_stream import __version__
from smalldata_stream.graph import Graph
from smalldata_stream.loading import GraphFile

LIBRARIES = ("numpy", "streamz", "numba", "h5py", "psana")


def provenance(
    g: Graph, graph: GraphFile, command: str = "", ranks: str = ""
) -> dict[str, str]:
    """Name to text, for the file and for people."""
    return {
        "graph": graph.text,
        "graph_file": graph.path.name,
        "graph_sha256": hashlib.sha256(graph.text.encode()).hexdigest(),
        "parameters": "\n".join(
            f"{group}/{name} = {value!r}"
            for group, values in g.plan.config.items()
            for name, value in values.items()
            if isinstance(value, int | float | str | tuple)
        ),
        "versions": "\n".join(f"{name} {v}" for name, v in versions().items()),
        "source": g.run.source,
        "run": f"{g.run.exp} run {g.run.number}",
        "constants": "\n".join(
            f"{name} sha256 {c.digest} from {c.source}" for name, c in g.constants.items()
        ),
        "dropped": "\n".join(g.plan.dropped),
        "command": command,
        **({"ranks": ranks} if ranks else {}),
    }


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of what the numbers depend on."""
    found = {"smalldata_stream": __version__, "python": platform.python_version()}
    commit = git_commit()
    if commit:
        found["smalldata_stream commit"] = commit
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str:
    """The commit of the checkout this package runs from; empty where there is none."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return ""
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
