"""What it costs to unpack a high-speed digitizer, beside psana and beside a copy.

One channel, waveforms of 20,000 samples and the peaks in them. psana makes views of the
waveform and of each peak, and here they are copied into lists. Times are the best of some
rounds over the same events, which are in the caches. Run it with
``python -m benchmarks.bench_hsd``.
"""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.clock import microseconds
from smalldata_stream.batch import Array, Ragged
from smalldata_stream.default_node import DefaultNode
from smalldata_stream.graph import build
from smalldata_stream.simulate.hsd import BASES, peaks_of, stream
from smalldata_stream.testing.detectors import Data, run_of, void

EVENTS, SAMPLES, PEAKS = 64, 20_000, 40


def events() -> list[Array]:
    """The bytes of the channel in each event."""
    rng, t = np.random.default_rng(0), np.arange(SAMPLES)
    found = []
    for _ in range(EVENTS):
        wave = np.tile(BASES, SAMPLES // 4) + rng.normal(0, 3, SAMPLES)
        for at in rng.uniform(100, SAMPLES - 100, PEAKS):
            wave += 300 * np.exp(-(((t - at) / 6) ** 2))
        samples = wave.astype(np.uint16)
        sent = stream(0, samples) + stream(1, peaks_of(samples))
        found.append(np.frombuffer(sent, np.uint8).copy())
    return found


def of_psana(data: list[Array], header: Array) -> Callable[[], Any] | None:
    """psana's own unpacking, event by event; None where it is not installed."""
    if importlib.util.find_spec("psana") is None:
        return None
    from smalldata_stream.sources.psana_child_open import import_psana

    import_psana()
    from psana.hsd import PyChannelPython

    owner = types.SimpleNamespace()
    return lambda: [PyChannelPython(header, one, owner) for one in data]


def main() -> None:
    """Print the table."""
    data = events()
    header = np.array([3 << 20, 0], np.uint32)
    fields = {("raw", "eventHeader"): [header] * 2, ("raw", "chan00"): [data[0], data[1]]}
    run = run_of({"hsd": Data(type="hsd", fields=fields, version=(3, 0, 0))})
    g = build(lambda g, _: void(g.hsd(full=True)), run)
    (node,) = (node for node in g.plan.nodes if isinstance(node, DefaultNode))
    headers, together = np.tile(header, (EVENTS, 1)), Ragged.of(data)
    parts = dict(zip(("waveform", "peaks"), node.parts, strict=True))
    copied = microseconds(lambda: together.values.copy(), EVENTS)
    print(f"{EVENTS} events of {SAMPLES} samples and about {PEAKS} peaks; µs per event")
    print(f"{'a copy of the bytes':<32} {copied:8.1f}")
    ours = 0.0
    for name, (part, _) in parts.items():
        assert part.compute is not None
        took = microseconds(partial(part.compute, headers, together), EVENTS)
        ours += took
        print(f"{name:<32} {took:8.1f}   {took / copied:5.1f} copies")
    theirs = of_psana(data, header)
    if theirs is not None:
        took = microseconds(theirs, EVENTS)
        print(f"{'psana, both':<32} {took:8.1f}   {took / ours:5.1f} times ours")


if __name__ == "__main__":
    main()
