"""Every row's key and digest in a file, so that what differs later can be named by its key.

To name a row, `rowdiff` reads both databases, and the source's has to be held at its point meanwhile. A file
needs the point only for as long as one scan takes.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from replicator.compare.digest import Table
from replicator.compare.rowdiff import RowDifference

_PART = 64 * 2**20
"""So many bytes of a file are compared at a time, in memory."""
_KEYLESS_SHOWN = 200


def write(connection: psycopg.Connection, table: Table, path: Path) -> int:
    """Write the table's keys and row digests as this transaction sees them; returns the file's bytes.

    A line is PostgreSQL's own COPY text: the key (of a table without one the row's beginning), a tab, half of
    the row's md5.
    """
    row = table.row_text()
    key = table.key_text() if table.key else sql.SQL("left({}, {})").format(row, sql.Literal(_KEYLESS_SHOWN))
    query = sql.SQL("COPY (SELECT {}, left(md5({}), 16) FROM {}) TO STDOUT").format(key, row, table.source())
    size = 0
    with path.open("wb") as file, connection.cursor().copy(query) as copy:
        for block in copy:
            size += file.write(block)
    return size


def differences(table: Table, source: Path, target: Path, limit: int = 20) -> list[RowDifference]:
    """The rows that two such files don't agree on, `limit` at most; keys and kinds, without values."""
    parts = max(1, (source.stat().st_size + target.stat().st_size) // _PART)
    found: list[RowDifference] = []
    for part in range(parts):
        # The same key is in the same part of both files, whatever its row has become.
        balance: Counter[bytes] = Counter(_lines(source, part, parts))
        balance.subtract(_lines(target, part, parts))
        found += _named(table, {line: count for line, count in balance.items() if count})
        if len(found) >= limit:
            break
    return sorted(found, key=lambda each: each.key)[:limit]


def _lines(path: Path, part: int, parts: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if parts == 1 or zlib.crc32(line[: line.rindex(b"\t")]) % parts == part:
                yield line


def _named(table: Table, balance: dict[bytes, int]) -> list[RowDifference]:
    by_key: dict[bytes, list[int]] = {}
    for line, count in balance.items():
        by_key.setdefault(line[: line.rindex(b"\t")], []).append(count)
    found = []
    for key, counts in by_key.items():
        text = _text(key)
        fewer, more = sum(each for each in counts if each > 0), -sum(each for each in counts if each < 0)
        if fewer and more and table.key:
            found.append(RowDifference(table.full_name, "changed", text, {}))
            continue
        if fewer:
            found.append(RowDifference(table.full_name, "missing", text, {}, fewer))
        if more:
            found.append(RowDifference(table.full_name, "unexpected", text, {}, more))
    return found


def _text(field: bytes) -> str:
    """A field of COPY's text without its escapes. https://www.postgresql.org/docs/current/sql-copy.html"""
    parts = field.split(rb"\\")
    for escaped, plain in ((rb"\t", b"\t"), (rb"\n", b"\n"), (rb"\r", b"\r")):
        parts = [part.replace(escaped, plain) for part in parts]
    return b"\\".join(parts).decode(errors="replace")
