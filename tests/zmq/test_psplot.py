"""What psplot would unpickle, with stand-ins under psmon's names."""

from __future__ import annotations

import importlib
import io
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from sinks.psplot import PLOTS, PORT, PsplotPublisher, pickled_plot
from smalldata_stream.errors import OutputError
from smalldata_stream.message import Message
from smalldata_stream.reductions import plots
from smalldata_stream.reductions.plots.shown import Shown
from tests.zmq.publishing import SOON, wait_until

OF_ALL = "ts title xlabel ylabel xdate ydate"
ATTRIBUTES = {
    "Image": f"{OF_ALL} image aspect_ratio aspect_lock pos scale",
    "XYPlot": f"{OF_ALL} xdata ydata leg_label leg_offset formats",
    "Hist": f"{OF_ALL} bins values leg_label leg_offset formats fills",
}
"""The attributes of psmon's classes, as the constructors of psmon 1.0.9 make them; its
clients read each of them without asking whether it is there."""


class Standin:
    """In place of a class of psmon."""


STANDINS = {name: type(name, (Standin,), {}) for name in ATTRIBUTES}


class Psplot(pickle.Unpickler):
    """Finds psmon's classes here, and nothing but numpy and bytearray elsewhere."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "psmon.plots":
            return STANDINS[name]
        assert (module, name) in {("numpy", "ndarray"), ("builtins", "bytearray")}
        return super().find_class(module, name)


def shown(kind: str, **arrays: np.ndarray[Any, Any]) -> Any:
    metadata: dict[str, Any] = {
        "kind": kind,
        "title": "a plot",
        "x_label": "x (mm)",
        "y_label": "y",
    }
    metadata |= {"exp": "xpptut15", "run": 14, "events": 1200}
    plot = Psplot(io.BytesIO(pickled_plot(Message("plots/p", metadata, arrays)))).load()
    assert vars(plot).keys() == set(ATTRIBUTES[type(plot).__name__].split())
    assert (plot.xdate, plot.ydate) == (False, False)
    assert plot.title == "a plot"
    assert plot.ts == "xpptut15 run 14, 1,200 events"
    return plot


def test_image() -> None:
    mean = np.arange(12.0).reshape(3, 4)
    plot = shown("image", mean=mean, last=mean)
    assert type(plot).__name__ == "Image"
    np.testing.assert_array_equal(plot.image, mean)
    assert plot.image.flags.writeable
    assert (plot.xlabel, plot.ylabel) == ("x (mm)", "y")


def test_histogram() -> None:
    plot = shown("histogram", counts=np.array([3, 4]), edges=np.array([0.0, 1.0, 2.0]))
    assert type(plot).__name__ == "Hist"
    assert plot.values.tolist() == [3, 4]
    assert plot.bins.tolist() == [0, 1, 2]  # one more than values: psplot draws steps


@pytest.mark.parametrize(("kind", "x"), [("line", "x"), ("scan", "position")])
def test_curves(kind: str, x: str) -> None:
    position, mean = np.array([1.0, 2.0]), np.array([5.0, np.nan])
    plot = shown(kind, **{x: position, "mean": mean})
    assert type(plot).__name__ == "XYPlot"
    np.testing.assert_array_equal(plot.xdata, position)
    np.testing.assert_array_equal(plot.ydata, mean)


@pytest.mark.parametrize(("kind", "x"), [("line", "x"), ("scan", "position")])
def test_curves_by_state_are_lists_of_one_length(kind: str, x: str) -> None:
    states = {name: np.array([i, i + 1]) for i, name in enumerate(["on", "off"])}
    arrays = {x: np.arange(2), **states, "difference": np.ones(2)}
    plot = shown(kind, **arrays)
    assert plot.leg_label == ["on", "off", "difference"]
    assert [y.tolist() for y in plot.ydata] == [[0, 1], [1, 2], [1, 1]]
    assert len(plot.xdata) == len(plot.ydata)


def test_scatter_is_points() -> None:
    plot = shown("scatter", x=np.arange(3.0), y=np.ones(3))
    assert plot.formats == "o"
    assert plot.xdata.tolist() == [0, 1, 2]


@pytest.mark.parametrize("times", [[], [10**18, 10**18 + 250_000_000]])
def test_strip_is_seconds_before_the_newest(times: list[int]) -> None:
    time = np.array(times, np.int64)
    plot = shown("strip", time=time, mean=np.ones(len(time)))
    assert plot.xdata.tolist() == ([-0.25, 0.0] if times else [])
    assert plot.xlabel == "seconds before the newest"


def test_every_plot_of_the_graph_language_has_a_place() -> None:
    for module in pkgutil.iter_modules(plots.__path__):
        importlib.import_module(f"{plots.__name__}.{module.name}")
    kinds = {shown.KIND for shown in Shown.__subclasses__()}
    assert "histogram" in kinds
    assert kinds <= PLOTS.keys()


def test_what_psplot_cannot_show_is_said() -> None:
    with pytest.raises(ValueError, match="no plot of kind 'event'; only image, histogram"):
        pickled_plot(Message("gmd", {"kind": "event"}, {}))


def test_the_plain_unpickler_finds_psmon() -> None:
    """In a process of its own, with modules by psmon's names, as psplot does it."""
    mean = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = pickled_plot(Message("p", {"kind": "image"}, {"mean": mean}))
    code = """
import pickle, sys, types
sys.modules["psmon"] = types.ModuleType("psmon")
sys.modules["psmon.plots"] = plots = types.ModuleType("psmon.plots")
class Image(object):
    def __init__(self, ts, title, image): raise AssertionError("pickle does not call it")
plots.Image = Image
plot = pickle.loads(sys.stdin.buffer.read())
print(type(plot).__name__, plot.title, plot.image.dtype, plot.image.sum())
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=data,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.split() == [b"Image", b"p", b"float32", b"15.0"]


@pytest.fixture
def publisher() -> Iterator[PsplotPublisher]:
    for port in range(PORT + 20_000, PORT + 20_100, 2):
        try:
            publisher = PsplotPublisher(port)
        except OutputError:
            continue
        with publisher:
            yield publisher
        return


def subscribed(context: zmq.Context[zmq.Socket[bytes]], address: str, topic: bytes) -> Any:
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, topic)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    return socket


def test_topic_nul_and_a_pickle(publisher: PsplotPublisher) -> None:
    made = 0

    def make() -> Message:
        nonlocal made
        made += 1
        return Message("plots/h", {"kind": "histogram"}, arrays)

    arrays = {"counts": np.array([1]), "edges": np.array([0.0, 1.0])}
    publisher.offer("plots/h", make)
    publisher.offer("plots/h2", make)
    assert made == 0
    assert publisher.address.startswith("tcp://127.0.0.1:")
    with zmq.Context() as context:
        socket = subscribed(context, publisher.address, b"plots/h\0")
        wait_until(lambda: publisher.wanted(["plots/h"]))
        assert publisher.wanted(["plots/h", "plots/h2"]) == {"plots/h"}
        assert socket.poll(round(SOON * 1000))
        topic, data = socket.recv_multipart()
        assert topic == b"plots/h\0"
        assert Psplot(io.BytesIO(data)).load().values.tolist() == [1]
        socket.close()
    assert made == 1


def test_the_list_of_topics(publisher: PsplotPublisher) -> None:
    publisher.offer("plots/b", lambda: Message("plots/b", {}, {}))
    publisher.offer("plots/a", lambda: Message("plots/a", {}, {}))
    with zmq.Context() as context:
        socket = subscribed(context, publisher.address, b"psmon-internal-topics\0")
        names: list[str] = []
        while names != ["plots/a", "plots/b"]:
            assert socket.poll(round(SOON * 1000))
            topic, data = socket.recv_multipart()
            assert topic == b"psmon-internal-topics\0"
            names = Psplot(io.BytesIO(data)).load()
        socket.close()


def test_a_reset_is_answered_and_refused(publisher: PsplotPublisher) -> None:
    port = int(publisher.address.rpartition(":")[2]) + 1
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"tcp://127.0.0.1:{port}")
        socket.send_multipart([b"reset", b"reset signal - here"])
        assert socket.poll(round(SOON * 1000))
        assert socket.recv_multipart() == [b"reset", b"smalldata_stream has no reset"]


def test_a_port_in_use(publisher: PsplotPublisher) -> None:
    with pytest.raises(OutputError, match="another program has the port"):
        PsplotPublisher(int(publisher.address.rpartition(":")[2]))
