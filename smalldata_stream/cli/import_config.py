"""smalldata-stream import-config: an existing prod_config file as a graph file."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from smalldata_stream.counted import counted
from smalldata_stream.errors import OutputError, because
from smalldata_stream.hutches import known_hutches


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("config", type=Path, help="prod_config_xpp.py, as it is")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="the graph file to write (default: graph_xpp.py, here)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--hutch",
        choices=sorted(known_hutches()),
        help="whose default detectors are written (default: the one the name ends with)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the graph file, and say what could not be translated."""
    from smalldata_stream.prod_config.file import read_config
    from smalldata_stream.prod_config.graph import as_graph

    config: Path = options.config
    stem = re.sub(r"^prod_config_?", "", config.stem) or "imported"
    output: Path = options.output or Path(f"graph_{stem}.py")
    hutch = options.hutch or hutch_in(stem)
    imported = as_graph(read_config(config), config.name, hutch)
    if output.exists() and not options.overwrite:
        raise OutputError(f"{output} exists; write --overwrite to replace it")
    try:
        output.write_text(imported.text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {because(error)}") from error
    for one in imported.said:
        print(f"{config}:{one.line}: {one.what}", file=sys.stderr)
    lines = counted(len(imported.said), "line")
    what = (
        f"{lines} above could not be translated" if imported.said else "all is translated"
    )
    print(f"{config} -> {output}; {what}")
    print(f"next: smalldata-stream check {output} --exp ... --run ... --dir ...")
    return 0


def hutch_in(stem: str) -> str | None:
    """The hutch that a name has in it, if it has one.

    >>> hutch_in("xpp_lw1234"), hutch_in("template")
    ('xpp', None)
    """
    found = [hutch for hutch in known_hutches() if hutch in stem.lower()]
    return found[0] if found else None
