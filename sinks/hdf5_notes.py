"""What stands beside the rows: totals, parameters, provenance and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import h5py
import numpy as np

from sinks.hdf5_columns import describe, missing_total
from sinks.hdf5_layout import (
    clean_name,
    missing_value,
    storable,
    storage_dtype,
    text,
    texts,
)
from smalldata_stream.batch import Array
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Plot, Result, Spec

FORMAT = "smalldata_stream 1"


def write_head(file: h5py.File, declaration: Declaration) -> None:
    """Root attributes, ``/provenance`` and ``/UserDataCfg``."""
    run = declaration.run
    file.attrs["format"] = FORMAT
    file.attrs["complete"] = False
    file.attrs["rows"] = 0
    file.attrs["experiment"] = text(run.exp)
    file.attrs["run"] = run.number
    file.attrs["begin"] = run.begin
    file.attrs["source"] = text(run.source)
    file.attrs["timestamp_epoch"] = "1990-01-01T00:00:00Z"
    provenance = file.create_group("provenance")
    for name, value in declaration.provenance.items():
        put(provenance, clean_name(name), text(value))
    config = file.create_group("UserDataCfg")
    for name, parameters in declaration.config.items():
        group = config.require_group(name)
        for parameter, value in parameters.items():
            put(group, clean_name(parameter), storable(value))


def put(group: h5py.Group, name: str, value: Any) -> None:
    """What `sinks.hdf5_layout.storable` gave: a text, an array, or a group of these."""
    if isinstance(value, Mapping):
        below = group.require_group(name)
        for key, item in value.items():
            put(below, key, item)
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        group.create_dataset(name, data=value)
    else:
        group.create_dataset(name, data=value, dtype=h5py.string_dtype())


def write_totals(
    file: h5py.File, declared: Mapping[str, Spec], totals: Mapping[str, Result]
) -> list[str]:
    """The totals with the number of events in each; returns those that have no shape.

    A total that was declared and is not there is missing, with count 0.
    """
    unknown = []
    for path, spec in declared.items():
        value: Array | None = missing_total(spec)
        count, unit = 0, spec.unit
        if path in totals:
            total = totals[path]
            value, count = np.asarray(total.value), total.count
            unit = total.unit or unit
        if value is None:
            unknown.append(path)
            continue
        dtype = storage_dtype(value.dtype)
        is_text = dtype.kind == "T"
        dataset = file.create_dataset(
            path,
            data=texts(value) if is_text else np.asarray(value, dtype),
            dtype=h5py.string_dtype() if is_text else dtype,
        )
        dataset.attrs["count"] = int(count)
        dataset.attrs["missing_value"] = missing_value(value.dtype)
        describe(dataset, replace(spec, unit=unit))
    return unknown


def write_plots(file: h5py.File, plots: Mapping[str, Plot]) -> None:
    """How totals are shown, as attributes of the group that they stand in.

    ``number`` is the place of a plot in the graph; the attribute ``plots`` of the file is
    how many there are.
    """
    file.attrs["plots"] = len(plots)
    for number, (path, plot) in enumerate(plots.items()):
        group = file.require_group(path)
        group.attrs["number"] = number
        for name, value in asdict(plot).items():
            group.attrs[name] = text(value)


def write_never_seen(file: h5py.File, paths: Sequence[str]) -> None:
    """List in ``/provenance/never_seen`` what has no dataset, its shape being unknown."""
    if paths:
        names = np.array([text(path) for path in paths], object)
        put(file["provenance"], "never_seen", names)


def write_ledger(file: h5py.File, ledger: Ledger) -> None:
    """The group ``/ledger``: where events went, and below it the failures in full."""
    group = file.create_group("ledger")
    rows = ledger.rows()
    put(group, "what", np.array([what for what, _, _ in rows], object))
    put(group, "reason", np.array([text(reason) for _, reason, _ in rows], object))
    put(group, "events", np.array([events for _, _, events in rows], np.int64))
    group.attrs["read"] = ledger.read
    group.attrs["written"] = ledger.written
    group.attrs["missing"] = ledger.missing
    group.attrs["closes"] = ledger.closes
    letters = group.create_group("dead_letters")
    stamps = np.array([letter.timestamp for letter in ledger.dead_letters], np.int64)
    put(letters, "timestamp", stamps)
    for field in ("node", "error", "traceback"):
        lines = [text(getattr(letter, field)) for letter in ledger.dead_letters]
        put(letters, field, np.array(lines, object))
