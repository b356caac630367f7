"""Schemas that records need: asked of the registry once, and remembered in the destination for ever.

Each schema is kept beside the segments as `v1/schemas/{id}.json`. A registry that lost its storage hands out
the same ids for other schemas, and old records would then be read with a wrong one: an id whose text isn't
what the destination recorded stops every partition that needs it.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from replicator.deadletter.letter import Reason
from replicator.errors import IntegrityError, ReplicatorError
from replicator.segment import schema
from replicator.storage import ObjectStore, PutResult, StorageError
from replicator.writer.process.pool import Pool, Supervisor
from replicator.writer.schemas.registry import (
    Registry,
    RegistryUnavailableError,
    UnknownSchemaError,
    UnusableSchemaError,
)

PREFIX = "v1/schemas/"
_UNKNOWN_PATIENCE_S = 90.0
"""A registry that was restarted may answer 404 to every id until it has read its storage back (Apicurio's
Kafka storage: 43 s on a loaded machine), and one of several nodes may know a new id a little later."""
_BACKOFF_CAP_S = 10.0
_REFUSED_RETRY_S = 10.0
"""What only a person can mend at the destination is tried again this often: it may have been mended."""


def key_of(name: str) -> str:
    """Where a destination keeps the schema of that name."""
    return f"{PREFIX}{name.replace(':', '-')}.json"


_ASK_AGAIN_S = 30.0
"""A schema that the registry doesn't have is asked for again so often: it may have got it."""


class ChangedSchemaError(IntegrityError):
    """An id doesn't mean what it did: values would be read with a wrong schema."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why records of a schema can't be stored. With `stops`, those of others may be wrong as well."""

    reason: Reason
    detail: str
    stops: bool = False


@dataclass(slots=True)
class _Question:
    """A schema that was asked for and isn't known yet."""

    name: str
    attempt: int = 0
    unknown_since: float | None = None
    """Since when the registry has answered without a break that it has no such schema."""


class SchemaBook:
    """Looks schemas up in a thread of its own, so that the loop never waits for a registry.

    `told` is called from that thread, with a name, whenever that name became known or refused, and with None
    when `trouble` changed.
    """

    def __init__(
        self,
        registry: Registry,
        store: ObjectStore,
        supervisor: Supervisor,
        told: Callable[[str | None], None],
        patience_s: float | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._told = told
        self._patience_s = patience_s
        self._known: dict[str, str] = {}
        self.refused: dict[str, Refusal] = {}
        """The schemas whose records go to dead letters, by name; changed in another thread."""
        self._stopping: dict[str, Refusal] = {}
        self._asked: set[str] = set()
        self._troubles: dict[str, str] = {}
        self.trouble: str | None = None
        """What keeps a schema from being known; it is asked for again and again."""
        self._pool = Pool("schemas", 1, supervisor)

    def want(self, name: str) -> None:
        """Have the schema looked up, unless that was done or is being done."""
        if name not in self._asked:
            self._asked.add(name)
            question = _Question(name)
            self._pool.submit(lambda: self._look_up(question))

    def text(self, name: str) -> str | None:
        """The schema's text, None while it isn't known."""
        return self._known.get(name)

    def refusal(self, name: str) -> Refusal | None:
        """Why records of that schema can't be stored; None unless that is certain."""
        return self._stopping.get(name) or self.refused.get(name)

    def _look_up(self, question: _Question) -> None:
        # What may pass is asked again after the others: one schema's trouble isn't theirs.
        name = question.name
        try:
            text = learn(self._registry, self._store, name)
        except RegistryUnavailableError as error:
            question.unknown_since = None
            self._again(question, str(error), _backoff_s(question.attempt))
            return
        except StorageError as error:
            self._again(question, str(error), _REFUSED_RETRY_S)
            return
        except UnknownSchemaError as error:
            now = time.monotonic()
            question.unknown_since = question.unknown_since or now
            patience_s = _UNKNOWN_PATIENCE_S if self._patience_s is None else self._patience_s
            if now - question.unknown_since < patience_s:
                self._again(question, str(error), _backoff_s(question.attempt))
                return
            news = name not in self.refused
            self.refused[name] = Refusal(Reason.UNKNOWN_SCHEMA, str(error))
            self._again(question, None, _ASK_AGAIN_S)
            if news:
                self._told(name)
            return
        except ChangedSchemaError as error:
            self._stopping[name] = Refusal(Reason.UNUSABLE_SCHEMA, str(error), stops=True)
        except ReplicatorError as error:
            self.refused[name] = Refusal(Reason.UNUSABLE_SCHEMA, str(error))
        else:
            self._known[name] = text
            self.refused.pop(name, None)
        self._note(name, None)
        self._told(name)

    def _again(self, question: _Question, trouble: str | None, after_s: float) -> None:
        self._note(question.name, trouble)
        question.attempt += 1
        self._pool.submit(lambda: self._look_up(question), after_s=after_s)

    def _note(self, name: str, trouble: str | None) -> None:
        if trouble is None:
            self._troubles.pop(name, None)
        else:
            self._troubles[name] = trouble
        now = next(iter(self._troubles.values()), None)
        if now != self.trouble:
            self.trouble = now
            self._told(None)


def learn(registry: Registry, store: ObjectStore, name: str) -> str:
    """The schema's text from the registry, recorded in the destination.

    Raises what the registry raises; `UnusableSchemaError` if no segment can carry it, `ChangedSchemaError` if
    the destination has another text for that id, `StorageError` if it can't be recorded.
    """
    text = registry.fetch(name)
    _check(name, text)
    body = json.dumps({"id": name, "schema": text}, separators=(",", ":")).encode()
    key = key_of(name)
    if store.put(key, body, sha256=hashlib.sha256(body).hexdigest()) is PutResult.CREATED:
        return text
    kept = _schema_in(store.get(key), key)
    if json.loads(kept) != json.loads(text):
        raise ChangedSchemaError(
            f"Schema {name} is not what it was: the registry's text differs from {key}, which this "
            "destination recorded when it first met that id.",
            next_step="give the registry its storage back; records written meanwhile bear wrong ids",
        )
    return text


def _backoff_s(attempt: int) -> float:
    return random.uniform(0.05, min(_BACKOFF_CAP_S, 0.2 * 2.0 ** min(attempt, 10)))


def _check(name: str, text: str) -> None:
    why = schema.refusal(text)
    if why is not None:
        raise UnusableSchemaError(
            f"Schema {name} can't stand inside a segment's: {why}",
            next_step="let the producer register a valid schema with a namespace of its own",
        )


def _schema_in(body: bytes, key: str) -> str:
    try:
        content: Any = json.loads(body)
        return str(content["schema"])
    except (ValueError, KeyError, TypeError):
        raise ChangedSchemaError(
            f"{key} in the destination is damaged: it holds no schema to compare the registry's with.",
            next_step="put the object back from another destination, and start the sink again",
        ) from None
