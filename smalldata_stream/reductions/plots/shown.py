"""What all plots have: a name, a title, a tab, a window; and how they look at values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import STRING, Array, Frames, Mask, Ragged, Values
from smalldata_stream.protocols import Plot, Spec, Window
from smalldata_stream.reductions import pixels

TIMESTAMP = "timestamp"
"""Path of the timestamps in the record."""


Floats = NDArray[np.float64]
Stamps = NDArray[np.uint64]


class Located(Protocol):
    """A node: something that has a path in the record."""

    path: str


Input: TypeAlias = str | Located
"""A further input: its path, or the node itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What every plot has.

    Parameters
    ----------
    name
        The word in the output path ``/plots/<parent>_<name>``; the kind of the plot where
        it is left out. Two plots of one kind behind one node need two names.
    title, group
        What stands above it, and the tab of the dashboard; the path and the detector
        where they are left out.
    window_events, window_seconds
        What it spans when live: the last events, or the last seconds of event time. One
        of the two, or neither for the window of its kind. In batch it is the run.
    """

    KIND: ClassVar[str] = ""
    WINDOW: ClassVar[Window | None] = Window(seconds=60)
    PANES: ClassVar[int] = 10

    name: str = ""
    title: str = ""
    group: str = ""
    window_events: int | None = None
    window_seconds: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.KIND)
        pixels.check_word("name", self.name, self.KIND)
        self.window()

    def window(self) -> Window | None:
        """The window when live; None for the whole run."""
        if self.window_events is None and self.window_seconds is None:
            return self.WINDOW
        try:
            return Window(
                events=self.window_events, seconds=self.window_seconds, panes=self.PANES
            )
        except ValueError as error:
            raise ValueError(
                f"window_events={self.window_events!r}, "
                f"window_seconds={self.window_seconds!r}: {error}"
            ) from None

    def plot(self, title: str, x_label: str = "", y_label: str = "") -> Plot:
        """How it is shown; the user's title goes before ours."""
        return Plot(
            kind=self.KIND,
            title=self.title or title,
            x_label=x_label,
            y_label=y_label,
            group=self.group,
        )


def label(number: int, spec: Spec) -> str:
    """The label of input ``number``: its path, which the flow puts in, and its unit.

    >>> label(0, Spec(dtype=np.dtype(float), unit="mJ"))
    '{0} (mJ)'
    """
    return f"{{{number}}} ({spec.unit})" if spec.unit else f"{{{number}}}"


def check_numbers(spec: Spec, what: str) -> None:
    """Raise ValueError where the values are no real numbers."""
    if spec.dtype == STRING or spec.dtype.kind not in "biuf":
        raise ValueError(f"{what} shows numbers; the input is {spec.dtype}")


def check_scalar(spec: Spec, what: str) -> None:
    """Raise ValueError where the input is not one number for each event."""
    check_numbers(spec, what)
    if spec.kind == "ragged" or spec.shape != ():
        has = "a variable length" if spec.kind == "ragged" else f"shape {spec.shape}"
        raise ValueError(
            f"{what} shows one number for each event; the input has {has}. Reduce it "
            "first, as in .roi(...)['sum']"
        )


def check_by(spec: Spec) -> None:
    """Raise ValueError where the input does not say yes or no for each event."""
    number = spec.dtype != STRING and spec.dtype.kind in "biuf"
    if not number or spec.kind == "ragged" or spec.shape != ():
        raise ValueError(
            "by= tells the events apart by one number for each, 0 or False being off; it "
            f"got {spec.dtype} of shape {spec.shape}: write a function that gives True or "
            "False"
        )


def check_input(parameter: str, value: Any) -> None:
    """Raise ValueError where ``value`` is neither a path nor a node."""
    if not pixels.is_text(getattr(value, "path", value)):
        raise ValueError(
            f"{parameter}={value!r}: write a path such as 'gmd/energy', or a node"
        )


def numbers(values: Values, shape: tuple[int, ...] = ()) -> Floats:
    """The values ``(n, *shape)`` in float64; ValueError if that is not their shape."""
    if isinstance(values, Ragged):
        raise ValueError(f"values of variable length where shape {shape} was declared")
    got = values.shape if isinstance(values, Frames) else values.shape[1:]
    if got != shape:
        raise ValueError(f"values of shape {got} where {shape} was declared")
    stacked = values.stack() if isinstance(values, Frames) else values
    return np.ascontiguousarray(stacked, np.float64)


def truths(values: Values) -> tuple[Mask, Mask]:
    """Where a column says yes, and where it says no, ``(n,)``; NaN says neither."""
    given = numbers(values)
    return (given != 0) & ~np.isnan(given), given == 0


def stamps(values: Values) -> Stamps:
    """The values of the column of timestamps, ``(n,)`` uint64."""
    numbers_only: Array = np.asarray(values)
    if numbers_only.ndim != 1:
        raise ValueError(f"timestamps of shape {numbers_only.shape[1:]}; () was declared")
    return numbers_only.astype(np.uint64)


def check_same_number(*values: Values) -> None:
    """Raise ValueError where the inputs are not of the same events."""
    sizes = [len(one) for one in values]
    if len(set(sizes)) > 1:
        raise ValueError(f"inputs of {sizes} events; one number was declared for all")
