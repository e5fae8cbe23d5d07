"""The command with small blocks and many checkpoints, dying where a test says.

``DIE`` is ``rank:block:how``: in that rank, in that block or the first one later that it
gets, ``kill`` the process or its ``parent``, ``interrupt`` it, ``raise`` an error, run into
a full ``disk``, or have SLURM ``requeue`` the job, which then does not die again. The other
ranks stop at the first such block that they get, and hold it until the job is ended for
them. ``merge`` instead of a block is when the parts are being put together, ``publish``
when the file is to get its name.

``SEES`` is ``rank:folder``: that rank is told to read the data there. ``LOOKS`` is a folder
into which each rank writes when it has looked at growing files: a time in ns per line.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smalldata_stream.cli.watched import watched
from smalldata_stream.rank import launched, rank_told

LONG_SECONDS = 200


def main() -> int:
    import smalldata_stream.modes.blocks as blocks
    import smalldata_stream.sources.files_events as files_events
    import smalldata_stream.sources.files_live as files_live
    import smalldata_stream.sources.psana_run as psana_run
    from smalldata_stream.cli import command_line

    files_events.BLOCK_BYTES = 0
    files_events.MIN_BLOCK_EVENTS = int(os.environ.get("BLOCK", "8"))
    files_live.LIVE_BLOCK_EVENTS = 8
    psana_run.BLOCKS = 1
    blocks.CHECKPOINT_SECONDS = float(os.environ.get("CHECKPOINT", "0"))
    blocks.CHECKPOINT_SHARE = 1.0
    rank, _, folder = os.environ.get("SEES", "").partition(":")
    if rank == rank_told():
        sys.argv[sys.argv.index("--dir") + 1] = folder
    if "LOOKS" in os.environ:
        note_looks(Path(os.environ["LOOKS"]) / (rank_told() or "0"))
    if "DIE" in os.environ and os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        rank, at, how = os.environ["DIE"].split(":")
        if at.isdigit():
            die_in_block(int(rank), int(at), how)
        elif rank == (rank_told() or "0"):
            die_after(at, how)
    return command_line(sys.argv[1:])


def note_looks(path: Path) -> None:
    from smalldata_stream.sources.files_live import GrowingStream

    poll = GrowingStream.poll
    looks = path.open("w", buffering=1)

    def noted(self: GrowingStream) -> Any:
        looks.write(f"{time.time_ns()}\n")
        return poll(self)

    setattr(GrowingStream, "poll", noted)  # noqa: B010


def die_after(at: str, how: str) -> None:
    from sinks.hdf5_file import PartialFile
    from smalldata_stream.modes import folder

    if at == "merge":
        dying_after(PartialFile, "copy", how)
    else:
        dying_after(folder, "publish", how)


def die_in_block(rank: int, at: int, how: str) -> None:
    from smalldata_stream.modes import blocks

    block: Any = blocks.Job._block

    def dying_block(self: Any, number: int, handed: object) -> bool:
        real, ranks = self._blocks, self._ranks

        class Dying:
            size, count, damage = real.size, real.count, real.damage
            before = real.before

            def read(self, number: int) -> Iterator[object]:
                if number >= at and rank != ranks.rank and rank < ranks.size:
                    threading.Event().wait(LONG_SECONDS)
                    raise RuntimeError("no rank has died")
                for batch in real.read(number):
                    yield batch
                    if number >= at and rank == ranks.rank:
                        die(how)

        self._blocks = Dying()
        try:
            done: bool = block(self, number, handed)
            return done
        finally:
            self._blocks = real

    setattr(blocks.Job, "_block", dying_block)  # noqa: B010


def dying_after(where: Any, name: str, how: str) -> None:
    real = getattr(where, name)

    def dying(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        die(how)

    setattr(where, name, dying)


def die(how: str) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait(LONG_SECONDS)  # this process is killed with it
    elif how == "interrupt":
        signal.raise_signal(signal.SIGINT)
    elif how == "requeue":
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
        threading.Event().wait(LONG_SECONDS)
    elif how == "disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    else:
        raise RuntimeError("this test wants it so")


if __name__ == "__main__":
    sys.exit(watched(main) if launched() else main())
