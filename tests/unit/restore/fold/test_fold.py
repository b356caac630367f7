"""Folds of small histories, judged by replaying them event by event."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.debezium.pgtypes import PgType
from replicator.debezium.transactions import Commits
from replicator.restore.fold import survivors
from replicator.restore.fold.folding import Fold
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import Rows
from replicator.restore.rows.table import Column, Table
from replicator.restore.segments.catalog import Piece
from replicator.restore.segments.fetch import Fetched
from replicator.restore.segments.frames import Frame, frames, together
from replicator.segment import container, read
from replicator.segment.name import Chain
from replicator.segment.schema import record_schema

PARTITIONS = 2
KEY_SCHEMA = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]}
VALUE = {
    "type": "record",
    "name": "Value",
    "fields": [{"name": "id", "type": "long"}, {"name": "v", "type": ["null", "string"]}],
}
ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", VALUE]},
        {"name": "after", "type": ["null", "Value"]},
        {
            "name": "source",
            "type": {
                "type": "record",
                "name": "Source",
                "fields": [
                    {"name": "txId", "type": ["null", "long"]},
                    {"name": "lsn", "type": ["null", "long"]},
                ],
            },
        },
        {
            "name": "transaction",
            "type": [
                "null",
                {"type": "record", "name": "Block", "fields": [{"name": "total_order", "type": "long"}]},
            ],
        },
        {"name": "op", "type": "string"},
    ],
}
TABLE = Table(
    "public", "t", 1, False, (Column("id", PgType("int8")), Column("v", PgType("text"))), "public.t"
)


class History:
    """A table's events as they happen, each in a transaction of its own, and the rows that are left."""

    def __init__(self, snapshot: list[int]) -> None:
        self.rows: dict[int, str | None] = {key: f"snapshot {key}" for key in snapshot}
        self.commits = Commits()
        self.partitions: list[list[dict[str, Any]]] = [[] for _ in range(PARTITIONS)]
        for key in snapshot:
            self._record(key % PARTITIONS, key, "r", None, self.rows[key])

    def change(self, key: int, value: str | None, *, delete: bool = False, moved: bool = False) -> None:
        """Insert, update or delete a row; `moved` sends the event to another partition than the key's own."""
        before = self.rows.get(key)
        if delete and key not in self.rows:
            return
        op = "d" if delete else "u" if key in self.rows else "c"
        if delete:
            del self.rows[key]
        else:
            self.rows[key] = value
        self._record((key + moved) % PARTITIONS, key, op, before, value)

    def truncate(self) -> None:
        """All rows go; each partition might be told, one is."""
        self.rows.clear()
        self._record(0, None, "t", None, None)

    def _record(
        self, partition: int, key: int | None, op: str, before: str | None, after: str | None
    ) -> None:
        place = 10 * (len(self.commits) + 1)
        if op != "r":
            self.commits.add(f"{len(self.commits) + 7}:{place}", f"{len(self.commits) + 7}:{place}", 0, 0, {})
        self.partitions[partition].append(
            {
                "key": None if key is None else b"\0\0\0\0\1" + _encoded(KEY_SCHEMA, {"id": key}),
                "headers": [],
                "timestamp": 0,
                "value": {
                    "before": {"id": key, "v": before} if op in "ud" else None,
                    "after": {"id": key, "v": after} if op in "cru" else None,
                    "source": {"txId": len(self.commits) + 6, "lsn": place},
                    "transaction": None if op == "r" else {"total_order": 1},
                    "op": op,
                },
            }
        )

    def frames(self, folder: Path, size: int, topic: str = "i.public.t") -> list[Frame]:
        """The events as segments of up to `size` records, with gaps between offsets."""
        text = json.dumps(ENVELOPE)
        parsed = fastavro.parse_schema(json.loads(record_schema(text)))
        fetched = []
        for partition, records in enumerate(self.partitions):
            for first in range(0, len(records), size):
                part = records[first : first + size]
                body = io.BytesIO()
                for number, record in enumerate(part):
                    fastavro.schemaless_writer(body, parsed, {"offset": 3 * (first + number), **record})
                chain = Chain(topic, "A" * 22, partition)
                begin, end = 3 * first, 3 * (first + len(part))
                keys = any(record["key"] is not None for record in part)
                key_schemas = (("1", json.dumps(KEY_SCHEMA)),) if keys else ()
                header = container.Header("c", chain, begin, end, len(part), ("1", text), key_schemas)
                sealed = container.build(header, [(len(part), container.compress(body.getvalue()))])
                path = folder / f"{topic}-{partition}-{first}"
                path.write_bytes(sealed.body)
                opened = read.open_header(sealed.body)
                piece = Piece(sealed.name, len(sealed.body), begin, end)
                fetched.append(
                    Fetched(piece, path, opened.header, opened.record_schema, opened.blocks_at, opened.sync)
                )
        return frames(fetched)


def _encoded(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


CHANGES = st.lists(
    st.tuples(st.integers(0, 12), st.one_of(st.none(), st.text(max_size=3)), st.booleans()), max_size=60
)


def folded(history: History, size: int, key: list[str], memory: int = 2**24) -> dict[int, str | None]:
    """The rows; the same, whether small segments are read one by one or many at a time."""
    found = _folded(history, size, key, memory, list)
    assert _folded(history, size, key, memory, together) == found
    return found


def _folded(
    history: History,
    size: int,
    key: list[str],
    memory: int,
    prepare: Callable[[Iterable[Frame]], Iterable[Frame]],
) -> dict[int, str | None]:
    with TemporaryDirectory() as folder:
        read = list(prepare(history.frames(Path(folder), size)))
        made = Fold(read, key, history.commits, None, None, memory)
        rows = Rows(TABLE, made, {})
        found = [tuple(row.values()) for batch in text_rows.batches(rows) for row in batch.to_pylist()]
    assert sorted({key for key, _ in found}) == sorted(key for key, _ in found), "no row comes twice"
    assert rows.counted.rows == len(found)
    assert sum(sum(each.values()) for each in rows.counted.events.values()) == len(history.commits)
    return dict(found)


def test_small_segments_of_a_chain_are_one_frame() -> None:
    history = History([])
    for key in range(40):
        history.change(key, "x" * 600 if key > 30 else "x")
    with TemporaryDirectory() as folder:
        alone = history.frames(Path(folder), 2)
        found = list(together(alone))
        assert {frame.chain for frame in alone} == {frame.chain for frame in found}
        assert len(found) == len({frame.chain for frame in alone}) < len(alone)
        assert [each for frame in found for each in frame.members or (frame,)] == alone


@given(st.sets(st.integers(0, 9)), CHANGES, st.integers(1, 7))
@settings(deadline=None, max_examples=25)
def test_the_newest_event_of_each_key_decides(
    snapshot: set[int], changes: list[tuple[int, str | None, bool]], size: int
) -> None:
    history = History(sorted(snapshot))
    for key, value, delete in changes:
        history.change(key, value, delete=delete)
    assert folded(history, size, ["id"]) == history.rows
    # Told by images, without a key, it is the same.
    assert folded(history, size, []) == history.rows


@given(st.sets(st.integers(0, 9)), CHANGES, CHANGES)
@settings(deadline=None, max_examples=15)
def test_after_a_truncate_and_a_move_the_commit_order_decides(
    snapshot: set[int],
    before: list[tuple[int, str | None, bool]],
    after: list[tuple[int, str | None, bool]],
) -> None:
    history = History(sorted(snapshot))
    for key, value, delete in before:
        history.change(key, value, delete=delete)
    history.truncate()
    for key, value, delete in after:
        history.change(key, value, delete=delete)
        history.change(key, value, moved=True)
    assert folded(history, 5, ["id"]) == history.rows
    if not after:
        assert folded(history, 5, []) == history.rows


def test_a_segment_of_nothing_but_a_truncate_takes_no_table_its_key() -> None:
    history = History([])
    history.truncate()
    for key in range(1, 4):
        history.change(key, "again")
    with TemporaryDirectory() as folder:
        found = history.frames(Path(folder), 1)
        assert next(frame.key_schemas for frame in found if frame.partition == 0) == ()
        made = Fold(found, ["id"], history.commits, None, None)
        assert made.survivors is not None and made.keyed
    assert folded(history, 1, ["id"]) == history.rows


def test_more_keys_than_the_memory_takes_are_folded_in_turns() -> None:
    history = History(list(range(0, 9000, 3)))
    for key in range(6000):
        history.change(key, f"new {key}", delete=key % 5 == 0)
    with TemporaryDirectory() as folder:
        made = Fold(history.frames(Path(folder), 2000), ["id"], history.commits, None, None, 2**17)
        assert isinstance(made.survivors, survivors.ByOffset)
    assert folded(history, 2000, ["id"], 2**17) == history.rows
