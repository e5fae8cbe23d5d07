"""smalldata-stream run: reduce runs into smallData HDF5 files, one for each."""

from __future__ import annotations

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.cli.many_runs import each_run
from smalldata_stream.cli.progress import both, progress
from smalldata_stream.cli.source import data_directory, open_source, source_arguments
from smalldata_stream.cli.tables import ledger_table
from smalldata_stream.errors import SourceError
from smalldata_stream.loading import GraphFile, load_graph
from smalldata_stream.modes.batch import MAX_FAILURES, Options, reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.job_page import JobPage
from smalldata_stream.modes.report import report_of
from smalldata_stream.modes.run_table import post_run, tasks
from smalldata_stream.modes.session import Report
from smalldata_stream.run import RunInfo

if TYPE_CHECKING:
    from smalldata_stream.metrics import Metrics

FINISHED_WITH_FAULTS = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("graph", help="name of a graph in graphs/, or path of a graph file")
    source_arguments(parser, several=True)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="the file to write, or a directory (default: <exp>_RunNNNN.h5)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--constants",
        metavar="FILE",
        help="constants file, or 'psana' for its database (default: beside the data, "
        "then psana's database)",
    )
    parser.add_argument(
        "--compression",
        choices=["bitshuffle-lz4", "gzip", "none"],
        default="bitshuffle-lz4",
        help="of frames (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="draw the plots of the graph into an HTML file beside the output",
    )
    parser.add_argument(
        "--metrics-textfile",
        type=Path,
        metavar="FILE.prom",
        help="write metrics for the textfile collector of Prometheus' node exporter",
    )
    parser.add_argument(
        "--max-failures",
        type=float,
        default=MAX_FAILURES,
        metavar="SHARE",
        help="give up when a node fails on more than this share of the events "
        "(default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Reduce every run that was asked for."""
    graph = load_graph(options.graph)
    metrics = textfile_metrics(options.metrics_textfile)
    return each_run(options, partial(reduce_source, graph=graph, metrics=metrics))


def reduce_source(
    options: argparse.Namespace, *, graph: GraphFile, metrics: Metrics | None
) -> int:
    """Reduce every run of one source."""
    source = open_source(options)
    command = "smalldata-stream " + shlex.join(sys.argv[1:])
    faults = 0
    found = 0
    for found, a_run in enumerate(source.runs(), 1):
        path = output_path(options.output, a_run.info, first=found == 1)
        sink = Hdf5Sink(path, overwrite=options.overwrite, compression=options.compression)
        constants = find_constants(options.constants, a_run.info, data_directory(options))
        with progress() as show, JobPage.of_environment() as page:
            report = reduce_run(
                a_run,
                graph,
                sink,
                constants,
                Options(
                    progress=both(show, page),
                    max_failures=options.max_failures,
                    metrics=metrics,
                    command=command,
                ),
            )
            page.last(report.ledger.read, tasks())
        tell(report, path)
        post_run(report)
        if options.report:
            html = path.with_suffix(".html")
            report_of(report, html)
            print(f"report: {html}")
        faults += len(report.faults) + (not report.ledger.closes)
    if not found:
        raise SourceError("the data hold no run")
    return FINISHED_WITH_FAULTS if faults else 0


def textfile_metrics(path: Path | None) -> Metrics | None:
    """Metrics that are written to a file, if anybody wants them."""
    if path is None:
        return None
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


def tell(report: Report, path: Path) -> None:
    """Say what became of the run."""
    rate = report.ledger.read / max(report.seconds, 1e-9)
    print(f"{report.run.exp} run {report.run.number} -> {path}")
    print(f"{report.ledger.read:,} events in {report.seconds:.1f} s ({rate:,.0f}/s)")
    for line in report.dropped:
        print(f"dropped from the graph: {line}")
    for fault in report.faults:
        print(f"damaged data: {fault.where}: {fault.what} ({fault.events} events lost)")
    for letter in report.ledger.dead_letters[:5]:
        print(f"failed: {letter.node} at event {letter.timestamp}: {letter.error}")
    print(ledger_table(report.ledger))
