"""An entry of an old dictionary, and what it becomes: calls of words, and what is said."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from smalldata_stream.prod_config.known import Lined, Opaque

AS_NONE = "None of the old file"
"""A parameter that is to be written as None."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value that stands in the graph as it stood in the old file: an array of a file."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """What could not be translated, and where it is in the old file."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Call:
    """A word chained to a detector; ``then`` are words chained behind it.

    ``field`` is the field of the detector that it works on, where that is not its frames;
    ``refused`` says why it can only be a comment.
    """

    word: str
    parameters: Mapping[str, Any]
    line: int
    then: tuple[Call, ...] = ()
    field: str = ""
    refused: str = ""


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

    def part(self, key: str) -> Old:
        """A dictionary in the entry, as an entry of its own."""
        self.taken.add(key)
        value = self.entry.get(key)
        if not isinstance(value, dict):
            value = self.take(key) or {}
        return Old(f"{self.what} {key}", self.at(key), as_lined(value))

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


def mask_of(old: Old) -> Written | None:
    """The user's mask: what reads its file stands in the graph, too. True = good."""
    found: Written | None = None
    for key in ("userMask", "mask"):
        old.ignore(key)
        value = old.entry.get(key)
        if isinstance(value, str) and value.endswith(".npy"):
            found = Written(f"np.load({json.dumps(value)})")
        elif isinstance(value, Opaque) and needs_numpy_alone(value.text):
            found = Written(value.text.replace("numpy.", "np."))
        elif value is not None:
            text = text_of(value)
            old.say(key, f"{key}={text}: give mask=, an array, True = good")
    return found


def needs_numpy_alone(text: str) -> bool:
    """Whether an expression has no names but numpy's.

    >>> needs_numpy_alone("~np.load('bad.npy')"), needs_numpy_alone("np.load(path)")
    (True, False)
    """
    nodes = ast.walk(ast.parse(text, mode="eval"))
    known = ("np", "numpy", "bool", "float", "int")
    return all(node.id in known for node in nodes if isinstance(node, ast.Name))


def whole(value: Any) -> Any:
    """A number without a fraction as an integer: 3e4 is 30000."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def window_of(old: Old, key: str) -> Any:
    """A window, ``[first, last]`` or a slice."""
    value = old.take(key)
    if isinstance(value, slice) and value.step in (None, 1):
        return [value.start or 0, value.stop]
    return list(value) if isinstance(value, tuple) else value


def as_lined(entry: Any) -> Lined:
    """A dictionary, also one that was made by calling dict."""
    return entry if isinstance(entry, Lined) else Lined(entry or {})
