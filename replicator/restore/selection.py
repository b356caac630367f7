"""Which tables, and which of their rows, a restore is about. Pure: the schema of the cut in, a choice out.

What is left out is left out whole: its table isn't in the result, and neither is what can't be without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Any

from replicator.errors import ConfigError, RefusedError
from replicator.restore.fold.row_filter import RowFilter
from replicator.restore.schema import sql
from replicator.restore.schema.epochs import Definition
from replicator.restore.schema.references import Reference, between_roots, references, root_of


class Role(Enum):
    """Why a table is in the result, and which of its rows."""

    WHOLE = "all rows"
    ROOT = "the named rows"
    OWNED = "rows of the named ones, by column"
    REFERRING = "rows that refer to rows of the result"
    REFERRED = "rows that rows of the result refer to"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose rows: those of `root` with these keys, of the tables with `column` those that have one of them,
    and what hangs on them by foreign keys.
    """

    root: str
    column: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a person asked for; nothing at all means everything."""

    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    owner: Owner | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.tables and not self.schemas and self.owner is None


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What comes of a selection at one moment. `roles` has each table of the result by its collection; empty
    for everything. `left_out` are the other tables that were there, `cut_keys` the foreign keys that go with
    them.
    """

    roles: Mapping[str, Role] = field(default_factory=dict)
    filters: Mapping[str, RowFilter] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """As `quote_ident` writes them."""
    cut_keys: tuple[Reference, ...] = ()
    kept_keys: tuple[Reference, ...] = ()
    """Those between tables of the result."""
    owner: Owner | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.roles

    @property
    def trimmed(self) -> tuple[str, ...]:
        """Tables of which some rows go again after loading: only foreign keys tell which."""
        return tuple(name for name, role in self.roles.items() if role in (Role.REFERRING, Role.REFERRED))

    def has(self, collection: str) -> bool:
        """Whether the table is in the result."""
        return self.everything or collection in self.roles

    def only(self, collection: str) -> RowFilter | None:
        """The rows to take of a table; None for all."""
        return self.filters.get(collection)

    def definitions(self, logged: dict[str, Definition]) -> dict[str, Definition]:
        """The definitions of what is in the result, as they are without what was left out."""
        if self.everything:
            return logged
        gone = set(self.left_out)
        cut = {(key.table, key.name) for key in self.cut_keys}
        return {
            name: {
                **each,
                "constraints": [one for one in each["constraints"] if (name, one["name"]) not in cut],
            }
            for name, each in logged.items()
            if root_of(name, logged) not in gone
        }

    def is_cut(self, tables: Iterable[str]) -> bool:
        """Whether something that is about these tables, as `quote_ident` writes them, has to go with one."""
        return not set(self.left_out).isdisjoint(tables)

    def as_json(self) -> dict[str, Any] | None:
        """For scripts; None for everything."""
        if self.everything:
            return None
        return {
            "tables": {name: role.value for name, role in sorted(self.roles.items())},
            "left_out": list(self.left_out),
            "foreign_keys_left_out": [str(key) for key in self.cut_keys],
            "owner": None
            if self.owner is None
            else {
                "table": self.owner.root,
                "column": self.owner.column,
                "keys": list(self.owner.keys),
            },
        }


def choose(selection: Selection, logged: Mapping[str, Definition], captured: Sequence[str]) -> Chosen:
    """The tables of the cut that the selection means; `captured` are the collections whose rows are stored.

    `RefusedError` for a name that isn't there, a partition by itself, a table whose parent is left out, and
    for an owner's root without a key of one column.
    """
    if selection.everything:
        return Chosen()
    roots = {collection_of(name): name for name, each in logged.items() if each["partition_of"] is None}
    named = _named(selection, logged, roots, captured)
    keys = references(logged)
    roles: dict[str, Role] = dict.fromkeys(sorted(named), Role.WHOLE)
    filters: dict[str, RowFilter] = {}
    if selection.owner is not None:
        links = [
            (collection_of(root_of(key.table, logged)), collection_of(root_of(key.referenced, logged)))
            for key in keys
        ]
        roles, filters = _owned(selection.owner, logged, roots, named, links)
    for name in roles:
        _check_parents(name, logged[roots[name]], roles)
    left_out = tuple(sorted(name for each, name in roots.items() if each not in roles))
    gone = set(left_out)
    within = [key for key in keys if root_of(key.table, logged) not in gone]
    return Chosen(
        roles,
        filters,
        left_out,
        tuple(key for key in within if root_of(key.referenced, logged) in gone),
        tuple(between_roots((key for key in within if root_of(key.referenced, logged) not in gone), logged)),
        selection.owner,
    )


def collection_of(identity: str) -> str:
    """Debezium's `schema.table` from PostgreSQL's quoted name."""
    parts, quoted, current = [], False, ""
    for character in identity.replace('""', "\0"):
        if character == "\0":  # a doubled quote is one of the name; NUL can't be in it
            current += '"'
        elif character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    return ".".join([*parts, current])


def _named(
    selection: Selection,
    logged: Mapping[str, Definition],
    roots: Mapping[str, str],
    captured: Sequence[str],
) -> set[str]:
    if not selection.tables and not selection.schemas:
        return set(captured)
    found: set[str] = set()
    for wanted in selection.tables:
        same = [name for name in roots if wanted in (name, name.split(".", 1)[1])]
        if wanted in roots:
            same = [wanted]
        if len(same) > 1:
            raise ConfigError(f"--tables {wanted}: several schemas have one: {', '.join(sorted(same))}.")
        if not same:
            raise _unknown(wanted, logged, roots)
        if same[0] not in captured:
            raise RefusedError(
                f"The rows of {same[0]} aren't captured, so they are in no destination.",
                next_step="leave it out of --tables",
            )
        found.add(same[0])
    for schema in selection.schemas:
        within = {name for name in captured if name.split(".", 1)[0] == schema}
        if not within:
            known = sorted({name.split(".", 1)[0] for name in captured})
            raise RefusedError(
                f"The schema {schema!r} had no captured table at that moment; there are {', '.join(known)}.",
                next_step="correct --schemas, or name another moment",
            )
        found |= within
    return found


def _unknown(wanted: str, logged: Mapping[str, Definition], roots: Mapping[str, str]) -> RefusedError:
    for name in logged:
        if wanted in (collection_of(name), collection_of(name).split(".", 1)[1]):
            root = collection_of(root_of(name, logged))
            return RefusedError(
                f"{wanted} is a partition, whose rows are stored with those of {root}.",
                next_step=f"restore the whole of it: --tables {root}",
            )
    near = get_close_matches(wanted, [*roots, *(name.split(".", 1)[1] for name in roots)], 3)
    hint = f" Is it {' or '.join(near)}?" if near else ""
    return RefusedError(
        f"There was no table {wanted!r} at that moment.{hint}",
        next_step="`replicator restore --plan` without --tables lists them all",
    )


def _owned(
    owner: Owner,
    logged: Mapping[str, Definition],
    roots: Mapping[str, str],
    named: set[str],
    links: Sequence[tuple[str, str]],
) -> tuple[dict[str, Role], dict[str, RowFilter]]:
    """Roles by column, then by foreign keys: what refers to what is owned, and what that refers to."""
    if owner.root not in named:
        raise RefusedError(
            f"The rows are chosen by those of {owner.root} (restore.root_table), which "
            + ("isn't among the named tables." if owner.root in roots else "wasn't there at that moment."),
            next_step="name it too, or correct restore.root_table and restore.root_column",
        )
    primary = [each["definition"] for each in logged[roots[owner.root]]["constraints"] if each["type"] == "p"]
    key = sql.names_in_parentheses(primary[0]) or () if primary else ()
    if len(key) != 1:
        raise RefusedError(
            f"{owner.root} has no primary key of one column, by which its rows could be named.",
            next_step="name another table as restore.root_table",
        )
    roles = {owner.root: Role.ROOT}
    filters = {owner.root: RowFilter(key[0], owner.keys)}
    for name in named - {owner.root}:
        if owner.column in {each["name"] for each in logged[roots[name]]["columns"]}:
            roles[name] = Role.OWNED
            filters[name] = RowFilter(owner.column, owner.keys)
    for role, from_to in ((Role.REFERRING, links), (Role.REFERRED, [(to, by) for by, to in links])):
        while True:
            more = {name for name, other in from_to if other in roles and name in named and name not in roles}
            if not more:
                break
            roles |= dict.fromkeys(sorted(more), role)
    return roles, filters


def _check_parents(name: str, definition: Definition, roles: Mapping[str, Role]) -> None:
    for parent in definition.get("inherits") or ():
        if collection_of(parent) not in roles:
            raise RefusedError(
                f"{name} inherits from {collection_of(parent)}, without which it can't be made.",
                next_step=f"name both: --tables {name},{collection_of(parent)}",
            )
