"""What would act on rows while they are loaded into a schema that is whole already, taken away meanwhile.

Rows may be there that a constraint which was never validated wouldn't let in, and a trigger that fires in
every session would fire for each row. Both are found in the catalogue, under the names that they have by now;
the statement that made them may name what has another name since.
"""

from __future__ import annotations

from replicator.restore.target.database import Connection

_OF_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'replicator_restore')"
_CONSTRAINTS = f"""
SELECT coalesce('DOMAIN ' || nullif(k.contypid, 0)::regtype, 'TABLE ' || k.conrelid::regclass),
    quote_ident(k.conname), pg_get_constraintdef(k.oid),
    quote_nullable(obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
WHERE k.contype = 'c' AND NOT k.convalidated AND k.coninhcount = 0 AND {_OF_SCHEMAS}
ORDER BY k.oid
"""
_TRIGGERS = f"""
SELECT t.tgrelid::regclass::text, quote_ident(t.tgname), t.tgenabled = 'A'
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND {_OF_SCHEMAS}
ORDER BY t.oid
"""


def take_away(connection: Connection) -> list[str]:
    """Take it away, of tables without rows; returns the statements that bring it back."""
    back = []
    for of, name, definition, comment in connection.execute(_CONSTRAINTS.encode()).fetchall():
        connection.execute(f"ALTER {of} DROP CONSTRAINT {name}".encode())
        back.append(f"ALTER {of} ADD CONSTRAINT {name} {definition}")
        if comment != "NULL":
            what = of.removeprefix("TABLE ")
            back.append(f"COMMENT ON CONSTRAINT {name} ON {what} IS {comment}")
    for table, name, always in connection.execute(_TRIGGERS.encode()).fetchall():
        connection.execute(f"ALTER TABLE ONLY {table} DISABLE TRIGGER {name}".encode())
        how = "ALWAYS" if always else "REPLICA"
        back.append(f"ALTER TABLE ONLY {table} ENABLE {how} TRIGGER {name}")
    return back
