"""Waveforms as sums of basis waveforms: heights of pulses that may lie upon each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.basis import Basis, read_basis
from smalldata_stream.batch import Mask, Values
from smalldata_stream.errors import SourceError
from smalldata_stream.kernels.svd_fit import delayed, fit
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels, waves


@dataclass(frozen=True, slots=True, kw_only=True)
class SvdFit:
    """Least-squares fit of each waveform with the strongest waveforms of a basis.

    Written per channel, float64: ``<name>_intensities`` per pulse, ``<name>_coefficients``
    per pulse and component, and ``<name>_score``, 1 for a perfect fit (1 - squared
    residuals / squared deviations from the mean). A waveform with a bad or non-finite
    sample in the window has NaN.

    Parameters
    ----------
    basis
        The file that ``smalldata-stream basis`` has written; it has the windows, too.
    components
        How many of its waveforms are used, the strongest first.
    delays
        In samples, one for each pulse: the basis waveforms moved by so much. What moves
        out of the window is lost.
    intensity
        ``"norm"``: of the coefficients of a pulse. ``"max"``: the largest sample, in
        magnitude, of the pulse that they describe.
    name
        The word in the output path; ``svdFit`` is that of smalldata_tools.

    Raises
    ------
    ValueError
        If a parameter is not of this form, the file is no basis or has too few
        components, or its window is beyond the waveform.
    """

    basis: str
    components: int = 2
    delays: Sequence[int] = (0,)
    intensity: Literal["norm", "max"] = "norm"
    name: str = "svdFit"

    def __post_init__(self) -> None:
        if not pixels.is_text(str(self.basis)):
            raise ValueError("basis: write the path of a file of 'smalldata-stream basis'")
        object.__setattr__(self, "basis", str(self.basis))
        if not pixels.is_count(self.components):
            raise ValueError(f"components={self.components!r}: write 1 or more")
        delays = tuple(self.delays)
        if not delays or any(int(d) != d for d in delays) or len(set(delays)) < len(delays):
            raise ValueError(
                f"delays={self.delays!r}: write different whole numbers of samples"
            )
        object.__setattr__(self, "delays", tuple(map(int, delays)))
        waves.check_one_of("intensity", self.intensity, ("norm", "max"))
        pixels.check_word("name", self.name, "svdFit")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Read the basis, and check it against the waveform."""
        (spec,) = inputs
        shape = waves.channels_and_samples(spec, f"svd_fit {self.name!r}")
        try:
            basis = read_basis(self.basis)
        except SourceError as error:
            raise ValueError(str(error)) from error
        waves.inside("the window of the basis, ", basis.roi, shape[1], basis.roi)
        if self.components > len(basis.components):
            raise ValueError(
                f"components={self.components}: {self.basis} has {len(basis.components)}"
            )
        samples = basis.components.shape[1]
        if max(map(abs, self.delays)) >= samples:
            raise ValueError(
                f"delays={list(self.delays)}: the window of the basis has {samples} "
                "samples; write shorter ones"
            )
        used = delayed(basis.components[: self.components], tuple(self.delays))
        pulses = len(self.delays)

        def output(*more: int, unit: str = spec.unit, says: str) -> Spec:
            declared = waves.per_channel(spec, *more)
            dtype = np.dtype(np.float64)
            return Spec(dtype=dtype, shape=declared, unit=unit, long_name=says)

        outputs = {
            "intensities": output(pulses, says="height of each pulse"),
            "coefficients": output(pulses, int(self.components), says="of the basis"),
            "score": output(unit="", says="1 for a perfect fit"),
        }
        good = waves.good_samples(spec, shape)
        projector = np.ascontiguousarray(np.linalg.pinv(used.T))
        compute = partial(
            _compute, self.intensity == "max", good, basis, used, projector, outputs
        )
        return PerEvent(
            outputs=outputs,
            compute=compute,
            config={"waveforms": used, "roi": basis.roi, "background": basis.background},
        )


def _compute(
    by_max: bool,
    good: Mask,
    basis: Basis,
    used: NDArray[np.float64],
    projector: NDArray[np.float64],
    outputs: Mapping[str, Spec],
    values: Values,
) -> Mapping[str, Values]:
    n, channels = len(values), len(good)
    coefficients = np.empty((n, channels, len(used)))
    reconstructed = np.empty((n, channels, used.shape[1]))
    score = np.empty((n, channels))
    for which, some in pixels.stacks(values, good.shape):
        fit(
            some,
            good,
            basis.roi,
            basis.background,
            used,
            projector,
            coefficients[which],
            reconstructed[which],
            score[which],
        )
    pulses = (outputs["intensities"].shape or (1,))[-1]
    each = coefficients.reshape(n, channels, pulses, len(used) // pulses)
    if by_max:
        waveforms = used.reshape(pulses, len(used) // pulses, used.shape[1])
        intensities = np.abs(_sums(each, waveforms)).max(axis=3)
    else:
        intensities = np.sqrt(np.square(each).sum(axis=3))
    found = {"intensities": intensities, "coefficients": each, "score": score}
    return {name: waves.as_declared(found[name], spec) for name, spec in outputs.items()}


def _sums(each: NDArray[np.float64], waveforms: NDArray[np.float64]) -> NDArray[np.float64]:
    # One component after the other: a matrix product may depend on how many events it has.
    total = np.zeros((*each.shape[:3], waveforms.shape[2]))
    for k in range(each.shape[3]):
        total += each[..., k, None] * waveforms[None, None, :, k]
    return total
