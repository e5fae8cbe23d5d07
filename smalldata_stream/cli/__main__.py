"""``python -m smalldata_stream.cli`` is ``smalldata-stream``."""

import sys

from smalldata_stream.cli import main

sys.exit(main())
