"""The canary: awkward values, sent through the user's own connector, converter and registry.

Nobody's word is taken for it: the records of a connector that hasn't carried it may hold a DEFAULT where the
row had NULL, without any error.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.config import Config
from replicator.debezium.names import field
from replicator.debezium.source_types import read_as
from replicator.debezium.values import ValueRefusedError, to_text
from replicator.errors import SourceError
from replicator.source import canary_table, canary_types
from replicator.source.canary_arrival import Arrival, CanaryTopic
from replicator.source.canary_table import Column, Planted
from replicator.source.database import Connection, connect


@dataclass(frozen=True, slots=True)
class TypeVerdict:
    """How one type came through: `ordinary` and `rare` say what is wrong with such values."""

    declared: str
    columns: tuple[str, ...]
    ordinary: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    untried: bool = False

    @property
    def passes(self) -> bool:
        """Whether the values that people store came through unchanged."""
        return not self.ordinary and not self.untried


@dataclass(frozen=True, slots=True)
class Verdict:
    """The canary's outcome. `changed_nulls` names columns in which NULL became the DEFAULT: that is fatal."""

    types: tuple[TypeVerdict, ...]
    changed_nulls: tuple[str, ...]
    seconds: float
    schemas: Mapping[int, str]
    worker_clock_ahead_s: float
    read_as_later_type: bool = False
    """Whether Debezium read values as the type that their column was given after they were written."""
    read_as_required: bool = False
    """Whether a NULL became 0 since its column was made NOT NULL after it was written."""

    @property
    def passed(self) -> bool:
        """Whether NULL arrived as NULL everywhere."""
        return not self.changed_nulls


def run(config: Config, *, deadline_s: float = 60.0) -> Verdict:
    """Write the canary, wait for it in Kafka, compare. `SourceError` when it doesn't arrive."""
    with CanaryTopic(config) as topic, connect(config.source.dsn.get_secret_value()) as connection:
        # Types then print with their schema, whatever the role's own search_path.
        connection.execute("SET search_path = pg_catalog, pg_temp")
        types = canary_types.in_use(connection, config)
        begun = time.monotonic()
        planted = canary_table.plant(connection, uuid.uuid4().hex, types)
        written_ms = time.time() * 1000
        try:
            arrival = topic.wait(planted.run, len(planted.expected), deadline_s)
        finally:
            canary_table.tidy(connection)
        seconds = time.monotonic() - begun
        if len(arrival.rows) < len(planted.expected):
            raise SourceError(
                f"{len(arrival.rows)} of the canary's {len(planted.expected)} rows arrived in the topic "
                f"{config.installation}.replicator.canary within {deadline_s:.0f} s.",
                next_step="`replicator connect status` shows whether the connector runs; "
                "a large backlog takes longer: --canary-deadline",
            )
        return Verdict(
            types=tuple(_judge(connection, planted, arrival)),
            changed_nulls=tuple(_changed_nulls(planted, arrival)),
            seconds=seconds,
            schemas=arrival.schemas,
            worker_clock_ahead_s=_outside(arrival.produced_ms, written_ms, time.time() * 1000) / 1000,
            read_as_later_type=any(
                read_as(text).get(canary_table.RETYPED, canary_table.WRITTEN_AS) != canary_table.WRITTEN_AS
                for text in arrival.schemas.values()
            ),
            read_as_required=any(row.get(canary_table.FILLED) is not None for row in arrival.rows.values()),
        )


def _outside(stamp: float, earliest: float, latest: float) -> float:
    """How far `stamp` lies outside of the interval; 0 within."""
    return min(0.0, stamp - earliest) or max(0.0, stamp - latest)


def _changed_nulls(planted: Planted, arrival: Arrival) -> list[str]:
    changed: list[str] = []
    # The captured tables' own types first: they are whose rows are at risk.
    for column in sorted(planted.columns, key=lambda c: c.use is None):
        value = arrival.rows[0].get(field(column.name))
        if value is not None:
            places = column.use.defaulted or column.use.columns if column.use else ["any nullable column"]
            changed.append(f"{', '.join(places[:5])} ({column.declared}): NULL arrives as {value!r}")
    return changed


def _judge(connection: Connection, planted: Planted, arrival: Arrival) -> list[TypeVerdict]:
    tried = [column for column in planted.columns if column.use is not None]
    wrong: dict[str, tuple[list[str], list[str]]] = {column.name: ([], []) for column in tried}
    readable: list[tuple[Column, int, str]] = []
    for column in tried:
        for row in range(1, len(column.samples.ordinary) + len(column.samples.rare) + 1):
            text, problem = _text(arrival.rows[row], column, arrival.exact)
            if problem is None and text is not None:
                readable.append((column, row, text))
            else:
                _note(wrong, planted, column, row, problem or "it arrives as NULL")
    printed = canary_table.canonical(connection, [(text, c.declared) for c, _, text in readable])
    for (column, row, text), found in zip(readable, printed, strict=True):
        if found != planted.expected[row][column.name]:
            _note(wrong, planted, column, row, f"it arrives as {text!r}")
    return [
        TypeVerdict(
            column.declared,
            tuple(column.use.columns) if column.use else (),
            ordinary=tuple(wrong[column.name][0]),
            rare=tuple(wrong[column.name][1]),
            untried=not column.samples.ordinary,
        )
        for column in tried
    ]


def _text(row: Mapping[str, Any], column: Column, exact: frozenset[str]) -> tuple[str | None, str | None]:
    name = field(column.name)
    if name not in row:
        return None, "the column is missing from the records"
    try:
        return to_text(row[name], column.pg_type, exact=name in exact), None
    except ValueRefusedError as error:
        return None, str(error)


def _note(
    wrong: dict[str, tuple[list[str], list[str]]], planted: Planted, column: Column, row: int, problem: str
) -> None:
    kind = 0 if row <= len(column.samples.ordinary) else 1
    shown = planted.expected[row][column.name] or "''"
    wrong[column.name][kind].append(f"{_short(shown)} ({_short(problem, 110)})")


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
