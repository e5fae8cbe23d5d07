"""The graph file that does what an existing prod_config did."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from textwrap import indent
from typing import Any

from smalldata_stream.prod_config.entry import (
    AS_NONE,
    Call,
    Old,
    Said,
    Written,
    as_lined,
    contains_opaque,
    text_of,
)
from smalldata_stream.prod_config.file import Config
from smalldata_stream.prod_config.known import Opaque, Unclear
from smalldata_stream.prod_config.lists import LISTS, NAMES, default_sums, lists
from smalldata_stream.prod_config.text import call_text, literal, wrapped
from smalldata_stream.prod_config.words import (
    CHANNEL,
    FUNCTIONS,
    HAVE_NO_MEANING,
    OF_CHANNELS,
    OF_WAVEFORMS,
)
from smalldata_stream.words import Word, Words

SUMS = ("get_sum_algos", "getDetSums")
WAVEFORM = re.compile(r"fim|w8|wave8", re.IGNORECASE)
"""Detectors whose waveforms are meant, as smalldata_tools tells them by their name."""


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
    for name in (*config.functions, *config.values):
        line = config.lines.get(name, 1)
        if name in HAVE_NO_MEANING:
            yield Said(line, f"{name} {HAVE_NO_MEANING[name]}")
        elif name not in known and name not in used and not name.startswith("_"):
            yield Said(line, f"{name} is not known here")


class Body:
    """The lines of a graph for one run, by detector."""

    def __init__(self, config: Config, run: int, hutch: str | None):
        self.config, self.run, self.hutch = config, run, hutch
        self.lines: list[str] = []
        self.said: list[Said] = []

    def write(self) -> tuple[dict[str, list[str]], list[Said]]:
        """The lines, those of no detector under ``""``, and what was not translated."""
        blocks = {"": list(lists(self.config, self.run, self.hutch, self.said))}
        if self.hutch is not None:
            blocks[""].append(f"g.defaults({literal(self.hutch)})")
        entries = self._entries()
        listed = self._listed()
        names = list(dict.fromkeys(listed if listed is not None else entries))
        sums = self._sums(names)
        for name in names:
            self.lines = blocks[name] = []
            self._detector(name, entries.get(name, []), sums.get(name, []))
        for name, calls in entries.items():
            if name not in names:
                what = f"{name} is not in the list of detectors, so nothing was written"
                self._no(calls[0].line, what)
        return blocks, self.said

    def _listed(self) -> list[str] | None:
        for name in ("detectors", "detnames"):
            value = self.config.values.get(name)
            if name in self.config.functions:
                value = self._called(name)
            if isinstance(value, list | tuple):
                return [one for one in value if isinstance(one, str)]
            if isinstance(value, Opaque):
                self.said.append(
                    Said(value.line, f"{name} = {value.text} is not worked out")
                )
        return None

    def _entries(self) -> dict[str, list[Call]]:
        found: dict[str, list[Call]] = {}
        for name, translate in FUNCTIONS.items():
            returned = as_lined(self._called(name))
            for detector, entry in returned.items():
                line = returned.lines.get(detector, self.config.lines[name])
                if is_hsd(detector) and isinstance(entry, dict):
                    found.setdefault(detector, []).append(Call("hsd", entry, line))
                    continue
                several = name in OF_CHANNELS and isinstance(entry, list)
                for place, one in enumerate(entry if isinstance(entry, list) else [entry]):
                    what = f"{name}, {detector}"
                    if not isinstance(one, dict) or set(map(type, one.values())) == {list}:
                        self._no(line, f"{what}: {text_of(one)} is not translated")
                        continue
                    if several:
                        one[CHANNEL] = place
                    lines = getattr(one, "lines", {}).values()
                    old = Old(what, min(lines, default=line), as_lined(one))
                    try:
                        steps = list(translate(old))
                    except (ArithmeticError, AttributeError, LookupError, TypeError):
                        self._no(old.line, f"{what}: {one!r} is not translated")
                        continue
                    for step in steps:
                        if isinstance(step, Said):
                            self.said.append(step)
                        else:
                            found.setdefault(detector, []).append(step)
        return found

    def _called(self, name: str) -> Any:
        if name not in self.config.functions:
            return None
        try:
            value = self.config.call(name, self.run)
        except Unclear as error:
            self._no(error.line, f"{name}: {error.what}")
            return None
        if isinstance(value, Opaque):
            self._no(value.line, f"{name} returns {value.text}, which is not worked out")
            return None
        return value

    def _sums(self, names: Sequence[str]) -> dict[str, list[Call]]:
        for function in SUMS:
            returned = as_lined(self._called(function))
            if returned:
                line = self.config.lines[function]
                return {
                    name: [
                        Call("sum", {"algorithm": algorithm}, returned.lines.get(key, line))
                        for key in ("all", name)
                        for algorithm in returned.get(key, ())
                    ]
                    for name in names
                }
        line = self.config.lines.get("detectors", 1)
        calib = Call("sum", {"algorithm": "calib"}, line)
        return {name: [calib] for name in names if default_sums(self.config, name)}

    def _hsd(self, name: str, calls: Sequence[Call]) -> None:
        """A digitizer: the parts of its waveforms that are written."""
        rois: dict[str, Any] = {}
        full = False
        for call in calls:
            for channel, bounds in call.parameters.items():
                if call.word != "hsd" or contains_opaque(bounds):
                    what = f"{name}: {call.word} {text_of(bounds)} is not translated"
                    self._no(call.line, what)
                elif bounds is None or list(bounds) == [0, -1]:
                    full = True
                else:
                    rois[channel] = list(bounds)
        more = [f"rois={literal(rois)}"] if rois else []
        more += ["full=True"] if full else []
        self.lines.append(f"g.defaults(Hsd({', '.join([literal(name), *more])}))")

    def _detector(self, name: str, calls: Sequence[Call], sums: Sequence[Call]) -> None:
        if is_hsd(name):
            self._hsd(name, calls)
            return
        variable = identifier(name)
        field = "raw_all" if WAVEFORM.search(name) else ""
        # Of waveforms smalldata_tools writes what functions make of them, and no more.
        fields = "fields=[], " if field else ""
        self.lines.append(
            f"{variable} = g.detector({literal(name)}, {fields}optional=True)"
        )
        seen: set[tuple[str, str]] = set()
        for call in [*calls, *sums]:
            key = (call.word, repr(sorted(call.parameters.items(), key=repr)))
            if key in seen:
                continue
            seen.add(key)
            if call.word in OF_WAVEFORMS and not field:
                self._no(call.line, f"{name}.{call.word}: name the field of the waveforms")
            part = call.field or field
            self._chain(f'{variable}["{part}"]' if part else variable, call)

    def _chain(self, of: str, call: Call) -> None:
        refused = why_not(call)
        if refused:
            self._no(call.line, f"{of}{call_text(call)}: {refused}")
            self.lines.append(f"# line {call.line}: {of}{call_text(call)}")
            return
        good = [then for then in call.then if not why_not(then)]
        for then in call.then:
            if then not in good:
                self._no(then.line, f"{of}...{call_text(then)}: {why_not(then)}")
        behind = [call_text(then) for then in good]
        if len(good) > 1:
            node = identifier(f"{of}_{call.parameters.get('name', call.word)}")
            self.lines.append(wrapped(f"{node} = {of}", call))
            self.lines += [node + text for text in behind]
        else:
            self.lines.append(wrapped(of, call, "".join(behind)))

    def _no(self, line: int, what: str) -> None:
        self.said.append(Said(line, what))


def why_not(call: Call) -> str:
    """Why a call cannot stand in a graph; empty where it can."""
    if call.refused:
        return call.refused
    word = vars(Words).get(call.word)
    if not isinstance(word, Word):
        return f"there is no word {call.word!r}"
    unknown = {n for n, v in call.parameters.items() if isinstance(v, Written)}
    parameters = {
        n: None if v == AS_NONE or n in unknown else v for n, v in call.parameters.items()
    }
    try:
        word.make(**parameters)
    except (TypeError, ValueError) as error:
        return " ".join(str(error).split())
    return ""


def is_hsd(name: Any) -> bool:
    """Whether a detector is a high-speed digitizer, as smalldata_tools tells by its name.

    >>> is_hsd("tmo_hsd"), is_hsd("epix100")
    (True, False)
    """
    return isinstance(name, str) and "hsd" in name.lower()


def identifier(name: str) -> str:
    """A name for a variable.

    >>> identifier("epix10k2M"), identifier("det-1 x"), identifier("1st")
    ('epix10k2M', 'det_1_x', 'd_1st')
    """
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    taken = plain in {"g", "run"} or keyword.iskeyword(plain) or plain[:1].isdigit()
    return f"d_{plain}" if taken or not plain else plain
