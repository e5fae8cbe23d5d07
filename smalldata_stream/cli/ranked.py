"""Who speaks in a job of several ranks: the first for all, another one if it fails."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.blocks import RankError
from smalldata_stream.modes.ranks import Ranks
from smalldata_stream.rank import IN_HAND

FIRST_SPEAKS_SECONDS = 0.5


@contextmanager
def speaking_for_all(ranks: Ranks) -> Iterator[None]:
    """Let rank 0 alone say what all ranks would say; end the job where a rank fails alone.

    What is wrong with the command, the graph or the run all ranks find out together; an
    error of any other kind is one rank's, and so may be Ctrl-C: the others would wait for
    it forever.
    """
    said_to = sys.stderr
    if not ranks.first:
        # What the sources and the graph warn of, they warn of in every rank.
        logging.getLogger().setLevel(logging.ERROR)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  until the end
    try:
        yield
    except RankError as error:
        print(
            f"error: {error}\nThe job ends; the same command with --resume finishes it.",
            file=said_to,
            flush=True,
        )
        ranks.abort()
        raise
    except SmalldataError:
        raise
    except KeyboardInterrupt:
        if ranks.size > 1:
            if ranks.first:
                print("interrupted", file=said_to, flush=True)
            else:
                # As a rule all are interrupted, and the first one speaks for them.
                time.sleep(FIRST_SPEAKS_SECONDS)
                print(
                    f"error: {ranks} was interrupted with {IN_HAND} in hand; the same "
                    "command with --resume finishes the file",
                    file=said_to,
                    flush=True,
                )
            ranks.abort()
        raise
    except BaseException:
        if ranks.size > 1:
            print(f"error: {ranks}:\n{traceback.format_exc()}", file=said_to, flush=True)
            ranks.abort()
        raise
