"""What the dashboard reads, without a browser; and what the command says when it cannot."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from sinks.zmq import ZmqPublisher
from smalldata_stream.cli import main
from smalldata_stream.dashboard.feed import Feed, State
from smalldata_stream.dashboard.text import banner_text, header_text, run_text
from smalldata_stream.errors import SourceError
from smalldata_stream.message import Message
from tests.zmq.publishing import EVENT, SOON, Maker, wait_until

PLOT = "plots/gmd/energy_strip"


@pytest.fixture
def resets() -> list[list[str]]:
    return []


@pytest.fixture
def publisher(resets: list[list[str]]) -> Iterator[ZmqPublisher]:
    guard = threading.Lock()
    with ZmqPublisher(guard=guard, on_reset=resets.append) as publisher:
        yield publisher


@pytest.fixture
def feed(publisher: ZmqPublisher) -> Iterator[Feed]:
    feed = Feed(publisher.address)
    feed.start()
    yield feed
    feed.close()


def test_only_what_somebody_wants_is_read(publisher: ZmqPublisher, feed: Feed) -> None:
    wanted, other = Maker(PLOT), Maker("plots/gmd/energy_histogram")
    feed.wait(SOON)
    feed.want("a browser", [PLOT])
    wait_until(lambda: publisher.wanted([PLOT]))
    for maker in (wanted, other):
        publisher.offer(*maker.offer())
    wait_until(lambda: PLOT in feed.state.messages)
    assert other.made == 0
    feed.leave("a browser")
    wait_until(lambda: not publisher.wanted([PLOT]))
    wait_until(lambda: not feed.state.messages)


def test_the_rate_is_that_of_the_events_read(publisher: ZmqPublisher, feed: Feed) -> None:
    begin = time.monotonic()

    def told() -> bool:
        publisher.tell({"ledger": {"read": int(1000 * (time.monotonic() - begin))}})
        publisher.wanted([])
        return feed.state.rate == pytest.approx(1000, rel=0.2)

    wait_until(told)


def test_the_age_is_that_of_the_newest_value_read_or_not(
    publisher: ZmqPublisher, feed: Feed
) -> None:
    feed.wait(SOON)
    assert feed.state.moved == 0
    publisher.offer(*Maker("gmd").offer())
    offered = time.monotonic()

    def heard_much_later() -> bool:
        publisher.wanted([])
        return feed.state.moved > 0 and feed.state.heard > offered + 5

    wait_until(heard_much_later)
    assert offered - 0.1 < feed.state.moved < feed.state.heard - 1
    assert not feed.state.messages


def test_a_reset_is_answered_or_says_why_not(
    publisher: ZmqPublisher, feed: Feed, resets: list[list[str]]
) -> None:
    publisher.offer(*Maker(PLOT).offer())
    feed.wait(SOON)
    assert feed.reset([PLOT]).result(SOON) is None
    assert resets == [[PLOT]]
    with pytest.raises(SourceError, match="'plots/gone' is not published"):
        feed.reset(["plots/gone"]).result(SOON)


def test_what_is_no_message_is_said(feed: Feed) -> None:
    import zmq

    other = Feed("tcp://127.0.0.1:1")
    other.close()
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        wrong = Feed(f"tcp://127.0.0.1:{port}")
        wrong.start()
        wrong.want("a browser", ["gmd"])

        def send() -> str:
            socket.send_multipart([b"\x83\xa6source\xa5index", b"?"])
            return wrong.state.problem

        wait_until(send)
        with pytest.raises(SourceError, match="not a message of smalldata_stream"):
            wrong.wait(1)
        wrong.close()


LEDGER = {
    "read": 12, "written": 7, "filtered": {"laser off": 1}, "failed": {},
    "dropped": {"late": 2}, "gaps": {"gmd/bad": 3},
}  # fmt: skip
LETTER = {"node": "gmd/bad", "timestamp": EVENT, "error": "ValueError: a < b"}


def test_the_page_says_what_is_wrong() -> None:
    index = {
        "exp": "xpptut26", "run": 7, "ledger": LEDGER, "dead_letters": [LETTER],
        "error": "graph.py:2: no detector <b>", "topics": {"gmd": {"age": 9.0}},
    }  # fmt: skip
    state = State(heard=100.0, index=index, moved=91.0, newest=EVENT)
    header = header_text("tcp://a:1", state, 100.0)
    assert "xpptut26 run 7" in header
    assert "<b>2 missing</b>the ledger does not close" in header
    assert "<div class='tile bad'><b>3</b>gaps by failures" in header
    assert "<div class='tile bad'><b>9 s</b>since the newest" in header
    banner = banner_text("tcp://a:1", state, 100.0)
    assert "No new event for 9 s" in banner
    assert "no detector &lt;b&gt;" in banner
    assert "tcp://a:1 is silent for 4 s" in banner_text("tcp://a:1", state, 104.0)
    run = run_text(index)
    assert "<td>dropped</td><td>late</td><td class='n'>2</td>" in run
    assert "ValueError: a &lt; b" in run


def test_the_page_says_what_the_file_lacks() -> None:
    failed = {"not in the file: Disk quota <exceeded>": 1, "the graph does not build": 2}
    state = State(
        heard=100.0, index={"ledger": {"read": 9, "written": 4, "failed": failed}}
    )
    banner = banner_text("tcp://a:1", state, 100.0)
    assert banner.count("<div") == 1
    assert "written: Disk quota &lt;exceeded&gt;. It lacks 1 event" in banner


def test_without_a_graph_the_command_ends_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = "tcp://127.0.0.1:1"
    assert main(["dashboard", address, "--timeout", "0.2"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: nothing publishes at {address}")


def test_what_is_no_address_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "daq-01:5555"]) == 1
    assert "write one such as tcp://host:5555" in capsys.readouterr().err


def test_without_bokeh_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [m for m in sys.modules if m.startswith("smalldata_stream.dashboard.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh.document", None)
    assert main(["dashboard", "tcp://127.0.0.1:1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs Bokeh; install smalldata_stream[plots]" in line


def test_a_port_that_is_taken_is_said(
    publisher: ZmqPublisher, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("bokeh", reason="Bokeh is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["dashboard", publisher.address, "--port", port]) == 1
    said = capsys.readouterr().err
    assert f"cannot serve at 127.0.0.1:{port}" in said
    assert "choose another --port" in said
    assert main(["dashboard", publisher.address, "--host", "192.0.2.1", "--port", "0"]) == 1
    assert "--host must be this machine's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "arrays", "said"),
    [
        ("pie", {"counts": np.zeros(3)}, "no plot of kind 'pie'"),
        ("line", {"y": np.zeros(3)}, "cannot be drawn: 'x'"),
    ],
)
def test_a_message_that_cannot_be_drawn_is_said_on_its_card(
    kind: str, arrays: dict[str, np.ndarray], said: str
) -> None:
    pytest.importorskip("bokeh", reason="Bokeh is not installed")
    from smalldata_stream.dashboard.card import Card

    card = Card(PLOT)
    card.show(Message(PLOT, {"kind": kind}, arrays))
    card.say({"age": 0.0}, 0.0)
    assert said in card.model.children[0].text
    assert not card.drawn


def test_what_a_switch_shows_is_the_newest_even_in_a_pause() -> None:
    models = pytest.importorskip("bokeh.models", reason="Bokeh is not installed")
    from smalldata_stream.dashboard.card import Card

    card = Card("plots/cam/image")
    for value in (1.0, 2.0):
        pixels = {field: np.full((2, 3), value, np.float32) for field in ("mean", "last")}
        arrays = {**pixels, "extent": np.array([3, 2])}
        card.show(Message(card.topic, {"kind": "image"}, arrays))

    def drawn() -> list[float]:
        sources = card.model.select({"type": models.ColumnDataSource})
        return sorted(float(source.data["image"][0].max()) for source in sources)

    assert drawn() == [1.0, 2.0]
    (switch,) = (
        group
        for group in card.model.select({"type": models.RadioButtonGroup})
        if group.labels == ["mean", "last"]
    )
    switch.active = 1
    assert drawn() == [2.0, 2.0]
