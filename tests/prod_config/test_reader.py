"""A prod_config is read as Python would run it, and nothing of it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smalldata_stream.prod_config.file import read_config
from smalldata_stream.prod_config.graph import spans
from smalldata_stream.prod_config.known import Opaque, Unclear
from tests.prod_config.configs import import_config, write


def test_nothing_of_the_file_is_run(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    text = f"""
import os, pathlib
pathlib.Path({str(sign)!r}).touch()
__import__("os").system("touch {sign}")
[open({str(sign)!r}, "w") for i in range(1)]
detectors = ["a"]
def getROIs(run):
    open({str(sign)!r}, "w").write("x")
    return {{"a": [{{"name": "ROI", "ROI": None}}]}}
def get_azav(run):
    return getattr(run, "__class__").__mro__[1].__subclasses__()
"""
    code, graph = import_config(write(tmp_path, text))
    assert code == 0
    assert not sign.exists()
    assert "open(" in graph.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "run + 1", "run // 2 * 3 - -1", "run in (1, 5)", "not run == 5 and run > 2",
        "1 < run <= 5", "[run] * 3", "{'a': [run, (1, 2)]}['a'][1]", "f'{run}_x'",
        "'yes' if run % 2 else 'no'", "[i + run for i in range(4) if i != 2]",
        "list(range(3))[1:]", "max(run, 7)", "dict(a=run)", "str(run) + 'b'",
        "'A'.lower()", "{'a': 1}.get('b', run)", "run or 3", "None is None", "-1.5e3",
        "sorted([3, run, 1])", "(lambda: 1) if False else run",
    ],
)  # fmt: skip
@pytest.mark.parametrize("run", [0, 5])
def test_expressions_as_python_has_them(text: str, run: int, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, f"def f(run):\n    return {text}\n"))
    assert config.call("f", run) == eval(text, {"run": run})


STATEMENTS = """
base = [1, 2]
def f(run):
    a, (b, c) = 1, (2, 3)
    found = {"x": [], "y": base}
    for i in range(run):
        if i == 2:
            found["x"].append(i * a)
        elif i > 3:
            found["x"] += [b, c]
        else:
            pass
    found.update({"z": helper(run, 4)})
    base.append(9)
    found["x"].extend([0])
    return found
def helper(n, m, k=5):
    n += m
    return n + k
"""


@pytest.mark.parametrize("run", [0, 3, 6])
def test_statements_as_python_has_them(run: int, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, STATEMENTS))
    for _ in range(2):  # a call leaves no trace in the next
        names: dict[str, Any] = {}
        exec(STATEMENTS, names)
        assert config.call("f", run) == names["f"](run)


@pytest.mark.parametrize(
    "text",
    [
        "os.environ['X']", "open('x')", "x.y", "1 / 0", "[1][5]", "'a' * 10**8",
        "[0] * 10**8", "unknown", "lambda: 1", "range(10**9)", "eval('1')", "np.zeros(3)",
    ],
)  # fmt: skip
def test_what_is_beyond_is_kept_as_text(text: str, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, f"def f(run):\n    return {text}\n"))
    found = config.call("f", 1)
    assert isinstance(found, Opaque)
    assert found.line == 2


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "with open('x'): pass",
        "f(run)",
        "os.system('x')",
        "for i in range(999999):\n        for j in range(999999): a = 1",
    ],
)
def test_statements_that_are_beyond(body: str, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, f"def f(run):\n    {body}\n    return 1\n"))
    with pytest.raises(Unclear):
        config.call("f", 1)


def test_spans_are_all_runs() -> None:
    assert spans([10, 12, 13]) == [
        (9, 1), (10, 10), (11, 11), (12, 12), (13, 13), (None, 14)
    ]  # fmt: skip
    assert spans([0]) == [(None, 1)]
    assert spans([-5, 3]) == [(2, 1), (3, 3), (None, 4)]
