"""Detectors of types that are not known here: what psana's class computes, psana gives.

Every field of the data is decoded here, whatever the type. But a type that is not in
`smalldata_stream.xtc2.known` may have fields that psana computes in Python. For such a
detector alone psana is started, in a process of its own, when somebody looks at its fields;
what psana computes of it is put beside the columns decoded here by timestamp.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from smalldata_stream.batch import Batch, BatchLimits, Column, Signal, Status, concatenate
from smalldata_stream.errors import PsanaError
from smalldata_stream.protocols import Fault
from smalldata_stream.run import DetectorInfo, FieldInfo
from smalldata_stream.sources.files_runs import StreamRun
from smalldata_stream.sources.psana_run import PsanaRun, run_by_psana
from smalldata_stream.xtc2.assemble import no_values
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.known import is_known
from smalldata_stream.xtc2.recipes import Kind, Recipe

LOG = logging.getLogger(__name__)
Key = tuple[str, str]


def unknown_in(description: Description) -> dict[str, str]:
    """The detectors of types that are not known here, each with its types in words."""
    found: dict[str, list[str]] = {}
    for detector, algorithm in description.segments:
        info = description.detectors[detector]
        version = info.versions[algorithm]
        if info.fields and not is_known(info.type, algorithm, version):
            words = f"{info.type}.{algorithm} {'.'.join(map(str, version))}"
            found.setdefault(detector, []).append(words)
    return {detector: ", ".join(words) for detector, words in found.items()}


class AskedFields(Mapping[Key, FieldInfo]):
    """The fields of a detector, found out by ``ask`` when they are first looked at."""

    def __init__(self, ask: Callable[[], Mapping[Key, FieldInfo]]):
        self._ask = ask

    def __getitem__(self, key: Key) -> FieldInfo:
        return self._ask()[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._ask())

    def __len__(self) -> int:
        return len(self._ask())

    def __reduce__(self) -> tuple[type, tuple[dict[Key, FieldInfo]]]:
        return dict, (dict(self),)


@dataclass(slots=True)
class Fallback:
    """psana beside the decoder, for the detectors of one run whose types are not known.

    Where psana is absent or fails, the fields are those of the data; a warning and a fault
    say so.
    """

    parts: Sequence[StreamRun]
    description: Description
    faults: list[Fault] = field(default_factory=list)
    _unknown: dict[str, str] = field(init=False)
    _run: PsanaRun | None = None
    _log: FaultLog = field(default_factory=FaultLog)
    _fields: dict[Signal, FieldInfo] | None = None
    """What psana computes; None as long as it was not asked."""

    def __post_init__(self) -> None:
        self._unknown = unknown_in(self.description)

    @property
    def detectors(self) -> Mapping[str, DetectorInfo]:
        """The detectors of the run; looking at the fields of an unknown one asks psana."""
        every = dict(self.description.detectors)
        for name in self._unknown:
            asked = AskedFields(self._asker(name))
            recorded = every[name].fields
            every[name] = replace(every[name], fields=asked, recorded=recorded)
        return every

    @property
    def source(self) -> str:
        """Which detectors psana is asked about, to go behind the names of the files."""
        if not self._unknown or not _installed():
            return ""
        return f"; psana is asked about {self._words()}"

    def begin(self, signals: Collection[Signal], limits: BatchLimits) -> Beside:
        """Get ready to put the columns of psana's where they are asked for."""
        theirs = [signal for signal in signals if signal in (self._fields or ())]
        if not theirs:
            self._close()
            return Beside(self, list(signals), list(signals), [], iter(()))
        ours = {signal: None for signal in signals if signal not in theirs}
        for signal in theirs:  # the status of a detector comes with any field of the data
            native = next(self.description.detectors[signal.detector].signals())
            ours[native] = None
        incoming = self._of_psana(theirs, limits)
        return Beside(self, list(signals), list(ours), theirs, incoming)

    def column(self, signal: Signal, batch: Batch, held: Sequence[Batch]) -> Column:
        """psana's values of the events of ``batch`` in which the detector is whole."""
        whole = batch.timestamps[batch.status[signal.detector] == Status.OK]
        present = np.zeros(len(batch), bool)
        parts = []
        for one in held:
            column = one.columns[signal]
            keep = column.mask & np.isin(one.timestamps, whole)
            if keep.any():
                parts.append(column.at(keep))
                present[np.searchsorted(batch.timestamps, one.timestamps[keep])] = True
        if not parts:
            info = (self._fields or {})[signal]
            return no_values(Recipe(info=info, kind=Kind.EVENT), present)
        return Column(concatenate(parts), present)

    def _of_psana(self, theirs: Sequence[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """psana's batches as far as it comes; none of its faults costs an event here."""
        assert self._run is not None
        try:
            yield from self._run.batches(theirs, replace(limits, seconds=None))
        except PsanaError as error:
            self._say(f"from there on without what psana computes: {error}")
        before = self._log.faults()
        self.faults += [
            replace(fault, events=0) for fault in self._run.faults if fault not in before
        ]

    def _asker(self, name: str) -> Callable[[], Mapping[Key, FieldInfo]]:
        def ask() -> Mapping[Key, FieldInfo]:
            if self._fields is None:
                self._fields = self._ask()
            native = self.description.detectors[name].fields
            more = {
                (signal.algorithm, signal.field): info
                for signal, info in self._fields.items()
                if signal.detector == name
            }
            return {**native, **more}

        return ask

    def _ask(self) -> dict[Signal, FieldInfo]:
        """Start psana, and hear what it computes of the unknown detectors."""
        if not _installed():
            self._say("only its fields of the data are read: psana is not installed")
            return {}
        parts = [part for part in self.parts if self._concerns(part)]
        several = len(parts) > 1 or len(parts[0].stream.files) > 1
        streams = [part.stream for part in parts] if several else []
        index = max(part.place for part in parts)
        try:
            self._run = run_by_psana(parts, index, self._log, streams)
        except PsanaError as error:
            self._say(f"only its fields of the data are read: {error}")
            return {}
        computed = [one for one in self._run.computed if one.detector in self._unknown]
        level = logging.WARNING if computed else logging.INFO
        what = f"psana computes {len(computed)} fields beyond those of the data"
        LOG.log(level, "%s: not known here; %s", self._words(), what)
        detectors = self._run.info.detectors
        return {one: detectors[one.detector].fields[one[1:]] for one in computed}

    def _concerns(self, part: StreamRun) -> bool:
        """Whether an unknown detector is in a stream."""
        configurations = (part.stream.configurations[i] for i in part.configurations)
        return any(
            names.detector in self._unknown
            for configuration in configurations
            for names in configuration.names.values()
        )

    def _say(self, what: str) -> None:
        LOG.warning("%s: not known here; %s", self._words(), what)
        where = ", ".join(str(part.stream.path) for part in self.parts)
        self.faults.append(Fault(where, f"{self._words()}: not known here; {what}"))

    def _words(self) -> str:
        return "; ".join(f"{name} ({words})" for name, words in self._unknown.items())

    def _close(self) -> None:
        if self._run is not None:
            self._run.close()


@dataclass(slots=True)
class Beside:
    """psana's columns beside ours, while the batches of a run go by.

    ``ours`` are the signals that the decoder has to read. Batches may be left out; psana
    reads those, too.
    """

    fallback: Fallback
    signals: Sequence[Signal]
    ours: Sequence[Signal]
    theirs: Sequence[Signal]
    incoming: Iterator[Batch]
    held: list[Batch] = field(default_factory=list)

    def merged(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """``batches`` of the decoder with what is psana's."""
        return map(self._with_theirs, batches) if self.theirs else batches

    def _with_theirs(self, batch: Batch) -> Batch:
        first, last = batch.timestamps[0], batch.timestamps[-1]
        self._forget_before(first)
        while not self.held or self.held[-1].timestamps[-1] < last:
            following = next(self.incoming, None)
            if following is None:
                break
            self.held.append(following)
            self._forget_before(first)
        columns = dict(batch.columns)
        columns |= {one: self.fallback.column(one, batch, self.held) for one in self.theirs}
        return replace(batch, columns={signal: columns[signal] for signal in self.signals})

    def _forget_before(self, first: np.uint64) -> None:
        self.held = [one for one in self.held if one.timestamps[-1] >= first]

    def end(self) -> None:
        """Have psana read to its end, where it says what it met."""
        for _ in self.incoming:
            continue


def _installed() -> bool:
    return importlib.util.find_spec("psana") is not None
