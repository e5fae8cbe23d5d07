"""Plots for psplot, the plot client of every LCLS console: psmon's messages, without psmon.

psmon's wire is ``topic NUL`` and a pickled plot object; it is trusted networks only that
pickles belong on. This sink only ever sends them.

Source: psmon, https://github.com/slaclab/psmon, 1.0.9, and the older one of
https://github.com/lcls-psana/psmon (classes and wire as of their plots.py and app.py).
"""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sinks.zmq_topics import TopicPublisher
from smalldata_stream.batch import Array
from smalldata_stream.counted import counted
from smalldata_stream.message import Message

PORT = 12301
"""Where an older psplot looks unless told otherwise, a newer one at 12323; requests go to
the port after it."""

PLOTS_PREFIX = "plots/"

TOPICS = "psmon-internal-topics"
"""Topic that lists the others."""


class PsplotPublisher(TopicPublisher):
    """Publishes messages as psmon does, so that ``psplot -s HOST TOPIC`` shows them.

    Opt-in: whoever can write to a program that reads pickles can run code in it, and psplot
    is one. Requests to reset are answered, and refused.

    Parameters
    ----------
    port
        Port of the data; the one after it answers requests.
    host
        Where to bind; ``*`` lets other machines read. Loopback unless told otherwise.
    guard
        As in `ZmqPublisher`.

    Raises
    ------
    OutputError
        If one of the two ports is taken.
    """

    def __init__(
        self,
        port: int = PORT,
        host: str = "127.0.0.1",
        *,
        guard: threading.Lock | None = None,
    ) -> None:
        self._listed: list[str] = []
        where = f"tcp://{host}:"
        super().__init__(f"{where}{port}", f"{where}{port + 1}", guard)

    def tell(self, about: Mapping[str, Any]) -> None:
        """psplot has no place for what is said of a session."""

    def describe(self, topic: str, about: Mapping[str, Any]) -> None:
        """psplot knows a topic from its first message on."""

    def offer(self, topic: str, make: Callable[[], Message]) -> None:
        """As `TopicPublisher.offer`, for plots; psplot shows no values of single events."""
        if topic.startswith(PLOTS_PREFIX):
            super().offer(topic, make)

    def _prefix(self, topic: str) -> bytes:
        return topic.encode() + b"\x00"

    def _encode(self, message: Message, number: int) -> list[bytes]:
        return [self._prefix(message.topic), pickled_plot(message)]

    def _answer(self, may_make: bool) -> None:
        entry = self._topic(TOPICS)
        names = sorted(self._topics.keys() - {TOPICS})
        if names != self._listed or entry.frames is None:
            self._listed = names
            entry.frames = [self._prefix(TOPICS), pickle.dumps(names, protocol=4)]
            if entry.wanted:
                self._send(entry)
        for client, question in self._sockets.requests():
            self._sockets.reply(client, [question[0], b"smalldata_stream has no reset"])


def pickled_plot(message: Message) -> bytes:
    """A message as the pickle of the psmon object that shows it.

    Raises
    ------
    ValueError
        If psmon has nothing that shows this kind of message.
    """
    kind = str(message.metadata.get("kind", ""))
    if kind not in PLOTS:
        raise ValueError(f"psplot shows no plot of kind {kind!r}; only {', '.join(PLOTS)}")
    name, convert = PLOTS[kind]
    metadata = message.metadata
    common = {
        "ts": subtitle(metadata),
        "title": metadata.get("title") or message.topic,
        "xlabel": metadata.get("x_label"),
        "ylabel": metadata.get("y_label"),
        # psmon 1.0 asks of every plot whether an axis holds dates; older ones do not look.
        "xdate": False,
        "ydate": False,
    }
    return pickled(f"psmon.plots\n{name}\n", common | convert(message))


def subtitle(metadata: Mapping[str, Any]) -> str:
    """What psplot writes above a plot: where it is from and how much is in it.

    >>> subtitle({"exp": "xpptut15", "run": 14, "events": 1200})
    'xpptut15 run 14, 1,200 events'
    """
    parts = (
        [f"{metadata['exp']} run {metadata.get('run', '?')}"] if "exp" in metadata else []
    )
    if "events" in metadata:
        parts.append(counted(metadata["events"], "event"))
    return ", ".join(parts)


# ------------------------------------------------------------------- what shows which kind


def image(message: Message) -> dict[str, Any]:
    """The mean, as small as messages have it."""
    return {
        "image": message.arrays["mean"],
        "aspect_ratio": None,
        "aspect_lock": True,
        "pos": None,
        "scale": None,
    }


def histogram(message: Message) -> dict[str, Any]:
    """Edges of the bins, and how many are in each."""
    bins, values = message.arrays["edges"], message.arrays["counts"]
    lines = {"leg_label": None, "leg_offset": None, "formats": "-", "fills": True}
    return {"bins": bins, "values": values, **lines}


def xy(
    x: Any, y: Any, formats: str = "-", legend: list[str] | None = None
) -> dict[str, Any]:
    """A curve or points; several where ``x`` and ``y`` are lists."""
    lines = {"leg_label": legend, "leg_offset": None, "formats": formats}
    return {"xdata": x, "ydata": y, **lines}


def curves(message: Message, x: str) -> dict[str, Any]:
    """The mean, or the means with laser on and off, over ``x``."""
    arrays = message.arrays
    if "mean" in arrays:
        return xy(arrays[x], arrays["mean"])
    states = ["on", "off", "difference"]
    return xy([arrays[x]] * len(states), [arrays[s] for s in states], "-", states)


def line(message: Message) -> dict[str, Any]:
    """Curves over the points of a line."""
    return curves(message, "x")


def scan(message: Message) -> dict[str, Any]:
    """Curves over the positions of a scan."""
    return curves(message, "position")


def scatter(message: Message) -> dict[str, Any]:
    """One point for each event."""
    return xy(message.arrays["x"], message.arrays["y"], "o")


def strip(message: Message) -> dict[str, Any]:
    """The mean over the seconds before now, as psmon's axes hold no 64-bit times."""
    time = message.arrays["time"]
    seconds = (time - time[-1:].sum()) / 1e9
    return xy(seconds, message.arrays["mean"]) | {"xlabel": "seconds before the newest"}


PLOTS: dict[str, tuple[str, Callable[[Message], dict[str, Any]]]] = {
    "image": ("Image", image),
    "histogram": ("Hist", histogram),
    "line": ("XYPlot", line),
    "scan": ("XYPlot", scan),
    "scatter": ("XYPlot", scatter),
    "strip": ("XYPlot", strip),
}
"""psmon's class for each kind of plot, and its attributes."""


# -------------------------------------------------------------- pickles without the classes


def pickled(name: str, state: Mapping[str, Any]) -> bytes:
    r"""The pickle of an object whose class need not exist here.

    ``name`` is module and class, each ended by a newline. Such a pickle says: the class,
    made from no arguments, its attributes, and set them.

    >>> pickle.loads(pickled("types\nSimpleNamespace\n", {"ts": "now"}))
    namespace(ts='now')
    """
    attributes = io.BytesIO()
    PlainArrays(attributes, protocol=4).dump(dict(state))
    new = pickle.GLOBAL + name.encode() + pickle.EMPTY_TUPLE + pickle.NEWOBJ
    body = attributes.getvalue().removesuffix(pickle.STOP)
    return pickle.PROTO + b"\x04" + new + body + pickle.BUILD + pickle.STOP


class PlainArrays(pickle.Pickler):
    """Pickles arrays through numpy's public name, so that any version of numpy reads them.

    numpy 2 names a module that numpy 1 does not have.
    """

    def reducer_override(self, obj: Any) -> Any:
        """An array as its shape, dtype and bytes; everything else as usual."""
        if isinstance(obj, np.ndarray):
            array: Array = np.ascontiguousarray(obj).reshape(obj.shape)
            return np.ndarray, (obj.shape, obj.dtype.str, bytearray(array.tobytes()))
        return NotImplemented
