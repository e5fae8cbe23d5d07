"""The page of the default detectors is as the code is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from smalldata_stream.defaults import Default, Defaults
from smalldata_stream.detectors_page import page
from smalldata_stream.graph import build
from smalldata_stream.testing.detectors import Data, batch_of, run_of

PAGE = Path(__file__).parents[1] / "docs" / "detectors.md"


def test_the_page_is_made_from_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with: make docs"


def test_the_example_on_it_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    data = {
        "gmd": Data(type="gmd", fields={("raw", "energy"): [1.0]}),
        "XPP-SB2-BMMON": Data(type="bmmon", fields={("raw", "TotalIntensity"): [2.0]}),
        "epics": Data(type="epics", fields={("raw", "lxt"): [3.0]}),
    }
    g = build(lambda g, run: exec(example, {"g": g}), run_of(data))
    batch = batch_of(data)
    g.plan.push(batch)
    assert not g.plan.failures
    for path, value in (
        ("epics/lxt", 3.0),
        ("ipm2/sum", 2.0),
        ("mine/sum", 2.0),
        ("gmd/energy", 1.0),
    ):
        assert np.asarray(batch.record[path].values).tolist() == [value]
    assert "plots/gmd/energy_strip/mean" in g.plan.results()


def test_every_word_is_on_it_with_its_outputs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, one in vars(Defaults).items():
        if isinstance(one, Default):
            assert f"g.{name}" in text
    assert "| `ebeamPhotonEnergy` | eV | float64 |" in text
    assert "| `xray` |  | bool |" in text
