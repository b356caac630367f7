"""What a DDL statement does to rows that were captured before it, and whether it can be run again on a
rebuilt schema.

Deny by default: a statement that isn't known here is refused by name, never guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from replicator.restore.schema import sql


@dataclass(frozen=True, slots=True)
class DdlRow:
    """One row of `replicator.ddl_log`, and the number of the commit that wrote it (0: it was there before the
    stream).
    """

    id: int
    commit: int
    kind: str
    statement: int
    tag: str | None
    object_type: str | None
    schema_name: str | None
    object_identity: str | None
    query: str | None
    search_path: str | None
    definition: dict[str, Any] | None
    dump: str | None
    oid: int | None = None
    lsn: int = 0
    """Where the row stands in the WAL: behind all that its command wrote, before all that came after it."""

    def __str__(self) -> str:
        text = " ".join((self.query or "").split())
        return (
            f"{self.tag or self.kind} on {self.object_identity}: {text[:200]}{'…' if len(text) > 200 else ''}"
        )


_SHARED = frozenset(("role", "user", "group", "database", "tablespace"))
_DDL = frozenset(
    ["create", "alter", "drop", "comment", "grant", "revoke", "security", "import", "reindex", "refresh"]
)
_ALTER_TABLE = re.compile(r"alter table (if exists )?(only )?[\w.$]+( ?\*)? ")
_ACCESS_METHOD = 8
"""Why a table is rewritten is a sum of bits.
https://www.postgresql.org/docs/current/functions-event-triggers.html
"""
_NAME = r"(column )?(if (not )?exists )?[\w$]+ "
_ADD_COLUMN = re.compile(r"add (?!(constraint|check|unique|primary|foreign|exclude)\b)" + _NAME)
_CHANGED_TYPE = re.compile(r"\b(rename value|(add|drop|alter) attribute)\b")
_SELECT_INTO = re.compile(r"(select|with)\b(?!.*\b(insert|merge) into\b).*\binto\b")
_MATERIALIZED = re.compile(r"create materialized view\b")
_DATA_CLAUSE = re.compile(r"\bwith\s+(no\s+)?data\s*$", re.IGNORECASE)
_LATE = re.compile(r"create event trigger\b|refresh\b")
_SAFE_ALTER = frozenset(
    [
        *("TABLE", "INDEX", "SEQUENCE", "VIEW", "MATERIALIZED", "FUNCTION", "PROCEDURE", "ROUTINE"),
        *("AGGREGATE", "TRIGGER", "RULE", "POLICY", "EXTENSION", "COLLATION", "OPERATOR", "STATISTICS"),
        *("TEXT", "DOMAIN", "DEFAULT", "EVENT", "CONVERSION", "LANGUAGE", "PUBLICATION", "SUBSCRIPTION"),
        *("CAST", "ACCESS", "LARGE", "FOREIGN", "SERVER", "TRANSFORM"),
    ]
)
_SAFE = frozenset(
    ["CREATE", "DROP", "COMMENT", "GRANT", "REVOKE", "SECURITY", "IMPORT", "REINDEX", "REFRESH", "SELECT"]
)


def keeps_rows(tag: str, statement: str | None) -> bool:
    """Whether a command leaves the rows of all tables what the log says of them: their names, their columns,
    and the rewrites that are logged apart.

    `statement` is its text, None where a function or a block hides it. What isn't known here changes rows.
    """
    first, second, *_ = [*tag.split(), "", ""]
    if first in _SAFE:
        return True
    if first != "ALTER":
        return False
    if second in _SAFE_ALTER:
        return True
    text = None if statement is None else sql.plain(statement)
    if second == "TYPE":
        # The labels of an enum and the parts of a composite are in the rows themselves.
        return text is not None and not _CHANGED_TYPE.search(text)
    return text is not None and second == "SCHEMA" and " owner to " in text


def keeps_values(row: DdlRow) -> bool:
    """Whether a logged rewrite of a table changed no captured value."""
    reason = (row.definition or {}).get("reason")
    if reason is not None and reason & ~_ACCESS_METHOD == 0:
        return True
    altering = [
        each for each in sql.statements(row.query or "") if sql.plain(each).startswith("alter table ")
    ]
    return bool(altering) and all(map(adds_only_generated_columns, altering))


def is_late(statement: str) -> bool:
    """Whether it may only run after the rows are loaded: it would act on them, or check old ones anew."""
    return bool(_LATE.match(sql.plain(statement)))


def adds_only_generated_columns(statement: str) -> bool:
    """Whether all it does is ADD COLUMN … GENERATED ALWAYS AS (…) STORED: a rewrite that changes no captured
    value.
    """
    text = sql.plain(statement)
    if not _ALTER_TABLE.match(text):
        return False
    actions = sql.split_list(_ALTER_TABLE.sub("", text, count=1))
    return all(_ADD_COLUMN.match(action) and " generated always as (" in action for action in actions)


def without_data(statement: str) -> str:
    """The statement as it may run before there are rows: a materialized view is filled at the end."""
    if not _MATERIALIZED.match(sql.plain(statement)):
        return statement
    return _DATA_CLAUSE.sub("", statement).rstrip() + " WITH NO DATA"


def is_ddl(statement: str) -> bool:
    """Whether an event trigger would have seen it: no data, no session settings, no shared objects."""
    text = sql.plain(statement)
    first, *rest = [*text.split(" "), ""]
    if first in ("select", "with"):
        return bool(_SELECT_INTO.match(text))
    return first in _DDL and not (first in ("create", "alter", "drop") and rest[0] in _SHARED)


def split(query: str, recorded: int) -> list[str] | None:
    """The DDL statements in a logged text, of which `recorded` were logged; None when they can't be told
    apart.

    A function or a DO block runs DDL that its text only hides, and what a savepoint took back isn't logged.
    """
    all_of_it = sql.statements(query)
    if any(sql.plain(statement).split(" ")[0] in ("rollback", "abort") for statement in all_of_it):
        return None
    found = [statement for statement in all_of_it if is_ddl(statement)]
    return found if len(found) == recorded else None


def made_by(tag: str, statement: str) -> bool:
    """Whether the statement may be the one that the tag was logged of."""
    first = sql.plain(statement).split(" ")[0]
    return first in ("with", "select", "import") or tag.split(" ")[0].lower() == first


def drops_by_owner(statement: str) -> bool:
    """Whether what it drops depends on whose it is: a schema that is built again is all one user's."""
    return sql.plain(statement).startswith("drop owned ")
