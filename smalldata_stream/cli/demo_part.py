"""A command that ends with another process: ``-m smalldata_stream.cli.demo_part PID ...``.

However the live demo ends, even killed, its parts are told to end, too, as by SIGTERM.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from smalldata_stream.cli import main

_SIGNAL_OF_PARENTS_DEATH = 1
"""Of prctl(2)."""


def end_with(parent: int) -> None:
    """Have this process told to end when its parent does, or now if it has already."""
    ctypes.CDLL(None).prctl(_SIGNAL_OF_PARENTS_DEATH, int(signal.SIGTERM))
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":  # workers import it, too
    end_with(int(sys.argv.pop(1)))
    code = main()
    exec("")  # see smalldata_stream.cli.__main__
    sys.exit(code)
