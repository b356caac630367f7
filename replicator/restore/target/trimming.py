"""What a restore of a part takes out of the target again: rows that only foreign keys tell, and whole tables.

PostgreSQL itself knows what refers to what and what can't be without a table, so it is done there, before
the target is said to be complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg import sql

from replicator.errors import RefusedError
from replicator.restore.plan import Plan
from replicator.restore.rows.table import Table
from replicator.restore.schema.references import Reference
from replicator.restore.selection import Role
from replicator.restore.target.database import Connection

_OBJECTS = """
WITH ours AS (
    SELECT c.oid, c.relkind FROM pg_class c
     WHERE c.relnamespace::regnamespace::text NOT IN
           ('pg_catalog', 'pg_toast', 'information_schema', 'replicator_restore'))
SELECT 'pg_class'::regclass::oid::int8, o.oid::int8,
       (CASE WHEN o.relkind IN ('r', 'p') THEN o.oid ELSE 0 END)::int8,
       pg_describe_object('pg_class'::regclass, o.oid, 0)
  FROM ours o WHERE o.relkind IN ('v', 'm', 'f', 'r', 'p')
UNION ALL
SELECT 'pg_class'::regclass::oid::int8, o.oid::int8, coalesce(d.refobjid, 0)::int8,
       pg_describe_object('pg_class'::regclass, o.oid, 0)
  FROM ours o LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = o.oid
   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
 WHERE o.relkind = 'S'
UNION ALL
SELECT 'pg_proc'::regclass::oid::int8, p.oid::int8, 0, pg_describe_object('pg_proc'::regclass, p.oid, 0)
  FROM pg_proc p WHERE p.pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'pg_type'::regclass::oid::int8, t.oid::int8, 0, pg_describe_object('pg_type'::regclass, t.oid, 0)
  FROM pg_type t WHERE t.typrelid = 0 AND t.typcategory <> 'A'
   AND t.typnamespace::regnamespace::text NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
UNION ALL
SELECT 'pg_constraint'::regclass::oid::int8, k.oid::int8, k.conrelid::int8,
       pg_describe_object('pg_constraint'::regclass, k.oid, 0)
  FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0
UNION ALL
SELECT 'pg_trigger'::regclass::oid::int8, t.oid::int8, t.tgrelid::int8,
       pg_describe_object('pg_trigger'::regclass, t.oid, 0)
  FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL
SELECT 'pg_policy'::regclass::oid::int8, p.oid::int8, p.polrelid::int8,
       pg_describe_object('pg_policy'::regclass, p.oid, 0)
  FROM pg_policy p
"""
"""Each object that may go with a table: its class, its number, the relation it is a part of, and its name."""

_Objects = dict[tuple[int, int], tuple[int, str]]


def rows(connection: Connection, plan: Plan, tables: Sequence[Table], *, fresh: bool) -> dict[str, int]:
    """Take those rows out of the tables that were loaded whole which no kept row refers to, or which refer
    to none; returns how many of each table stay.

    `RefusedError` when the root hasn't the named rows. Without `fresh` triggers are there already; they don't
    run.
    """
    chosen = plan.chosen
    if chosen.owner is None:
        return {}
    by_identity = {table.identity: table for table in tables}
    root = next(table for table in tables if table.collection == chosen.owner.root)
    _check_there(connection, root, plan)
    kept = {by_identity[name]: number for number, name in enumerate(_identities(plan, tables))}
    left = {}
    with connection.transaction():
        if not fresh:
            connection.execute("SET LOCAL session_replication_role = replica")
        for number in kept.values():
            connection.execute(
                f"CREATE TEMP TABLE kept_{number} (part oid, place tid, PRIMARY KEY (part, place)) "
                "ON COMMIT DROP".encode()
            )
        steps = list(_steps(chosen.kept_keys, by_identity, kept, chosen.roles))
        growing = True
        while growing:
            growing = sum([connection.execute(step).rowcount for step in steps]) > 0
        for table, number in kept.items():
            connection.execute(
                sql.SQL(
                    "DELETE FROM {} t WHERE NOT EXISTS "
                    "(SELECT FROM {} k WHERE k.part = t.tableoid AND k.place = t.ctid)"
                ).format(sql.SQL(table.identity), _kept(number))
            )
            left[table.collection] = _count(connection, table)
    for key in chosen.kept_keys:
        _check_key(connection, key)
    return left


def tables(connection: Connection, plan: Plan) -> list[str]:
    """Take out the tables that were left out, and say what went with them and isn't a part of them."""
    if not plan.chosen.left_out:
        return []
    before = _objects(connection)
    names = sql.SQL(", ").join(sql.SQL(name) for name in plan.chosen.left_out)
    connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(names))
    after = _objects(connection)
    gone = {oid for _, oid in before.keys() - after.keys()}
    return sorted(
        words for key, (part_of, words) in before.items() if key not in after and part_of not in gone
    )


def _identities(plan: Plan, tables: Sequence[Table]) -> list[str]:
    trimmed = set(plan.chosen.trimmed)
    return sorted(table.identity for table in tables if table.collection in trimmed)


def _check_there(connection: Connection, root: Table, plan: Plan) -> None:
    only = plan.chosen.only(root.collection)
    assert only is not None  # the root's rows are always chosen by its key
    values = only.of_type(root.collection, root.column(only.column).type).values
    query = sql.SQL("SELECT {}::text FROM {}").format(sql.Identifier(only.column), sql.SQL(root.identity))
    missing = sorted(set(values) - {row[0] for row in connection.execute(query).fetchall()})
    if missing:
        raise RefusedError(
            f"{root.collection} had no row with {only.column} {', '.join(missing)} at {plan.cut}.",
            next_step="name a row that was there then, or another moment",
        )


def _steps(
    keys: Iterable[Reference],
    tables: Mapping[str, Table],
    kept: Mapping[Table, int],
    roles: Mapping[str, object],
) -> Iterable[sql.Composed]:
    """Statements that keep more rows, to be run until none of them does: rows that refer to the owners', and
    rows that a kept one refers to.
    """
    for key in keys:
        table, referenced = tables.get(key.table), tables.get(key.referenced)
        if table is None or referenced is None:
            continue  # a partition's own key; what it would have kept is missed by `_check_key`
        same = sql.SQL(" AND ").join(
            sql.SQL("a.{} = b.{}").format(sql.Identifier(one), sql.Identifier(other))
            for one, other in zip(key.columns, key.referenced_columns, strict=True)
        )
        if roles[table.collection] is Role.REFERRING and roles[referenced.collection] is not Role.REFERRED:
            yield _keep(table, "a", (table, referenced), same, kept)
        if referenced in kept:
            yield _keep(referenced, "b", (table, referenced), same, kept)


def _keep(
    table: Table, alias: str, joined: tuple[Table, Table], same: sql.Composed, kept: Mapping[Table, int]
) -> sql.Composed:
    """Keep rows of one side of a key whose other side has a kept row, or any row where none go."""
    other = joined[1] if alias == "a" else joined[0]
    other_alias = "b" if alias == "a" else "a"
    is_kept = (
        sql.SQL("EXISTS (SELECT FROM {} k WHERE k.part = {}.tableoid AND k.place = {}.ctid)").format(
            _kept(kept[other]), sql.Identifier(other_alias), sql.Identifier(other_alias)
        )
        if other in kept
        else sql.SQL("true")
    )
    return sql.SQL(
        "INSERT INTO {into} SELECT DISTINCT {x}.tableoid, {x}.ctid FROM {a} a JOIN {b} b ON {same} "
        "WHERE {kept} ON CONFLICT DO NOTHING"
    ).format(
        into=_kept(kept[table]),
        x=sql.Identifier(alias),
        a=sql.SQL(joined[0].identity),
        b=sql.SQL(joined[1].identity),
        same=same,
        kept=is_kept,
    )


def _check_key(connection: Connection, key: Reference) -> None:
    """`RefusedError` when a row refers to one that isn't the owner's: both or neither would have to stay."""
    columns = [sql.Identifier(name) for name in key.columns]
    query = sql.SQL(
        "SELECT a::text FROM {} a WHERE {} AND NOT EXISTS (SELECT FROM {} b WHERE {}) LIMIT 1"
    ).format(
        sql.SQL(key.table),
        sql.SQL(" AND ").join(sql.SQL("a.{} IS NOT NULL").format(name) for name in columns),
        sql.SQL(key.referenced),
        sql.SQL(" AND ").join(
            sql.SQL("a.{} = b.{}").format(one, sql.Identifier(other))
            for one, other in zip(columns, key.referenced_columns, strict=True)
        ),
    )
    row = connection.execute(query).fetchone()
    if row is not None and not key.unproven:
        raise RefusedError(
            f"A row of {key.table} refers to a row of {key.referenced} that belongs to somebody else "
            f"({key.name}): {str(row[0])[:200]}.",
            next_step="name both owners, or restore the whole tables (--tables) and choose there by SQL",
        )


def _kept(number: int) -> sql.Composed:
    return sql.SQL("pg_temp.{}").format(sql.Identifier(f"kept_{number}"))


def _count(connection: Connection, table: Table) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.SQL(table.identity))).fetchone()
    return 0 if row is None else int(row[0])


def _objects(connection: Connection) -> _Objects:
    rows = connection.execute(_OBJECTS).fetchall()
    return {(int(kind), int(oid)): (int(part_of), str(words)) for kind, oid, part_of, words in rows}
