"""``python -m smalldata_stream.cli`` is ``smalldata-stream``."""

import sys

from smalldata_stream.cli import main

if __name__ == "__main__":  # workers import it, too
    code = main()
    # Where Ctrl-C struck inside an exec'd text (importing a dataclass runs one), python -m
    # would end by SIGINT and not with our code; the next exec makes it forget.
    exec("")
    sys.exit(code)
