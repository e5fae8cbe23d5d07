"""Signals wait for the end of a batch, and are not lost wherever they strike."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from smalldata_stream.modes.shield import Shield, insisting
from tests.processes import PATIENCE

BOTH = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])


class Struck:
    """The signal comes while this is taken away: what is raised there is swallowed."""

    def __init__(self, how: signal.Signals):
        self.how = how

    def __del__(self) -> None:
        signal.raise_signal(self.how)


def strike_and_wait(how: signal.Signals) -> None:
    Struck(how)
    threading.Event().wait(PATIENCE)
    pytest.fail("the signal was lost")


@BOTH
def test_a_signal_in_a_destructor_comes_again(how: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), Shield().armed():
        strike_and_wait(how)


@BOTH
def test_also_while_a_batch_is_taken(how: signal.Signals) -> None:
    done, shield = [], Shield()

    def batches() -> None:
        with shield.held():
            Struck(how)  # noted, not raised
            done.append("the batch")
        done.append("more")

    with pytest.raises(KeyboardInterrupt), shield.armed():
        batches()
    assert done == ["the batch"]


@BOTH
@pytest.mark.parametrize("when", ["inside", "afterwards"])
def test_what_is_held_may_hold_more(how: signal.Signals, when: str) -> None:
    """The signal waits for all that is held, not for the innermost alone."""
    done, shield = [], Shield()

    def a_file_that_ends() -> None:
        with shield.held():
            with shield.held():
                done.append("what is left is sent")
                if when == "inside":
                    signal.raise_signal(how)
            if when == "afterwards":
                signal.raise_signal(how)
            done.append("the file is whole")
        done.append("more")

    with pytest.raises(KeyboardInterrupt), shield.armed():
        a_file_that_ends()
    assert done == ["what is left is sent", "the file is whole"]


def test_ctrl_c_without_a_shield() -> None:
    with pytest.raises(KeyboardInterrupt), insisting():
        strike_and_wait(signal.SIGINT)


def test_other_errors_of_destructors_are_told_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))

    class Wrong:
        def __del__(self) -> None:
            raise LookupError

    with insisting():
        Wrong()
    assert told == [LookupError]


def test_everything_is_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    hook = sys.unraisablehook
    with Shield().armed():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert sys.unraisablehook is hook
