"""Which types the captured tables use, and the values that try each of them. Pure but for one query.

The values are those of which some are known to arrive changed through some connector or converter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg.rows import dict_row

from replicator.config import Config
from replicator.debezium.pgtypes import COLUMN_TYPES, PgType, from_row
from replicator.source.captured import TableName, is_excluded
from replicator.source.database import Connection


@dataclass(frozen=True, slots=True)
class Samples:
    """Texts that PostgreSQL reads as values: `ordinary` ones that people store, `rare` ones at the edges."""

    ordinary: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()


@dataclass(slots=True)
class TypeInUse:
    """A type as declared, `numeric(10,2)`, with the columns that have it."""

    declared: str
    pg_type: PgType
    has_default: bool = False
    """Whether a nullable column of this type has a DEFAULT."""
    columns: list[str] = field(default_factory=list)
    defaulted: list[str] = field(default_factory=list)
    """Its nullable columns with a DEFAULT: where a NULL is at risk."""


_TEXT = Samples(
    ("a", "", " x ", 'it\'s "quoted" \\ and\n two\tlines', "Жених 💐"), ("__debezium_unavailable_valu",)
)
_FLOAT = Samples(("0", "-1.5", "0.1"), ("NaN", "Infinity", "-Infinity", "-0"))
_DATE_TIME = ("2026-03-29 02:30:00.123456", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00")
_RARE_TIME = ("infinity", "-infinity", "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59.999999")

SAMPLES: dict[str, Samples] = {
    "bool": Samples(("true", "false")),
    "int2": Samples(("7", "-32768", "32767")),
    "int4": Samples(("7", "-2147483648", "2147483647")),
    "int8": Samples(("7", "-9223372036854775808", "9223372036854775807")),
    "oid": Samples(("7", "4294967295")),
    "float4": _FLOAT,
    "float8": Samples((*_FLOAT.ordinary, "1.7976931348623157e308"), _FLOAT.rare),
    "numeric": Samples(
        ("1.10", "-0.05", "0", "1.500", "12345678901234567890.123456789"), ("NaN", "Infinity", "-Infinity")
    ),
    "money": Samples(("1234.56", "-0.05")),
    **dict.fromkeys(("text", "varchar", "bpchar", "citext"), _TEXT),
    "name": Samples(("a", 'it\'s "quoted"')),
    "char": Samples(("a",)),
    "uuid": Samples(("00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff")),
    "json": Samples(('{"a": 1,  "a":2, "b" : null}', '"Жених"'), ("null",)),
    "jsonb": Samples(('{"n": 1.10, "u": "Жених"}', "[]", '"x"'), ("null",)),
    "xml": Samples(('<a b="c">d</a>',)),
    "bytea": Samples(("\\x00ff5c", "\\x")),
    "date": Samples(("2026-02-28", "0001-01-01", "9999-12-31"), ("infinity", "-infinity", "4713-01-01 BC")),
    "time": Samples(("12:30:00", "00:00:00", "23:59:59.999999"), ("24:00:00",)),
    "timetz": Samples(("12:00:00+00", "12:00:00+05:30"), ("24:00:00-15:59:59",)),
    "timestamp": Samples(_DATE_TIME, _RARE_TIME),
    "timestamptz": Samples(
        tuple(f"{text}+00" for text in _DATE_TIME), ("infinity", "-infinity", "0044-03-15 BC")
    ),
    "interval": Samples(("1 year 2 mons -3 days 04:05:06.789", "00:00:00", "-1 mon"), ("178000000 years",)),
    "inet": Samples(("192.168.0.1/24", "::1")),
    "cidr": Samples(("10.0.0.0/8",)),
    "macaddr": Samples(("08:00:2b:01:02:03",)),
    "macaddr8": Samples(("08:00:2b:01:02:03:04:05",)),
    "varbit": Samples(("110", "", "0001")),
    "point": Samples(("(1.5,-2)",), ("(NaN,Infinity)", "(-0,1e-300)")),
    "line": Samples(("{1,2,3}",)),
    "lseg": Samples(("[(1,2),(3,4)]",)),
    "box": Samples(("(3,4),(1,2)",)),
    "path": Samples(("((1,2),(3,4))", "[(1,2),(3,4)]")),
    "polygon": Samples(("((1,2),(3,4),(5,6))",)),
    "circle": Samples(("<(1,2),3>",)),
    "tsvector": Samples(("'bride':1A 'groom':2",)),
    "tsquery": Samples(("'bride' & 'groom'",)),
    "pg_lsn": Samples(("16/B374D848",)),
    "xid": Samples(("7", "4294967295")),
    "xid8": Samples(("7",)),
    "pg_snapshot": Samples(("10:20:10,14,15",)),
    "regtype": Samples(("integer",)),
    "lquery": Samples(("*.a|b.*{1,2}",)),
    "jsonpath": Samples(('$."a"',)),
    "tid": Samples(("(1,2)",)),
    "regclass": Samples(("pg_class",)),
    "oidvector": Samples(("1 2",)),
    "int2vector": Samples(("1 2",)),
    "hstore": Samples(('"a"=>"1", "b c"=>NULL',)),
    "ltree": Samples(("a.b.c",)),
    "int4range": Samples(("[1,5)", "(,5)", "empty")),
    "int8range": Samples(("[1,5)", "empty")),
    "numrange": Samples(("[1.10,2.5)", "(,)")),
    "daterange": Samples(("[2026-05-01,2026-06-01)", "empty")),
    "tsrange": Samples(('["2026-05-01 10:00:00","2026-05-01 12:00:00.5")',)),
    "tstzrange": Samples(('["2026-05-01 10:00:00+00","2026-05-01 12:00:00.5+00")', "(,)")),
    "int4multirange": Samples(("{[1,3),[5,7)}", "{}")),
    "int8multirange": Samples(("{[1,3)}",)),
    "nummultirange": Samples(("{[1.10,3)}",)),
    "datemultirange": Samples(("{[2026-05-01,2026-06-01)}",)),
    "tsmultirange": Samples(('{["2026-05-01 10:00:00","2026-05-01 12:00:00")}',)),
    "tstzmultirange": Samples(('{["2026-05-01 10:00:00+00","2026-05-01 12:00:00+00")}',)),
}


def samples(pg_type: PgType, labels: Sequence[str] = (), attributes: int = 0) -> Samples:
    """The values that try the type; none for an unknown one. `labels` are an enum's, `attributes` a row's."""
    if pg_type.element is not None and pg_type.name not in SAMPLES:  # a vector isn't written like an array
        return _array(samples(pg_type.element, labels, attributes))
    if pg_type.kind == "e":
        return Samples(tuple(dict.fromkeys([*labels[:1], *labels[-1:]])))
    if pg_type.kind == "c":
        return Samples((f"({',' * (attributes - 1)})",)) if attributes else Samples()
    if pg_type.name == "bit":
        pattern = ("101" * ((pg_type.length or 1) // 3 + 1))[: pg_type.length or 1]
        return Samples((pattern, "0" * len(pattern)))
    return SAMPLES.get(pg_type.name, Samples())


def _array(element: Samples) -> Samples:
    if not element.ordinary:
        return Samples()
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in element.ordinary]
    rare = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in element.rare]
    first = quoted[0]
    return Samples(
        (f"{{{','.join(quoted)}}}", f"{{{first}}}", "{}"),
        (
            f"{{{first},NULL}}",
            f"{{{{{first},{first}}},{{{first},{first}}}}}",
            f"[2:3]={{{first},{first}}}",
            *([f"{{{','.join(rare)}}}"] if rare else []),
        ),
    )


def in_use(connection: Connection, config: Config) -> list[TypeInUse]:
    """The types of all captured columns, by declared name; generated columns aren't captured."""
    tables = {
        int(oid): TableName(str(schema), str(table))
        for oid, schema, table in connection.execute(
            """
            SELECT c.oid::int8, n.nspname, c.relname
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
              AND n.nspname = ANY (%s)
            """,
            (config.source.schemas,),
        )
    }
    captured = [oid for oid, name in tables.items() if not is_excluded(name, config.source.exclude_tables)]
    defaults = {
        (int(relation), int(number))
        for relation, number in connection.execute(
            "SELECT attrelid::int8, attnum FROM pg_attribute "
            "WHERE attrelid = ANY (%s::oid[]) AND atthasdef AND attgenerated = '' AND NOT attisdropped",
            (captured,),
        )
    }
    found: dict[str, TypeInUse] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(COLUMN_TYPES, {"relations": captured}):
            if row["generated"]:
                continue
            use = found.setdefault(row["declared"], TypeInUse(row["declared"], from_row(row)))
            column = f"{tables[row['relation']]}.{row['name']}"
            use.columns.append(column)
            if (row["relation"], row["number"]) in defaults and not row["not_null"]:
                use.has_default = True
                use.defaulted.append(column)
    return [found[name] for name in sorted(found)]
