"""An entry of an old dictionary, and what it becomes: calls of words, and what is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from smalldata_stream.prod_config.known import Lined, Opaque

AS_NONE = "None of the old file"
"""A parameter that is to be written as None."""


@dataclass(frozen=True, slots=True)
class Said:
    """What could not be translated, and where it is in the old file."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Call:
    """A word chained to a detector; ``then`` are words chained behind it.

    ``field`` is the field of the detector that it works on, where that is not its frames.
    """

    word: str
    parameters: Mapping[str, Any]
    line: int
    then: tuple[Call, ...] = ()
    field: str = ""


Steps: TypeAlias = Iterator[Call | Said]


@dataclass
class Old:
    """The parameters of one entry of the old file; what is not taken is said in the end."""

    what: str
    line: int
    entry: Lined
    taken: set[str] = field(default_factory=set)
    said: list[Said] = field(default_factory=list)

    def take(self, key: str, default: Any = None) -> Any:
        """The value of ``key``; ``default``, and a word about it, if it is not known."""
        self.taken.add(key)
        value = self.entry.get(key, default)
        if contains_opaque(value):
            self.say(key, f"{key}={text_of(value)}: not known without running the file")
            return default
        return value

    def has(self, key: str) -> bool:
        """Whether the entry has the key and it is not None."""
        return self.entry.get(key) is not None

    def at(self, key: str) -> int:
        """The line of a key."""
        return self.entry.lines.get(key, self.line)

    def say(self, key: str, what: str) -> None:
        """Note what is not translated."""
        self.taken.add(key)
        self.said.append(Said(self.at(key), f"{self.what}: {what}"))

    def ignore(self, *keys: str) -> None:
        """These have no meaning here, and are lost without a loss."""
        self.taken.update(keys)

    def rest(self) -> Steps:
        """All that was not translated."""
        for key in self.entry:
            if key not in self.taken:
                self.say(str(key), f"{key}={text_of(self.entry[key])} has no counterpart")
        yield from self.said


def contains_opaque(value: Any) -> bool:
    """Whether a value, or anything in it, could not be worked out."""
    if isinstance(value, Opaque):
        return True
    if isinstance(value, dict):
        return any(map(contains_opaque, value.values()))
    return isinstance(value, list | tuple | set) and any(map(contains_opaque, value))


def text_of(value: Any) -> str:
    """A value as it stood in the file."""
    return value.text if isinstance(value, Opaque) else repr(value)


def given(**parameters: Any) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in parameters.items() if value is not None}


def threshold(old: Old) -> float | tuple[Any, ...] | None:
    """``thresADU``, a number or a pair."""
    value = old.take("thresADU")
    return tuple(value) if isinstance(value, list) else value


def no_mask(old: Old) -> None:
    """A mask is an array, which is read when the graph is: that is for its author."""
    for key in ("userMask", "mask"):
        if old.has(key):
            old.say(
                key, f"{key}={text_of(old.entry[key])}: give mask=, an array, True = good"
            )


def as_lined(entry: Any) -> Lined:
    """A dictionary, also one that was made by calling dict."""
    return entry if isinstance(entry, Lined) else Lined(entry or {})
