"""The run table of the experiment's logbook: what became of a run, where asked for.

``SMALLDATA_RUN_TABLE_URL`` is the logbook's address, up to and with ``.../lgbk``;
``SMALLDATA_RUN_TABLE_USER`` and ``SMALLDATA_RUN_TABLE_PASSWORD_FILE`` say who posts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from smalldata_stream.modes.session import Report
from smalldata_stream.web import WebError, post_json, with_query

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
URL = "SMALLDATA_RUN_TABLE_URL"
USER = "SMALLDATA_RUN_TABLE_USER"
PASSWORD_FILE = "SMALLDATA_RUN_TABLE_PASSWORD_FILE"


def post_run(
    report: Report, ranks: int, environment: Mapping[str, str] = os.environ
) -> None:
    """Post the parameters of a run that ``ranks`` have finished; a failure is a warning.

    ``SmallData`` is ``done``, the value that starts the jobs that wait for the file.
    """
    base = environment.get(URL)
    if not base:
        return
    address = with_query(
        f"{base.rstrip('/')}/run_control/{quote(report.run.exp, safe='')}"
        "/ws/add_run_params",
        {"run_num": str(report.run.number)},
    )
    try:
        post_json(
            address,
            run_parameters(report, ranks),
            PATIENCE_SECONDS,
            login=_login(environment),
        )
    except (WebError, OSError, UnicodeDecodeError) as error:
        log.warning("run table: %s", error)


def run_parameters(report: Report, ranks: int) -> dict[str, Any]:
    """What the run table shows of a finished run."""
    end = datetime.now(UTC)
    start = end - timedelta(seconds=report.seconds)
    return {
        "Prod_start": start.isoformat(timespec="seconds"),
        "Prod_end": end.isoformat(timespec="seconds"),
        "Prod_duration_mins": round(report.seconds / 60, 2),
        "Prod_ncores": ranks,
        "Prod_events": report.ledger.read,
        "Prod_events_written": report.ledger.written,
        "Prod_complete": bool(report.ledger.closes and not report.faults),
        "SmallData": "done",
    }


def _login(environment: Mapping[str, str]) -> tuple[str, str] | None:
    user, file = environment.get(USER), environment.get(PASSWORD_FILE)
    if not user or not file:
        return None
    return user, Path(file).read_text(encoding="utf-8").strip()
