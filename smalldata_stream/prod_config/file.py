"""Configuration files of smalldata_tools, read without running them.

A ``prod_config_*.py`` holds lists, and functions of the run number that return
dictionaries.
"""

from __future__ import annotations

import ast
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smalldata_stream.errors import SmalldataError, because
from smalldata_stream.prod_config.known import Unclear
from smalldata_stream.prod_config.reader import Reader


@dataclass
class Config:
    """What a file holds: ``values`` by name, ``functions`` of the run by name.

    ``lines`` is where each is; ``unclear`` what of the file itself was not worked out.
    """

    values: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    unclear: list[Unclear] = field(default_factory=list)

    def call(self, name: str, run: int) -> Any:
        """What a function returns for a run; `Unclear` where that is not known."""
        # Functions may add to the lists of the file; the next call has them as written.
        reader = Reader(deepcopy(self.values), self.functions)
        return reader.call(self.functions[name], [run])

    def runs(self) -> list[int]:
        """The integers in functions: where what they return may begin to differ."""
        return sorted(
            {
                node.value
                for function in self.functions.values()
                for test in ast.walk(function)
                if isinstance(test, ast.If | ast.IfExp)
                for node in ast.walk(test.test)
                if isinstance(node, ast.Constant) and type(node.value) is int
            }
        )


def read_config(path: Path) -> Config:
    """Read a file; `SmalldataError` where it is no Python."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SmalldataError(f"{path}: cannot be read: {because(error)}") from error
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        what = getattr(error, "msg", error)
        raise SmalldataError(f"{path}:{line}: not Python: {what}") from error
    config = Config()
    reader = Reader(config.values, config.functions)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            config.functions[statement.name] = statement
            config.lines[statement.name] = statement.lineno
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            try:
                reader.run([statement], config.values)
            except Unclear as error:
                config.unclear.append(error)
            for target in ast.walk(statement):
                if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                    config.lines[target.id] = statement.lineno
    return config
