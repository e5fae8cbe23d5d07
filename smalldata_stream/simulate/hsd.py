"""A high-speed digitizer on a time-of-flight spectrometer: two channels, pulses of ions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.xtc2_writer import Names, Values

SAMPLES = 2000
"""Length of a waveform."""

FLIGHT = (400.0, 800.0, 1500.0)
"""Mean time of flight of each kind of ion, in samples, in both channels."""

SPREAD, WIDTH, HEIGHT, NOISE = 15.0, 6.0, 300.0, 3.0
"""Of the times and of a pulse, in samples; of a pulse and of a sample, in ADU."""

BASES = (2048, 2050, 2045, 2049)
"""Baselines of the four digitizers that take turns, in ADU."""

THRESHOLD, MARGIN = 60, 8
"""What the digitizer keeps: samples that are so many ADU above, and those around them."""

PRESCALE = 3
"""Segment 1 sends its waveform for one shot of so many."""

CENTRE = 1 << 14
"""What the digitizer adds to samples less their baseline, and takes off baselines."""

RAW = tuple(
    Names(
        detector="hsd",
        type="hsd",
        algorithm="raw",
        version=(3, 0, 0),
        segment=segment,
        id=f"hsd_{segment}",
        fields={"eventHeader": ("u4", 1), "chan00": ("u1", 1)},
    )
    for segment in range(2)
)
CONFIG = tuple(
    Names(
        detector="hsd",
        type="hsd",
        algorithm="config",
        version=(3, 0, 0),
        segment=segment,
        id=f"hsd_{segment}",
        fields={"user.fex.gate_ns": ("u4", 0), "user.fex.corr.baseline": ("u4", 0)},
    )
    for segment in range(2)
)


def stream(number: int, samples: NDArray[np.uint16]) -> bytes:
    """One stream of a channel: four words of 32 bits and its samples."""
    head = np.array([len(samples), number << 24, 0, 0], "<u4")
    return head.tobytes() + samples.astype("<u2").tobytes()


def left_out(count: int) -> list[int]:
    """The group that stands for ``count`` samples that are not sent.

    >>> left_out(8)
    [32776, 32768, 32768, 32768]
    """
    return [0x8000 | count, 0x8000, 0x8000, 0x8000]


def peaks_of(wave: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """What the digitizer sends of the peaks of a waveform.

    First come the baselines, as if they were samples 0 to 3; then groups of four samples,
    in units of 1/16 ADU over their baseline, and how many are left out between them.
    """
    over = wave.astype(np.int64) - np.tile(BASES, len(wave) // 4)
    near = np.convolve(over > THRESHOLD, np.ones(2 * MARGIN + 1), "same")
    kept = np.atleast_1d(np.greater(near, 0.5).reshape(-1, 4).any(axis=1))
    kept[0] = False
    values = (over * 16 + CENTRE).reshape(-1, 4)
    sent = [16 * base - CENTRE for base in BASES]
    skipped = 0
    for group, keep in zip(values[1:], kept[1:], strict=True):
        if not keep:
            skipped += 4
            continue
        if skipped:
            sent += left_out(skipped)
            skipped = 0
        sent += group.tolist()
    return np.array(sent + (left_out(skipped) if skipped else []), np.uint16)


class Hsd:
    """The digitizer hsd, as a `SimulatedDetector`.

    In each shot with X-rays an ion of each kind arrives with a probability of 0.8.
    """

    stream = 4
    names: Sequence[Names] = (*RAW, *CONFIG)

    def __init__(self, simulation: Simulation):
        self._random = simulation.random("hsd")
        self._times: list[NDArray[np.float64]] = []

    def contents(
        self, pulses: Pulses, events: NDArray[np.int64]
    ) -> Sequence[tuple[Names, Values]]:
        """Waveforms and peaks of both channels."""
        data: tuple[list[Array], list[Array]] = ([], [])
        headers = np.zeros((2, len(events), 2), np.uint32)
        for i, event in enumerate(events.tolist()):
            chance = 0.8 * float(pulses.xray[event])
            arrived = np.less(self._random.random((2, len(FLIGHT))), chance)
            times = self._random.normal(FLIGHT, SPREAD, arrived.shape)
            times[~arrived] = np.nan
            self._times.append(times)
            for segment, waves in enumerate(data):
                wave = self._wave(times[segment])
                with_raw = segment == 0 or event % PRESCALE == 0
                sent = stream(0, wave) if with_raw else b""
                sent += stream(1, peaks_of(wave))
                waves.append(np.frombuffer(sent, np.uint8))
                headers[segment, i, 0] = (3 if with_raw else 2) << 20 | 1 << 24
        return [
            (names, {"eventHeader": headers[k], "chan00": data[k]})
            for k, names in enumerate(RAW)
        ]

    def _wave(self, times: NDArray[np.float64]) -> NDArray[np.uint16]:
        at = np.arange(SAMPLES)
        there = times[~np.isnan(times), None]
        pulses = HEIGHT * np.exp(-(((at - there) / WIDTH) ** 2)).sum(axis=0)
        noise = self._random.normal(0, NOISE, SAMPLES)
        wave = np.tile(BASES, SAMPLES // 4) + pulses + noise
        sampled: NDArray[np.uint16] = np.round(wave).astype(np.uint16)
        return sampled

    def configuration(self) -> Sequence[tuple[Names, Values]]:
        """Gate and baseline of the peaks."""
        values = {"user.fex.gate_ns": [400], "user.fex.corr.baseline": [CENTRE]}
        return [(names, values) for names in CONFIG]

    def truth(self) -> Mapping[str, Array]:
        """Times of flight in samples ``(events, channel, ion)``, NaN where none came."""
        return {"times": np.array(self._times).reshape(-1, 2, len(FLIGHT))}

    def constants(self) -> None:
        """None: the digitizer gives ADU."""
