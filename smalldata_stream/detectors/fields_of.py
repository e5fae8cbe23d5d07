"""Any detector of small values: every field, as the data name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


@dataclass(frozen=True, slots=True)
class FieldsOf(OneDetector):
    """Every field but frames of a detector that has no word of its own.

    >>> FieldsOf("XPP-L3T", name="l3t").group
    'l3t'
    """

    OUTPUTS: ClassVar[Outputs] = {
        "*": Output("", dtype="as the data say", shape="as the data say")
    }
