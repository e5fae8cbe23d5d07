"""Scan plot: mean and error of a signal at each step, position or delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import numpy as np

from smalldata_stream.batch import Values
from smalldata_stream.protocols import Accumulated, Result, Spec, Window
from smalldata_stream.reductions.plots.groups import Groups
from smalldata_stream.reductions.plots.histogram import Bins, edges_of
from smalldata_stream.reductions.plots.labels import (
    ALL,
    ON_OFF,
    curve_fields,
    curve_values,
)
from smalldata_stream.reductions.plots.scatter import hashed
from smalldata_stream.reductions.plots.shown import (
    Floats,
    Input,
    Shown,
    check_by,
    check_input,
    check_same_number,
    check_scalar,
    label,
    numbers,
    truths,
)

MOST = 2000
"""Distinct positions there may be without bins."""


@dataclass(frozen=True, slots=True)
class Scan(Shown):
    """Mean and standard error of a signal against a scan variable or a delay.

    Parameters
    ----------
    versus
        The scan variable, by path or as a node, such as ``scan/lxt``.
    by
        A column that is true or false, such as ``lightStatus/laser``: one curve where it
        is true (on), one where it is false (off), and their difference.
    bins
        ``(low, high, number)`` of equal bins, or increasing edges; None for one point for
        each value that the variable has.
    name, title, group, window_events, window_seconds
        As in `Shown`. Live it spans the whole run where nothing else is said.

    Notes
    -----
    Puts out ``position`` ``(m,)``, the values of the variable or the centres of the bins
    that have an event, and for each ``mean``, ``error`` and ``counts``, or with ``by``
    ``on``, ``on_error``, ``on_counts``, the same for ``off``, and ``difference``,
    ``difference_error``. ``left_out`` counts the events outside the bins, those whose
    values are not finite, and, where a variable without bins has more than 2000 values,
    those at values that are not among the 2000 with the smallest hash.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype(float))
    >>> state = Scan("scan/lxt").prepare(spec, spec).start()
    >>> state.add(np.array([1.0, 3.0, 5.0]), np.array([-0.5, -0.5, 2.0]))
    >>> totals = state.value()
    >>> totals["position"].value.tolist(), totals["mean"].value.tolist()
    ([-0.5, 2.0], [2.0, 5.0])
    """

    KIND: ClassVar[str] = "scan"
    WINDOW: ClassVar[Window | None] = None

    versus: Input
    by: Input | None = None
    bins: Bins | None = None

    def __post_init__(self) -> None:
        check_input("versus", self.versus)
        if self.by is not None:
            check_input("by", self.by)
        if self.bins is not None:
            edges_of(self.bins)
        Shown.__post_init__(self)

    @property
    def others(self) -> tuple[Input, ...]:
        """The scan variable, and what the curves are told apart by."""
        return (self.versus,) if self.by is None else (self.versus, self.by)

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that signal and variable have one number for each event."""
        signal, position = inputs[:2]
        for spec in (signal, position):
            check_scalar(spec, "scan")
        if self.by is not None:
            check_by(inputs[2])
        curve = Spec(dtype=np.dtype(np.float64), shape=None, unit=signal.unit)
        labels = ALL if self.by is None else ON_OFF
        edges = None if self.bins is None else edges_of(self.bins)
        return Accumulated(
            outputs={
                "position": Spec(dtype=curve.dtype, shape=None, unit=position.unit),
                **curve_fields(labels, curve, Spec(dtype=np.dtype(np.int64), shape=None)),
                "left_out": Spec(dtype=np.dtype(np.int64)),
            },
            start=partial(Positions, edges, labels),
            plot=self.plot(
                "{0} versus {1}" + ("" if self.by is None else " by {2}"),
                label(1, position),
                label(0, signal),
            ),
            window=self.window(),
        )


class Positions:
    """Exact statistics at each position, by label."""

    __slots__ = ("count", "edges", "groups", "labels", "most")

    def __init__(self, edges: Floats | None, labels: Sequence[str], most: int = MOST):
        self.edges, self.labels, self.most = edges, tuple(labels), most
        self.groups = [Groups(np.empty(0)) for _ in labels]
        self.count = 0

    def add(self, *values: Values) -> None:
        """Take signal, position and, with labels, the truths of some events."""
        check_same_number(*values)
        signal, position = numbers(values[0]), numbers(values[1])
        every = (np.ones(len(signal), bool),)
        which = truths(values[2]) if self.labels == ON_OFF else every
        keys, inside = self._keys(position)
        inside &= np.isfinite(signal)
        for k, labelled in enumerate(which):
            chosen = inside & labelled
            more = Groups.of(keys[chosen], signal[chosen])
            self.groups[k] = self.groups[k].plus(more)
        self.count += len(signal)
        self._prune()

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        same_edges = (
            other.edges is None
            if self.edges is None
            else other.edges is not None and np.array_equal(self.edges, other.edges)
        )
        if not same_edges or (self.labels, self.most) != (other.labels, other.most):
            raise ValueError("scans of other bins or labels cannot be merged")
        self.groups = [
            mine.plus(theirs)
            for mine, theirs in zip(self.groups, other.groups, strict=True)
        ]
        self.count += other.count
        self._prune()

    def value(self) -> Mapping[str, Result]:
        """Mean, error and number at each position that has an event."""
        keys = self._all_keys()
        curves = {}
        for name, groups in zip(self.labels, self.groups, strict=True):
            whole = groups.at(keys)
            curves[name] = (*whole.mean_and_error(), whole.counts)
        shown = sum(int(counts.sum()) for _, _, counts in curves.values())
        fields = {
            "position": self._centres(keys),
            **curve_values(curves),
            "left_out": np.asarray(self.count - shown, np.int64),
        }
        return {field: Result(value, self.count) for field, value in fields.items()}

    def _keys(
        self, position: Floats
    ) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """The key of each event, and which events have one."""
        if self.edges is None:
            return position + 0.0, np.isfinite(position)  # one zero, not two
        bins = len(self.edges) - 1
        at = np.searchsorted(self.edges, position, side="right") - 1
        at[position == self.edges[-1]] = bins - 1
        return at.astype(np.float64), (at >= 0) & (at < bins)

    def _centres(self, keys: Floats) -> Floats:
        if self.edges is None:
            return keys
        at = keys.astype(np.int64)
        return (self.edges[at] + self.edges[at + 1]) / 2

    def _all_keys(self) -> Floats:
        return np.unique(np.concatenate([groups.keys for groups in self.groups]))

    def _prune(self) -> None:
        """Keep a bounded number of positions: the same ones for any order of the events."""
        keys = self._all_keys()
        if self.edges is not None or len(keys) <= self.most:
            return
        # One that is dropped is dropped whenever it comes again: what is kept is whole.
        kept = keys[np.argsort(hashed(keys.view(np.uint64)))[: self.most]]
        self.groups = [groups.only(kept) for groups in self.groups]
