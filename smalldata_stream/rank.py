"""Whether this process is a rank of an MPI job, and what it has in hand.

No MPI here: this is asked before MPI is initialised, and by who watches a rank.
"""

from __future__ import annotations

import mmap
import os

LAUNCHED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PALS_RANKID")
"""Variables of which a launcher of MPI jobs sets one: MPICH and Intel, PMIx, Open MPI."""

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
"""Variables in which launchers of MPICH's family and Open MPI say how many they start."""

NOTHING = -1


def launched() -> bool:
    """Whether this process is a rank that ``mpiexec`` or ``srun`` started."""
    return rank_told() is not None


def rank_told() -> str | None:
    """The rank as the launcher tells it; None where there is no launcher."""
    return next((os.environ[name] for name in LAUNCHED if name in os.environ), None)


def size_told() -> int | None:
    """The number of ranks as the launcher tells it; None where it does not."""
    return next((int(os.environ[name]) for name in SIZES if name in os.environ), None)


class InHand:
    """What the rank is at, in memory that its parent sees, too."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self.nothing()

    def block(self, number: int, first: int, last: int) -> None:
        """Block ``number``, events ``first`` to ``last``, was begun."""
        self._numbers[0] = NOTHING
        self._numbers[1], self._numbers[2] = first, last
        self._numbers[0] = number

    def nothing(self) -> None:
        """No block is in hand."""
        self._numbers[0] = NOTHING

    def __str__(self) -> str:
        number, first, last = self._numbers[:3].tolist()
        return f"block {number} (events {first} to {last})" if number >= 0 else "no block"


IN_HAND = InHand()
