"""The packages of the project come from one place, or the numbers could be anybody's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from smalldata_stream.errors import SmalldataError

PACKAGES = ("smalldata_stream", "sinks", "graphs")


def check_packages() -> None:
    """Raise `SmalldataError` naming the intruder where another package took a name of ours.

    ``sinks`` and ``graphs`` are common words: another distribution, or a folder with an
    ``__init__.py`` in the working directory, could silently stand in for them.
    """
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin != home / name / "__init__.py":
            raise SmalldataError(
                f"the package {name!r} is not ours but {origin}; ours is in {home}. "
                "Use an environment of its own for smalldata_stream"
            )
