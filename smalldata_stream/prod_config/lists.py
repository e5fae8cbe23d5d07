"""The lists of a prod_config: EPICS variables, time tool, analog input, and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.hutches import hutch_defaults
from smalldata_stream.prod_config.entry import Said, contains_opaque, text_of
from smalldata_stream.prod_config.file import Config
from smalldata_stream.prod_config.known import Opaque, Unclear
from smalldata_stream.prod_config.text import literal

LISTS: Mapping[str, str] = {
    "Acromag": "from smalldata_stream.detectors.acromag import Acromag",
    "Epics": "from smalldata_stream.detectors.epics import Epics",
    "Hsd": "from smalldata_stream.detectors.hsd import Hsd",
    "TimeTool": "from smalldata_stream.detectors.timetool import TimeTool",
}
"""What a graph imports if it uses it."""

Lines: TypeAlias = Iterator[str | Said]


def epics_of_events(value: Any, line: int, hutch: str | None) -> Lines:
    """Variables from the data, one value per event."""
    if value:
        yield f'g.defaults(Epics({literal(pairs(value))}, name="epicsUser"))'


def epics_once(value: Any, line: int, hutch: str | None) -> Lines:
    """Variables from the data, once per run."""
    if value:
        yield f"g.defaults(Epics({literal(pairs(value))}, once=True))"


def archived(value: Any, line: int, hutch: str | None) -> Lines:
    """Variables from the archiver."""
    if value:
        yield f"g.epics_archiver({literal(list(pairs(value)))})"


def pairs(value: Any) -> tuple[Any, ...]:
    """Names, and pairs of a name and one to write it under."""
    return tuple(tuple(one) if isinstance(one, list) else one for one in value)


def time_tool(value: Any, line: int, hutch: str | None) -> Lines:
    """The polynomial of the time tool."""
    names = of_hutch(TimeTool, hutch)
    if names is None:
        yield Said(line, f"{value!r}: write TimeTool(camera, polynomial_ps=...)")
    elif value:
        polynomial = literal(tuple(value))
        yield f"g.defaults(TimeTool({literal(names)}, polynomial_ps={polynomial}))"


def analog(value: Any, line: int, hutch: str | None) -> Lines:
    """Channels, names, scales and offsets of the analog input."""
    names = of_hutch(Acromag, hutch)
    if names is None:
        yield Said(line, f"{value!r}: write Acromag(name, names=..., scale=...)")
        return
    channels, *others = value
    parts = [literal(names)]
    for parameter, given in zip(("names", "scale", "offset"), others, strict=False):
        parts.append(f"{parameter}={literal(dict(zip(channels, given, strict=True)))}")
    yield f"g.defaults(Acromag({', '.join(parts)}))"


def of_hutch(kind: type[TimeTool] | type[Acromag], hutch: str | None) -> Any:
    """What a hutch calls its detector of a kind; None where it has none."""
    found = [one for one in hutch_defaults(hutch) if isinstance(one, kind)] if hutch else []
    return found[0].detector if found else None


def integrating(value: Any, line: int, hutch: str | None) -> Lines:
    """Integrating detectors."""
    for name in names_of(value):
        yield Said(
            line,
            f"{name}: what is made of it stands in the events in which it was read out, a "
            "gap in the others, not in /intg; for sums of fast detectors between its "
            "readouts see docs/import-config.md",
        )


def integrating_detectors(config: Config, run: int) -> tuple[str, ...]:
    """The detectors that were integrating ones in a run, the slowest first."""
    name = "get_intg" if "get_intg" in config.functions else "integrating_detectors"
    value = value_of(config, name, run)
    return () if contains_opaque(value) else names_of(value)


def names_of(value: Any) -> tuple[str, ...]:
    """Detectors of a list, or of what get_intg returns.

    >>> names_of(("archon", ["axis"])), names_of(["andor"]), names_of((None, ["axis"]))
    (('archon', 'axis'), ('andor',), ())
    """
    if isinstance(value, tuple):
        main, *more = value
        others = more[0] if more else ()
        value = [main, *([others] if isinstance(others, str) else others or ())]
        value = value if main else ()
    names = [value] if isinstance(value, str) else value or ()
    return tuple(name for name in names if isinstance(name, str) and name)


def filters(value: Any, line: int, hutch: str | None) -> Lines:
    """Cuts on events."""
    for one in value or ():
        field, low, high, *others = one
        why = others[0] if others else "filter1"
        name = literal(f"{why}/{field.replace('/', '_')}")
        yield Said(
            line,
            f"{one!r} chose events of the cube, not of the file; to leave out the "
            f"others: g.keep(g.function(lambda x: {literal(low)} < x < {literal(high)}, "
            f"{literal(field)}, name={name}, dtype=bool), why={literal(why)})",
        )


Translator: TypeAlias = Callable[[Any, int, str | None], Lines]

VALUES: Mapping[str, Translator] = {
    "epicsArchFilePV": epics_of_events,
    "epicsOncePV": epics_once,
    "ttCalib": time_tool,
    "ttCalibPars": time_tool,
    "aioParams": analog,
    "get_intg": integrating,
    "integrating_detectors": integrating,
    "filters": filters,
    "get_filters": filters,
}
"""Lists, or functions of the run that return them; epicsPV depends on the generation."""

NAMES = {*VALUES, "epicsPV", "detectors", "detnames"}


def of_lcls2(config: Config) -> bool:
    """Whether a file is of the newer generation, whose list is called ``detectors``."""
    return "detectors" in config.values or "detectors" in config.functions


def default_sums(config: Config, name: str) -> bool:
    """Whether a detector is summed without having been asked to be."""
    return of_lcls2(config) and "hsd" not in name.lower()


def lists(config: Config, run: int, hutch: str | None, said: list[Said]) -> Iterator[str]:
    """The lines for all lists; what is not translated is added to ``said``."""
    epics_pv = archived if of_lcls2(config) else epics_of_events
    for name, translate in {"epicsPV": epics_pv, **VALUES}.items():
        line = config.lines.get(name, 1)
        value = value_of(config, name, run)
        if contains_opaque(value):
            said.append(Said(line, f"{name}: {text_of(value)} is not worked out"))
            continue
        if name == "integrating_detectors" and "get_intg" in config.functions:
            continue
        try:
            for one in () if value is None else translate(value, line, hutch):
                if isinstance(one, Said):
                    said.append(Said(one.line, f"{name}: {one.what}"))
                else:
                    yield one
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            said.append(Said(line, f"{name}: {text_of(value)} is not understood: {error}"))


def value_of(config: Config, name: str, run: int) -> Any:
    """A value of the file, or what a function of this name returns for a run."""
    if name not in config.functions:
        return config.values.get(name)
    try:
        return config.call(name, run)
    except Unclear as error:
        return Opaque(f"{name}: {error.what}", error.line)
