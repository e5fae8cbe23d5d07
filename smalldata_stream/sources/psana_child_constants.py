"""Asks psana's calibration database, from psana's own process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smalldata_stream.constants import UNITS
from smalldata_stream.sources.psana_child_open import import_psana
from smalldata_stream.sources.psana_messages import ConstantsJob

_NOT_FOUND = 404
_DOWN = (502, 503, 504)
"""What a gateway answers when there is nobody behind it."""

WANTED = {*UNITS, "geometry", "status_extra"}
"""What is taken of that which psana has."""


class Down(RuntimeError):
    """The web service is not reached, or there is nobody behind it."""


def fetch(
    job: ConstantsJob, count: Callable[[int], None]
) -> dict[str, dict[str, tuple[Any, str]]]:
    """The constants of each detector with where they are from.

    ``count`` is told the number of answers so far. Raises RuntimeError if the web service
    fails or refuses, which psana takes for "there are none"; `Down` where it would do so
    for any detector.
    """
    import_psana()
    if job.cache:
        return _cached(job)
    from psana.pscalib.calib import MDBWebUtils

    ask = MDBWebUtils.get

    answers = 0

    def ask_and_look(url: str, query: Any = None, timeout: float = 180) -> Any:
        nonlocal answers
        try:
            response = ask(url, query=query, timeout=timeout)
        except OSError as error:  # of requests, all are
            raise Down(f"{type(error).__name__}: {error}") from error
        if response.status_code in _DOWN:
            raise Down(f"{url}: {response.status_code} {response.reason}")
        if not (response.ok or response.status_code == _NOT_FOUND):
            raise RuntimeError(f"{url}: {response.status_code} {response.reason}")
        answers += 1
        count(answers)
        return response

    MDBWebUtils.get = ask_and_look
    found: dict[str, dict[str, tuple[Any, str]]] = {}
    for detector, long_name in job.long_names.items():
        if MDBWebUtils.pro_detector_name(long_name) is None:
            # psana would ask on, for the documents of None, which is no JSON.
            found[detector] = {}
            continue
        answer = MDBWebUtils.calib_constants_all_types(long_name, exp=job.exp, run=job.run)
        found[detector] = {
            kind: (value, _origin(meta))
            for kind, (value, meta) in (answer or {}).items()
            if kind in WANTED
        }
    return found


def _cached(job: ConstantsJob) -> dict[str, dict[str, tuple[Any, str]]]:
    """The constants in psana's cache, which is a pickle of psana's own objects."""
    with Path(job.cache).open("rb") as file:
        constants = pickle.load(file)["calib_const"]
    return {
        detector: {
            kind: (value, _origin(meta))
            for kind, (value, meta) in (constants.get(detector) or {}).items()
            if kind in WANTED
        }
        for detector in job.long_names
    }


def _origin(meta: dict[str, Any]) -> str:
    return f"{meta.get('experiment', '?')} run {meta.get('run', '?')}"
