"""A worker that is told to end while it tells its collector something: told once, whole."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from smalldata_stream.ledger import Ledger
from smalldata_stream.modes.relay import Relay, Shown, Taken
from smalldata_stream.modes.shield import Shield

TIMES = np.array([5, 6], np.uint64)


class Plan:
    """Totals that are taken, as those of a graph are."""

    nodes: tuple[()] = ()
    newest = 6

    def __init__(self) -> None:
        self.states = {"sum": 11}

    def take_states(self) -> dict[str, int]:
        states, self.states = self.states, {}
        return states


class Wire:
    """Keeps what is sent; SIGTERM comes with the first batch."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def send(self, message: Any) -> None:
        self.said.append(message)
        if isinstance(message, Taken) and len(self.of(Taken)) == 1:
            signal.raise_signal(signal.SIGTERM)

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.said if isinstance(one, kind)]


@pytest.mark.parametrize("what", ["flush", "show"])
def test_told_to_end_while_a_batch_is_sent(what: str) -> None:
    wire, shield = Wire(), Shield()
    relay = Relay(cast("Any", wire), 1.0, shield)
    relay.run = cast("Any", SimpleNamespace(description=None, behind=False))
    about = SimpleNamespace(provenance={"graph": ""})
    session: Any = SimpleNamespace(declaration=about, run=None, plan=Plan())
    relay.begin(session)
    relay.read(TIMES, TIMES, 16)
    relay.kept(TIMES, {})
    tells: dict[str, Callable[[], None]] = {
        "flush": relay.flush,
        "show": lambda: relay.show(session, cast("Any", None), Ledger()),
    }
    with pytest.raises(KeyboardInterrupt), shield.armed():
        tells[what]()
    relay.end(Ledger())
    assert [one.timestamps.tolist() for one in wire.of(Taken)] == [[5, 6]]
    assert [one.states for one in wire.of(Shown) if one.states] == [{"sum": 11}]
    assert [one.last for one in wire.of(Shown)][-1]
