"""The page of the default detectors is as the code is."""

from __future__ import annotations

from pathlib import Path

from smalldata_stream.defaults import Default, Defaults
from smalldata_stream.detectors_page import page

PAGE = Path(__file__).parents[1] / "docs" / "detectors.md"


def test_the_page_is_made_from_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with: make docs"


def test_every_word_is_on_it_with_its_outputs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, one in vars(Defaults).items():
        if isinstance(one, Default):
            assert f"g.{name}" in text
    assert "| `ebeamPhotonEnergy` | eV | float64 |" in text
    assert "| `xray` |  | bool |" in text
