"""Where in a graph file something went wrong."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from smalldata_stream.errors import GraphError, SmalldataError

HERE = Path(__file__).parent
LIBRARY = sysconfig.get_paths()["stdlib"]
INSTALLED = ("site-packages", "dist-packages")


def place(error: BaseException) -> str:
    """`` (file:line)`` of what somebody wrote for this experiment, if it is to blame."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        parts = Path(frame.filename).parts
        written = (
            Path(frame.filename).is_file() and HERE not in Path(frame.filename).parents
        )
        if (
            written
            and not frame.filename.startswith(LIBRARY)
            and not {*parts} & {*INSTALLED}
        ):
            return f" ({frame.filename}:{frame.lineno})"
    return ""


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
    # A word that does not exist is told by our own __getattr__, in a sentence.
    unknown = (
        isinstance(error, AttributeError) and HERE in Path(frames[-1].filename).parents
    )
    known = unknown or isinstance(error, SmalldataError | ValueError)
    what = str(error) if known else f"{type(error).__name__}: {error}"
    if isinstance(error, GraphError):
        what = error.what
        if error.file is not None:
            return error
    for frame in reversed(inside or outside):
        return GraphError(what, file=frame.filename, line=frame.lineno)
    return GraphError(what)
