"""The files of a run as psana wants them.

psana reads several streams only from a directory with small-data files beside the big ones.
Here a temporary directory with links is made for it; missing small-data files are written
with psana's own program.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from smalldata_stream.errors import PsanaError
from smalldata_stream.sources.files_open import index_file
from smalldata_stream.sources.files_stream import Stream

_SMDWRITER_SECONDS = 3600


def link_streams(streams: Sequence[Stream]) -> Path:
    """A new directory with all that psana needs to read ``streams``.

    Raises
    ------
    PsanaError
        If a small-data file is missing and psana cannot write it.
    """
    directory = Path(tempfile.mkdtemp(prefix="smalldata_stream-"))
    try:
        (directory / "smalldata").mkdir()
        for number, stream in enumerate(streams):
            _link_stream(stream, directory, f"run-r0001-s{number:03d}-c000")
    except BaseException:
        shutil.rmtree(directory)
        raise
    return directory


def _link_stream(stream: Stream, directory: Path, name: str) -> None:
    (directory / f"{name}.xtc2").symlink_to(stream.path.resolve())
    for chunk in stream.files[1:]:
        # Later chunks keep their names: those stand in the data.
        (directory / chunk.path.name).symlink_to(chunk.path.resolve())
    small = directory / "smalldata" / f"{name}.smd.xtc2"
    there = index_file(stream.path)
    if there is not None:
        small.symlink_to(there.resolve())
    else:
        _write_small(stream.path, small)


def _write_small(big: Path, small: Path) -> None:
    spec = importlib.util.find_spec("psana")
    if spec is None or spec.origin is None:
        raise PsanaError("psana is not installed here; read without --reader psana")
    program = Path(spec.origin).parent.parent / "bin" / "smdwriter"
    try:
        done = subprocess.run(
            [str(program), "-f", str(big.resolve()), "-o", str(small)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SMDWRITER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PsanaError(f"{big}: psana's smdwriter: {error}") from error
    if done.returncode or not small.exists():
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise PsanaError(
            f"{big}: psana's smdwriter ended with {done.returncode} "
            f"({' '.join(said) or 'no word'}); is the file whole?"
        )
