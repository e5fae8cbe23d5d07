"""What a graph file says: detectors, and the words chained to them.

A graph file holds ``def graph(g, run)``; ``g`` is a `Graph`, ``run`` a `RunInfo`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalldata_stream.batch import STRING, Array
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.common_mode import Choice
from smalldata_stream.detectors.epics_archiver import LCLS, EpicsArchiver, Variable
from smalldata_stream.detectors.families import FRAME_FIELDS
from smalldata_stream.detectors.family import Kind
from smalldata_stream.detectors.ghost import Ghost
from smalldata_stream.detectors.masks import NO_MASKING, Masking
from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.flow import Absent, Node
from smalldata_stream.function import Function, Outputs
from smalldata_stream.graph_defaults import WithDefaults
from smalldata_stream.located import located
from smalldata_stream.nodes import DetectorNode, cheapest, field_spec
from smalldata_stream.run import RunInfo
from smalldata_stream.words import load_foreign_words

FindConstants = Callable[[str], Constants | None]


class Graph(WithDefaults):
    """The graph of one run while it is written down.

    Parameters
    ----------
    run
        What the run holds; all that is asked for is checked against it.
    constants
        Finds the calibration constants of a detector by its name.
    """

    def __init__(self, run: RunInfo, constants: FindConstants = lambda detector: None):
        load_foreign_words()
        super().__init__(run)
        self._find_constants = constants
        self._named: set[str] = set()
        self.constants: dict[str, Constants] = {}

    # ---------------------------------------------------------------------- detectors

    def detector(
        self,
        name: str,
        *,
        fields: Sequence[str] | None = None,
        frames: str | None = None,
        calibration: Kind | None = None,
        common_mode: Choice | None = None,
        local_gain: float | Array | None = None,
        constants: Constants | None = None,
        mask: Array | None = None,
        masking: Masking = NO_MASKING,
        ghost: Ghost | None = None,
        optional: bool = False,
    ) -> Node:
        """A detector: its fields are written, its frames are there to chain words to.

        Parameters
        ----------
        name
            As the run calls it.
        fields
            Which fields to write; None for all but frames and the text of scan steps.
        frames
            The field whose frames words work on, where the type of the detector does not
            say it.
        calibration
            ``raw``, ``adu`` (without gain bits), ``pedestal`` (subtracted) or ``gain`` (and
            divided by the gain). None is ``gain``; for cameras whose pixels have one gain,
            as far as their constants go. What was done is in
            ``/UserDataCfg/<detector>/calibration``.
        common_mode
            Subtracted before the gain: ``"rows"``, ``"columns"``, ``"banks"`` ..., see
            `CommonMode`; or the number that smalldata_tools has for it.
        local_gain
            Calibrated values are multiplied by it: a number, or one for each pixel.
        constants
            Instead of those found for this run.
        mask
            True where a pixel is good; bad pixels are 0 and left out of all results.
        masking
            Pixels that are bad by where they are, as in ``Masking(edges=1, neighbours=1)``.
        ghost
            ``Ghost()`` subtracts what the pixels still have of the pulse before, by the
            constants ``ghost_p0`` and ``ghost_p1``; the frames of events without a frame of
            the pulse before are gaps.
        optional
            Where the run has no such detector, drop it and all chained to it, and say so;
            otherwise that is an error.
        """
        if name not in self.run.detectors:
            if optional:
                self.plan.dropped.append(f"{name}: not in this run")
                return Absent(self.plan, name)
            hint = did_you_mean(name, self.run.detectors)
            raise GraphError(
                f"no detector {name!r} in run {self.run.number}; {hint}. "
                "Write optional=True for a detector that only some runs have"
            )
        if name in self._named:
            raise GraphError(f"the detector {name!r} is named twice; keep it in a variable")
        self._named.add(name)
        node = self._reading(name)
        frame_field = self._frame_field(node, frames)
        self._write(node, fields)
        self.plan.claim(node)
        if not node.read:  # for /damage something of the detector has to be read
            node.want(cheapest(node.info))
        if frame_field is not None:
            plan = Calibration(
                calibration=calibration,
                common_mode=common_mode,
                local_gain=local_gain,
                mask=mask,
                masking=masking,
                ghost=ghost,
            )
            node.make_frames(partial(self._calibrate, node, frame_field, plan, constants))
        return node

    def epics_archiver(
        self, variables: Sequence[Variable], *, url: str = LCLS, patience_s: float = 10.0
    ) -> None:
        """Process variables from the archiver, when the run has ended: `EpicsArchiver`."""
        if self.plan.afterwards:
            raise GraphError("epics_archiver is written twice; write one list")
        archiver = EpicsArchiver(variables=variables, url=url, patience_s=patience_s)
        self.plan.afterwards.append(archiver)

    # ------------------------------------------------------------ functions and filters

    def function(
        self,
        function: Callable[..., Any],
        *inputs: Node | str,
        name: str,
        dtype: Any = "float64",
        shape: tuple[int, ...] = (),
        unit: str = "",
        outputs: Outputs | None = None,
        vectorized: bool = False,
    ) -> Node:
        """A plain function of named inputs as a node, written to ``name``.

        ``inputs`` are nodes or output paths (``"gmd/energy"``); an event in which one of
        them is missing is a gap. ``outputs`` declares several results, written to
        ``<name>_<output>``. See `Function` for what the function gets and returns.
        """
        if not inputs:
            raise GraphError(f"the function {name!r} needs at least one input")
        if "/" not in name:
            raise GraphError(f"name={name!r}: write group/name, as in 'i0/ratio'")
        nodes = [self.plan.find(i) if isinstance(i, str) else i for i in inputs]
        reduction = Function(
            function=function,
            name=name.partition("/")[2],
            dtype=dtype,
            shape=shape,
            unit=unit,
            outputs=outputs,
            vectorized=vectorized,
        )
        return self.plan.reduce(reduction, nodes, name)

    def keep(self, node: Node | str, *, why: str) -> None:
        """Write only the events in which ``node`` is true.

        ``why`` names the reason in the ledger for those left out, as in
        ``g.keep(light["laser"], why="laser off")``. Totals have their own ``where``.
        """
        chosen = self.plan.find(node) if isinstance(node, str) else node
        if chosen.absent:
            self.plan.dropped.append(f"keep, {why!r}: needs {chosen.path}")
            return
        self.plan.keeps.append((chosen.key()[0], why))

    if not TYPE_CHECKING:  # a type checker knows all words, and finds the others itself

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            known = [word for word in dir(type(self)) if not word.startswith("_")]
            raise AttributeError(f"g has no word {name!r}; {did_you_mean(name, known)}")

    # ------------------------------------------------------------------------ inside

    def _write(self, node: DetectorNode, fields: Sequence[str] | None) -> None:
        if fields is not None:
            for field in fields:
                node.write(node.signal(field))
            return
        for signal in node.info.signals():
            field_info = node.info.fields[signal.algorithm, signal.field]
            steps_text = node.info.name == "scan" and field_info.dtype == STRING
            frame = (signal.algorithm, signal.field) == self._frame_key(node)
            if not (field_info.frame or steps_text or frame):
                node.write(signal)

    def _frame_key(self, node: DetectorNode) -> tuple[str, str] | None:
        for algorithm in node.info.versions:
            field = FRAME_FIELDS.get((node.info.type, algorithm))
            if field is not None and (algorithm, field) in node.info.fields:
                return algorithm, field
        return None

    def _frame_field(
        self, node: DetectorNode, frames: str | None
    ) -> tuple[str, str] | None:
        if frames is None:
            return self._frame_key(node)
        signal = node.signal(frames)
        return signal.algorithm, signal.field

    def _calibrate(
        self,
        node: DetectorNode,
        frame_field: tuple[str, str],
        plan: Calibration,
        constants: Constants | None,
    ) -> None:
        info = node.info
        found = constants
        if found is None and plan.calibration != "raw":
            found = self._find_constants(info.name)
        if found is not None:
            found = found.of_segments(info.segments)
        raw = field_spec(info, frame_field)
        prepared = plan.prepare(info.type, raw, found, info.config)
        node.use_frames(node.signal(".".join(frame_field)), prepared, "")
        if found is not None:
            self.constants[info.name] = found
        self.plan.config.setdefault(info.name, {}).update(prepared.config)


GraphFunction = Callable[[Graph, RunInfo], None]


def build(
    function: GraphFunction,
    run: RunInfo,
    constants: FindConstants = lambda detector: None,
    *,
    file: Path | None = None,
) -> Graph:
    """Run a graph function; whatever is wrong is a `GraphError` with file and line."""
    g = Graph(run, constants)
    try:
        function(g, run)
    except (Exception, SystemExit) as error:
        g.plan.close()
        raise located(error, file) from error
    return g
