"""The page of the default detectors, ``docs/detectors.md``, made from the code.

``make docs`` writes it; a test sees that it is as the code is.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

from smalldata_stream.defaults import Default, Defaults
from smalldata_stream.hutches import hutch_defaults, known_hutches

HEAD = """\
# Default detectors

<!-- Made from the code by `make docs`; change the code. -->

What a scientist gets of a run without writing a line. In a graph,

```python
g.defaults("xpp")  # the list of a hutch, graphs/xpp.py
g.ipm("XPP-SB2-BMMON", name="mine")  # one by one
g.gmd()["energy"].plot.strip()  # words chain behind each output
```

`g.defaults(...)` takes names of hutches, paths of files with a list `DEFAULTS`, and
detectors such as `Gmd()`. What the run does not have is dropped, and said: on the screen,
in the file (`/provenance/dropped`) and in the metrics. A line of its own, as `g.gmd()`, is
an error where the run has none. A detector may be given several names; the first that is in
the run is read. What the graph has before the list stays as it is:
`g.light_status(...)` first, then the list, and the event codes are yours.

An event in which a detector is missing or damaged has a gap in each of its outputs. Every
detector that is read has `/damage/<detector>`, and under the name of its group, too, where
that is another; EPICS and the scan, which are not read out event by event, have none.
Parameters are in `/UserDataCfg/<group>`.

Runs of LCLS-I that were converted to xtc2 are read by the names that LCLS-I has for the
same fields; they are in the column *also read as*. Fields that are not listed are written,
too, under their own names.
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *_words(), *_hutches()])


def words() -> dict[str, list[str]]:
    """The methods by the qualified name of the class behind them."""
    found: dict[str, list[str]] = {}
    for name, one in vars(Defaults).items():
        if isinstance(one, Default):
            found.setdefault(kind_of(one).__qualname__, []).append(name)
    return found


def kind_of(one: Default[...]) -> type:
    """The dataclass behind a method."""
    make = one.make
    kind = make if isinstance(make, type) else typing.get_type_hints(make)["return"]
    assert isinstance(kind, type)
    return kind


def _words() -> Iterator[str]:
    defaults = {k: v for k, v in vars(Defaults).items() if isinstance(v, Default)}
    for names in words().values():
        one = defaults[names[0]]
        kind = kind_of(one)
        yield f"## {', '.join(f'g.{name}' for name in names)}\n"
        yield from _text(inspect.getdoc(kind) or "")
        yield f"`{names[0]}{_signature(one)}`\n"
        yield from _outputs(kind)


def _signature(one: Default[...]) -> str:
    signature = inspect.signature(one.make)
    made = {
        field.name: field.default_factory()
        for field in dataclasses.fields(kind_of(one))
        if field.default_factory is not dataclasses.MISSING
    }
    bare = [
        parameter.replace(
            annotation=inspect.Parameter.empty, default=made.get(name, parameter.default)
        )
        for name, parameter in signature.parameters.items()
    ]
    return str(inspect.Signature(bare))


def _text(doc: str) -> Iterator[str]:
    """The sentences of a docstring, and its parameters as a list."""
    doc = re.split(r"\n(?:Raises|Examples|Notes)\n-+\n|\n>>> ", doc)[0]
    head, _, parameters = doc.partition("\nParameters\n----------\n")
    yield re.sub(r"``", "`", head).replace("`OUTPUTS`", "the table").strip() + "\n"
    items: list[str] = []
    for line in parameters.rstrip().splitlines():
        text = line.strip().replace("``", "`")
        if line and not line.startswith(" "):
            names = ", ".join(f"`{name.strip()}`" for name in line.split(","))
            items.append(f"- {names}:")
        elif text:
            items[-1] += f"\n  {text}"
    if items:
        yield "\n".join(items) + "\n"


def _outputs(kind: type) -> Iterator[str]:
    outputs = kind.OUTPUTS  # type: ignore[attr-defined]  # every kind has it, a Protocol
    yield "| output | unit | dtype | shape | what it is | also read as |"
    yield "|---|---|---|---|---|---|"
    for name, one in outputs.items():
        if name == "*" and not one.says:
            continue
        also = ", ".join(f"`{other}`" for other in one.also)
        row = (f"`{name}`", one.unit, one.dtype, one.shape, one.says, also)
        yield "| " + " | ".join(row) + " |"
    if (rest := outputs.get("*")) is not None and not rest.says:
        which = "every other field" if len(outputs) > 1 else "every field"
        yield f"| {which} | {rest.unit} | {rest.dtype} | {rest.shape} | | |"
    yield ""


def _hutches() -> Iterator[str]:
    yield "## The lists of the hutches\n"
    yield "| hutch | groups |"
    yield "|---|---|"
    for hutch in sorted(known_hutches()):
        groups = dict.fromkeys(kind.group for kind in hutch_defaults(hutch))
        yield f"| `{hutch}` | {', '.join(groups)} |"
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
