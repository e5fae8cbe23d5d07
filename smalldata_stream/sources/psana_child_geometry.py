"""Reads psana's geometry texts, in psana's own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.sources.psana_child_open import import_psana
from smalldata_stream.sources.psana_messages import GeometryJob


def positions(job: GeometryJob) -> tuple[Any, ...]:
    """x, y, z in µm and row and column in the image, each ``(segments, rows, columns)``.

    Raises RuntimeError where psana finds no pixels in the text.
    """
    import_psana()
    from psana.pscalib import geometry as geometry_package
    from psana.pscalib.geometry.GeometryAccess import GeometryAccess

    geometry = GeometryAccess()
    text = job.text
    if job.standard:
        folder = Path(geometry_package.__file__).parent / "data"
        text = (folder / f"geometry-def-{job.standard}.data").read_text()
    geometry.load_pars_from_str(text)
    coordinates = geometry.get_pixel_coords() if geometry.valid else None
    if coordinates is None or coordinates[0] is None or not np.size(coordinates[0]):
        raise RuntimeError("there are no pixels in it")
    places = geometry.get_pixel_coord_indexes()
    shape = np.shape(coordinates[0])
    segments = (-1, *shape[-2:])
    return (
        *(np.asarray(one, np.float64).reshape(segments) for one in coordinates),
        *(np.asarray(one, np.int32).reshape(segments) for one in places),
    )
