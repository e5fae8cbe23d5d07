"""The default detectors of a hutch, from the file in ``graphs/`` that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.graph_files import known_graphs, read_file, run_file


def known_hutches() -> dict[str, Path]:
    """The files that list the default detectors of a hutch, by its name."""
    return {
        name: path
        for name, path in known_graphs().items()
        if "\nDEFAULTS" in path.read_text(encoding="utf-8")
    }


def hutch_defaults(name: str) -> Sequence[DefaultDetector]:
    """The list ``DEFAULTS`` of ``graphs/<name>.py``, or of the file at the path ``name``.

    Raises
    ------
    GraphError
        If there is no such file, or it has no such list.
    """
    known = known_hutches()
    path = Path(name) if name.endswith(".py") else known.get(name.lower())
    if path is None or not path.is_file():
        hint = did_you_mean(name, known)
        raise GraphError(f"no default detectors of {name!r}; {hint}. Or give a path")
    found = getattr(run_file(path, read_file(path)), "DEFAULTS", None)
    if not isinstance(found, Sequence):
        raise GraphError(f"{path} has no list DEFAULTS of default detectors")
    return found
