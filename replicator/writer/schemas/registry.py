"""The schemas of records, as a segment can carry them."""

from __future__ import annotations

import json
from typing import Any

from replicator import config
from replicator.errors import ReplicatorError
from replicator.registry import RegistryError, SchemaRegistry


class RegistryUnavailableError(ReplicatorError):
    """The registry can't be asked now; the same question may be answered later. Nothing is lost by
    waiting."""


class UnknownSchemaError(ReplicatorError):
    """The registry answers, and has no such schema."""


class UnusableSchemaError(ReplicatorError):
    """The registry has the schema, and a segment can't carry it."""


class Registry:
    """Schema texts by the names that records bear: an id, or `guid:…`. One thread at a time."""

    def __init__(self, settings: config.Registry) -> None:
        self._client = SchemaRegistry(settings, meanwhile="the sink waits, and Kafka keeps the records")

    def fetch(self, name: str) -> str:
        """The schema's text.

        `RegistryUnavailableError` while it can't be asked, refuses us or fails; `UnknownSchemaError` if it
        has no such schema; `UnusableSchemaError` if that isn't one self-contained Avro schema.
        """
        try:
            answer = self._client.schema(name)
        except RegistryError as error:
            if error.status == 404:
                raise UnknownSchemaError(
                    f"The schema registry at {self._client.url} has no schema {name}.",
                    next_step="find out which registry wrote the records: it may have lost its storage",
                ) from None
            if error.status == 200:
                raise UnusableSchemaError(error.message, next_step=error.next_step) from None
            raise RegistryUnavailableError(error.message, next_step=error.next_step) from None
        return _text(answer, name, self._client.url)


def _text(answer: Any, name: str, url: str) -> str:
    try:
        text = answer["schema"]
        kind = answer.get("schemaType") or "AVRO"
        references = answer.get("references")
        json.loads(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnusableSchemaError(
            f"The schema registry at {url} answered for schema {name} with something that is no Avro schema."
        ) from None
    if kind != "AVRO":
        raise UnusableSchemaError(
            f"Schema {name} is {kind}, not Avro.", next_step="let the connector use its Avro converter"
        )
    if references:
        raise UnusableSchemaError(
            f"Schema {name} refers to other schemas, which a segment can't carry.",
            next_step="let the converter register each schema whole (no references)",
        )
    return str(text)
