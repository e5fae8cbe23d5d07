"""Default detectors in a graph: hutch lists, what is absent, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.columns import join
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.hutches import hutch_defaults, known_hutches
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from smalldata_stream.sources.simulated import Damaged, EndStep, Missing, Script
from smalldata_stream.sources.simulated import SimulatedSource as Scripted
from smalldata_stream.testing.detectors import Data, batch_of, run_of
from smalldata_stream.testing.reductions import same_bits
from tests.graph import events
from tests.sources.psana_runs import needs_psana

HUTCHES = ("cxi", "mec", "mfx", "rix", "tmo", "ued", "xcs", "xpp")
Writes = Callable[[Graph, RunInfo], None]
ENERGY = {("raw", "energy"): [1.0, None, 3.0]}
IPM = {("xtc1dump", "sum"): [1.0, 2.0, None]}
DATA = {
    "gmd": Data(type="gmd", fields=ENERGY),
    "XPP-SB2-BMMON": Data(type="generic_container", fields=IPM),
}


def test_there_is_a_list_for_every_hutch() -> None:
    assert sorted(known_hutches()) == sorted(HUTCHES)


@pytest.mark.parametrize("hutch", HUTCHES)
def test_what_a_run_does_not_have_is_dropped_and_said_once(hutch: str) -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.defaults(hutch)

    g = build(write, run_of({"odd": Data(type="odd", fields={("raw", "x"): [1.0]})}))
    groups = {kind.group for kind in hutch_defaults(hutch)} - {"damage"}
    assert sorted(line.partition(":")[0] for line in g.plan.dropped) == sorted(groups)
    assert set(g.plan.outputs()) == {"damage/odd"}


@pytest.mark.parametrize("hutch", HUTCHES)
def test_a_run_with_all_of_a_list_has_each_group(hutch: str) -> None:
    """Each detector as one of LCLS-I, of few fields; none is an error."""
    every: dict[str, dict[tuple[str, str], Sequence[Any]]] = {
        "timing": {("raw", "eventcodes"): [np.zeros(288, np.uint8)]},
        "scan": {("raw", "lxt"): [1.0]},
        "epics": {("raw", "lxt"): [1.0]},
    }
    every["timing"]["raw", "destination"] = [np.uint8(4)]
    fields: dict[tuple[str, str], Sequence[Any]] = {
        ("xtc1dump", "sum"): [1.0],
        ("xtc1dump", "fltpos"): [1.0],
        ("xtc1dump", "channelVoltages"): [np.zeros(16)],
        ("xtc1dump", "encoder_values"): [np.zeros(4)],
        ("xtc1dump", "power_0"): [np.zeros(4)],
    }
    for kind in hutch_defaults(hutch):
        names = getattr(kind, "detector", ())
        for name in (names,) if isinstance(names, str) else names:
            every.setdefault(name, fields)
    data = {name: Data(type="any", fields=f) for name, f in every.items()}

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults(hutch)

    g = build(write, run_of(data))
    lacking = [line for line in g.plan.dropped if not line.startswith("epics:")]
    assert lacking == []
    groups = {path.partition("/")[0] for path in g.plan.outputs()}
    epics_alone = {"epics"} if any(g.plan.dropped) else set()
    assert groups | epics_alone >= {kind.group for kind in hutch_defaults(hutch)}
    g.plan.push(batch_of(data))
    assert not g.plan.failures


def test_what_hangs_behind_a_dropped_one_is_dropped_too() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        found = g.defaults(Gmd(), Ipm("nowhere", name="ipm2"))
        g.function(abs, found["ipm2"]["sum"], name="ipm2/abs")
        g.function(lambda a, b: a / b, "gmd/energy", "ipm2/sum", name="gmd/ratio")
        found["gmd"]["energy"].plot.histogram([0.0, 1.0])

    g = build(write, run_of(DATA))
    assert set(g.plan.outputs()) == {"gmd/energy", "damage/gmd"}
    assert g.plan.dropped == [
        "ipm2: no detector 'nowhere' in this run",
        "ipm2/abs: needs ipm2/sum",
        "gmd/ratio: needs ipm2/sum",
    ]


def test_another_name_has_its_damage_too() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.ipm("XPP-SB2-BMMON", name="ipm2")
        g.damage()

    g = build(write, run_of(DATA))
    batch = batch_of(DATA)
    g.plan.push(batch)
    damage = {p: batch.record[p].values for p in g.plan.outputs() if "damage" in p}
    assert {path: np.asarray(values).tolist() for path, values in damage.items()} == {
        "damage/XPP-SB2-BMMON": [True, True, False],
        "damage/ipm2": [True, True, False],
        "damage/gmd": [True, False, True],
    }


def test_what_the_graph_says_before_the_list_stays() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        mine = g.light_status(xray_excluded=[162], laser_required=[90])
        found = g.defaults("tmo")
        assert found["lightStatus"] is mine

    g = build(write, events.RUN)
    batch = events.whole()
    g.plan.push(batch)
    laser = np.asarray(batch.record["lightStatus/laser"].values)
    assert laser.tolist() == events.LASER.tolist()
    assert g.plan.config["lightStatus"]["laser_required"] == (90,)


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from smalldata_stream.detectors.gmd import Gmd\nDEFAULTS = [Gmd(), Gmd('no')]\n"
    )

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults(str(mine))

    g = build(write, run_of(DATA))
    assert set(g.plan.outputs()) == {"gmd/energy", "damage/gmd"}
    assert g.plan.dropped == ["no: no detector 'no' in this run"]
    mine.write_text("from smalldata_stream.detectors.gmd import Gmd\nDEFAULTS = [Gdm()]\n")
    with pytest.raises(GraphError, match=r"mine.py:2: NameError"):
        build(write, run_of(DATA))
    mine.write_text("LIST = []\n")
    with pytest.raises(GraphError, match="has no list DEFAULTS"):
        build(write, run_of(DATA))


@needs_psana
def test_both_readers_give_the_same_bits(tmp_path: Path) -> None:
    small = ("timing", "gmd", "ebeam", "ipm2", "encoder", "fim0", "atmopal")
    files = simulate(tmp_path, Simulation(events=25, detectors=small))

    def write(g: Graph, run: RunInfo) -> None:
        g.light_status(xray_destination="SC_HXR", laser_required=[90])
        g.defaults("xpp")
        g.epics(once=True)
        g.gmd()
        g.encoder(scale=0.1)
        g.fim("fim0", raw=True)
        g.timetool("atmopal", traces=True)
        g.timetool_raw("atmopal")

    found = []
    for source in (FilesSource, PsanaSource):
        (run,) = source.from_run("xpptut26", 1, files.directory).runs()
        g = build(write, run.info)
        batches = list(run.batches(list(g.plan.signals), BatchLimits(events=8)))
        for batch in batches:
            g.plan.push(batch)
        assert not g.plan.failures
        found.append((g, batches))
    (mine, ours), (his, theirs) = found
    assert mine.plan.outputs() == his.plan.outputs()
    assert len(mine.plan.outputs()) > 90
    for path in mine.plan.outputs():
        a, b = (join([x.record[path] for x in all_]) for all_ in (ours, theirs))
        assert a.mask.tolist() == b.mask.tolist(), path
        assert same_bits(a.values, b.values), path
    one, other = mine.plan.results(), his.plan.results()
    assert {p: r.value.tolist() for p, r in one.items()} == {
        p: r.value.tolist() for p, r in other.items()
    }


def misspelled_detector(g: Graph, run: RunInfo) -> None:
    g.gmd("gdm")


def misspelled_parameter(g: Graph, run: RunInfo) -> None:
    g.ipm("XPP-SB2-BMMON", x_scal=2.0)  # type: ignore[call-arg]


def misspelled_hutch(g: Graph, run: RunInfo) -> None:
    g.defaults("xppp")


def misspelled_code(g: Graph, run: RunInfo) -> None:
    g.light_status(xray_excluded=[-137])


def behind_the_list(g: Graph, run: RunInfo) -> None:
    g.defaults(Gmd())
    g.gmd()


def twice(g: Graph, run: RunInfo) -> None:
    g.gmd()
    g.detector("gmd")


def unknown_variable(g: Graph, run: RunInfo) -> None:
    g.epics("lxt_ttc")


def a_list_of_variables(g: Graph, run: RunInfo) -> None:
    g.epics(["lxt", "lxe"])  # type: ignore[arg-type]


def no_such_word(g: Graph, run: RunInfo) -> None:
    g.ebeam()


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (misspelled_detector, "no detector 'gdm' in this run; did you mean 'gmd'"),
        (misspelled_parameter, "ipm has no parameter 'x_scal'; did you mean 'x_scale'"),
        (misspelled_hutch, "no default detectors of 'xppp'; did you mean 'xpp'"),
        (misspelled_code, "event codes are 0 to 287"),
        (twice, "gmd/energy is written twice"),
        (behind_the_list, r"gmd/energy is written twice; .* above g.defaults\(.* gmd$"),
        (unknown_variable, "no detector 'epics'"),
        (a_list_of_variables, r"write g.epics\('lxt'"),
        (no_such_word, r"Give it to g.defaults\(...\)"),
    ],
)
def test_a_wrong_line_is_named(write: Writes, says: str) -> None:
    with pytest.raises(GraphError, match=says) as caught:
        build(write, run_of(DATA))
    assert caught.value.file == __file__
    lines = range(write.__code__.co_firstlineno + 1, write.__code__.co_firstlineno + 4)
    assert caught.value.line in lines


def test_the_file_has_all_of_it(tmp_path: Path) -> None:
    """Damage, gaps, steps that come back, texts, once, and what was dropped."""

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults("xpp", Gmd())
        g.epics(once=True)

    items = (Missing("gmd", event=2), Damaged("timing", event=5), EndStep(after=9))
    script = Script(events=20, items=items)
    (run,) = Scripted(script).runs()
    path = tmp_path / "run.h5"
    graph = GraphFile(Path(__file__), "text", write)
    limits = BatchLimits(events=7)
    report = reduce_run(run, graph, Hdf5Sink(path), options=Options(limits=limits))
    assert any(line.startswith("ipm2:") for line in report.dropped)
    with h5py.File(path) as f:
        energy = [script.values(Signal("gmd", "raw", "energy"), i) for i in range(20)]
        assert np.isnan(f["gmd/energy"][2])
        assert f["gmd/energy"][3] == energy[3]
        assert f["damage/gmd"][:].tolist() == [i != 2 for i in range(20)]
        assert f["damage/timing"][:].tolist() == [i != 5 for i in range(20)]
        assert f["damage/cam"][:].all()
        assert f["scan/varStep"][:].tolist() == [0] * 10 + [1] * 10
        codes = f["timing/eventcodes"][:]
        assert np.flatnonzero(codes[0]).tolist() == [40, 90]
        assert f["epicsOnce/shutter"][()].decode() == "CLOSED"
        assert f["epicsOnce/sample_x"][()] == 0.0
        assert f["UserDataCfg/lightStatus/xray_required"][:].tolist() == [137]
        assert "ipm2: no detector 'XPP-SB2-BMMON'" in f["provenance/dropped"][()].decode()
