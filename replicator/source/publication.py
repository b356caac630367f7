"""The publication: whole schemas, so that a table made tomorrow is captured from its first row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from replicator.source.database import Connection


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication as the catalogues have it."""

    schemas: frozenset[str]
    via_root: bool
    operations: frozenset[str]
    """Of insert, update, delete, truncate."""


ALL_OPERATIONS = frozenset({"insert", "update", "delete", "truncate"})


def read(connection: Connection, name: str) -> Publication | None:
    """The publication of that name; None when there is none."""
    row = connection.execute(
        """
        SELECT p.pubviaroot, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
            ARRAY(SELECT n.nspname::text
                  FROM pg_publication_namespace m JOIN pg_namespace n ON n.oid = m.pnnspid
                  WHERE m.pnpubid = p.oid)
        FROM pg_publication p WHERE p.pubname = %s
        """,
        (name,),
    ).fetchone()
    if row is None:
        return None
    names = ("insert", "update", "delete", "truncate")
    return Publication(
        schemas=frozenset(row[5]),
        via_root=bool(row[0]),
        operations=frozenset(name for name, on in zip(names, row[1:5], strict=True) if on),
    )


def ensure(connection: Connection, name: str, schemas: Sequence[str]) -> bool:
    """Make the publication cover `schemas` and ours; True when something had to be changed."""
    wanted = Publication(frozenset([*schemas, "replicator"]), via_root=True, operations=ALL_OPERATIONS)
    found = read(connection, name)
    if found == wanted:
        return False
    connection.execute(
        "SELECT replicator.keep_publication(%s::name, %s::text[])", (name, sorted(wanted.schemas))
    )
    return True


def drop(connection: Connection, name: str) -> None:
    """Remove the publication if it is there."""
    connection.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(name)))
