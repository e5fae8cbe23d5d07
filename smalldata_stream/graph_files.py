"""The Python files of ``graphs/``: which there are, and what running one gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from smalldata_stream.errors import GraphError, because
from smalldata_stream.located import located


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


def run_file(path: Path, text: str) -> ModuleType:
    """The module that ``text`` makes, whatever is at ``path`` now; raises `GraphError`."""
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
    return module


def read_file(path: Path) -> str:
    """The text of a graph file; raises `GraphError`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"{path} cannot be read: {because(error)}") from error
