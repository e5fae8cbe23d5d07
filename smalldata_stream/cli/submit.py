"""smalldata-stream submit: reduce runs in SLURM jobs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from smalldata_stream.cli import run as run_command
from smalldata_stream.cli.numbers import above_zero, at_least_one
from smalldata_stream.cli.parser import Parser
from smalldata_stream.cli.run_list import as_text, run_list
from smalldata_stream.cli.submit_watch import Watch
from smalldata_stream.counted import counted
from smalldata_stream.errors import OutputError, RunNotFound, SmalldataError, because
from smalldata_stream.slurm import Job, in_arrays, submit


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("graph", help="name of a graph in graphs/, or path of a graph file")
    parser.add_argument("--exp", required=True, help="experiment, as in xpptut26")
    parser.add_argument(
        "--run", type=run_list, metavar="N", help="run number, or several: 12-40,55"
    )
    parser.add_argument(
        "--dir", type=Path, required=True, help="directory of the xtc2 files"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="directory to write <exp>_RunNNNN.h5 into (default: here)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument(
        "--logs",
        type=Path,
        default=Path("slurm"),
        metavar="DIR",
        help="directory of scripts and log files (default: %(default)s)",
    )
    slurm = parser.add_argument_group("what SLURM is asked for")
    slurm.add_argument(
        "--nodes",
        type=at_least_one,
        default=1,
        metavar="N",
        help="of each job (default: 1)",
    )
    slurm.add_argument(
        "--ntasks-per-node",
        type=at_least_one,
        default=1,
        metavar="N",
        help="ranks on each node (default: 1)",
    )
    slurm.add_argument("--account", help="as in lcls:xpptut26")
    slurm.add_argument("--partition", help="as in milano")
    slurm.add_argument("--reservation", help="name of a reservation")
    slurm.add_argument("--time", help="longest time of one job, as in 02:00:00")
    parser.add_argument(
        "--dry-run", action="store_true", help="show the script, submit nothing"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="submit a job for every new run that appears in the data, until Ctrl-C; with "
        "--run for those, the ones already there too",
    )
    parser.add_argument(
        "--every",
        type=above_zero,
        default=10.0,
        metavar="SECONDS",
        help="time between two looks of --watch (default: %(default)s)",
    )
    parser.add_argument(
        "--with",
        dest="more",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="OPTION",
        help="everything behind it goes to 'smalldata-stream run', as in "
        "--with --reader psana",
    )


def run(options: argparse.Namespace) -> int:
    """Write the script, submit it, and say what was submitted."""
    from smalldata_stream.loading import load_graph

    options.graph = str(load_graph(options.graph).path)  # it loads, and from anywhere
    if not options.dir.is_dir():
        raise RunNotFound(f"{options.dir}: no such directory")
    check_run_options(options)
    if options.watch:
        return watch(options)
    if options.run is None:
        raise SmalldataError("say which runs: --run 12-40,55, or --watch for every new one")
    runs = with_data(options)
    refuse_to_overwrite(options, runs)
    for some in in_arrays(runs):
        give(job_of(options, some), options)
    return 0


def check_run_options(options: argparse.Namespace) -> None:
    """End with a usage error here and now if ``run`` will not know its options."""
    parser = Parser(prog="smalldata-stream submit ... --with")
    run_command.arguments(parser)
    where = ["--exp", options.exp, "--run", "1", "--dir", str(options.dir)]
    parser.parse_args([options.graph, *where, *options.more])


def with_data(options: argparse.Namespace) -> list[int]:
    """The runs of which there are data; says which have none."""
    from smalldata_stream.sources.files_find import runs_in

    found = {number for exp, number in runs_in(options.dir) if exp == options.exp}
    missing = [number for number in options.run if number not in found]
    if len(missing) == len(options.run):
        there = f"there are runs {as_text(sorted(found))}" if found else "there is no run"
        raise RunNotFound(
            f"no data of {options.exp} run {as_text(missing)} in {options.dir}; {there}"
        )
    if missing:
        print(f"no data, left out: run {as_text(missing)}", file=sys.stderr)
    return [number for number in options.run if number in found]


def refuse_to_overwrite(options: argparse.Namespace, runs: Sequence[int]) -> None:
    """Say now what the jobs would say in hours."""
    there = [n for n in runs if output_file(options, n).exists()]
    if there and not options.overwrite:
        raise OutputError(
            f"{output_file(options, there[0])} exists, in all the files of {len(there)} of "
            f"{counted(len(runs), 'run')} ({as_text(there)}); write --overwrite to replace "
            "them, or leave those runs out"
        )


def output_file(options: argparse.Namespace, number: int) -> Path:
    """Where the job of a run writes."""
    output: Path = options.output
    return output / f"{options.exp}_Run{number:04d}.h5"


def jobs_name(options: argparse.Namespace) -> str:
    """What the jobs of this graph are called: one word, for file names too."""
    return re.sub(r"[^\w.-]+", "_", f"{options.exp}-{Path(options.graph).stem}")


def job_of(options: argparse.Namespace, runs: Sequence[int], *more: str) -> Job:
    """The job that reduces these runs."""
    name = jobs_name(options)
    command = [sys.executable, "-m", "smalldata_stream.cli", "run", options.graph]
    command += ["--exp", options.exp, "--dir", str(options.dir.resolve())]
    command += ["--output", str(options.output.resolve()), *options.more, *more]
    return Job(
        name=f"{name}-r{runs[0]}" if len(runs) == 1 else name,
        runs=runs,
        command=command,
        logs=options.logs.resolve(),
        overwrite=options.overwrite,
        nodes=options.nodes,
        tasks_per_node=options.ntasks_per_node,
        account=options.account,
        partition=options.partition,
        reservation=options.reservation,
        time=options.time,
    )


def give(job: Job, options: argparse.Namespace) -> str:
    """Write the script of a job and submit it, or only show it; returns its number."""
    text = job.script()
    if options.dry_run:
        print(text, end="")
        return ""
    path = options.logs / f"{job.name}{'' if len(job.runs) == 1 else '-array'}.sh"
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        options.logs.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {because(error)}") from error
    number = submit(path)
    print(f"job {number}: {options.exp} run {as_text(job.runs)}  ({path})", flush=True)
    return number


def first_to_come(options: argparse.Namespace) -> int:
    """The first of the runs that are watched for, or the one after those that are there."""
    from smalldata_stream.sources.files_find import runs_in

    there = (number for exp, number in runs_in(options.dir) if exp == options.exp)
    return min(options.run) if options.run else max(there, default=0) + 1


def watch(options: argparse.Namespace) -> int:
    """Submit a job for each new run until Ctrl-C."""
    if options.dry_run:
        first = first_to_come(options)
        print(f"run {first}; every run that appears gets one like it:", file=sys.stderr)
        give(job_of(options, [first], "--live-files"), options)
        return 0
    return Watch(
        exp=options.exp,
        directory=options.dir,
        state=options.logs / f"{jobs_name(options)}-submitted.json",
        runs=options.run,
        every_seconds=options.every,
        name=lambda number: job_of(options, [number]).name,
        give=lambda number: give(job_of(options, [number], "--live-files"), options),
    ).follow()
