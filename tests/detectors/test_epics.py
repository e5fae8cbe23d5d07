"""EPICS variables by name and PV, what is lacking, and codes that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.default import NotInRun
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timing import Timing, table_of
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.detectors import Data, batch_of, run_of, void

RUN = run_of(
    {
        "epics": Data(
            type="epics",
            fields={
                ("raw", "lxt"): [1.0, 2.0],
                ("raw", "temp"): [3.0, 4.0],
                ("raw", "trace"): [np.zeros(2), np.zeros(3)],
            },
            pv={"temp": "XPP:SAM:TEMP", "lxt": "LAS:FS3:LXT"},
        )
    }
)


def names(kind: Epics) -> list[str]:
    return [name for part in kind.read(RUN).parts for name in part.outputs]


def test_all_some_by_pv_and_under_a_name_of_ones_own() -> None:
    assert names(Epics()) == ["lxt", "temp", "var_trace"]
    assert names(Epics(("XPP:SAM:TEMP", "lxt", "lxt"))) == ["temp", "lxt"]
    assert names(Epics((("LAS:FS3:LXT", "delay"), ("trace", "t")))) == ["delay", "var_t"]


def test_what_the_run_does_not_have_is_said() -> None:
    reading = Epics(("lxt", "lx_ttc", ("XPP:NO", "no"))).read(RUN)
    assert reading.lacking == ("lx_ttc", "XPP:NO")
    assert not reading.once

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults(Epics(("lxt", "lx_ttc")))

    g = build(write, RUN)
    assert [line for line in g.plan.dropped if "lx_ttc" in line]
    assert "epics/lxt" in g.plan.outputs()
    assert not [path for path in g.plan.outputs() if "lx_ttc" in path]
    with pytest.raises(GraphError, match="epics: not in this run: lx; did you mean 'lxt'"):
        build(lambda g, run: void(g.epics("temp", "lx")), RUN)
    with pytest.raises(NotInRun, match="no EPICS variable txt, other") as caught:
        Epics(("txt", "other")).read(RUN)
    assert "lxt" in caught.value.hint


def test_what_is_not_read_out_event_by_event_has_no_damage() -> None:
    scan = Data(type="scan", fields={("raw", "motor"): [1.0, 2.0]})
    gmd = Data(type="gmd", fields={("raw", "energy"): [1.0, None]})
    tool = {("raw", "TTSPEC:FLTPOS"): [100.0, 0.0]}
    data = {"epics": Data(type="epics", fields=tool), "scan": scan, "gmd": gmd}

    def write(g: Graph, run: RunInfo) -> None:
        g.epics()
        g.epics(name="epicsUser")
        g.scan()
        g.timetool("epics")
        g.gmd()
        g.damage()

    g = build(write, run_of(data))
    batch = batch_of(data)
    g.plan.push(batch)
    assert not g.plan.failures
    assert {path for path in g.plan.outputs() if "damage" in path} == {"damage/gmd"}
    assert np.asarray(batch.record["damage/gmd"].values).tolist() == [True, False]
    assert {"epics", "epicsUser", "scan", "tt", "gmd", "damage"} == {
        path.partition("/")[0] for path in g.plan.outputs()
    }


def test_the_configuration_has_name_and_pv() -> None:
    config = Epics(("temp", ("trace", "t"))).read(RUN).config
    assert config == {
        "PVname_0": "temp", "PVname_1": "var_t", "PV_0": "XPP:SAM:TEMP", "PV_1": "trace",
    }  # fmt: skip


def test_groups() -> None:
    kinds = (Epics(), Epics(once=True), Epics(name="epicsUser"), Scan(), Acromag("x"))
    assert [kind.group for kind in kinds] == [
        "epics",
        "epicsOnce",
        "epicsUser",
        "scan",
        "ai",
    ]


@pytest.mark.parametrize("wrong", [3, ("a",), ("a", "b", "c"), ("a", 1), ["a", "b"]])
def test_what_is_no_variable(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is no variable"):
        Epics((wrong,))


def test_event_codes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="event code 288: they are 0 to 287"):
        table_of(np.array([[40, 288]]))
    assert np.flatnonzero(table_of(np.array([[287, 0]]))[0]).tolist() == [287]


def test_a_table_is_taken_before_a_list() -> None:
    both: dict[tuple[str, str], Any] = {
        ("raw", "eventcodes"): [np.zeros(288, np.uint8)],
        ("raw", "eventCodes"): [np.array([40], np.uint16)],
    }
    reading = Timing().read(run_of({"timing": Data(type="any", fields=both)}))
    (part,) = reading.parts
    assert part.inputs[0].field == "eventcodes"


def test_voltages_that_are_no_row_of_channels() -> None:
    square = Data(type="acromag", fields={("raw", "value"): [np.zeros((2, 2))]})
    with pytest.raises(NotInRun, match=r"value is \(2, 2\), not \(channels,\)"):
        Acromag().read(run_of({"ai": square}))
