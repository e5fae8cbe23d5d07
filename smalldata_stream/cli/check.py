"""smalldata-stream check: what a graph would write, without reading a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_stream.cli.source import data_directory, open_source, source_arguments
from smalldata_stream.cli.tables import outputs_table, wrapped
from smalldata_stream.errors import OutputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("graph", help="name of a graph in graphs/, or path of a graph file")
    source_arguments(parser)
    parser.add_argument("--constants", metavar="FILE", help="constants file, or 'psana'")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the graph into FILE")


def run(options: argparse.Namespace) -> int:
    """Build the graph for every run of the source and show it."""
    from smalldata_stream.drawing import draw
    from smalldata_stream.loading import load_graph
    from smalldata_stream.modes.calibration import find_constants

    graph = load_graph(options.graph)
    for a_run in open_source(options).runs():
        constants = find_constants(options.constants, a_run.info, data_directory(options))
        g = graph.build(a_run.info, constants)
        print(f"{graph.path.name} for {a_run.info.exp} run {a_run.info.number}")
        print(outputs_table(g.plan.outputs(), g.plan.totals()))
        for path, why in g.plan.keeps:
            print(wrapped(f"left out where /{path} is not true: {why}"))
        for line in g.plan.dropped:
            print(wrapped(f"dropped from the graph: {line}"))
        if options.svg:
            try:
                options.svg.write_text(draw(g.plan), encoding="utf-8")
            except OSError as error:
                raise OutputError(
                    f"cannot write {options.svg}: {error.strerror}"
                ) from error
            print(f"picture of the graph: {options.svg}")
        g.plan.close()
    return 0
