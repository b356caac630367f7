"""Segments rewritten in a directory with right names and hashes, so that only what they say is wrong.

Neither a hash nor a name can find such a thing; what does, is counting and the comparison with the source.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fastavro

from replicator.segment import container, read
from replicator.segment.name import SegmentName
from replicator.segment.schema import record_schema

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A record, and the file that it was found in, which has another name once something in it is altered."""

    path: Path
    record: Record

    @property
    def xid(self) -> int:
        """Of the transaction that the record is an event of."""
        return int(self.record["value"]["source"]["txId"])


class Forger:
    """Alters the segments of one installation below one directory."""

    def __init__(self, store: Path, installation: str) -> None:
        self._store = store
        self._installation = installation

    def find(self, topic: str, wanted: Callable[[Record], bool]) -> list[Place]:
        """The records of a topic (without the installation's name) in the order of their offsets."""
        found = [
            Place(path, record)
            for path in self._store.glob(f"v1/changes/{self._installation}.{topic}/*/*/*.avro")
            for record in read.records(path.read_bytes())
            if record["value"] is not None and wanted(record)
        ]
        return sorted(found, key=lambda each: int(each.record["offset"]))

    def one(self, topic: str, wanted: Callable[[Record], bool]) -> Place:
        """The only such record."""
        [found] = self.find(topic, wanted)
        return found

    def drop(self, place: Place) -> None:
        """Without the record."""
        offset = place.record["offset"]
        self._rewrite(place, lambda all_: [each for each in all_ if each["offset"] != offset])

    def repeat(self, place: Place) -> None:
        """The record once more, at the first offset after it that holds none: a transaction marker's."""

        def repeated(all_: list[Record]) -> list[Record]:
            taken = {each["offset"] for each in all_}
            name = SegmentName.parse(str(place.path.relative_to(self._store)))
            assert name is not None
            free = next(at for at in range(place.record["offset"] + 1, name.next) if at not in taken)
            return sorted([*all_, {**place.record, "offset": free}], key=lambda each: int(each["offset"]))

        self._rewrite(place, repeated)

    def change(self, place: Place, change: Callable[[Record], None]) -> None:
        """The record with another value; `change` alters it in place."""

        def changed(all_: list[Record]) -> list[Record]:
            for each in all_:
                if each["offset"] == place.record["offset"]:
                    change(each["value"])
            return all_

        self._rewrite(place, changed)

    def count(self, xid: int, table: str, more: int) -> None:
        """Make END's counts of the transaction fit `more` (or fewer) events in the table."""

        def recounted(value: Record) -> None:
            for each in value["data_collections"]:
                each["event_count"] += more * (each["data_collection"] == table)
            value["data_collections"] = [each for each in value["data_collections"] if each["event_count"]]
            value["event_count"] += more

        self.change(self.end(xid), recounted)

    def end(self, xid: int) -> Place:
        """The END of a transaction."""
        return self.one(
            "transaction",
            lambda each: each["value"]["status"] == "END" and each["value"]["id"].startswith(f"{xid}:"),
        )

    def end_at(self, xid: int, lsn: int) -> None:
        """Have the transaction committed at another place of the log."""
        self.change(self.end(xid), lambda value: value.update(id=f"{xid}:{lsn}"))

    def _rewrite(self, place: Place, rewritten: Callable[[list[Record]], list[Record]]) -> None:
        # A name is a range and a hash; what was rewritten has the same range.
        [path] = place.path.parent.glob(f"{place.path.name.partition('.')[0]}.*")
        body = path.read_bytes()
        header = read.open_header(body).header
        records = rewritten(list(read.records(body)))
        schema = record_schema(header.value_schema[1] if header.value_schema else None)
        parsed = fastavro.parse_schema(json.loads(schema))
        packed = io.BytesIO()
        for record in records:
            fastavro.schemaless_writer(packed, parsed, record)
        blocks = [(len(records), container.compress(packed.getvalue()))] if records else []
        if not records:
            header = replace(header, value_schema=None, first_timestamp=None, last_timestamp=None)
        sealed = container.build(replace(header, count=len(records)), blocks)
        path.unlink()
        (self._store / sealed.name.key()).write_bytes(sealed.body)
