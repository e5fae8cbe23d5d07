"""Blocks of event datagrams to the columns and the status of a batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from smalldata_stream.batch import Column, Mask, Signal
from smalldata_stream.xtc2.assemble import (
    DAMAGED,
    MISSING,
    OK,
    Gathered,
    States,
    assemble,
    derive,
    no_values,
    standing,
)
from smalldata_stream.xtc2.columns import take_fields
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import DGRAM, DGRAM_BYTES, SIZE_OUTSIDE_EXTENT, gather
from smalldata_stream.xtc2.names import Configuration
from smalldata_stream.xtc2.recipes import Kind, Place, Recipe
from smalldata_stream.xtc2.targets import Target, Targets, settled_of
from smalldata_stream.xtc2.transitions import Block
from smalldata_stream.xtc2.walk import Sent, walk


@dataclass(slots=True)
class Decoder:
    """Turns blocks into columns for one choice of signals."""

    description: Description
    signals: Collection[Signal]
    faults: FaultLog
    _targets: Targets = field(init=False)

    def __post_init__(self) -> None:
        raw, recipes = {}, self.description.recipes
        for signal in self.signals:
            recipe = recipes[signal]
            if recipe.kind is Kind.EVENT:
                for needed in recipe.inputs if recipe.derived else (signal,):
                    raw[needed] = self.description.raw[needed]
        detectors = {signal.detector for signal in raw}
        places = frozenset(
            Place(*key, segment)
            for key, segments in self.description.segments.items()
            for segment in segments
            if key[0] in detectors
        )
        self._targets = Targets(raw, places)

    def weight(self, configurations: Iterable[Configuration]) -> tuple[int, bool]:
        """Bytes per event of what is wanted of a stream; whether some of it varies."""
        return self._targets.weight(configurations)

    @property
    def unsettled(self) -> list[Signal]:
        """The signals whose shape is that of their first value, which was not met yet."""
        settled = self._targets.settled
        raw = {
            signal
            for signal, recipe in self._targets.raw.items()
            if recipe.by_first_value and settled_of(signal, recipe) not in settled
        }
        recipes = self.description.recipes
        return [s for s in self.signals if raw & {s, *recipes[s].inputs}]

    def settle(self, blocks: Iterable[Block], events: int) -> None:
        """Look for these shapes in ``events`` that are not decoded here."""
        looking = Decoder(self.description, self.unsettled, FaultLog())
        looking._targets.settled = self._targets.settled
        looking.decode(blocks, events)

    def decode(
        self, blocks: Iterable[Block], events: int
    ) -> tuple[dict[Signal, Column], dict[str, States]]:
        """Columns and status of a batch of ``events`` that the ``blocks`` are of."""
        targets = self._targets
        batch = Gathered(events)
        for place in targets.places:
            batch.state[place] = np.full(events, MISSING, np.uint8)
        for block in blocks:
            self._block(block, batch)
        detectors = {place.detector for place in targets.places}
        segments = self.description.segments
        stand = standing(batch, {k: v for k, v in segments.items() if k[0] in detectors})
        gaps = {key: None if there.all() else there for key, there in stand.present.items()}
        raw: dict[Signal, Column] = {}
        for signal, recipe in targets.raw.items():
            key = (signal.detector, signal.algorithm)
            shape = targets.settled.get(settled_of(signal, recipe), recipe.shape)
            raw[signal] = assemble(signal, recipe, shape, batch, gaps[key])
        columns: dict[Signal, Column] = {}
        for signal in self.signals:
            recipe = self.description.recipes[signal]
            if recipe.derived is not None:
                columns[signal] = self._derived(signal, recipe, raw)
            elif recipe.kind is Kind.EVENT:
                columns[signal] = raw[signal]
        return columns, dict(stand.status)

    def _derived(
        self, signal: Signal, recipe: Recipe, raw: Mapping[Signal, Column]
    ) -> Column:
        inputs = [raw[one] for one in recipe.inputs]
        try:
            return derive(recipe, inputs)
        except (IndexError, ValueError) as error:
            what = f"cannot be derived from fields of these shapes: {error}"
            self.faults.add(str(signal), 0, what, len(inputs[0].values))
            return no_values(recipe, inputs[0].mask)

    def _block(self, block: Block, batch: Gathered) -> None:
        """Add what the datagrams of one block hold."""
        targets = self._targets.of(block.configuration)
        if not targets:
            return
        good = self._whole(block)
        if not good.all():
            for target in targets.values():
                batch.state[target.place][block.events[~good]] = DAMAGED
            block = replace(
                block,
                starts=block.starts[good],
                sizes=block.sizes[good],
                events=block.events[good],
                timestamps=block.timestamps[good],
            )
        known = block.configuration.names
        found = walk(block.buffer, block.starts, block.sizes, known)
        self.faults.add_problems(block.path, found.problems)
        any_bad = bool(found.bad.any())
        for names_id, target in targets.items():
            state = batch.state[target.place]
            if any_bad:
                state[block.events[found.bad]] = DAMAGED
            sent = found.sent.get(names_id)
            if sent is None:
                continue
            if any_bad:
                sent = sent.only(~found.bad[sent.rows])
            hurt = sent.damage > 0
            if hurt.any():
                state[block.events[sent.rows[hurt]]] = DAMAGED
                sent = sent.only(~hurt)
            self._take(block, target, sent, batch)

    def _take(self, block: Block, target: Target, sent: Sent, batch: Gathered) -> None:
        """Add the wanted fields of one segment."""
        state = batch.state[target.place]
        events = block.events[sent.rows]
        if target.place in batch.parts and (state[events] == OK).any():
            # Another stream has the segment too: the first one counts.
            sent = sent.only(state[events] != OK)
            events = block.events[sent.rows]
        if not len(events):
            return
        if target.impossible:
            what = f"{'.'.join(target.place[:2])} has not the fields of the first events"
            self.faults.add(block.path, int(sent.starts[0]), what, len(events))
            state[events] = DAMAGED
            return
        if not target.wanted:
            state[events] = OK
            return
        self._targets.settle(block.buffer, target, sent)
        taken = take_fields(block.buffer, target.layouts, sent, target.wanted)
        self.faults.add_problems(block.path, taken.problems)
        if not taken.good.all():
            state[events[~taken.good]] = DAMAGED
            events = events[taken.good]
        state[events] = OK
        batch.parts.setdefault(target.place, []).append((events, taken.values))

    def _whole(self, block: Block) -> Mask:
        """Which datagrams are as the index says and are not marked damaged."""
        header = gather(block.buffer, block.starts, DGRAM_BYTES).view(DGRAM)[:, 0]
        expected = header["timestamp"] == block.timestamps
        expected &= header["extent"] == block.sizes - SIZE_OUTSIDE_EXTENT
        if not expected.all():
            where = int(block.starts[np.argmin(expected)])
            count = int((~expected).sum())
            self.faults.add(block.path, where, "not the datagram of the index", count)
        good: Mask = expected & (header["damage"] == 0)
        return good
