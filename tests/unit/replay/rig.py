"""A destination with gaps, letters about them, and a Kafka that is a dictionary: closing without brokers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from replicator.config import Registry as RegistrySettings
from replicator.deadletter.box import Box
from replicator.deadletter.letter import Letter, Reason, Record, record_letter
from replicator.deadletter.topic import LetterTopic
from replicator.errors import KafkaError
from replicator.replay.closing import Closer
from replicator.replay.composing import compose
from replicator.replay.kafka_range import GoneError, RangeReader
from replicator.replay.office import Office
from replicator.replay.texts import Texts
from replicator.segment.name import Chain
from replicator.segment.splice import Columns
from replicator.storage.memory import MemoryStore
from replicator.telemetry import ReplayMetrics
from replicator.writer.destination import mark
from replicator.writer.partition.triage import Unfit
from replicator.writer.schemas.book import Refusal
from replicator.writer.schemas.registry import Registry, UnknownSchemaError

CHAIN = Chain("i.public.t", "x" * 22, 0)
TEXT = json.dumps(
    {"type": "record", "name": "V", "namespace": "v", "fields": [{"name": "n", "type": "long"}]}
)
KEY = b"\0\0\0\0\1" + b"\x04"


def wire(schema: int, n: int) -> bytes:
    return b"\0" + schema.to_bytes(4, "big") + bytes([2 * (n % 60)])


class FakeKafka:
    """Offsets to values; `gone` below an offset."""

    def __init__(self, values: dict[int, bytes]) -> None:
        self.values = values
        self.gone = 0
        self.silent = False

    def read(self, chain: Chain, first: int, next_: int) -> Columns:
        assert chain == CHAIN
        if self.silent:
            raise KafkaError("no answer")
        if first < self.gone:
            raise GoneError(f"Kafka's records begin at {self.gone}")
        offsets = [offset for offset in sorted(self.values) if first <= offset < next_]
        return columns({offset: self.values[offset] for offset in offsets})


class FakeLetters:
    """Keeps what is written."""

    destination = "primary"

    def __init__(self) -> None:
        self.written: list[Letter] = []
        self.box = Box("dlq")
        self.broken = False

    def write(self, letters: Sequence[Letter]) -> None:
        if self.broken:
            raise KafkaError("no answer")
        self.written += letters
        for letter in letters:
            self.box.put(letter)


class FakeRegistry(Registry):
    def __init__(self, *known: str) -> None:
        super().__init__(RegistrySettings(url="http://127.0.0.1:1"))
        self.known = set(known)

    def fetch(self, name: str) -> str:
        if name not in self.known:
            raise UnknownSchemaError(f"The registry has no schema {name}.")
        return TEXT


def columns(values: dict[int, bytes]) -> Columns:
    offsets = sorted(values)
    return Columns(
        offsets,
        [1000 + offset for offset in offsets],
        [KEY] * len(offsets),
        [values[offset] for offset in offsets],
        [None] * len(offsets),
    )


class Heard:
    """What the listener heard: the ids of escalations, and whose end was told."""

    def __init__(self) -> None:
        self.escalated_ids: list[list[str]] = []
        self.ended: list[str] = []

    def escalated(self, escalations: Sequence[Letter]) -> None:
        self.escalated_ids.append([each.id for each in escalations])

    def none_left(self, destination: str, by: str) -> None:
        self.ended.append(f"{destination} by {by}")


class Rig:
    """Offsets 0 to 29 are in Kafka; `store` gets the ranges that a test says."""

    def __init__(self, values: dict[int, bytes] | None = None) -> None:
        self.values = values or {offset: wire(7, offset) for offset in range(30)}
        self.kafka = FakeKafka(self.values)
        self.store, self.other = MemoryStore(), MemoryStore()
        for store in (self.store, self.other):
            mark(store, "i", "cluster", lambda: False)
        self.letters = FakeLetters()
        self.registry = FakeRegistry("7", "1")
        self.now = 0.0
        self.heard = Heard()

    def office(self, escalate_after_s: float = 1e12) -> Office:
        letters = cast(LetterTopic, self.letters)
        closer = Closer(
            self.store,
            {"second": self.other},
            cast(RangeReader, self.kafka),
            Texts(self.registry, self.store),
            letters,
            "cluster",
        )
        return Office(
            letters, closer, ReplayMetrics(), escalate_after_s=escalate_after_s, by="me",
            clock=lambda: self.now, listener=self.heard,
        )  # fmt: skip

    def fill(self, store: MemoryStore, first: int, next_: int, *, without: Sequence[int] = ()) -> None:
        """A segment of that range as a sink would have stored it, leaving those offsets out."""
        values = {offset: value for offset, value in self.values.items() if first <= offset < next_}
        for offset in without:
            values[offset] = b"?"
        refusals: dict[str, Refusal] = {}
        done = compose(
            CHAIN, first, next_, columns(values), "cluster", lambda _: TEXT, refusals, self.letter_of
        )
        for segment in done.segments:
            store.put(segment.name.key(), segment.body, sha256=segment.sha256)

    @staticmethod
    def letter_of(unfit: Unfit) -> Letter:
        return record_letter("primary", CHAIN, unfit.offset, unfit.record, unfit.reason, unfit.detail, 0)

    def poisoned(self, offset: int, reason: Reason = Reason.UNKNOWN_SCHEMA) -> Letter:
        """The letter about that record."""
        record = Record(1000 + offset, KEY, self.values[offset])
        letter = record_letter("primary", CHAIN, offset, record, reason, "why", 0)
        self.letters.write([letter])
        return letter
