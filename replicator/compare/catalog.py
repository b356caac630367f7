"""What a database consists of besides rows, as text that is equal exactly when the definitions are.

Every query reads the catalogue through the transaction's own snapshot. Object names carry their schema, for
the session's search_path is pg_catalog.
"""

from __future__ import annotations

from typing import LiteralString

import psycopg

_SCHEMAS: LiteralString = (
    "n.nspname NOT IN ('information_schema', 'replicator', 'replicator_restore') AND n.nspname !~ '^pg_'"
)
_NOT_OF_AN_EXTENSION: LiteralString = (
    "NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = {}.oid "
    "AND e.classid = '{}'::regclass AND e.deptype = 'e')"
)

TABLES_TO_LOCK: LiteralString = (
    f"SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND {_SCHEMAS} ORDER BY c.oid"
)
TABLES_CHANGED_SINCE_SNAPSHOT: LiteralString = (
    # pg_relation_filenode and to_regclass look at the present, the columns of pg_class at the snapshot.
    f"SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND {_SCHEMAS} "
    f"AND (pg_relation_filenode(c.oid) IS DISTINCT FROM nullif(c.relfilenode, 0) "
    f"OR to_regclass(quote_ident(n.nspname) || '.' || quote_ident(c.relname)) IS DISTINCT FROM c.oid)"
)
TABLES: LiteralString = (
    f"SELECT n.nspname, c.relname, c.relpersistence = 'p', "
    f"(SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a "
    f" WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), "
    f"(SELECT array_agg(a.attname::text ORDER BY k.position) FROM pg_index i, "
    f" unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, position), pg_attribute a "
    f" WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.attnum), "
    f"pg_table_size(c.oid) "
    f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_SCHEMAS} AND "
    + _NOT_OF_AN_EXTENSION.format("c", "pg_class")
    + " ORDER BY 1, 2"
)
SEQUENCES: LiteralString = (
    f"SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), "
    f"s.seqincrement, s.seqmin, s.seqmax, t.nspname, t.relname, t.attname "
    f"FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"LEFT JOIN LATERAL (SELECT tn.nspname, tc.relname, a.attname FROM pg_depend d "
    f" JOIN pg_class tc ON tc.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = tc.relnamespace "
    f" JOIN pg_attribute a ON a.attrelid = tc.oid AND a.attnum = d.refobjsubid "
    f" JOIN pg_type y ON y.oid = a.atttypid AND coalesce(nullif(y.typbasetype, 0), y.oid) "
    f"  = ANY ('{{int2,int4,int8,numeric}}'::regtype[]) "
    f" WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass "
    f" AND d.deptype IN ('a', 'i') LIMIT 1) t ON true "
    f"WHERE c.relpersistence = 'p' AND {_SCHEMAS} ORDER BY 1, 2"
)

_COLUMNS: LiteralString = (
    f"SELECT n.nspname || '.' || c.relname || '.' || a.attname, "
    f"concat_ws(' ', 'number', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), "
    f"format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END, "
    f"CASE WHEN co.collname <> 'default' THEN 'collate ' || co.collname END, "
    f"CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END, "
    f"CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END, "
    f"pg_get_expr(d.adbin, d.adrelid)) "
    f"FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    f"JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
    f"LEFT JOIN pg_collation co ON co.oid = a.attcollation "
    f"WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't' AND a.attnum > 0 "
    f"AND NOT a.attisdropped AND {_SCHEMAS} AND " + _NOT_OF_AN_EXTENSION.format("c", "pg_class")
)
_TABLES: LiteralString = (
    f"SELECT n.nspname || '.' || c.relname, concat_ws(' ', c.relkind::text, c.relpersistence::text, "
    f"CASE WHEN c.relkind = 'p' THEN 'partition by ' || pg_get_partkeydef(c.oid) END, "
    f"CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END, "
    f"'inherits ' || (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) "
    f" FROM pg_inherits i WHERE i.inhrelid = c.oid), "
    f"CASE WHEN c.relrowsecurity THEN 'row security' END, array_to_string(c.reloptions, ',')) "
    f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {_SCHEMAS} AND "
    + _NOT_OF_AN_EXTENSION.format("c", "pg_class")
)
_CONSTRAINTS: LiteralString = (
    # NOT NULL as a constraint is new in PostgreSQL 18; the column's own line says it on every version.
    f"SELECT coalesce(nullif(k.conrelid, 0)::regclass::text, nullif(k.contypid, 0)::regtype::text, '') "
    f"|| ' ' || k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
    f"JOIN pg_namespace n ON n.oid = k.connamespace "
    f"WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND {_SCHEMAS} AND "
    + _NOT_OF_AN_EXTENSION.format("k", "pg_constraint")
)
_INDEXES: LiteralString = (
    f"SELECT n.nspname || '.' || c.relname, pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE "
    f"' (invalid)' END FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relpersistence <> 't' AND {_SCHEMAS} AND "
    + _NOT_OF_AN_EXTENSION.format("c", "pg_class")
)
_VIEWS: LiteralString = (
    f"SELECT n.nspname || '.' || c.relname, pg_get_viewdef(c.oid) FROM pg_class c "
    f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {_SCHEMAS} AND "
    + _NOT_OF_AN_EXTENSION.format("c", "pg_class")
)
_FUNCTIONS: LiteralString = (
    f"SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p "
    f"JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND {_SCHEMAS} AND "
    + _NOT_OF_AN_EXTENSION.format("p", "pg_proc")
)
_TRIGGERS: LiteralString = (
    f"SELECT t.tgrelid::regclass::text || ' ' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || "
    f"t.tgenabled::text "
    f"FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE NOT t.tgisinternal AND {_SCHEMAS} "
    # What the replicator hung on a partition is bookkeeping of the source.
    f"AND t.tgfoid NOT IN (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = to_regnamespace('replicator'))"
)
_TYPES: LiteralString = (
    f"SELECT n.nspname || '.' || t.typname, CASE t.typtype WHEN 'e' THEN "
    f"(SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e "
    f" WHERE e.enumtypid = t.oid) WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), "
    f"CASE WHEN t.typnotnull THEN 'not null' END, t.typdefault) ELSE t.typtype::text END "
    f"FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') "
    f"AND {_SCHEMAS} AND " + _NOT_OF_AN_EXTENSION.format("t", "pg_type")
)
_SEQUENCES: LiteralString = (
    f"SELECT n.nspname || '.' || c.relname, "
    f"concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, "
    f"'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle) "
    f"FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relpersistence <> 't' AND {_SCHEMAS}"
)
_EXTENSIONS: LiteralString = "SELECT extname::text, extversion FROM pg_extension"
_COMMENTS: LiteralString = (
    f"SELECT c.oid::regclass::text || coalesce('.' || a.attname, ''), d.description FROM pg_description d "
    f"JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0 "
    f"WHERE d.classoid = 'pg_class'::regclass AND {_SCHEMAS}"
)

KINDS: dict[str, LiteralString] = {
    "extension": _EXTENSIONS,
    "type": _TYPES,
    "function": _FUNCTIONS,
    "table": _TABLES,
    "column": _COLUMNS,
    "constraint": _CONSTRAINTS,
    "index": _INDEXES,
    "view": _VIEWS,
    "trigger": _TRIGGERS,
    "sequence": _SEQUENCES,
    "comment": _COMMENTS,
}
"""Each kind of object with the query that gives its names and definitions.

Left out: owners and grants (roles belong to the server, not to the database) and REPLICA IDENTITY (ours).
"""


def definitions(connection: psycopg.Connection) -> dict[str, str]:
    """`"column public.guests.email"` → its definition, for everything of KINDS that this transaction sees."""
    found: dict[str, str] = {}
    for kind, query in KINDS.items():
        for name, definition in connection.execute(query):
            found[f"{kind} {name}"] = definition or ""
    return found
