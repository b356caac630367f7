"""One table as the DDL log tells of it, from when the log first knew it."""

from __future__ import annotations

from typing import Any

from replicator.debezium import names
from replicator.restore.schema import sql
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.epochs import START, Definition, Epoch, Lost


class LoggedTable:
    """Its definitions and where each began, up to the newest that the log has."""

    def __init__(self, after: int, definition: Definition) -> None:
        self.definition = definition
        self.states: list[tuple[int, Definition]] = [(after, definition)]
        self.keys = {_key(definition)}
        self._nullable = [(after, _nullable(definition))]
        self.constants: dict[int, str | None] = {}
        self.dropped = False
        self.lost: list[Lost] = []
        self._reread: tuple[int, int | None] = (START, None)

    def learn(self, lsn: int, definition: Definition) -> None:
        """It is like this from here on."""
        known = {column["attnum"] for column in self.definition["columns"]}
        for column in definition["columns"]:
            if column["attnum"] not in known and column["attnum"] not in self.constants:
                self.constants[column["attnum"]] = column.get("missing")
        if shape(definition) != shape(self.definition):
            self.states.append((lsn, definition))
        self.keys.add(_key(definition))
        if _nullable(definition) != self._nullable[-1][1]:
            self._nullable.append((lsn, _nullable(definition)))
        self.definition = definition

    def reread(self, row: DdlRow, what: str) -> None:
        """All its rows are sent again: what was before `begin` doesn't count any more once there is `end`."""
        if what == "begin":
            self._reread = (row.lsn, None)
        elif self._reread[1] is None:
            self._reread = (self._reread[0], row.lsn)
            self.states = [(self._reread[0], self.definition)]
            self.keys = {_key(self.definition)}
            self.constants = {}
            self.lost = []

    def excuse(self, row: DdlRow) -> None:
        """A partition came or went with the row's statement, and had no rows."""
        self.lost = [
            each
            for each in self.lost
            if (each.partition, each.row.commit, each.row.statement) != (row.oid, row.commit, row.statement)
        ]

    def epochs(self) -> tuple[Epoch, ...]:
        """Where its rows are, in order."""
        ends = [lsn for lsn, _ in self.states[1:]]
        return tuple(
            self._epoch(lsn, until, state)
            for (lsn, state), until in zip(self.states, [*ends, None], strict=True)
            if until is None or lsn < until
        )

    def _epoch(self, after: int, until: int | None, state: Definition) -> Epoch:
        then = {column["attnum"]: column for column in state["columns"]}
        both = [(now, then[now["attnum"]]) for now in self.definition["columns"] if now["attnum"] in then]
        return Epoch(
            names.collection(state["table"]),
            after,
            until,
            {now["name"]: names.field(old["name"]) for now, old in both},
            {now["name"]: old["type"] for now, old in both if "type" in now and not _is_same_form(old, now)},
            self._reread[1] if after == self._reread[0] else None,
            tuple((lsn, self._called(numbers)) for lsn, numbers in self._nullable),
        )

    def _called(self, numbers: frozenset[int]) -> frozenset[str]:
        return frozenset(each["name"] for each in self.definition["columns"] if each["attnum"] in numbers)

    def key(self) -> tuple[str, ...]:
        """Its primary key, if that never was another one: under another, or none, two rows might have shared
        a message key.
        """
        if len(self.keys) != 1:
            return ()
        called = {column["attnum"]: column["name"] for column in self.definition["columns"]}
        return tuple(called[number] for number in next(iter(self.keys)) if number in called)

    def added(self) -> dict[str, str | None]:
        """By column that is younger than some rows: what those have in it."""
        return {
            column["name"]: self.constants[column["attnum"]]
            for column in self.definition["columns"]
            if column["attnum"] in self.constants
        }


def shape(definition: Definition) -> tuple[Any, ...]:
    """What records depend on."""
    return (
        definition["table"],
        definition.get("partition_of") is None,
        tuple((c["attnum"], c["name"], c.get("type"), c.get("generated")) for c in definition["columns"]),
    )


def _key(definition: Definition) -> tuple[int, ...]:
    """The numbers of the columns that tell rows apart at any moment.

    Not those of a deferrable key: while a transaction runs, two rows may have the same one, and of the events
    "the new row came, the old one left" the newest says nothing about the row that is there.
    """
    numbers = {column["name"]: column["attnum"] for column in definition["columns"]}
    for constraint in definition.get("constraints", ()):
        if constraint["type"] == "p":
            if "DEFERRABLE" in constraint["definition"].rpartition(")")[2]:
                return ()
            key = sql.names_in_parentheses(constraint["definition"]) or ()
            return tuple(numbers[name] for name in key if name in numbers)
    return ()


def _nullable(definition: Definition) -> frozenset[int]:
    """The columns that may be NULL, as far as that is known: a domain may refuse it by itself."""
    return frozenset(
        column["attnum"]
        for column in definition["columns"]
        if not column.get("not_null") and column.get("type_oid", _FIRST_OF_USERS) < _FIRST_OF_USERS
    )


def _is_same_form(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether Debezium writes values of both columns alike; a type may have been renamed."""
    if old.get("type_oid") is not None and old["type_oid"] == new.get("type_oid"):
        return True
    one, other = (
        _FORMS.get(form, form) for form in (sql.without_modifier(each["type"]) for each in (old, new))
    )
    return one == other


_FORMS = {"character varying": "text"}
_FIRST_OF_USERS = 16384
"""Oids from here on aren't PostgreSQL's own (`FirstNormalObjectId` in access/transam.h)."""
