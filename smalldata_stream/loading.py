"""Find a graph by name or by path and load its ``graph`` function."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.graph import FindConstants, Graph, GraphFunction, build
from smalldata_stream.graph_files import known_graphs, read_file, run_file
from smalldata_stream.run import RunInfo


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A graph file: its path, its text, and the function in it."""

    path: Path
    text: str
    function: GraphFunction

    def build(
        self, run: RunInfo, constants: FindConstants = lambda detector: None
    ) -> Graph:
        """Build the graph for one run; `GraphError` names the line that is wrong."""
        return build(self.function, run, constants, file=self.path)


def load_graph(name: str) -> GraphFile:
    """Load ``graphs/<name>.py``, or the file at the path ``name``.

    Raises
    ------
    GraphError
        If there is no such file, it cannot be loaded, or has no ``graph(g, run)``.
    """
    path = find_graph(name)
    return graph_of(path, read_file(path))


def graph_of(path: Path, text: str) -> GraphFile:
    """The graph file with this text, whatever is at ``path`` now; raises `GraphError`."""
    function = getattr(run_file(path, text), "graph", None)
    if not callable(function):
        raise GraphError(f"{path} has no function graph(g, run)")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        code = getattr(function, "__code__", None)  # other callables have none
        raise GraphError(
            f"graph{inspect.signature(function)}: write graph(g, run)",
            file=str(path),
            line=code.co_firstlineno if code is not None else 1,
        ) from error
    return GraphFile(path, text, function)


def find_graph(name: str) -> Path:
    """The path of a graph given by path or by name."""
    given = Path(name)
    if given.suffix == ".py" or given.parent != Path("."):
        if not given.is_file():
            raise GraphError(f"no graph file {name}")
        return given.resolve()
    known = known_graphs()
    if name not in known:
        raise GraphError(f"no graph {name!r}; {did_you_mean(name, known)}. Or give a path")
    return known[name]
