"""The picture of the tutorial: what a person looks at first after a pump-probe run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from smalldata_stream.batch import Array, Mask
from smalldata_stream.counted import counted
from smalldata_stream.h5 import read_tree

PUMPED, UNPUMPED, GREY = "#d1495b", "#2e5e8c", "#9aa5b1"


def draw_tutorial(h5: Path, png: Path) -> None:
    """Draw the four plots of the tutorial graph's output into a PNG.

    The average frame with its region of interest; the ring over the delay, laser on and
    off; the ring against the pulse energy; the profile of the region.
    """
    data: dict[str, Any] = dict(read_tree(h5))
    xray, laser = data["lightStatus/xray"] == 1, data["lightStatus/laser"] == 1
    with mpl.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(11, 7.5), layout="constrained")
        axes = figure.subplots(2, 2, width_ratios=[1.5, 1])
        frame(axes[0, 0], data, figure)
        correlation(axes[0, 1], data, xray)
        scan(axes[1, 0], data, xray, laser)
        profile(axes[1, 1], data, xray, laser)
        run = data.get("provenance/run", "")
        figure.suptitle(
            f"{run}: {counted(xray.size, 'event')}, laser on in {laser.mean():.0%}"
        )
        figure.savefig(png, dpi=110)


def frame(ax: Axes, data: dict[str, Any], figure: Figure) -> None:
    """The summed frame over the number of events, and the region of interest."""
    total = data["Sums/jungfrau_calib"]
    mean = total.reshape(-1, total.shape[-1]) / xray_events(data)
    shown = ax.imshow(mean, cmap="magma", vmin=0, vmax=np.percentile(mean, 99.5))
    figure.colorbar(shown, ax=ax, label="keV per pixel and event")
    (_, (top, bottom), (left, right)) = data["UserDataCfg/jungfrau/ROI_0__ROI_0_bound"]
    box = Rectangle(
        (left, top), right - left, bottom - top, fill=False, edgecolor="white", lw=1.2
    )
    ax.add_patch(box)
    ax.text(right + 6, top + 12, "ROI_0", color="white")
    ax.set(title="average frame", xlabel="column", ylabel="row")


def xray_events(data: dict[str, Any]) -> int:
    """Events with a frame."""
    return max(1, int(np.count_nonzero(data["damage/jungfrau"] == 1)))


def correlation(ax: Axes, data: dict[str, Any], xray: Mask) -> None:
    """The region against the pulse energy: both see the same pulses."""
    pulse, ring = data["gmd/energy"], data["jungfrau/ROI_0_sum"] * 1e-3
    ax.plot(pulse[~xray], ring[~xray], ".", color=GREY, label="no X-rays")
    ax.plot(pulse[xray], ring[xray], ".", color=UNPUMPED, label="X-rays")
    ax.set(title="ring and pulse energy", xlabel="pulse energy (mJ)", ylabel="ROI_0 (MeV)")
    ax.legend(frameon=False)


def scan(ax: Axes, data: dict[str, Any], xray: Mask, laser: Mask) -> None:
    """The ring per pulse energy over the delay that stage and time tool give."""
    delay = data["scan/lxt"] * 1e12 + data["atmopal/fltpos_ps"]
    ratio = data["jungfrau/ROI_0_per_pulse"]
    good = xray & np.isfinite(delay) & np.isfinite(ratio)
    reference = np.mean(ratio[good & ~laser])
    for chosen, colour, label in (
        (laser, PUMPED, "laser on"),
        (~laser, UNPUMPED, "laser off"),
    ):
        x, y = delay[good & chosen], ratio[good & chosen] / reference
        ax.plot(x, y, ".", color=colour, alpha=0.25)
        centre, mean, error = binned(x, y, bins=12)
        ax.errorbar(centre, mean, error, fmt="o-", ms=4, color=colour, label=label)
    ax.set(
        title="pump-probe signal", xlabel="delay (ps)", ylabel="ring / pulse energy (rel.)"
    )
    ax.legend(frameon=False)


def profile(ax: Axes, data: dict[str, Any], xray: Mask, laser: Mask) -> None:
    """The mean projection of the region, laser on and off."""
    (_, (_, _), (left, right)) = data["UserDataCfg/jungfrau/ROI_0__ROI_0_bound"]
    projection = data["jungfrau/ROI_0_pj_ax_0_data"]
    for chosen, colour, label in (
        (laser, PUMPED, "laser on"),
        (~laser, UNPUMPED, "laser off"),
    ):
        rows = projection[xray & chosen]
        ax.plot(np.arange(left, right), np.nanmean(rows, axis=0), color=colour, label=label)
    ax.set(title="profile of ROI_0", xlabel="column", ylabel="keV per event")
    ax.legend(frameon=False)


def binned(x: Array, y: Array, bins: int) -> tuple[Array, Array, Array]:
    """Centre, mean and standard error of ``y`` in bins of ``x`` that hold two and more.

    >>> centre, mean, error = binned(np.array([0.0, 0, 1, 1]), np.array([1.0, 3, 5, 5]), 2)
    >>> centre.tolist(), mean.tolist(), error.tolist()
    ([0.0, 1.0], [2.0, 5.0], [1.0, 0.0])
    """
    edges = np.linspace(x.min(), x.max(), bins + 1)
    which = np.clip(np.digitize(x, edges) - 1, 0, bins - 1)
    groups = [(x[which == b], y[which == b]) for b in range(bins)]
    full = [(a, b) for a, b in groups if len(a) > 1]
    return (
        np.array([a.mean() for a, _ in full]),
        np.array([b.mean() for _, b in full]),
        np.array([b.std(ddof=1) / np.sqrt(len(b)) for _, b in full]),
    )
