"""Types of detectors of which the fields of the data, and `derived`, are all there is.

Written down from the classes of psana 4.3.4, each of which is for one type, algorithm and
version. A detector of another type may have more: what psana's class computes.
"""

from __future__ import annotations

from collections.abc import Mapping

FIELDS_ONLY = frozenset(
    """
    andor_raw_0_0_2 bmmon_cube_2_0_0 bmmon_raw_1_0_0 ebeam_cube_2_0_0
    ebeam_ebeamAlg_0_7_1 ebeam_raw_2_0_0 ebeamh_cube_2_0_0 ebeamh_raw_2_0_0
    epix100_raw_2_0_1 epix100hw_raw_2_0_1 epix10k_raw_0_0_1 epix_raw_0_0_2
    epixhr2x2_raw_2_0_1 epixm320_raw_0_0_0 feespec_cube_2_0_0 feespec_raw_1_0_0
    gasdet_cube_2_0_0 gasdet_raw_1_0_0 generic_container_xtc1dump_0_1_0 gmd_cube_2_0_0
    gmd_raw_2_0_0 gmd_raw_2_1_0 hpscp_hpscp_0_0_1 hpsex_hpsex_0_0_1 hsd_fex_4_5_6
    hsd_raw_0_0_0 hsd_raw_0_0_2 jungfrau_raw_0_1_0 opal_simfex_2_1_0 opal_ttfex_2_1_0
    opal_ttfex_2_1_1 opal_ttproj_2_0_0 pcav_cube_2_0_0 pcav_raw_2_0_0 pcavh_cube_2_0_0
    pcavh_raw_2_0_0 piranha4_simfex_1_0_0 piranha4_ttavg_1_0_0 piranha4_ttfex_1_0_0
    piranha4_ttfex_1_0_1 pv_raw_1_0_0 scbld_cube_2_0_0 ts_cube_2_0_0 tt_raw_2_0_0
    wave8_cube_2_0_0 xgmd_cube_2_0_0 xgmd_raw_2_0_0 xgmd_raw_2_1_0
    """.split()  # noqa: SIM905 (as a list this would be a page)
)
"""psana's classes without a method of their own, but for calibration and images."""

METHODS: Mapping[str, tuple[str, ...]] = {
    "archon_raw_1_0_0": ("raw",),
    "archon_raw_1_0_1": ("raw",),
    "axis_raw_1_0_0": ("raw",),
    "cspad_raw_2_3_42": ("image", "raw"),
    "encoder_interpolated_3_0_0": ("value",),
    "encoder_raw_0_0_1": ("value",),
    "encoder_raw_2_0_0": ("value",),
    "encoder_raw_2_1_0": ("value",),
    "encoder_raw_3_0_0": ("value",),
    "epix10ka_raw_2_0_1": ("raw",),
    "epix10ka_raw_3_0_1": ("raw",),
    "epix_raw_2_0_1": ("raw",),
    "fakecam_raw_2_0_0": ("raw",),
    "hrencoder_raw_0_1_0": ("value",),
    "jungfrau_raw_0_2_0": ("hot_pixel_thresh", "num_hot_pixels"),
    "jungfrauemu_raw_0_1_0": ("raw",),
    "opal_raw_2_0_0": ("raw",),
    "opal_ref_2_0_0": ("raw",),
    "opal_simfex_2_0_0": ("raw",),
    "piranha4_raw_2_0_0": ("raw",),
    "piranha4_raw_2_1_0": ("raw",),
    "scbld_raw_1_0_0": (),
    "triginfo_triginfo_0_0_1": ("monitor", "persist", "prescale"),
    "ts_raw_2_0_0": ("eventcodes",),
    "ts_raw_2_1_0": ("destination", "eventcodes", "inhibitCounts", "pulseId", "timestamp"),
    "ts_ts_0_0_1": ("eventcodes",),
    "usdusb_raw_1_0_0": ("descriptions",),
    "wave8_fex_0_0_1": ("base_all", "integral_all"),
    "wave8_raw_0_0_1": ("raw_all",),
}
"""psana's classes whose methods only give what is in the data, or in `derived`.

So do some with arrays under another name or in another arrangement (cspad), and one adds
random numbers to them (jungfrauemu).
"""

DECODED = frozenset({"hsd_hsd_1_2_3", "hsd_raw_2_0_0", "hsd_raw_3_0_0"})
"""psana's classes that unpack the data; here `smalldata_stream.detectors.hsd` does it."""


def is_known(kind: str, algorithm: str, version: tuple[int, int, int]) -> bool:
    """Whether psana computes nothing of such a detector that is not known here.

    >>> is_known("ts", "raw", (2, 1, 0)), is_known("ts", "ts", (1, 2, 3))
    (True, False)
    """
    name = "_".join([kind, algorithm, *map(str, version)])
    return name in FIELDS_ONLY or name in METHODS or name in DECODED
