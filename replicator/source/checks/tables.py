"""The captured tables: publication, replica identity, keys, and what logical decoding leaves out."""

from __future__ import annotations

from collections.abc import Iterator

from replicator.config import Config
from replicator.debezium.names import field, topic
from replicator.source import captured, dump, publication
from replicator.source.captured import is_excluded
from replicator.source.checks.check import Check, fail, listed, ok, warn
from replicator.source.connector import slot_name
from replicator.source.database import Connection
from replicator.source.install import installed
from replicator.source.state import TRIGGERS


def checks(connection: Connection, config: Config) -> Iterator[Check]:
    """All checks of the tables."""
    found = captured.read(connection, config.source.schemas)
    yield _publication(connection, config)
    yield _triggers(connection)
    yield _replica_identity(found)
    yield _truncates(connection, found)
    yield from _keys(found, config)
    yield from _names(found, config)
    yield from _left_out(connection, config)
    yield _extensions(connection)
    if installed(connection) is None:
        return
    if dump.is_due(connection):
        yield warn("schema dump", "DDL ran since the newest one", "`replicator source dump`")
    else:
        yield ok("schema dump", "no DDL since the newest one")


def _publication(connection: Connection, config: Config) -> Check:
    name = slot_name(config)
    found = publication.read(connection, name)
    wanted = frozenset([*config.source.schemas, "replicator"])
    if found is None:
        return fail("publication", f"{name} isn't there", "`replicator source install`")
    if not wanted <= found.schemas:
        lacking = ", ".join(sorted(wanted - found.schemas))
        return fail("publication", f"{name} lacks the schemas {lacking}", "`replicator source install`")
    if found.operations != publication.ALL_OPERATIONS or not found.via_root:
        return fail(
            "publication",
            f"{name} publishes {', '.join(sorted(found.operations))}, via root: {found.via_root}",
            "`replicator source install`",
        )
    return ok(
        "publication", f"{name}: {', '.join(sorted(found.schemas))}, all operations, via the partition root"
    )


def _triggers(connection: Connection) -> Check:
    enabled = {
        str(name)
        for (name,) in connection.execute("SELECT evtname FROM pg_event_trigger WHERE evtenabled = 'A'")
    }
    lacking = [name for name in TRIGGERS if name not in enabled]
    if lacking:
        return fail(
            "event triggers",
            f"{listed(lacking)}: missing or disabled, DDL isn't logged",
            "`replicator source install`",
        )
    return ok("event triggers", "DDL, drops and rewrites are logged")


def _replica_identity(found: captured.Captured) -> Check:
    lacking = [str(table.name) for table in found.tables if table.replica_identity != "f"]
    if lacking:
        return fail(
            "replica identity",
            f"not FULL on {listed(lacking)}: old rows and unchanged large values don't arrive",
            "`replicator source install`",
        )
    return ok("replica identity", f"FULL on all {len(found.tables)} tables")


def _truncates(connection: Connection, found: captured.Captured) -> Check:
    telling = {
        (str(schema), str(table))
        for schema, table in connection.execute(
            """
            SELECT n.nspname, c.relname FROM pg_trigger t
            JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE t.tgname = 'replicator_truncate' AND t.tgenabled = 'A'
            """
        )
    }
    lacking = [
        str(t.name)
        for t in found.tables
        if (t.is_partition or t.kind == "p") and tuple(t.name) not in telling
    ]
    if lacking:
        return fail(
            "truncates",
            f"PostgreSQL doesn't send a single partition's TRUNCATE, and {listed(lacking)} wouldn't tell",
            "`replicator source install`",
        )
    return ok("truncates", "a partition that is truncated by itself is logged")


def _keys(found: captured.Captured, config: Config) -> Iterator[Check]:
    keyless = [
        str(table.name)
        for table in found.streams
        if not table.primary_key and not is_excluded(table.name, config.source.exclude_tables)
    ]
    if keyless:
        yield warn(
            "primary keys",
            f"none on {listed(keyless)}: captured exactly as multisets of rows, but updates of them are slow "
            "wherever rows are looked up",
            "ALTER TABLE … ADD PRIMARY KEY where the table has one in spirit",
        )
    else:
        yield ok("primary keys", "every captured table has one")


def _names(found: captured.Captured, config: Config) -> Iterator[Check]:
    dotted = sorted({table.name.schema for table in found.tables if "." in table.name.schema})
    if dotted:
        yield fail(
            "schema names",
            f"{listed(dotted)}: a dot parts schema and table in Debezium's names, so a restore misses them",
            "rename the schema, or leave it out of source.schemas",
        )
    topics: dict[str, list[str]] = {}
    for table in found.streams:
        if not table.columns and not is_excluded(table.name, config.source.exclude_tables):
            # Seen with 3.7.0.Final: its task fails.
            yield fail(
                "tables without columns",
                f"Debezium's snapshot can't read {table.name}",
                "give it a column, or leave it out: source.exclude_tables",
            )
        topics.setdefault(topic(config.installation, *table.name), []).append(str(table.name))
        fields: dict[str, list[str]] = {}
        for column in table.columns:
            fields.setdefault(field(column).lower(), []).append(column)
        for same in fields.values():
            if len(same) > 1:
                yield fail(
                    "column names",
                    f"{table.name}: {listed(same)} become one field in Avro",
                    "rename one of them, or leave the table out: source.exclude_tables",
                )
    for name, same in topics.items():
        if len(same) > 1:
            yield fail(
                "table names",
                f"{listed(same)} would share the topic {name}",
                "rename one of them, or leave one out: source.exclude_tables",
            )


def _left_out(connection: Connection, config: Config) -> Iterator[Check]:
    unlogged = [
        str(name)
        for (name,) in connection.execute(
            """
            SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'u' AND n.nspname = ANY (%s) ORDER BY 1
            """,
            (config.source.schemas,),
        )
    ]
    if unlogged:
        yield warn(
            "unlogged tables",
            f"{listed(unlogged)}: their rows aren't in WAL and so in no destination",
            "ALTER TABLE … SET LOGGED if they matter",
        )
    else:
        yield ok("unlogged tables", "none")
    row = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    if row is not None and int(row[0]):
        yield warn(
            "large objects",
            f"{row[0]}: logical decoding doesn't send them",
            "keep such data in bytea columns",
        )
    else:
        yield ok("large objects", "none")
    others = [
        str(name)
        for (name,) in connection.execute(
            """
            SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname <> ALL (%s)
              AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema' ORDER BY 1
            """,
            ([*config.source.schemas, "replicator"],),
        )
    ]
    if others:
        yield warn(
            "other schemas",
            f"tables in {listed(others)} aren't captured",
            "add them to source.schemas, then `replicator source install` and `replicator connect apply`",
        )


def _extensions(connection: Connection) -> Check:
    names = [
        f"{name} {version}"
        for name, version in connection.execute(
            "SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
        )
    ]
    if not names:
        return ok("extensions", "none")
    return ok("extensions", f"{listed(names, 10)}: a server that is restored to needs them too")
