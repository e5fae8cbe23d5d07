"""Where pixels are, as psana reads it from its geometry texts."""

from __future__ import annotations

from typing import Any

from smalldata_stream.errors import ConstantsError, PsanaError
from smalldata_stream.positions import Positions
from smalldata_stream.sources.psana_messages import Failed, GeometryFound, GeometryJob
from smalldata_stream.sources.psana_process import PsanaProcess


def psana_positions(text: str, what: str, *, seconds: float = 180.0) -> Positions:
    """The positions of the pixels of all segments that a geometry text of psana describes.

    ``what`` names the detector or the file in errors. The positions are those of
    ``det.raw._pixel_coords`` (tilts included), the places in the image those of
    ``det.raw._pixel_coord_indexes``.

    Raises
    ------
    ConstantsError
        If psana is not there, or cannot make sense of the text.
    """
    return _ask(GeometryJob(text=text), what, seconds)


STANDARD = {
    ("jungfrau", 1): "jungfrau05M",
    ("jungfrau", 2): "jungfrau1M",
    ("jungfrau", 8): "jungfrau4M",
    ("jungfrau", 32): "jungfrau16M",
    ("epix100", 1): "epix100a",
    ("epix10ka", 4): "epix10kaquad",
    ("epixhr2x2", 1): "epixhr2x2",
    ("epixm320", 1): "epixm320",
    ("epixuhr3x2", 2): "epixuhr3x2-02",
    ("cspad", 32): "cspad",
}
"""The geometry that psana takes where the database has none, by type and segments."""


def standard_positions(
    detector_type: str, segments: int, *, seconds: float = 180.0
) -> tuple[str, Positions] | None:
    """psana's standard geometry for a type of detector, and its name; None without one."""
    name = STANDARD.get((detector_type, segments))
    if name is None:
        return None
    return name, _ask(GeometryJob(standard=name), f"psana's {name}", seconds)


def _ask(job: GeometryJob, what: str, seconds: float) -> Positions:
    with PsanaProcess() as process:
        process.tell(job)
        try:
            answer = process.hear(seconds)
        except TimeoutError:
            raise ConstantsError(
                f"{what}: psana has not read the geometry in {seconds:g} s"
            ) from None
        except PsanaError as death:
            raise ConstantsError(f"{what}: {death}") from death
    if isinstance(answer, Failed):
        raise ConstantsError(f"{what}: psana cannot read this geometry: {answer.what}")
    assert isinstance(answer, GeometryFound)
    found: tuple[Any, ...] = answer.arrays
    x, y, z, row, column = found
    return Positions(x=x, y=y, z=z, row=row, column=column)
