"""The frame of the pulse before, and the lead-in that brings it: all of it is told here.

What a graph does depends on one event at a time, but for a ghost: what the pixels of a
detector still have of the pulse before. That pulse may be in the batch before, or in a
block that another rank reduces. The numbers are the same wherever a run is cut, because

* a detector whose frames depend on those before (``PerEvent.before_ms``) has a `Before`,
  which keeps the last raw frame from batch to batch; a copy, as frames are views that
  nothing keeps after their batch. What comes out is a function of two raw frames.
* a reader that does not go on where it has stopped, as a rank that gets a later block,
  first reads the **lead-in**: the events shortly before its first one (``Blocks.before``).
  They go to `Plan.remember`, which feeds each `Before`. They are not reduced, recorded or
  counted: they are in a block of their own. Where no node asks for it (``Plan.before_ms``
  is 0) nothing is read.
* what is not the frame of the pulse before is not taken for it. A frame is a gap where none
  was read up to ``before_ms`` earlier, as in the first event of a run, after one that was
  lost, or that a live session was not given; and where what was read in between is
  damaged. The ledger counts these gaps as *unknown*.

Workers of a live session share the events of a server: hardly one has the event before.
`smalldata_stream.modes.joined` refuses such a graph.
"""

from __future__ import annotations

import numpy as np

from smalldata_stream.batch import Array, Batch, Column, Frames, Mask, Signal, Status
from smalldata_stream.timestamps import nanoseconds

NOTHING_BEFORE = "no whole frame of the pulse before"
"""Why a frame that depends on that of the pulse before is not known, in the ledger."""

_NEVER = np.iinfo(np.int64).min // 2


class Before:
    """For each frame of a signal the one before it, also where that is in another batch.

    >>> cam, second = Signal("cam", "raw", "image"), np.uint64(1 << 32)
    >>> def batch(*frames):
    ...     ms = np.array(frames, np.uint64)
    ...     column, ok = Column(ms[:, None].astype("u2")), np.zeros(len(ms), np.uint8)
    ...     stamps = second + ms * np.uint64(1_000_000)
    ...     return Batch(stamps, ok.astype("i4"), {cam: column}, {"cam": ok})
    >>> before = Before(cam, 12.5)
    >>> [int(frame[0]) for frame in before.take(batch(0, 8, 30)).values]
    [0]
    >>> before.take(batch(38, 46)).mask.tolist()
    [True, True]
    """

    def __init__(self, signal: Signal, most_ms: float):
        self._signal, self.most_ms = signal, most_ms
        self._frame: Array = np.empty(0)
        self._read = _NEVER
        """When that frame was read."""

    def take(self, batch: Batch) -> Column:
        """The raw frame before that of each event; and remember the last one."""
        column = batch.columns[self._signal]
        frames, there = list(column.values), column.mask
        read = nanoseconds(batch.timestamps)[there]
        status = batch.status[self._signal.detector]
        damaged = np.cumsum(status == Status.DAMAGED)
        since = np.diff(read, prepend=self._read)
        whole = np.diff(damaged[there], prepend=0) == 0
        known = (since > 0) & (since <= round(self.most_ms * 1e6)) & whole
        others = [self._frame, *frames][: len(frames)]
        before = Frames(
            [frame for frame, k in zip(others, known, strict=True) if k],
            shape=column.values.shape if isinstance(column.values, Frames) else (),
            dtype=column.values.dtype,
        )
        present = there.copy()
        present[there] = known
        if frames:
            self._frame, self._read = frames[-1].copy(), int(read[-1])
        if (status[_after_last(there) :] == Status.DAMAGED).any():
            self._read = _NEVER
        return Column(before, present)


def _after_last(there: Mask) -> int:
    """The number of the event after the last true one; 0 where there is none."""
    return int(np.flatnonzero(there)[-1]) + 1 if there.any() else 0
