"""A moment as Kafka topics: of each table one record a row, keyed by its primary key, all in one transaction.

A last record, in `{prefix}.restore`, says what is there and comes with the same transaction.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro

from replicator import __version__
from replicator.config import Config
from replicator.debezium import names
from replicator.errors import ConfigError, IntegrityError
from replicator.registry import SchemaRegistry
from replicator.restore import opening
from replicator.restore.export import avro_rows, files, subjects
from replicator.restore.export.outlet import NewTopicPlan, Outlet
from replicator.restore.export.reading import Moment
from replicator.restore.moment.cut import Target
from replicator.restore.opening import Limits
from replicator.restore.report import Progress, Report, Silent, TableReport
from replicator.restore.schema import sql
from replicator.restore.selection import EVERYTHING, Selection
from replicator.segment.wire import prefix_for

_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_LONGEST = 249
"""Characters of a topic's name, as the brokers have it."""
MANIFEST = "restore"


@dataclass(frozen=True, slots=True)
class TableTopic:
    """A table's topic and what its records are written with; `key` has the fields of the primary key."""

    table: str
    topic: str
    partitions: int
    key: tuple[str, ...]
    schema: Any
    value_schema: dict[str, Any]
    key_schema: dict[str, Any] | None


def write(
    config: Config,
    source: str | Sequence[str],
    to: Target,
    prefix: str,
    *,
    selection: Selection = EVERYTHING,
    as_text: Collection[str] = (),
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write each table's rows at the target to `{prefix}.{schema}.{table}`, and prove them.

    The brokers and the registry are those of `restore:` in the configuration, and the installation's own
    where it names none. Whoever reads committed records sees nothing before all is there, counted by the
    brokers' own offsets, and committed. After an error, or Ctrl-C, it is aborted and the topics that were
    made are removed. `as_text` is as for `files.write`.

    Raises as `service.run` does; `ConfigError` for a prefix that can't be, `TargetRefusedError` for a topic
    that holds records, `KafkaError`, `RegistryError`.
    """
    check_prefix(prefix, config.installation)
    limits, progress = limits or Limits(), progress or Silent()
    progress.phase("reading the history")
    begun = time.monotonic()
    with opening.opened(config, source, limits, to) as found:
        plan = opening.planned_for(found, to, selection)
        moment = Moment(found, plan, limits.memory_bytes)
        report = Report(config.installation, plan.destination, plan.cut, transactions=plan.cut.number)
        report.promises, report.not_captured = plan.promises, list(plan.not_captured)
        report.selection = plan.chosen.as_json()
        report.base = None if plan.base is None else plan.base.id
        texts = files.by_table(moment, as_text)
        # What can't be read at all is known before anything is written.
        topics = [_topic(moment, prefix, name, texts.get(name, ())) for name in moment.tables]
        report.phases["reading the history"] = round(time.monotonic() - begun, 3)
        progress.tables(sum(table.size for table in plan.tables))
        with Outlet(config.restore.kafka or config.kafka, prefix) as outlet:
            with report.timed("making topics", progress):
                outlet.open(
                    [
                        *(NewTopicPlan(each.topic, each.partitions, each.key != ()) for each in topics),
                        NewTopicPlan(f"{prefix}.{MANIFEST}", 1, compacted=False),
                    ]
                )
                registry = subjects.registry_of(config)
                encoders = {each.topic: _encoder(each, registry) for each in topics}
            with report.timed("writing rows", progress):
                for each in topics:
                    _fill(outlet, moment, each, texts.get(each.table, ()), encoders[each.topic], report)
                    done = report.tables[-1]
                    progress.loaded(each.table, done.rows, done.bytes)
                outlet.settle()
            with report.timed("counting", progress):
                _check_held(outlet, prefix, topics, report)
            report.segments, report.bytes = found.sources.segments, found.sources.size
            report.sources, report.replaced = found.sources.shares, found.sources.replaced
            values = plan.history.sequence_values(plan.cut.number)
            report.sequences = {name: value.last_value for name, value in values.items()}
            with report.timed("committing", progress):
                manifest = json.dumps(_manifest(topics, report)).encode()
                outlet.put(f"{prefix}.{MANIFEST}", None, manifest, [("content-type", b"application/json")])
                outlet.commit()
    return report


def check_prefix(prefix: str, installation: str) -> None:
    """`ConfigError` for a prefix that Kafka doesn't take, or that is another's: the installation's topics
    are captured, and sinks would take restored rows for changes.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(
            f"--to-kafka {prefix!r}: topics' names have letters, digits, `.`, `_` and `-`, and this prefix "
            "100 of them at most.",
            next_step="name one like restored-2026-11-22",
        )
    if any(f"{prefix}.".startswith(f"{taken}.") for taken in (installation, "replicator")):
        raise ConfigError(
            f"--to-kafka {prefix}: topics of that name are the installation's own, and its sinks would store "
            "restored rows as if they were changes.",
            next_step="name one like restored-2026-11-22",
        )


def key_of(moment: Moment, table: str) -> tuple[str, ...]:
    """The columns of the table's primary key at the cut; none where it has none, or PostgreSQL computes one
    of them.
    """
    declared = moment.declared(table)
    constraints = moment.plan.schema.definitions[declared.table.identity]["constraints"]
    primary = [each["definition"] for each in constraints if each["type"] == "p"]
    columns = (sql.names_in_parentheses(primary[0]) or ()) if primary else ()
    stored = {column.name for column in declared.stored}
    return tuple(columns) if stored.issuperset(columns) else ()


def _topic(moment: Moment, prefix: str, table: str, as_text: Collection[str]) -> TableTopic:
    schema = moment.schema(table, as_text=as_text)
    value = avro_rows.schema(table, schema)
    key = tuple(map(names.field, key_of(moment, table)))
    types = {field["name"]: field for field in value["fields"]}
    key_schema = {
        "type": "record",
        "name": f"{value['name']}_key",
        "doc": f"The primary key of {table}.",
        # A key's columns are never NULL.
        "fields": [
            {
                "name": each,
                "type": types[each]["type"][1],
                **({"column": types[each]["column"]} if "column" in types[each] else {}),
            }
            for each in key
        ],
    }
    topic = names.topic(prefix, *table.split(".", 1))
    if len(topic) > _LONGEST:
        raise ConfigError(
            f"The topic {topic} would have {len(topic)} characters, and Kafka takes {_LONGEST}.",
            next_step="name a shorter prefix with --to-kafka",
        )
    edges = moment.plan.table(table).edges
    partitions = 1 + max((edge.chain.chain.partition for edge in edges), default=0)
    return TableTopic(table, topic, partitions, key, schema, value, key_schema if key else None)


Encoder = Callable[[dict[str, Any]], tuple[bytes | None, bytes]]


def _encoder(table: TableTopic, registry: SchemaRegistry) -> Encoder:
    """Rows to keys and values in Confluent's wire format, the schemas being registered."""
    value_head = prefix_for(subjects.register(registry, f"{table.topic}-value", table.value_schema))
    value = fastavro.parse_schema(table.value_schema)
    key_head, key = b"", None
    if table.key_schema is not None:
        key_head = prefix_for(subjects.register(registry, f"{table.topic}-key", table.key_schema))
        key = fastavro.parse_schema(table.key_schema)

    def encode(row: dict[str, Any]) -> tuple[bytes | None, bytes]:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, value, row)
        if key is None:
            return None, value_head + body.getvalue()
        told = io.BytesIO()
        fastavro.schemaless_writer(told, key, {name: row[name] for name in table.key})
        return key_head + told.getvalue(), value_head + body.getvalue()

    return encode


def _fill(
    outlet: Outlet,
    moment: Moment,
    table: TableTopic,
    as_text: Collection[str],
    encode: Encoder,
    report: Report,
) -> None:
    done: list[TableReport] = []
    for batch in moment.read(moment.declared(table.table), as_text, done):
        for row in avro_rows.rows(batch, table.schema):
            key, value = encode(row)
            outlet.put(table.topic, key, value)
    report.tables += done
    report.unproven += [
        {"table": table.table, "column": column, "why": why} for column, why in moment.unproven[table.table]
    ]


def _check_held(outlet: Outlet, prefix: str, topics: Sequence[TableTopic], report: Report) -> None:
    held = outlet.held()
    rows = {each.table: each.rows for each in report.tables}
    for each in topics:
        if held[each.topic] != rows[each.table]:
            raise IntegrityError(
                f"The brokers hold {held[each.topic]:,} records of {each.topic}, and {rows[each.table]:,} "
                "rows were written. Nothing was committed.",
                next_step=f"find out what else writes to {prefix}.*, and name a prefix of the restore's own",
            )


def _manifest(topics: Sequence[TableTopic], report: Report) -> dict[str, Any]:
    rows = {each.table: each.rows for each in report.tables}
    return {
        "format": 1,
        "software": __version__,
        "topics": [
            {
                "table": each.table,
                "topic": each.topic,
                "rows": rows[each.table],
                "key": list(each.key),
                "partitions": each.partitions,
            }
            for each in topics
        ],
        "restore": report.as_json(),
    }
