"""smalldata-stream basis: the waveforms of a run as a basis to fit with."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from smalldata_stream.batch import Array, BatchLimits, Signal
from smalldata_stream.cli.numbers import at_least_one
from smalldata_stream.cli.output import check_directory
from smalldata_stream.cli.source import first_run, open_source, source_arguments
from smalldata_stream.errors import OutputError, SourceError
from smalldata_stream.protocols import Run


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("field", help="detector.field of the waveforms, as in fim0.raw_0")
    source_arguments(parser)
    parser.add_argument(
        "-n",
        "--events",
        type=at_least_one,
        default=500,
        metavar="N",
        help="how many are used (default: %(default)s)",
    )
    parser.add_argument(
        "--components",
        type=at_least_one,
        default=25,
        metavar="N",
        help="how many are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="of several channels (default: all)"
    )
    for name, text in (
        ("roi", "window in which is fitted (default: the whole waveform)"),
        ("background", "window whose mean is subtracted (default: nothing is)"),
    ):
        parser.add_argument(
            f"--{name}", type=int, nargs=2, metavar=("FIRST", "LAST"), help=text
        )
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(options: argparse.Namespace) -> int:
    """Write the basis, and say how strong its waveforms are."""
    from smalldata_stream.basis import Basis
    from smalldata_stream.kernels.svd_fit import make_basis
    from smalldata_stream.reductions.waves import inside, window

    output: Path = options.output
    if output.exists() and not options.overwrite:
        raise OutputError(f"{output} exists; write --overwrite to replace it")
    check_directory(output)
    a_run = first_run(open_source(options))
    waves = waveforms(a_run, options.field, options.events, options.channel)
    samples = waves.shape[1]
    try:
        given = [window(f"--{n}", getattr(options, n)) for n in ("roi", "background")]
        roi = inside("--roi", given[0], samples, (0, samples))
        background = inside("--background", given[1], samples, (0, 0))
    except ValueError as error:
        raise SourceError(str(error)) from error
    base = waves[:, slice(*background)].mean(axis=1) if any(background) else 0.0
    cut = (waves.T - base).T[:, slice(*roi)]
    components, strength = make_basis(cut, options.components)
    basis = Basis(
        components=components, singular_values=strength, roi=roi, background=background
    )
    info = a_run.info
    basis.write(output, f"{len(waves)} of {options.field}, {info.exp} run {info.number}")
    whole = np.square(cut).sum()
    for number, part in enumerate(np.cumsum(np.square(strength[:5])) / whole, 1):
        print(f"{number} components describe {part:.4%} of the squares")
    print(f"{len(waves)} waveforms -> {len(components)} components in {output}")
    return 0


def waveforms(a_run: Run, field: str, most: int, channel: int | None) -> Array:
    """The first waveforms of a run that are finite, ``(n, samples)`` in float64."""
    signal = signal_of(a_run, field)
    found: list[Array] = []
    for batch in a_run.batches([signal], BatchLimits(events=max(1, min(most, 256)))):
        for wave in batch.columns[signal].values:
            rows = np.atleast_2d(np.asarray(wave, np.float64))
            if rows.ndim != 2:
                raise SourceError(f"{field} is {np.shape(wave)}: no waveforms")
            if channel is not None and not 0 <= channel < len(rows):
                raise SourceError(f"--channel {channel}: {field} has 0 to {len(rows) - 1}")
            rows = rows if channel is None else rows[channel : channel + 1]
            found += [row for row in rows if np.isfinite(row).all()]
        if len(found) >= most:
            break
    if len({row.size for row in found}) != 1:
        raise SourceError(f"{field}: no waveforms of one length in this run")
    return np.stack(found[:most])


def signal_of(a_run: Run, field: str) -> Signal:
    """The signal called ``detector.field`` or ``detector.algorithm.field``."""
    detector, _, rest = field.partition(".")
    info = a_run.info.detector(detector)
    names = [s for s in info.signals() if rest in (s.field, f"{s.algorithm}.{s.field}")]
    if len(names) != 1:
        known = ", ".join(str(signal) for signal in info.signals())
        raise SourceError(f"no field {field!r}; there is: {known}")
    return names[0]
