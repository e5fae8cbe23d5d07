"""Where in a graph file something went wrong."""

from __future__ import annotations

import traceback
from pathlib import Path

from smalldata_stream.errors import GraphError, SmalldataError

HERE = Path(__file__).parent


def located(error: BaseException, file: Path | None) -> GraphError:
    """The error as a `GraphError` that names the line of the graph file.

    The deepest frame in ``file`` counts; where there is none, the deepest outside of this
    package.
    """
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if file is not None and Path(f.filename) == file]
    # The __init__ of a dataclass is in no file: "<string>".
    written = [f for f in frames if not f.filename.startswith("<")]
    outside = [f for f in written if HERE not in Path(f.filename).parents]
    known = isinstance(error, SmalldataError | ValueError)
    what = str(error) if known else f"{type(error).__name__}: {error}"
    if isinstance(error, GraphError):
        what = error.what
        if error.file is not None:
            return error
    for frame in reversed(inside or outside):
        return GraphError(what, file=frame.filename, line=frame.lineno)
    return GraphError(what)
