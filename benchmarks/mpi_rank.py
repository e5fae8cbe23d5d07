"""The command as one rank runs it, with an account of where the rank's time went.

    mpiexec -n 2 python -m benchmarks.mpi_rank ACCOUNTS run GRAPH ...

Each rank leaves a file in the folder ACCOUNTS.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smalldata_stream.cli.watched import watched
from smalldata_stream.rank import launched


@dataclass(slots=True)
class Account:
    """Of one rank's blocks; the first is told apart, as in it the kernels are loaded.

    ``cpu`` is of all its threads. Of ``wall`` the one that works had a core for ``worked``
    and could have gone on but for other programs for ``ready``; the rest it has waited.
    ``ends`` has, per block, when it ended and its events.
    """

    begun: float = 0.0
    ended: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    worked: float = 0.0
    ready: float = 0.0
    ends: list[tuple[float, int]] = field(default_factory=list)

    def begin(self) -> None:
        """The first block is done."""
        self.begun = time.monotonic()
        self.cpu, self.worked = time.process_time(), time.thread_time()
        self.ready = ready()

    def end(self) -> None:
        """There are no more blocks."""
        self.ended = time.monotonic()
        self.wall = self.ended - self.begun
        self.cpu = time.process_time() - self.cpu
        self.worked, self.ready = time.thread_time() - self.worked, ready() - self.ready


def ready() -> float:
    """Seconds that this thread could have run and did not."""
    account = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text()
    return int(account.split()[1]) / 1e9


def main() -> int:
    import smalldata_stream.modes.blocks as blocks
    from smalldata_stream.cli import command_line

    account = Account()
    block: Callable[..., bool] = vars(blocks.Job)["_block"]
    work = blocks.Job.work

    def block_told(self: Any, *arguments: object) -> bool:
        before = self.session.ledger.read
        done = block(self, *arguments)
        if not account.ends:
            account.begin()
        account.ends.append((time.monotonic(), self.session.ledger.read - before))
        return done

    def work_told(self: Any) -> None:
        work(self)
        account.end()

    setattr(blocks.Job, "_block", block_told)  # noqa: B010
    setattr(blocks.Job, "work", work_told)  # noqa: B010
    code = command_line(sys.argv[2:])
    Path(sys.argv[1], f"{os.getpid()}.json").write_text(json.dumps(asdict(account)))
    return code


if __name__ == "__main__":
    sys.exit(watched(main) if launched() else main())
