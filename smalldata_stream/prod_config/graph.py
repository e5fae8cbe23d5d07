"""The graph file that does what an existing prod_config did."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from textwrap import indent

from smalldata_stream.prod_config.body import SUMS, Body
from smalldata_stream.prod_config.entry import Said
from smalldata_stream.prod_config.file import Config
from smalldata_stream.prod_config.lists import LISTS, NAMES
from smalldata_stream.prod_config.words import FUNCTIONS, HAVE_NO_MEANING


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of the graph file, and what could not be translated."""

    text: str
    said: Sequence[Said]


def as_graph(config: Config, source: str, hutch: str | None) -> Imported:
    """Write a graph; where the old file differs between runs, so does the graph."""
    variants = [
        (last, *Body(config, run, hutch).write()) for last, run in spans(config.runs())
    ]
    said = [one for _, _, some in variants for one in some]
    said += [Said(error.line, error.what) for error in config.unclear]
    said += left_over(config)
    said = sorted(dict.fromkeys(said), key=lambda one: one.line)
    names = dict.fromkeys(name for _, blocks, _ in variants for name in blocks)
    lines: list[str] = []
    for name in names:
        each = [(last, blocks.get(name, [])) for last, blocks, _ in variants]
        lines += [*([""] if lines else []), *by_run(each)]
    if all(is_comment(line) for line in lines):
        lines.append("pass")
    body = [indent(line, "    ") for line in lines]
    return Imported("\n".join([*heading(source, said, body), *body]) + "\n", said)


def by_run(variants: Sequence[tuple[int | None, list[str]]]) -> list[str]:
    """Statements of runs: a branch for each span, between what is common to all."""
    merged: list[tuple[int | None, list[str]]] = []
    for last, lines in variants:
        if merged and merged[-1][1] == lines:
            merged.pop()
        merged.append((last, lines))
    shared = common([lines for _, lines in merged])
    rest = [lines[shared:] for _, lines in merged]
    last_ones = common([lines[::-1] for lines in rest])
    out = merged[0][1][:shared]
    for number, (last, lines) in enumerate(merged if len(merged) > 1 else ()):
        test = f"run.number <= {last}:"
        out.append(f"elif {test}" if number and last is not None else f"if {test}")
        if last is None:
            out[-1] = "else:"
        own = lines[shared : len(lines) - last_ones]
        if all(map(is_comment, own)):
            if last is None and not own:
                out.pop()
                continue
            own = [*own, "pass"]
        out += [indent(line, "    ") for line in own]
    return [*out, *(rest[0][len(rest[0]) - last_ones :])]


def is_comment(line: str) -> bool:
    """Whether a line does nothing."""
    return not line.strip() or line.lstrip().startswith("#")


def spans(numbers: Sequence[int]) -> list[tuple[int | None, int]]:
    """Spans of runs between which a file may differ: (last run, one run in it).

    >>> spans([]), spans([0]), spans([40])
    ([(None, 1)], [(None, 1)], [(39, 1), (40, 40), (None, 41)])
    """
    found: list[tuple[int | None, int]] = []
    begin = 1
    for number in numbers:
        if number > begin:
            found.append((number - 1, begin))
        if number >= begin:
            found.append((number, number))
            begin = number + 1
    return [*found, (None, begin)]


def common(bodies: Sequence[Sequence[str]]) -> int:
    """How many statements all bodies begin with; all, where there is one."""
    same = takewhile(lambda lines: len(set(lines)) == 1, zip(*bodies, strict=False))
    return sum(1 for _ in same)


def heading(source: str, said: Sequence[Said], lines: Sequence[str]) -> Iterator[str]:
    """What stands before the body: what was not translated, imports, the function."""
    yield f'"""What {source} wrote, as a graph."""'
    yield ""
    if said:
        yield f"# Not translated, by line of {source}:"
        yield from (f"#   {one.line}: {one.what}" for one in said)
        yield ""
    text = "\n".join(lines)
    imports = [line for name, line in LISTS.items() if f"{name}(" in text]
    numpy = ["import numpy as np"] if re.search(r"\bnp\.", text) else []
    for block in (numpy, sorted(imports)):
        yield from [*block, ""] if block else []
    yield ""
    yield "def graph(g, run):"


def left_over(config: Config) -> Iterator[Said]:
    """Functions and values of the file that nothing here knows and nothing there uses."""
    used = {
        node.id
        for function in config.functions.values()
        for node in ast.walk(function)
        if isinstance(node, ast.Name)
    }
    known = {*FUNCTIONS, *SUMS, *NAMES, "hutch", "logger"}
    no_longer = {"integrating_detectors"} if "get_intg" in config.functions else ()
    for name in (*config.functions, *config.values):
        line = config.lines.get(name, 1)
        if name in HAVE_NO_MEANING or name in no_longer:
            why = HAVE_NO_MEANING.get(name, "was read and not used")
            yield Said(line, f"{name} {why}")
        elif name not in known and name not in used and not name.startswith("_"):
            yield Said(line, f"{name} is not known here")
