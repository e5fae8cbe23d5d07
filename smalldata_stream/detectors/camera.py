"""Cameras with one gain: opal, alvium, rayonix, zyla, andor, axis, piranha4."""

from __future__ import annotations

from smalldata_stream.detectors.family import CAMERA_NUMBERS, Family

CAMERA = Family(old=CAMERA_NUMBERS)
"""A bank is the whole frame."""
