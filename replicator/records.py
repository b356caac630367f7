"""The replicator's own Avro records on Kafka, in Confluent's wire format, with the schemas of `schemas/`."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import fastavro

from replicator import config
from replicator.errors import ReplicatorError
from replicator.registry import SchemaRegistry
from replicator.segment.wire import NotWireFormatError, prefix_for, prefix_of, schema_of_prefix


class ForeignRecordError(ReplicatorError):
    """A record that isn't one of ours, or is of a version that this one can't read."""


@cache
def schema(name: str) -> dict[str, Any]:
    """The parsed schema of `schemas/{name}.avsc`."""
    text = (resources.files("schemas") / f"{name}.avsc").read_text()
    return _parsed(text)


class RecordCodec:
    """Encodes and decodes records of the schemas named; asks the registry once for each id.

    Subjects are `{topic}-{record}`. Not for use by several threads at a time.
    """

    def __init__(self, settings: config.Registry, topic: str, names: tuple[str, ...]) -> None:
        self._registry = SchemaRegistry(
            settings, meanwhile="nothing is lost meanwhile, but nothing can be decided either"
        )
        self._topic = topic
        self._ours = {str(schema(name)["name"]): name for name in names}
        self._ids: dict[str, int] = {}
        self._writers: dict[str, dict[str, Any]] = {}

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """The record in wire format, its schema registered; `RegistryError` if that isn't possible."""
        if name not in self._ids:
            self._ids[name] = self._register(name)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema(name), record)
        return prefix_for(self._ids[name]) + body.getvalue()

    def decode(self, payload: bytes) -> tuple[str, dict[str, Any]]:
        """The schema's name and the record, with defaults for what its writer didn't know.

        `ForeignRecordError` if it isn't a record of ours; `RegistryError` while the registry can't tell.
        """
        try:
            prefix = prefix_of(payload)
        except NotWireFormatError as error:
            raise self._foreign(str(error)) from None
        writer = self._writer(schema_of_prefix(prefix))
        name = self._ours.get(str(writer["name"]))
        if name is None:
            raise self._foreign(f"it is a {writer['name']}")
        try:
            record = fastavro.schemaless_reader(io.BytesIO(payload[len(prefix) :]), writer, schema(name))
        except (ValueError, TypeError, EOFError, IndexError, fastavro.schema.SchemaParseException) as error:
            raise self._foreign(f"its bytes don't fit its schema: {error}") from None
        except fastavro.read.SchemaResolutionError as error:
            raise self._foreign(f"its version can't be read by this one: {error}") from None
        return name, dict(record)  # type: ignore[arg-type]

    def _foreign(self, why: str) -> ForeignRecordError:
        return ForeignRecordError(
            f"{self._topic} has a record that the replicator can't read: {why}. It is left out.",
            next_step="find out who writes to that topic; only the replicator may. A later version's records "
            "need a later version",
        )

    def _register(self, name: str) -> int:
        text = (resources.files("schemas") / f"{name}.avsc").read_text()
        subject = f"{self._topic}-{schema(name)['name']}"
        return self._registry.register(subject, json.dumps(json.loads(text)))

    def _writer(self, name: str) -> dict[str, Any]:
        if name not in self._writers:
            self._writers[name] = _parsed(self._registry.text(name))
        return self._writers[name]


def _parsed(text: str) -> dict[str, Any]:
    parsed = fastavro.parse_schema(json.loads(text))
    assert isinstance(parsed, dict)  # a record's; unions and names stand in no subject of ours
    return parsed
