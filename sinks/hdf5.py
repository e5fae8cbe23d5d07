"""The HDF5 sink: the smallData layout, one row per event in time order.

See ``docs/hdf5.md`` for the layout and for how to open the file in a notebook.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sinks.hdf5_file import PartialFile, partial_name
from sinks.hdf5_layout import check, missing_value
from smalldata_stream.batch import Column
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result

__all__ = ["Hdf5Sink", "missing_value", "partials"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hdf5Sink:
    """Writes a run to one HDF5 file.

    It is written under another name in the same directory (`partials`) and gets its own
    when it is whole.

    Attributes
    ----------
    path
        The file.
    overwrite
        Whether an existing file is replaced; else it is an `OutputError`, at the beginning
        and again at the end.
    compression
        Of what has 1 kB per event and more, and of columns of varying length. To read
        ``"bitshuffle-lz4"`` a notebook needs ``import hdf5plugin``.
    flush_seconds
        How much a killed job loses at most.

    Examples
    --------
    >>> import tempfile, h5py
    >>> from smalldata_stream.protocols import Spec
    >>> from smalldata_stream.run import RunInfo
    >>> run = RunInfo(exp="xpptut15", number=14, detectors={})
    >>> outputs = {"gmd/energy": Spec(dtype=np.dtype("f8"), unit="mJ")}
    >>> folder = tempfile.TemporaryDirectory()
    >>> sink = Hdf5Sink(Path(folder.name, "run14.h5"))
    >>> sink.begin(Declaration(run=run, outputs=outputs))
    >>> gap = Column(np.array([2.5]), np.array([False, True]))
    >>> sink.write(np.array([1, 2], np.uint64), {"gmd/energy": gap})
    >>> sink.end({}, Ledger(read=2, written=2))
    >>> with h5py.File(sink.path) as f:
    ...     print(f["gmd/energy"][:], f["gmd/energy"].attrs["units"], f.attrs["complete"])
    [nan 2.5] mJ True
    >>> folder.cleanup()
    """

    path: Path
    overwrite: bool = field(default=False, kw_only=True)
    compression: Literal["bitshuffle-lz4", "gzip", "none"] = field(
        default="bitshuffle-lz4", kw_only=True
    )
    flush_seconds: float = field(default=5.0, kw_only=True)
    _open: list[PartialFile] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        known = ("bitshuffle-lz4", "gzip", "none")
        if self.compression not in known:
            raise ValueError(f"compression is {', '.join(known)}, not {self.compression!r}")
        if not self.flush_seconds >= 0:
            raise ValueError(f"flush_seconds is 0 or more, not {self.flush_seconds}")

    def begin(self, declaration: Declaration) -> None:
        """Make the partial file with all datasets whose shape is known.

        Raises
        ------
        OutputError
            If the file is there already, cannot be made, or the declaration does not fit
            into one file.
        """
        if self._open:
            raise OutputError(
                f"{self.path} is being written already; end or abort it first"
            )
        check(declaration)
        self._refuse_existing()
        partial = partial_name(self.path)
        self._open.append(
            PartialFile(partial, declaration, self.compression, self.flush_seconds)
        )

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Add events; OutputError if they are not later than all before or do not fit."""
        with self._writing() as file:
            file.append(timestamps, record)

    def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
        """Write totals and ledger, close, and give the file its name."""
        with self._writing() as file:
            never = file.finish(totals, ledger)
        if never:
            log.warning(
                "%s: no event had a value, so these have no dataset: %s",
                self.path,
                ", ".join(never),
            )
        publish(file.path, self.path, overwrite=self.overwrite)

    def abort(self) -> None:
        """Flush and close the partial file, which stays; nothing to do outside of a run."""
        if self._open:
            with self._writing() as file:
                file.close()

    @contextmanager
    def _writing(self) -> Iterator[PartialFile]:
        if not self._open:
            raise OutputError(f"{self.path} is not open: begin comes first, end comes last")
        file = self._open[0]
        try:
            yield file
        finally:
            if file.closed:
                self._open.clear()

    def _refuse_existing(self) -> None:
        if not self.overwrite and os.path.lexists(self.path):
            raise OutputError(
                f"{self.path} exists; overwrite=True (on the command line --overwrite) "
                "replaces it"
            )


def publish(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Give a whole file its name; one that came meanwhile is not replaced unasked.

    Raises
    ------
    OutputError
        If there is one, or the file cannot be renamed.
    """
    try:
        if overwrite:
            partial.replace(path)
        else:
            _rename_new(partial, path)
    except FileExistsError:
        raise OutputError(
            f"{path} was made by another job meanwhile; this job's is {partial}. "
            "overwrite=True replaces the other"
        ) from None
    except OSError as error:
        raise OutputError(
            f"{partial} is whole, but cannot be renamed to {path.name}: {error.strerror}"
        ) from error


def _rename_new(old: Path, new: Path) -> None:
    """Rename, or FileExistsError; at once where the file system has hard links."""
    try:
        os.link(old, new)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        if os.path.lexists(new):
            raise FileExistsError(new) from None
        old.replace(new)
    else:
        old.unlink()


def partials(path: Path | str) -> list[Path]:
    """What killed and aborted jobs left of the file ``path``, oldest first.

    They open with h5py, complete to the last flush, with the root attribute ``complete``
    False.
    """
    path = Path(path)
    found = path.parent.glob(f".{glob.escape(path.name)}.*.partial")
    return sorted(found, key=lambda partial: partial.stat().st_mtime)
