"""A command line that says what was meant where something is misspelled."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """The parser of a command, and of its parts.

    >>> parser = Parser(prog="run")
    >>> _ = parser.add_argument("--reader", choices=["native", "psana"])
    >>> said = []
    >>> parser.exit = lambda code, text: said.append(text)  # instead of the process
    >>> _ = parser.parse_args(["--raeder"])
    >>> print(said[0].strip())
    run: error: no option --raeder; did you mean --reader?
    """

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse does it, but each parser speaks for itself of what is too much."""
        options, rest = super().parse_known_args(args, namespace)
        for word in rest:
            if not word.startswith("-"):
                self.error(
                    f"{word!r} is too much; what is it? Paths with spaces need quotes"
                )
            option = word.partition("=")[0]
            known = re.findall(r"--[a-z][a-z-]*", self.format_help())
            self.error(f"no option {option}{_hint(option, known)}")
        return options, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how the command is written."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice is not None:
            known = re.findall(r"[\w.-]+", choice[2])
            message += _hint(choice[1], known)
        super().error(message)


def _hint(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
