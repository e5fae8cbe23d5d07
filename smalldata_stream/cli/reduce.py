"""Reduce every run that a command line asks for, and tell what became of it."""

from __future__ import annotations

import argparse
import shlex
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_stream.cli.many_runs import each_run
from smalldata_stream.cli.progress import both, progress
from smalldata_stream.cli.ranked import speaking_for_all
from smalldata_stream.cli.source import data_directory, open_source
from smalldata_stream.cli.tables import dropped_lines, ledger_table, wrapped
from smalldata_stream.counted import counted
from smalldata_stream.errors import SourceError
from smalldata_stream.loading import GraphFile, load_graph
from smalldata_stream.modes.agreed import agreed
from smalldata_stream.modes.batch import Options
from smalldata_stream.modes.blocks import Outcome, reduce_blocks
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.folder import Output, WholeAlreadyError, folder_of
from smalldata_stream.modes.job_page import JobPage
from smalldata_stream.modes.ranks import Ranks
from smalldata_stream.modes.ranks import ranks as find_ranks
from smalldata_stream.modes.report import report_of
from smalldata_stream.modes.run_table import post_run
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Run
from smalldata_stream.run import RunInfo

if TYPE_CHECKING:
    from smalldata_stream.metrics_session import SessionCounts

FINISHED_WITH_FAULTS = 3


def reduce_all(options: argparse.Namespace) -> int:
    """Reduce every run that was asked for, with all ranks of the job."""
    ranks = find_ranks()
    with speaking_for_all(ranks):
        graph = agreed(ranks, lambda: load_graph(options.graph))
        metrics = agreed(ranks, lambda: textfile_metrics(options.metrics_textfile, ranks))
        about = where(ranks.gathered(socket.gethostname()))
        reduce = partial(
            reduce_source, graph=graph, metrics=metrics, ranks=ranks, about=about
        )
        return each_run(options, reduce)


def reduce_source(
    options: argparse.Namespace,
    *,
    graph: GraphFile,
    metrics: SessionCounts | None,
    ranks: Ranks,
    about: str,
) -> int:
    """Reduce every run of one source."""
    runs = agreed(ranks, lambda: iter(open_source(options).runs()))
    faults = found = 0
    while (a_run := agreed(ranks, lambda: next(runs, None))) is not None:
        found += 1
        first = found == 1
        faults += reduce_one(options, a_run, graph, metrics, ranks, about, first=first)
    if not found:
        raise SourceError("the data hold no run")
    return FINISHED_WITH_FAULTS if faults else 0


def reduce_one(
    options: argparse.Namespace,
    a_run: Run,
    graph: GraphFile,
    metrics: SessionCounts | None,
    ranks: Ranks,
    about: str,
    *,
    first: bool,
) -> int:
    """Reduce one run; returns how much there is to complain of, the same in all ranks."""
    output = Output(
        path=output_path(options.output, a_run.info, first=first),
        compression=options.compression,
        overwrite=options.overwrite,
        resume=options.resume,
    )
    constants = agreed(
        ranks,
        lambda: find_constants(options.constants, a_run.info, data_directory(options)),
    )
    page_of_job = JobPage.of_environment() if ranks.first else JobPage(None)
    with progress() as show, page_of_job as page:
        how = Options(
            progress=both(show, page),
            max_failures=options.max_failures,
            metrics=metrics,
            command=command(ranks),
            ranks=about,
        )
        try:
            outcome = reduce_blocks(a_run, graph, output, constants, how, ranks)
        except WholeAlreadyError as whole:
            print(whole)
            return 0
        except KeyboardInterrupt:
            if ranks.first and folder_of(output.path).exists():
                print("\nthe same command with --resume goes on from here", file=sys.stderr)
            raise
        if outcome is not None:
            page.last(outcome.report.ledger.read, ranks.size)
    faults = agreed(ranks, lambda: tell_all(options, outcome, output, ranks))
    return ranks.share(faults)


def tell_all(
    options: argparse.Namespace, outcome: Outcome | None, output: Output, ranks: Ranks
) -> int:
    """Tell all who want to know; returns how much is wrong, as far as known here."""
    if outcome is None:
        return 0
    report = outcome.report
    tell(report, output.path)
    tell_how(outcome, ranks)
    post_run(report, ranks.size)
    if options.report:
        html = output.path.with_suffix(".html")
        report_of(report, html)
        print(f"report: {html}")
    return len(report.faults) + (not report.ledger.closes)


def command(ranks: Ranks) -> str:
    """The command line, as it is kept in the file."""
    launcher = f"mpiexec -n {ranks.size} " if ranks.size > 1 else ""
    return launcher + "smalldata-stream " + shlex.join(sys.argv[1:])


def where(hosts: Sequence[str]) -> str:
    """How many ranks a job has, and where, from the host of each.

    >>> where(["drp7", "drp8", "drp7"])
    '3 on drp7 (2), drp8 (1)'
    """
    each = ", ".join(f"{host} ({n})" for host, n in Counter(hosts).items())
    return f"{len(hosts)} on {each}"


def textfile_metrics(path: Path | None, ranks: Ranks) -> SessionCounts | None:
    """Metrics, if anybody wants them; rank 0 writes those of all ranks to a file."""
    if path is None:
        return None
    if not ranks.first:
        from smalldata_stream.metrics_session import SessionCounts

        return SessionCounts("batch")
    from smalldata_stream.metrics import Metrics

    metrics = Metrics("batch")
    metrics.textfile(path)
    return metrics


def output_path(given: Path | None, info: RunInfo, *, first: bool) -> Path:
    """Where a run is written; further runs of one source get their number.

    In a directory that exists, the file has the name it has by default.

    >>> info = RunInfo(exp="xpptut26", number=2, detectors={})
    >>> str(output_path(None, info, first=True))
    'xpptut26_Run0002.h5'
    >>> str(output_path(Path("a.h5"), info, first=False))
    'a_Run0002.h5'
    """
    by_default = Path(f"{info.exp or 'run'}_Run{info.number:04d}.h5")
    if given is None:
        return by_default
    if given.is_dir():
        return given / by_default
    if first:
        return given
    return given.with_name(f"{given.stem}_Run{info.number:04d}{given.suffix}")


def tell(report: Report, path: Path | None, *, damaged: str = "damaged data: ") -> None:
    """Say what became of the run."""
    where = "" if path is None else f" -> {path}"
    rate = report.ledger.read / max(report.seconds, 1e-9)
    print(f"{report.run.exp or 'unknown experiment'} run {report.run.number}{where}")
    print(
        f"{counted(report.ledger.read, 'event')} in {report.seconds:.1f} s ({rate:,.0f}/s)"
    )
    for line in dropped_lines(report.dropped):
        print(wrapped(line))
    for fault in report.faults:
        print(
            f"{damaged}{fault.where}: {fault.what} ({counted(fault.events, 'event')} lost)"
        )
    for letter in report.ledger.dead_letters[:5]:
        print(f"failed: {letter.node} at event {letter.timestamp}: {letter.error}")
    more = len(report.ledger.dead_letters) - 5
    if more > 0:
        see = "" if path is None else ", see /ledger/dead_letters in the file"
        print(f"failed: {more} more of these{see}")
    print(ledger_table(report.ledger))


def tell_how(outcome: Outcome, ranks: Ranks) -> None:
    """Say by how many it was done, and what that has cost."""
    merged = outcome.merged
    blocks = counted(outcome.blocks, "block")
    if ranks.size > 1:
        print(f"{blocks} by {ranks.size} ranks")
    if outcome.resumed:
        print(f"resumed: {outcome.resumed} of {blocks} were done before")
    if merged is not None and merged.parts:
        mb = merged.nbytes / 1e6
        print(
            f"put together from {counted(merged.parts, 'part')}: {mb:,.0f} MB in "
            f"{merged.seconds:.1f} s ({mb / max(merged.seconds, 1e-9):,.0f} MB/s)"
        )
