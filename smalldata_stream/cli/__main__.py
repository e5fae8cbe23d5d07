"""``python -m smalldata_stream.cli`` is ``smalldata-stream``."""

import sys

from smalldata_stream.cli import main

if __name__ == "__main__":  # workers import it, too
    sys.exit(main())
