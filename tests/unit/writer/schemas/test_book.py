"""Schemas: what passes by itself is asked again, what doesn't is refused, and none waits for another."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from replicator.config import Registry as RegistrySettings
from replicator.storage import ErrorKind, StorageError
from replicator.storage.memory import MemoryStore
from replicator.writer.process.pool import Supervisor
from replicator.writer.schemas import book
from replicator.writer.schemas.book import SchemaBook
from replicator.writer.schemas.registry import Registry, RegistryUnavailableError, UnknownSchemaError

DEADLINE_S = 20.0


class FakeRegistry(Registry):
    """Answers with what `texts` has: a text, or an error to raise."""

    def __init__(self, **texts: str | Exception) -> None:
        super().__init__(RegistrySettings(url="http://127.0.0.1:1"))
        self.texts = {name.removeprefix("_"): text for name, text in texts.items()}

    def fetch(self, name: str) -> str:
        answer = self.texts.get(name, UnknownSchemaError(f"no schema {name}"))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Rig:
    def __init__(self, registry: Registry, store: MemoryStore | None = None) -> None:
        self.supervisor = Supervisor()
        self.heard = threading.Condition()
        self.troubles: list[str | None] = []
        self.book = SchemaBook(registry, store or MemoryStore(), self.supervisor, self._told)

    def _told(self, _: str | None) -> None:
        with self.heard:
            self.troubles.append(self.book.trouble)
            self.heard.notify_all()

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(condition, DEADLINE_S), f"{what} didn't happen: {self.troubles}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "_REFUSED_RETRY_S", 0.05)
    monkeypatch.setattr(book, "_UNKNOWN_PATIENCE_S", 0.05)


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.FATAL, ErrorKind.CORRUPT])
def test_a_schema_that_the_destination_did_not_take_is_brought_again(kind: ErrorKind) -> None:
    store = MemoryStore()
    store.fail("put", StorageError("no right to write", kind=kind), times=2)
    rig = Rig(FakeRegistry(_7='"string"'), store)
    rig.book.want("7")
    rig.until("the schema", lambda: rig.book.text("7") is not None and rig.book.trouble is None)
    assert rig.book.refusal("7") is None
    assert "no right to write" in str(rig.troubles[0])
    assert json.loads(store.get(book.key_of("7"))) == {"id": "7", "schema": '"string"'}


def test_a_schema_that_can_not_be_had_now_holds_up_no_other() -> None:
    down = RegistryUnavailableError("the registry answered 500 for that one")
    registry = FakeRegistry(_1=down, _2='"string"')
    rig = Rig(registry)
    rig.book.want("1")
    rig.book.want("2")
    rig.until("the second schema", lambda: rig.book.text("2") is not None)
    assert rig.book.trouble is not None
    registry.texts["1"] = '"long"'
    rig.until("the first schema", lambda: rig.book.text("1") is not None and rig.book.trouble is None)


def test_a_schema_that_the_registry_does_not_have_is_refused_after_a_while() -> None:
    rig = Rig(FakeRegistry())
    rig.book.want("9")
    rig.until("the refusal", lambda: rig.book.refusal("9") is not None)
    assert "no schema 9" in str(rig.book.refusal("9"))


def test_a_schema_that_no_segment_can_carry_is_refused_and_not_recorded() -> None:
    store = MemoryStore()
    rig = Rig(FakeRegistry(_3='{"type":["null","string"]}'), store)
    rig.book.want("3")
    rig.until("the refusal", lambda: rig.book.refusal("3") is not None)
    assert list(store.list("")) == []


def test_an_id_whose_text_changed_is_refused() -> None:
    store = MemoryStore()
    first = Rig(FakeRegistry(_7='"string"'), store)
    first.book.want("7")
    first.until("the schema", lambda: first.book.text("7") is not None)
    second = Rig(FakeRegistry(_7='"long"'), store)
    second.book.want("7")
    second.until("the refusal", lambda: second.book.refusal("7") is not None)
    assert "not what it was" in str(second.book.refusal("7"))
