"""How Debezium spells the names of tables and columns in topics and in Avro."""

from __future__ import annotations

import re

_NOT_IN_TOPIC = re.compile(r"[^A-Za-z0-9._-]")
_NOT_IN_AVRO = re.compile(r"[^A-Za-z0-9_]")


def topic(installation: str, schema: str, table: str) -> str:
    """The topic of a table; characters that Kafka doesn't allow become `_`, so two tables may share one."""
    return _NOT_IN_TOPIC.sub(_underscores, f"{installation}.{schema}.{table}")


def field(column: str) -> str:
    """The Avro field of a column (`field.name.adjustment.mode=avro`); two columns may share one."""
    name = _NOT_IN_AVRO.sub(_underscores, column)
    return f"_{name}" if name[:1].isdigit() else name


def _underscores(match: re.Match[str]) -> str:
    # Java's characters are UTF-16's: what lies beyond the first plane (emoji) is two of them.
    return "_" * (len(match[0].encode("utf-16-le")) // 2)


def parts(identity: str) -> list[str]:
    """The names of an identity as PostgreSQL writes it (`public."odd.name".x`), each still quoted."""
    found, quoted = [""], False
    for character in identity:
        quoted ^= character == '"'
        if character == "." and not quoted:
            found.append("")
        else:
            found[-1] += character
    return found


def unquoted(name: str) -> str:
    """A name without PostgreSQL's quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def collection(identity: str) -> str:
    """Debezium's `schema.table` from PostgreSQL's quoted name."""
    return ".".join(map(unquoted, parts(identity)))
