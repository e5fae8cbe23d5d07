"""The one run of some files, and all that it has."""

from __future__ import annotations

from smalldata_stream.batch import Signal
from smalldata_stream.protocols import Run, Source


def one_run(source: Source) -> Run:
    """The only run of a source."""
    (run,) = source.runs()
    return run


def all_signals(run: Run) -> list[Signal]:
    """Every signal of a run."""
    return [s for detector in run.info.detectors.values() for s in detector.signals()]
