"""The lines of a graph for one run of an existing prod_config, by detector."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import replace
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
from smalldata_stream.prod_config.lists import (
    default_sums,
    integrating_detectors,
    lists,
)
from smalldata_stream.prod_config.of_waveforms import CHANNEL
from smalldata_stream.prod_config.text import call_text, chain_text, literal, wrapped
from smalldata_stream.prod_config.words import FUNCTIONS, OF_CHANNELS, OF_WAVEFORMS
from smalldata_stream.words import Word, Words

SUMS = ("get_sum_algos", "getDetSums")
WAVEFORM = re.compile(r"fim|w8|wave8", re.IGNORECASE)
"""Detectors whose waveforms are meant, as smalldata_tools tells them by their name."""


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
        fast = list(dict.fromkeys(listed if listed is not None else entries))
        slow = integrating_detectors(self.config, self.run)
        names = list(dict.fromkeys([*fast, *slow]))
        sums = self._sums(fast)
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
                        self._sum(name, algorithm, returned.lines.get(key, line))
                        for key in ("all", name)
                        for algorithm in returned.get(key, ())
                    ]
                    for name in names
                }
        line = self.config.lines.get("detectors", 1)
        calib = Call("sum", {"algorithm": "calib"}, line)
        return {name: [calib] for name in names if default_sums(self.config, name)}

    def _sum(self, detector: str, algorithm: str, line: int) -> Call:
        """A sum over the run; that of images is one behind ``image``."""
        call = Call("sum", {"algorithm": algorithm}, line)
        if not algorithm.endswith("_img"):
            return call
        of = algorithm.removesuffix("_img")
        name = "image" if of == "calib" else f"image_{of.removeprefix('calib_')}"
        what = f"/Sums/{detector}_{algorithm} stands as /Sums/{detector}_{name}_{of}"
        self._no(line, what)
        named = {} if name == "image" else {"name": name}
        return Call("image", named, line, (replace(call, parameters={"algorithm": of}),))

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
                what = f"{name}.{call.word}: of its frames; of waveforms, name their field"
                self._no(call.line, what)
            part = call.field or field
            self._chain(f'{variable}["{part}"]' if part else variable, call)

    def _chain(self, of: str, call: Call) -> None:
        refused = why_not(call)
        if refused:
            self._no(call.line, f"{of}{call_text(call)}: {refused}")
            self.lines.append(f"# line {call.line}: {of}{call_text(call)}")
            return
        good = self._behind(of, call).then
        if len(good) > 1:
            node = identifier(f"{of}_{call.parameters.get('name', call.word)}")
            self.lines.append(wrapped(f"{node} = {of}", call))
            self.lines += [node + chain_text(then) for then in good]
        else:
            self.lines.append(wrapped(of, call, "".join(map(chain_text, good))))

    def _behind(self, of: str, call: Call) -> Call:
        """The call with what can stand behind it; the rest is said."""
        good = []
        for then in call.then:
            if refused := why_not(then):
                self._no(then.line, f"{of}...{call_text(then)}: {refused}")
            else:
                good.append(self._behind(of, then))
        return replace(call, then=tuple(good))

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
