"""Where a command writes to, looked at before it begins its work."""

from __future__ import annotations

from pathlib import Path

from smalldata_stream.errors import OutputError


def check_directory(output: Path | None) -> None:
    """Raise `OutputError` where there is no directory for a file that is to be written."""
    if output is not None and not output.parent.is_dir():
        raise OutputError(f"no directory {output.parent}, where {output.name} is to go")
