"""What was done of a run so far: by one rank, and, merged, by all."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sinks.hdf5_parts import Rows
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import DeadLetter, Ledger
from smalldata_stream.plan import LETTERS_PER_NODE
from smalldata_stream.protocols import Damage, State

SUFFIX = ".done"


@dataclass(slots=True)
class Done:
    """The blocks that were done, and all that is known of them.

    Attributes
    ----------
    rows
        Per block, where its rows are.
    ledger
        Of their events.
    failures
        Per node, how many events it failed on.
    letters
        Per block, its dead letters.
    states
        What adds up over the run, in the order of the graph.
    damage
        Met while reading them; None where nothing was read.
    newest
        Timestamp of the newest of their events.
    """

    rows: dict[int, Rows] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    failures: Counter[str] = field(default_factory=Counter)
    letters: dict[int, list[DeadLetter]] = field(default_factory=dict)
    states: Sequence[State] = ()
    damage: Damage | None = None
    newest: int = 0

    def merge(self, other: Done) -> None:
        """Take what was done of other blocks; the result is the same in any order."""
        twice = self.rows.keys() & other.rows.keys()
        if twice:
            raise OutputError(f"blocks {sorted(twice)} were done twice")
        self.rows |= other.rows
        self.letters |= other.letters
        self.ledger.read += other.ledger.read
        self.ledger.written += other.ledger.written
        self.ledger.filtered += other.ledger.filtered
        self.ledger.unknown += other.ledger.unknown
        self.failures += other.failures
        self.newest = max(self.newest, other.newest)
        if not self.states:
            self.states = other.states
        else:
            for mine, its in zip(self.states, other.states, strict=True):
                mine.merge(its)
        if self.damage is None:
            self.damage = other.damage
        elif other.damage is not None:
            self.damage.merge(other.damage)

    def ordered(self) -> list[Rows]:
        """Where the rows of the run are, in time order."""
        return [self.rows[block] for block in sorted(self.rows)]

    def first_letters(self) -> list[DeadLetter]:
        """The first dead letters of each node."""
        kept: list[DeadLetter] = []
        seen: Counter[str] = Counter()
        for block in sorted(self.letters):
            for letter in self.letters[block]:
                if seen[letter.node] < LETTERS_PER_NODE:
                    kept.append(letter)
                seen[letter.node] += 1
        return kept

    def save(self, path: Path) -> None:
        """Write to ``path``, whole or not at all, safe from whatever comes.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        try:
            keep(path, lambda file: pickle.dump(self, file, protocol=5))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise OutputError(
                "what adds up over the run cannot be kept for --resume, as something in it "
                f"cannot be pickled: {error}; states hold arrays and numbers, no functions"
            ) from error


def load(path: Path) -> Done:
    """What `Done.save` wrote; OutputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            found: Any = pickle.load(file)
    except (
        OSError,
        EOFError,
        pickle.UnpicklingError,
        AttributeError,
        ImportError,
    ) as error:
        raise OutputError(
            f"{path} cannot be read: {error}; --overwrite begins the run anew"
        ) from error
    assert isinstance(found, Done)
    return found


def gathered(parts: Iterable[Done]) -> Done:
    """All that was done, as one."""
    whole = Done()
    for part in parts:
        whole.merge(part)
    return whole


def keep(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make a file, whole or not at all, safe from whatever comes; see `Done.save`."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            new.unlink()  # its place on the disk is needed
        if isinstance(error, OSError):
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
