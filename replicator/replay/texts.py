"""Schema texts for a replay: asked of the registry, recorded in the destination, remembered for one pass."""

from __future__ import annotations

from collections.abc import Iterable

from replicator.deadletter.letter import Reason
from replicator.storage import ObjectStore
from replicator.writer.schemas.book import Refusal, learn
from replicator.writer.schemas.registry import Registry, UnknownSchemaError, UnusableSchemaError


class Texts:
    """Texts by the names that records bear."""

    def __init__(self, registry: Registry, store: ObjectStore) -> None:
        self._registry = registry
        self._store = store
        self._known: dict[str, str] = {}

    def text(self, name: str) -> str | None:
        """The schema's text, None unless it was learnt."""
        return self._known.get(name)

    def learn(self, names: Iterable[str]) -> dict[str, Refusal]:
        """Have these schemas looked up; gives those that can't be had, and why.

        `RegistryUnavailableError` while the registry can't be asked, `ChangedSchemaError` if the destination
        has another text for an id, `StorageError` if the destination doesn't take one.
        """
        refused: dict[str, Refusal] = {}
        for name in sorted(set(names) - set(self._known)):
            try:
                self._known[name] = learn(self._registry, self._store, name)
            except UnknownSchemaError as error:
                refused[name] = Refusal(Reason.UNKNOWN_SCHEMA, str(error))
            except UnusableSchemaError as error:
                refused[name] = Refusal(Reason.UNUSABLE_SCHEMA, str(error))
        return refused
