"""The live demo: server, graph, dashboard and metrics on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, NoReturn

from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.shield import Shield
from smalldata_stream.simulate import SimulatedFiles, Simulation

LOOK_SECONDS = 0.2
END_SECONDS = 30.0
"""A part that has been told to end may take so long."""

START_SECONDS = 120.0


def play_live(simulation: Simulation, files: SimulatedFiles, rate_hz: float) -> NoReturn:
    """Play a simulated run in a loop and run the tutorial graph over it, until Ctrl-C.

    Raises
    ------
    SmalldataError
        When one of the parts ends by itself; the others are ended, too.
    """
    tag = f"demo{os.getpid()}"
    where = ["--exp", simulation.exp, "--run", str(simulation.run)]
    with Shield().armed(), ExitStack() as stack:

        def start(*words: str) -> Part:
            return stack.enter_context(part(words))

        play = start(
            "play", *where, "--dir", str(files.directory), "--tag", tag,
            "--rate", f"{rate_hz:g}",
        )  # fmt: skip
        live = start(
            "live", "tutorial", "--shmem", tag, "--publish", "tcp://127.0.0.1:*",
            "--metrics", "0", "--constants", str(files.constants),
        )  # fmt: skip
        metrics, address = live.says("metrics:"), live.says("publishing:")
        dashboard = start("dashboard", address, "--port", "0", "--timeout", "120")
        print(f"plots:     {dashboard.says('dashboard:')}")
        print(f"metrics:   {metrics}")
        print(f"published: {address}   (smalldata-stream watch {address})")
        print("Ctrl-C ends all of it.", flush=True)
        while True:
            for one in (play, live, dashboard):
                one.check()
            time.sleep(LOOK_SECONDS)


class Part:
    """One command in a process of its own, and what it has said."""

    def __init__(self, words: Sequence[str]):
        self.name = words[0]
        # A session of its own: Ctrl-C on the terminal is ours, who end the parts in order.
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "smalldata_stream.cli.demo_part",
                f"{os.getpid()}",
                *words,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(
            target=self._read, args=[self.process.stdout], daemon=True
        )
        self._reader.start()

    def _read(self, out: IO[str]) -> None:
        with out:
            self._lines += iter(out.readline, "")

    def says(self, word: str) -> str:
        """The rest of the line that begins with ``word``, taken out once it is there."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            for line in list(self._lines):
                if line.startswith(word):
                    self._lines.remove(line)
                    return line.removeprefix(word).strip()
            self.check()
            if time.monotonic() > deadline:
                raise SmalldataError(f"{self.name} has said nothing of {word!r}")
            time.sleep(LOOK_SECONDS / 4)

    def check(self) -> None:
        """Raise `SmalldataError` if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise SmalldataError(f"{self.name} has ended by itself (exit code {code})")

    def end(self) -> None:
        """Tell it to end, and see to it."""
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self.name} does not end; it is killed", file=sys.stderr)
        finally:
            self.process.kill()  # no more than a formality where it has ended
            self.process.wait()
        self._reader.join()
        print("".join(self._lines), end="", flush=True)


@contextmanager
def part(words: Sequence[str]) -> Iterator[Part]:
    """A part that ends with the context."""
    one = Part(words)
    try:
        yield one
    finally:
        one.end()
