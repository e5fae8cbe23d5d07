"""The contracts of the project on one page: read this first.

A source makes batches; a reduction turns a column into columns or into a run's total; a
sink takes the record of each batch and the totals at the end. None knows the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import (
    Array,
    Batch,
    BatchLimits,
    Column,
    Mask,
    Signal,
    Values,
)
from smalldata_stream.ledger import Ledger
from smalldata_stream.positions import Positions
from smalldata_stream.run import RunInfo

# --------------------------------------------------------------------------- sources


LONGEST_LEAD_IN_MS = 1000.0
"""So long before an event, at most, another one may be that it depends on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Damage met while reading: where, and what it cost."""

    where: str
    what: str
    events: int = 0


class Run(Protocol):
    """One run of a source."""

    @property
    def info(self) -> RunInfo:
        """What the run holds, known before the first event."""

    @property
    def faults(self) -> Sequence[Fault]:
        """Damage met so far; complete once `batches` is exhausted.

        Events that were there and could not be delivered are counted in ``events``.
        """

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events in time order; only ``signals`` are read. Can be called once.

        Every signal asked for is in every batch. Raises `SourceError` only when nothing
        can be read; damage in the middle is a fault, and what is good around it is given.
        """


@runtime_checkable
class Askable(Protocol):
    """A run of which other signals may be asked for while it goes on, as live ones can."""

    def ask(self, signals: Collection[Signal]) -> None:
        """From the next batch on, read these signals instead."""


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait in a queue now, and how many it has thrown away in all."""

    depth: int
    dropped: int


@runtime_checkable
class Queued(Protocol):
    """A run whose events wait for the reader, as live ones do."""

    @property
    def queue(self) -> Queue:
        """The events that wait now, and those that were given up while they did."""


class Damage(Protocol):
    """Damage met while reading, of which that met by several readers can be added up."""

    def merge(self, other: Self) -> None:
        """Take what ``other`` has met in other events."""

    def faults(self) -> Sequence[Fault]:
        """The damage, one fault per place and kind."""


class Blocks(Protocol):
    """A run cut into blocks of consecutive events, each of which can be read by itself.

    Where the cuts are follows from the run alone: never from who reads how many of them.
    """

    @property
    def size(self) -> int:
        """Events of a block; the last one may have fewer."""

    @property
    def count(self) -> int | None:
        """How many blocks there are; None while that is not known."""

    @property
    def damage(self) -> Damage:
        """Damage met in the blocks that were read here; not that in ``Run.faults``."""

    def read(self, number: int) -> Iterator[Batch]:
        """The events of block ``number``; later calls ask for later blocks.

        Nothing for a block behind the last one. No batch goes across a cut.
        """

    def before(self, number: int, ms: float) -> Iterator[Batch]:
        """The lead-in of block ``number``: events up to ``ms`` before its first one.

        Asked for right before `read`, where the block before was not read here;
        `smalldata_stream.lead_in` says what for. ``ms`` is at most `LONGEST_LEAD_IN_MS`;
        events of blocks that were read here may be left out. Damage in these events is
        that of the block that they are in, and not noted again.
        """


@runtime_checkable
class Divisible(Protocol):
    """A run that several readers can share, as those in files."""

    def blocks(self, signals: Collection[Signal], limits: BatchLimits) -> Blocks:
        """The run in blocks; instead of ``Run.batches``, and once, too.

        Afterwards ``Run.faults`` has what every reader of the run meets: damage to the
        run as a whole.
        """


class Source(Protocol):
    """A place that runs come from."""

    def runs(self) -> Iterator[Run]:
        """The runs in order; finish one before asking for the next."""


# ------------------------------------------------------------------------ reductions


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a node puts out for one event (or for the run), said before the first event.

    ``shape`` is None where it is known only at the first event. ``mask`` (True = good
    pixel) has the shape of the value and goes with frames and what is cut from them.
    ``noise`` is the rms of each pixel without light, of the same shape and in the unit of
    the value. ``found_in`` is what variable lists (droplets, photons) were found in.
    ``positions`` go with the frames of a detector whose geometry is known.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None = ()
    kind: Literal["dense", "frames", "ragged"] = "dense"
    unit: str = ""
    long_name: str = ""
    mask: Mask | None = None
    noise: Array | None = None
    found_in: Spec | None = None
    positions: Positions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerEvent:
    """A reduction made ready for its input: pure functions of the events' values.

    Attributes
    ----------
    outputs
        Per field, what will be written. The field ``""`` is the reduction itself.
    compute
        Takes the values of the events that have all inputs, one argument per input;
        returns for each field of ``outputs`` the values, or a `Column` over those events
        where some have no result. Never writes into its input; depends on one event at a
        time, so that any cut of the events into batches gives the same bits.
    chained
        What a reduction chained behind this one works on, and how it is made; or the name
        of the field that it is. None where nothing can be chained.
    inner
        Fields that ``compute`` gives beside ``outputs``, not written: what a reduction
        that ``takes`` them needs.
    config
        Derived arrays (q values, bin edges, masks) for ``/UserDataCfg``; the parameters
        themselves are added from the dataclass.
    before_ms
        Of a detector's frames: above 0, ``compute`` depends on two frames. Its second
        argument are those read before the first ones, each by no more than so long; an
        event without such a frame is a gap. See `smalldata_stream.lead_in`.
    """

    outputs: Mapping[str, Spec]
    compute: Callable[..., Mapping[str, Values | Column]]
    chained: tuple[Spec, Callable[..., Values]] | str | None = None
    inner: Mapping[str, Spec] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    before_ms: float = 0.0


class State(Protocol):
    """Something that adds up over events and over ranks, exactly, in any order.

    ``add`` is all or nothing: when it raises, the state is as before.
    """

    def add(self, *values: Values) -> None:
        """Take the values of some events."""

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""

    def value(self) -> Mapping[str, Result]:
        """The totals, by field; also after no event at all."""


@dataclass(frozen=True, slots=True)
class Result:
    """A total over events and the number of events in it.

    ``unit`` is given where it comes with the value and not with its `Spec`.
    """

    value: Array
    count: int
    unit: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """How the totals of a reduction are shown; ``kind`` says what their fields mean.

    In what a reduction gives, ``{0}``, ``{1}`` ... in title and labels stand for the paths
    of its inputs; the flow puts them in.
    """

    kind: str
    title: str
    x_label: str = ""
    y_label: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a live plot spans: the last ``events``, or the last ``seconds`` of event time.

    It is made of ``panes`` states, and moves by one pane at a time.
    """

    events: int | None = None
    seconds: float | None = None
    panes: int = 10

    def __post_init__(self) -> None:
        if (self.events is None) == (self.seconds is None):
            raise ValueError("a window spans either events or seconds; give one of them")
        if not 0 < (self.events or self.seconds or 0) < float("inf"):
            raise ValueError(f"a window spans more than nothing and not all; not {self}")
        if self.panes < 2:
            raise ValueError(f"a window has at least two panes, not {self.panes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accumulated:
    """A reduction over the run, made ready for its input.

    ``where`` names a column of the record and the truth it must have: only those events
    are added. Results go to ``/Sums/<detector>_<field>``; those of a plot to
    ``/plots/<detector>/<word>/<field>``. Live, a total with a ``window`` spans that
    instead of the run.
    """

    outputs: Mapping[str, Spec]
    start: Callable[[], State]
    where: tuple[str, bool] | None = None
    plot: Plot | None = None
    window: Window | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


Prepared: TypeAlias = PerEvent | Accumulated


class Reduction(Protocol):
    """A frozen dataclass of parameters; the fields are what ``/UserDataCfg`` records.

    A wrong parameter raises ValueError in ``__post_init__``, one that does not fit the
    input raises ValueError in ``prepare``; both say what is there and what to write. The
    flow adds graph file and line. One that needs more than what it is chained to has an
    attribute ``others``: paths of the record (``"timestamp"`` is one), given to ``prepare``
    and to the functions after the first input. One that needs certain fields of the node
    it is chained to, and not what is commonly chained, has an attribute ``takes``: their
    names, in the order in which they are given; and ``behind``, the words that have them.
    """

    @property
    def name(self) -> str:
        """The word in the output path: ``/<detector>/<name>_<field>``."""

    def prepare(self, *inputs: Spec) -> Prepared:
        """Check against the input and derive what does not depend on the event."""


class Afterwards(Protocol):
    """Something looked up elsewhere when the run has ended, by the run's span of time."""

    @property
    def outputs(self) -> Mapping[str, Spec]:
        """What is written, by path, if it is found."""

    def look_up(self, first: int, last: int) -> Mapping[str, Result]:
        """What is found between two timestamps; what is not found is said, never raised."""


# ----------------------------------------------------------------------------- sinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """All that a sink is told before the first event.

    Attributes
    ----------
    run
        The run as its source describes it.
    outputs
        Per path (``jungfrau/ROI_0_sum``), what each event will have.
    totals
        Per path (``Sums/jungfrau_calib``), what the end of the run will have.
    plots
        Per path (``plots/jungfrau/ROI_0_histogram``), how the totals below it are shown.
    config
        Per group (``jungfrau``), parameter name to value, for ``/UserDataCfg``.
    provenance
        Name to text: graph source, versions, command line, constants hash ...
    """

    run: RunInfo
    outputs: Mapping[str, Spec]
    totals: Mapping[str, Spec] = field(default_factory=dict)
    plots: Mapping[str, Plot] = field(default_factory=dict)
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """A place that results go to.

    begin, then write for each batch in time order, then end; or abort at any moment.
    """

    def begin(self, declaration: Declaration) -> None:
        """Make ready; raises `OutputError` if it cannot."""

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Take the declared columns of some events; all columns have their length."""

    def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
        """Take the totals and the ledger, and finish."""

    def abort(self) -> None:
        """Stop here and keep what is safe to keep."""
