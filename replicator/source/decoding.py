"""Records of the connector's topics, decoded with the registry's own schemas."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro

from replicator.config import Registry
from replicator.errors import SourceError
from replicator.registry import RegistryError, SchemaRegistry


class WireFormatError(SourceError):
    """A record isn't Avro in Confluent's wire format, or the registry doesn't know its schema."""


class Decoder:
    """Asks the registry once for each schema."""

    def __init__(self, registry: Registry) -> None:
        self.texts: dict[int, str] = {}
        """The text of each schema that was met, by its id."""
        self._registry = registry
        self._schemas: dict[int, Any] = {}

    def decode(self, body: bytes, where: str) -> tuple[int, Any]:
        """The schema's id and the value; raises as `schema_text`, and `WireFormatError` for other bytes."""
        if len(body) < 5 or body[0] != 0:
            raise WireFormatError(
                f"{where} isn't Avro in Confluent's wire format: it begins with {body[:5].hex()}.",
                next_step="look at value.converter of the connector: `replicator connect diff`",
            )
        number = int.from_bytes(body[1:5], "big")
        if number not in self._schemas:
            self.texts[number] = text = schema_text(self._registry, number, where)
            self._schemas[number] = fastavro.parse_schema(json.loads(text))
        return number, fastavro.schemaless_reader(io.BytesIO(body[5:]), self._schemas[number], None)


def schema_text(registry: Registry, schema_id: int, where: str) -> str:
    """The schema of that id; `WireFormatError` when the registry lacks it, `SourceError` if it is away."""
    try:
        return SchemaRegistry(registry).text(str(schema_id))
    except RegistryError as error:
        if error.status is None:
            raise SourceError(error.message, next_step=error.next_step) from None
        raise WireFormatError(
            f"The registry answers {error.status} for the schema id {schema_id} of {where}.",
            next_step="with Apicurio's converter set apicurio.registry.use-id=contentId; otherwise check "
            "that registry.url is the registry that the converter writes to",
        ) from None
