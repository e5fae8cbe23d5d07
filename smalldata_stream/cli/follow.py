"""Follow shared memory or growing files as a command line asks for it."""

from __future__ import annotations

import argparse
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from sinks.hdf5 import Hdf5Sink
from sinks.hdf5_file import partial_names
from smalldata_stream.cli.output import check_directory
from smalldata_stream.cli.reduce import output_path, tell
from smalldata_stream.cli.source import data_directory, open_source
from smalldata_stream.errors import ConstantsError, SmalldataError
from smalldata_stream.graph import FindConstants
from smalldata_stream.modes.calibration import FROM_PSANA, find_constants
from smalldata_stream.modes.display import Publisher
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, nowhere, run_live
from smalldata_stream.modes.resets import Resets
from smalldata_stream.modes.session import Report
from smalldata_stream.modes.shield import Shield
from smalldata_stream.protocols import Sink, Source
from smalldata_stream.run import RunInfo


def follow(options: argparse.Namespace) -> int:
    """Follow the source until it ends, or until Ctrl-C or SIGTERM."""
    check_paths(options)
    resets, shield = Resets(), Shield()
    guard = threading.Lock()
    with ExitStack() as stack:
        stack.enter_context(shield.armed())
        publishers = open_publishers(options, guard, resets, stack)
        metrics = None
        if options.metrics is not None:
            from smalldata_stream.metrics import Metrics

            metrics = Metrics("live")
            host, port = options.metrics
            exporter = stack.enter_context(metrics.serve(port, host))
            print(f"metrics:   {exporter.url}", flush=True)
        live = LiveOptions(
            display_seconds=1 / options.rate,
            publishers=publishers,
            metrics=metrics,
            sink=nowhere if options.output is None else files(options),
            guard=guard,
            resets=resets,
            shield=shield,
            command="smalldata-stream " + shlex.join(sys.argv[1:]),
        )
        for report in reports(options, live):
            file = report.sink if isinstance(report.sink, Hdf5Sink) else None
            written = file.path if file is not None and not report.lost else None
            # What shared memory did not hand over is no damage.
            tell(report, written, damaged="" if options.shmem else "damaged data: ")
            if report.lost:
                print(f"not written to the end: {report.lost}")
            sys.stdout.flush()  # a session may last a shift, and its log be read meanwhile
    return 0


def check_paths(options: argparse.Namespace) -> None:
    """Raise SmalldataError for a path that is wrong, which no run should have to find."""
    constants = options.constants
    if constants not in (None, FROM_PSANA) and not Path(constants).is_file():
        raise ConstantsError(f"no constants file {constants}")
    check_directory(options.output)


def reports(options: argparse.Namespace, live: LiveOptions) -> Iterator[Report]:
    """Of each graph of each run, by one process or by several."""
    if options.shmem and (options.files or options.exp or options.run is not None):
        raise SmalldataError(
            "give either --shmem (with --dir for the constants), or the run in files"
        )
    if options.shmem and (options.live_files is not None or options.reader == "psana"):
        raise SmalldataError("--live-files and --reader are of files; leave them out")
    if options.workers > 1 and not options.shmem:
        raise SmalldataError("--workers needs --shmem TAG")
    given = (options.shmem, options.exp, options.run, options.dir, options.files)
    if not any(given):
        raise SmalldataError(
            "say which run: --shmem TAG of a shared-memory server, or files: --exp, --run "
            "and --dir, or --files"
        )
    source = live_source(options) if options.workers == 1 else None
    directory = options.dir if options.shmem else data_directory(options)

    def constants(info: RunInfo) -> FindConstants:
        return find_constants(options.constants, info, directory)

    watch = GraphWatch(options.graph)
    if source is not None:
        return run_live(source, watch, constants, live)
    from smalldata_stream.modes.collector import run_workers
    from smalldata_stream.modes.relay import Job

    job = Job(
        tag=options.shmem,
        path=watch.path,
        constants=options.constants,
        directory=directory,
        display_seconds=live.display_seconds,
        command=live.command,
    )
    return run_workers(job, options.workers, constants, live)


def live_source(options: argparse.Namespace) -> Source:
    """Shared memory where a tag is given, else files."""
    if options.shmem is None:
        return open_source(options)
    from smalldata_stream.sources.shmem import ShmemSource

    return ShmemSource(options.shmem, wait=True)


def open_publishers(
    options: argparse.Namespace, guard: threading.Lock, resets: Resets, stack: ExitStack
) -> list[Publisher]:
    """The publishers that the options ask for, until the stack is left."""
    from sinks.zmq import ZmqPublisher

    zmq = stack.enter_context(
        ZmqPublisher(
            options.publish, any_port(options.publish), guard=guard, on_reset=resets.ask
        )
    )
    print(f"publishing: {zmq.address}", flush=True)
    publishers: list[Publisher] = [zmq]
    if options.psplot is not None:
        from sinks.psplot import PsplotPublisher

        host, port = options.psplot
        psplot = PsplotPublisher(port, host, guard=guard)
        publishers.append(stack.enter_context(psplot))
    return publishers


def any_port(address: str) -> str:
    """Any free port of the interfaces that an address is bound to, for requests.

    >>> any_port("tcp://0.0.0.0:5556"), any_port("ipc:///run/user/1/live")
    ('tcp://0.0.0.0:*', 'tcp://127.0.0.1:*')
    """
    host, _, _ = address.rpartition(":")
    return f"{host}:*" if host.startswith("tcp://") else "tcp://127.0.0.1:*"


def files(options: argparse.Namespace) -> Callable[[RunInfo], Sink]:
    """A file per run and per graph of a run: x.h5, x_Run0002.h5, x_Run0002_2.h5 ...

    A name that exists already is an error for the first; later it is left out, because the
    plots of a session must not end in the middle of the night for it.
    """
    given: set[Path] = set()

    def there(path: Path) -> bool:
        return path.exists() or next(partial_names(path)).exists()

    def sink(info: RunInfo) -> Sink:
        written = {path for path in given if there(path)}
        path = output_path(options.output, info, first=not written)
        if written:
            again, number = path, 2
            while path in written or (there(path) and not options.overwrite):
                path = again.with_name(f"{again.stem}_{number}{again.suffix}")
                number += 1
        given.add(path)
        return Hdf5Sink(path, overwrite=options.overwrite)

    return sink
