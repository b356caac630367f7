"""Which records of a batch can be stored, and which go to a dead letter instead. Pure.

The hot path costs one comparison a run: single records are looked at only where something was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replicator.deadletter.letter import Reason, Record
from replicator.segment.splice import Columns, Records, Run, splice
from replicator.writer.schemas.book import Refusal


@dataclass(frozen=True, slots=True)
class Unfit:
    """A record that no segment of this destination can hold, as it was on the wire, and why."""

    offset: int
    record: Record
    reason: Reason
    detail: str


def triage(records: Records, refusals: Mapping[str, Refusal], max_bytes: int) -> Iterator[Run | Unfit]:
    """The records in offset order, as runs, and one by one those that can't be stored.

    A record is unfit if it isn't in wire format, if it needs a schema of `refusals`, or if it is larger than
    `max_bytes` as a segment would hold it.
    """
    if not records.count:
        return
    run = records.run()
    if run is not None and len(run.encoded) <= max_bytes and _refused(run, refusals) is None:
        yield run
        return
    columns = records.columns()
    while columns.offsets:
        runs, poison = splice(columns)
        for run in runs:
            if len(run.encoded) > max_bytes or _refused(run, refusals) is not None:
                yield from _one_by_one(columns, run, refusals, max_bytes)
            else:
                yield run
        if poison is None:
            return
        _, columns = columns.split(poison.offset)
        yield _unfit(columns, Reason.NOT_WIRE_FORMAT, f"Its {poison.reason.removeprefix('its ')}.")
        _, columns = columns.split(poison.offset + 1)


def _one_by_one(
    columns: Columns, run: Run, refusals: Mapping[str, Refusal], max_bytes: int
) -> Iterator[Run | Unfit]:
    _, rest = columns.split(run.first_offset)
    rest, _ = rest.split(run.last_offset + 1)
    good: int | None = None
    """Where the records begin that are fit and not given yet."""
    for offset in rest.offsets:
        _, one = rest.split(offset)
        one, _ = one.split(offset + 1)
        [single], _ = splice(one)
        name = _refused(single, refusals)
        if len(single.encoded) <= max_bytes and name is None:
            good = offset if good is None else good
            continue
        if good is not None:
            yield from _between(rest, good, offset)
            good = None
        if name is not None:
            yield _unfit(one, refusals[name].reason, refusals[name].detail)
        else:
            size = len(single.encoded)
            yield _unfit(
                one, Reason.TOO_LARGE, f"It has {size} bytes; sink.max_record_bytes allows {max_bytes}."
            )
    if good is not None:
        yield from _between(rest, good, rest.offsets[-1] + 1)


def _between(columns: Columns, first: int, next_: int) -> Iterator[Run]:
    _, part = columns.split(first)
    part, _ = part.split(next_)
    runs, poison = splice(part)
    assert poison is None, "these records were spliced before"
    yield from runs


def _refused(run: Run, refusals: Mapping[str, Refusal]) -> str | None:
    """The first of the run's schemas that is refused."""
    if not refusals:
        return None
    if run.value_schema in refusals:
        return run.value_schema
    return next((name for name, _ in run.key_schemas if name in refusals), None)


def _unfit(columns: Columns, reason: Reason, detail: str) -> Unfit:
    """The first record of the columns."""
    headers = tuple((name, None if v is None else bytes(v)) for name, v in columns.headers[0] or ())
    record = Record(columns.timestamps[0], columns.keys[0], columns.values[0], headers)
    return Unfit(columns.offsets[0], record, reason, detail)
