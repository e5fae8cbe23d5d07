"""Find a graph by name or by path and load its ``graph`` function."""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import dataclass
from pathlib import Path

from smalldata_stream.errors import GraphError, because, did_you_mean
from smalldata_stream.graph import FindConstants, Graph, GraphFunction, build
from smalldata_stream.located import located
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
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"{path} cannot be read: {because(error)}") from error
    return graph_of(path, text)


def graph_of(path: Path, text: str) -> GraphFile:
    """The graph file with this text, whatever is at ``path`` now; raises `GraphError`."""
    spec = importlib.util.spec_from_file_location(f"_graph_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise GraphError(f"{path} is no Python file; a graph file ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        # Not through the loader, whose cache takes an edit of equal length within one
        # second for no edit; and this way the text that is kept is the one that ran.
        exec(compile(text, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise GraphError(
            f"not Python: {error.msg}", file=str(path), line=error.lineno or 1
        ) from error
    except (Exception, SystemExit) as error:
        raise located(error, path) from error
    function = getattr(module, "graph", None)
    if not callable(function):
        raise GraphError(f"{path} has no function graph(g, run)")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        line = function.__code__.co_firstlineno
        raise GraphError(
            f"graph{inspect.signature(function)}: write graph(g, run)",
            file=str(path),
            line=line,
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


def known_graphs() -> dict[str, Path]:
    """The graphs that come with the project, by name."""
    spec = importlib.util.find_spec("graphs")
    if spec is None or spec.submodule_search_locations is None:
        return {}
    return {
        file.stem: file
        for folder in spec.submodule_search_locations
        for file in sorted(Path(folder).glob("*.py"))
        if not file.stem.startswith("_")
    }
