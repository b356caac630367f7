"""What a random history knows of the database that it is about: tables, columns, free names."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

TYPES = {
    "int": ("{n}", "bigint", "text", "numeric(12, 2)"),
    "bigint": ("({n})::bigint * 1000000007", "numeric", "text"),
    "text": ("'t' || {n}", "varchar(80)"),
    "varchar(20)": ("'v' || {n}", "text", "varchar(60)"),
    "numeric(10, 2)": ("{n} / 7.0", "numeric(14, 4)", "float8", "text"),
    "numeric": ("{n} / 9.0", "text"),
    "float8": ("{n} / 3.0", "numeric", "text"),
    "bool": ("{n} % 2 = 0", "text"),
    "date": ("date '2026-01-01' + ({n})::int % 400", "timestamp", "text"),
    "timestamp": ("timestamp '2026-01-01' + ({n})::int % 900 * interval '1.5 s'", "timestamptz", "date"),
    "timestamptz": ("timestamptz '2026-01-01Z' + ({n})::int % 900 * interval '1.5 s'", "timestamp"),
    "uuid": ("md5(({n})::text)::uuid", "text"),
    "jsonb": ("jsonb_build_object('n', {n})", "text"),
    "bytea": ("decode(md5(({n})::text), 'hex')", "text"),
    "interval": ("({n})::int * interval '7 min'", "text"),
    "int[]": ("ARRAY[({n})::int, NULL, 3]", "bigint[]"),
    "int4range": ("int4range(({n})::int, ({n})::int + 5)", "text"),
    "mood": ("(ARRAY['sad', 'ok']::mood[])[1 + ({n})::int % 2]", "text"),
    "positive": ("abs(({n})::int)", "int"),
}
"""By type: a value made of a number, and the types that it may be changed to."""

DEFAULTS = {
    "int": ("5", "(random() * 100)::int", "nextval('tickets')"),
    "text": ("'new'", "md5(random()::text)", "current_user"),
    "timestamptz": ("now()", "clock_timestamp()"),
    "uuid": ("gen_random_uuid()",),
    "numeric(10, 2)": ("1.50", "'NaN'"),
    "bool": ("true",),
    "mood": ("'ok'",),
    "int[]": ("'{1,2}'",),
}

BEGINNING = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE DOMAIN positive AS int CHECK (VALUE >= 0)",
    "CREATE SEQUENCE tickets",
    "CREATE SCHEMA aside",
    "CREATE TABLE audit (at timestamptz DEFAULT clock_timestamp(), what text)",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO public.audit (what) VALUES (TG_OP || ' ' || TG_TABLE_NAME); RETURN NULL; END $$",
)
"""What tables stand on."""


@dataclass
class Table:
    """A table as the history believes it to be. Keys of a partitioned one lie further apart."""

    name: str
    columns: dict[str, str]
    key: str | None
    rows: int = 0
    partitions: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    """Its partitions that were detached."""

    @property
    def step(self) -> int:
        """Between two keys."""
        return 300 if self.partitions else 1


@dataclass
class Book:
    """All tables, and the names that somebody had once."""

    random: Random
    tables: list[Table] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    """What expressions name, by kind: FUNCTION, SEQUENCE, TYPE, COLLATION."""
    number: int = 0

    def name(self, kind: str) -> str:
        """A new name, or one that was free again."""
        if self.spare and self.random.random() < 0.5:
            return self.spare.pop(self.random.randrange(len(self.spare)))
        self.number += 1
        return self.random.choice((f"{kind}{self.number}", f'"{kind} Nr {self.number}"'))

    def pick(self) -> Table:
        """One of the tables; there is always one."""
        return self.random.choice(self.tables)

    def plain(self, table: Table) -> str | None:
        """One of its columns that isn't the key."""
        others = [name for name in table.columns if name != "id"]
        return self.random.choice(others) if others else None

    def value(self, kind: str, number: str | int) -> str:
        """A value of the type, as SQL."""
        return TYPES[kind][0].format(n=number)

    def some(self, table: Table) -> str:
        """A condition that a few of its rows meet."""
        low = self.random.randint(0, max(table.rows, 1)) * table.step
        return f"WHERE id BETWEEN {low} AND {low + 4 * table.step}"
