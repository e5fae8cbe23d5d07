"""A graph file that may be edited while it runs."""

from __future__ import annotations

import time

from smalldata_stream.loading import GraphFile, find_graph, load_graph

LOOK_SECONDS = 0.5
"""Time between two looks at the file."""


class GraphWatch:
    """The graph of a file, and whether the file has changed since it was loaded.

    >>> watch = GraphWatch("tutorial")
    >>> watch.changed(), watch.load().path.name
    (False, 'tutorial.py')
    """

    def __init__(self, name: str):
        self.path = find_graph(name)
        self._seen = self._stamp()
        self._due = time.monotonic() + LOOK_SECONDS

    def load(self) -> GraphFile:
        """The graph as it is in the file now; `GraphError` where it cannot be loaded."""
        self._seen = self._stamp()
        return load_graph(str(self.path))

    def changed(self) -> bool:
        """Whether the file is another than the one loaded last; looks twice a second."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + LOOK_SECONDS
        stamp = self._stamp()
        # While an editor replaces the file there may be none: not a change yet.
        return stamp is not None and stamp != self._seen

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:  # also what a file system says that is busy with something else
            return None
        return status.st_mtime_ns, status.st_size
