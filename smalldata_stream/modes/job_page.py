"""The experiment's job page: how far a job is, where the environment names a page.

The workflow service of the experiment's logbook starts jobs with ``ARP_JOB_ID`` and
``JID_UPDATE_COUNTERS``, the address that takes ``[{"key": ..., "value": ...}]``.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Self

from smalldata_stream.web import WebError, post_json

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
"""What one post may take."""

FAREWELL_SECONDS = 3.0
"""What the end of the job may wait for the last post."""

MOST_FAILURES = 3
"""So many failed posts in a row, and the page is left alone."""

EVENT = "<b>Current Event</b>"
LAST = "<b>Last Event</b>"
DURATION = "<b>Duration</b>"


class JobPage:
    """Posts the newest counters, in a thread of its own that the job never waits for.

    Used with ``with``; does nothing without an ``address``.
    """

    def __init__(self, address: str | None):
        self._address = address
        self._started = time.monotonic()
        self._newest: dict[str, str] = {}
        self._guard = threading.Lock()
        self._ending = threading.Event()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The page of the job that this process is, if it is one."""
        known = environment.get("ARP_JOB_ID") and environment.get("JID_UPDATE_COUNTERS")
        return cls(known or None)

    def __enter__(self) -> Self:
        if self._address is not None:
            self._thread = threading.Thread(target=self._post, name="job page", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            return
        self._ending.set()
        self._news.set()
        self._thread.join(FAREWELL_SECONDS)
        if self._thread.is_alive():
            log.warning("job page: no answer; the job ends without its last post")

    def __call__(self, read: int, total: int | None) -> None:
        """Note how far the job is."""
        of = f" of {total:,}" if total else ""
        self._note({EVENT: f"{read:,}{of}"})

    def last(self, read: int, tasks: int) -> None:
        """Note that all events are done."""
        minutes = (time.monotonic() - self._started) / 60
        events = (
            f"{read:,}" if tasks == 1 else f"~ {tasks} cores * {read / tasks:,.0f} evts"
        )
        self._note({LAST: events, DURATION: f"{minutes:.1f} min"})

    def _note(self, counters: Mapping[str, str]) -> None:
        if self._thread is None:
            return
        with self._guard:
            self._newest |= counters
        self._news.set()

    def _post(self) -> None:
        failures = 0
        while True:
            self._news.wait()
            self._news.clear()
            with self._guard:
                counters, self._newest = self._newest, {}
            if counters and self._address is not None:
                rows = [{"key": key, "value": value} for key, value in counters.items()]
                try:
                    post_json(self._address, rows, PATIENCE_SECONDS)
                    failures = 0
                except WebError as error:
                    failures += 1
                    if failures == 1:
                        log.warning("job page: %s", error)
            if failures >= MOST_FAILURES:
                log.warning("job page: left alone after %d failed posts", failures)
                return
            if self._ending.is_set():
                if not self._news.is_set():
                    return
            else:
                self._ending.wait(EVERY_SECONDS)
