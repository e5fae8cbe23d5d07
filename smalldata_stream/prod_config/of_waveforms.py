"""Functions of a prod_config for waveforms, in the words of a graph."""

from __future__ import annotations

from smalldata_stream.prod_config.entry import Call, Old, Steps, given, window_of

CHANNEL = "channel of the old list"
"""Key of an entry under which the place that it had in a list is found."""


def integral(old: Old) -> Steps:
    """WfIntegration."""
    yield Call(
        "integral",
        given(
            signal=window_of(old, "sig_roi"),
            background=window_of(old, "bkg_roi"),
            negative=old.take("negative_signal", default=False) or None,
            name=old.take("name"),
        ),
        old.line,
    )
    yield from old.rest()


def hits(old: Old) -> Steps:
    """SimpleHitFinder."""
    sigma = old.take("use_rms", default=True)
    most = old.take("threshold_max", old.take("treshold_max"))
    yield Call(
        "hits",
        given(
            threshold=old.take("threshold"),
            in_sigma=sigma or None,
            background=window_of(old, "bkg_roi") if sigma else None,
            most=None if sigma else most,
            name=old.take("name"),
        ),
        old.line,
    )
    if sigma and most is not None:
        old.say("threshold_max", f"threshold_max={most}: most= is over the background here")
    old.ignore("bkg_roi")
    yield from old.rest()


def svd_delays(old: Old) -> tuple[int, ...] | None:
    """Delays of several pulses, in samples."""
    pulses, delays = old.take("n_pulse"), old.take("delay")
    sampling = old.take("sampling", 1)
    if pulses in (None, 1) or not isinstance(delays, list | tuple):
        return None
    return tuple(round(delay / sampling) for delay in delays)


def svd_fit(old: Old) -> Steps:
    """SvdFit; of a list of entries, each is for one channel."""
    intensity = old.take("mode")
    if intensity == "both":
        old.say("mode", "mode='both': intensity= is 'norm' or 'max'; norm is written")
        intensity = "norm"
    basis = old.take("basis_file")
    channel = old.take(CHANNEL)
    name = "svdFit" if channel is None else f"svdFit_ch{channel}"
    yield Call(
        "svd_fit",
        given(
            basis=basis,
            components=old.take("n_components"),
            delays=svd_delays(old),
            intensity=intensity,
            name=old.take("name", name),
        ),
        old.line,
        field="" if channel is None else f"raw_{channel}",
        refused=(
            f"basis_file={basis!r}: write a basis with 'smalldata-stream basis', which "
            "has the windows, too"
        ),
    )
    if not old.take("return_reconstructed", default=False):
        old.ignore("return_reconstructed")
    else:
        old.say("return_reconstructed", "the fitted waveform is not written")
    yield from old.rest()
