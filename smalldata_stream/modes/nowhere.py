"""The sink of a live session that writes no file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Column
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result


class Nowhere:
    """Takes everything and keeps nothing."""

    def begin(self, declaration: Declaration) -> None:
        """Nothing to make ready."""

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Nothing is kept."""

    def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to stop."""
