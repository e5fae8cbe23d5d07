"""The default detectors of a hutch, from the file in ``graphs/`` that lists them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.located import located


def known_hutches() -> dict[str, Path]:
    """The files that list the default detectors of a hutch, by its name."""
    spec = importlib.util.find_spec("graphs")
    if spec is None or spec.submodule_search_locations is None:
        return {}
    return {
        file.stem: file
        for folder in spec.submodule_search_locations
        for file in sorted(Path(folder).glob("*.py"))
        if "\nDEFAULTS" in file.read_text(encoding="utf-8")
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
    spec = importlib.util.spec_from_file_location(f"_hutch_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise located(error, path) from error
    found = getattr(module, "DEFAULTS", None)
    if not isinstance(found, Sequence):
        raise GraphError(f"{path} has no list DEFAULTS of default detectors")
    return found
