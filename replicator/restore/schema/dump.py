"""A plain `pg_dump --schema-only` taken apart: what comes before the rows, what after, and what can run side
by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from replicator.restore.schema import sql

_HEADER = re.compile(
    r"^--\n-- Name: (?P<name>.*); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>.*); Owner: .*\n--\n",
    re.MULTILINE,
)
_SERVER = re.compile(r"^-- Dumped from database version (?P<major>\d+)", re.MULTILINE)
_META_COMMAND = re.compile(r"^\\(un)?restrict\b.*$", re.MULTILINE)
_AFTER_ROWS = frozenset(
    (
        *(
            "INDEX",
            "INDEX ATTACH",
            "CONSTRAINT",
            "CHECK CONSTRAINT",
            "FK CONSTRAINT",
            "STATISTICS",
            "TRIGGER",
            "RULE",
        ),
        *(
            "EVENT TRIGGER",
            "POLICY",
            "ROW SECURITY",
            "PUBLICATION",
            "PUBLICATION TABLE",
            "PUBLICATION TABLES IN SCHEMA",
        ),
    )
)
_OWNER = re.compile(r"\bOWNER TO (?P<role>\"(?:[^\"]|\"\")+\"|[\w$]+)$")
_GRANTEE = re.compile(r"\b(?:TO|FROM|FOR ROLE) (?P<role>\"(?:[^\"]|\"\")+\"|[\w$]+)")
_ON_TABLE = re.compile(
    r"^(?:ALTER TABLE (?:ONLY )?|CREATE (?:UNIQUE )?INDEX \S+ ON (?:ONLY )?)"
    r"(?P<table>(?:\"(?:[^\"]|\"\")+\"|[\w$]+)\.(?:\"(?:[^\"]|\"\")+\"|[\w$]+))"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the dump: pg_dump's own type and name for it, and its statements in order."""

    type: str
    name: str
    statements: tuple[str, ...]

    @property
    def table(self) -> str | None:
        """For an index or a constraint: the table it is on, as pg_dump writes it."""
        match = _ON_TABLE.match(self.statements[0]) if self.statements else None
        return match["table"] if match else None


@dataclass(frozen=True, slots=True)
class Dump:
    """`settings` are the dump's own SETs, for every connection that runs a part of it. `major` is the
    version of the server that was dumped; None where the dump doesn't say.
    """

    settings: tuple[str, ...]
    before_rows: tuple[Entry, ...]
    after_rows: tuple[Entry, ...]
    major: int | None = None

    def entries(self) -> Iterator[Entry]:
        """All entries in the dump's order."""
        yield from self.before_rows
        yield from self.after_rows


@lru_cache(maxsize=4)
def parse(text: str) -> Dump:
    """The parts of a plain dump; what rows don't need stands behind everything that they do need."""
    text = _META_COMMAND.sub("", text)
    matches = list(_HEADER.finditer(text))
    ends = [match.start() for match in matches[1:]] + [len(text)]
    settings = sql.statements(text[: matches[0].start()] if matches else text)
    entries = [
        Entry(match["type"], match["name"], tuple(sql.statements(text[match.end() : end])))
        for match, end in zip(matches, ends, strict=True)
    ]
    border = next((i for i, entry in enumerate(entries) if entry.type in _AFTER_ROWS), len(entries))
    server = _SERVER.search(text, 0, matches[0].start() if matches else len(text))
    return Dump(
        tuple(settings),
        tuple(entries[:border]),
        tuple(entries[border:]),
        int(server["major"]) if server else None,
    )


def roles(statement: str) -> set[str]:
    """The roles that an ownership or a privilege names; a statement about one that isn't there can't run."""
    if _OWNER.search(statement):
        found = [str(_OWNER.search(statement)["role"])]  # type: ignore[index]
    elif re.match(r"(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b", statement):
        found = [match["role"] for match in _GRANTEE.finditer(statement)]
    else:
        return set()
    names = {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in found}
    return names - {"PUBLIC", "CURRENT_USER", "SESSION_USER"}
