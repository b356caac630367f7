from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import pytest

from replicator.restore.errors import SchemaRefusedError
from replicator.restore.schema import dump, schema_plan
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.epochs import START

DUMP = r"""
--
-- PostgreSQL database dump
--

\restrict abc
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: t; Type: TABLE; Schema: public; Owner: planner
--

CREATE TABLE public.t (
    id integer NOT NULL,
    x text DEFAULT ';'::text
);


ALTER TABLE public.t OWNER TO planner;

--
-- Name: TABLE t; Type: COMMENT; Schema: public; Owner: planner
--

COMMENT ON TABLE public.t IS 'a table';


--
-- Name: t t_pkey; Type: CONSTRAINT; Schema: public; Owner: planner
--

ALTER TABLE ONLY public.t
    ADD CONSTRAINT t_pkey PRIMARY KEY (id);


--
-- Name: t_x; Type: INDEX; Schema: public; Owner: planner
--

CREATE INDEX t_x ON public.t USING btree (x);


--
-- Name: TABLE t; Type: ACL; Schema: public; Owner: planner
--

GRANT SELECT ON TABLE public.t TO "Read er";
"""


def test_a_dump_is_parted_where_rows_belong() -> None:
    parsed = dump.parse(DUMP)
    assert parsed.settings == (
        "SET client_encoding = 'UTF8'",
        "SELECT pg_catalog.set_config('search_path', '', false)",
    )
    assert [entry.type for entry in parsed.before_rows] == ["TABLE", "COMMENT"]
    assert [entry.type for entry in parsed.after_rows] == ["CONSTRAINT", "INDEX", "ACL"]
    assert [entry.table for entry in parsed.after_rows[:2]] == ["public.t", "public.t"]
    roles = {role for entry in parsed.entries() for each in entry.statements for role in dump.roles(each)}
    assert roles == {"planner", "Read er"}


def columns(*names: str, missing: str | None = None) -> list[dict[str, Any]]:
    return [
        {"attnum": i, "name": name, "missing": missing if i == len(names) else None}
        for i, name in enumerate(names, 1)
    ]


def table(*names: str, missing: str | None = None, oid: int = 1, name: str = "public.t") -> dict[str, Any]:
    return {"table": name, "oid": oid, "columns": columns(*names, missing=missing), "indexes": []}


def ddl_row(number: int, commit: int, **more: Any) -> DdlRow:
    empty = dict.fromkeys(("tag", "object_type", "object_identity", "query", "definition", "dump"))
    given = {"kind": "command", "statement": number, "schema_name": "public", "search_path": "public", **more}
    return DdlRow(id=number, commit=commit, **{**empty, **given})


BEGINNING = ddl_row(1, 0, kind="dump", schema_name=None, dump=DUMP, definition={"tables": [table("id", "x")]})


def planned(*rows: DdlRow, last: int = 9) -> schema_plan.SchemaPlan:
    return schema_plan.plan(
        [BEGINNING, *rows], last, lambda number: number * 256 or None, lambda name, _: name == "public"
    )


def alter(number: int, commit: int, query: str, **more: Any) -> DdlRow:
    given = {"tag": "ALTER TABLE", "object_type": "table", "object_identity": "public.t", **more}
    return ddl_row(number, commit, query=query, **given)


def test_only_what_is_at_or_before_the_cut_is_replayed() -> None:
    first = alter(2, 3, "ALTER TABLE t ADD c int DEFAULT 5", definition=table("id", "x", "c", missing="5"))
    second = alter(3, 5, "ALTER TABLE t ADD d int", definition=table("id", "x", "c", "d"))
    plan = planned(second, first, last=4)
    assert [command.statement for command in plan.commands] == ["ALTER TABLE t ADD c int DEFAULT 5"]
    assert plan.added == {("public.t", "c"): "5"}
    assert planned(first, second).added == {("public.t", "c"): "5", ("public.t", "d"): None}


def test_a_later_dump_spares_the_replay_and_keeps_what_was_added() -> None:
    first = alter(2, 3, "ALTER TABLE t ADD c int DEFAULT 5", definition=table("id", "x", "c", missing="5"))
    again = ddl_row(
        3, 4, kind="dump", schema_name=None, dump=DUMP, definition={"tables": [table("id", "x", "c")]}
    )
    plan = planned(first, again)
    assert plan.commands == ()
    assert plan.dump_id == 3
    assert plan.added == {("public.t", "c"): "5"}


def test_one_text_with_two_statements_is_replayed_statement_by_statement() -> None:
    text = "ALTER TABLE t ADD c int; INSERT INTO t VALUES (1); CREATE INDEX ON t (c)"
    plan = planned(
        alter(2, 3, text, definition=table("id", "x", "c")),
        ddl_row(3, 3, query=text, tag="CREATE INDEX", object_type="index", object_identity="public.t_c_idx"),
    )
    assert [command.statement for command in plan.commands] == [
        "ALTER TABLE t ADD c int",
        "CREATE INDEX ON t (c)",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [alter(2, 3, "ALTER TABLE t ADD r float DEFAULT random()", kind="rewrite", oid=1)],
        [
            alter(
                2,
                3,
                "DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD c int'; END $$",
                definition=table("id", "x", "c"),
            )
        ],
        [alter(2, 3, "ALTER TYPE mood RENAME VALUE 'a' TO 'b'", tag="ALTER TYPE", object_type="type")],
        [
            alter(2, 3, "CREATE TABLE other.t (id int)", definition=table("id", oid=7, name="other.t")),
            alter(
                3, 4, "ALTER TABLE other.t SET SCHEMA public", definition=table("id", oid=7, name="public.u")
            ),
        ],
    ],
)
def test_what_rows_cannot_be_carried_across_is_refused_with_the_moment_before(rows: list[DdlRow]) -> None:
    with pytest.raises(SchemaRefusedError) as caught:
        planned(*rows)
    assert "--to-lsn 0/" in str(caught.value.next_step)
    assert planned(*rows, last=2).commands == ()


def test_rows_follow_a_column_by_its_number_and_a_table_by_its_oid() -> None:
    plan = planned(
        alter(2, 3, "ALTER TABLE t RENAME x TO y", definition=table("id", "y"), lsn=30),
        alter(3, 4, "ALTER TABLE t RENAME TO u", definition=table("id", "y", name="public.u"), lsn=40),
    )
    past = plan.pasts["public.u"]
    assert [(each.collection, each.after, each.until) for each in past.epochs] == [
        ("public.t", START, 30),
        ("public.t", 30, 40),
        ("public.u", 40, None),
    ]
    assert [each.fields for each in past.epochs] == [{"id": "id", "y": "x"}, *[{"id": "id", "y": "y"}] * 2]
    assert plan.named("public.u") == ["public.u", "public.t"]
    assert "public.t" not in plan.definitions


def test_a_column_made_again_under_its_name_begins_empty() -> None:
    again = table("id", "x")
    again["columns"][1] |= {"attnum": 3, "missing": "new"}
    text = "ALTER TABLE t DROP x, ADD x text DEFAULT 'new'"
    gone = {"kind": "drop", "object_type": "table column", "object_identity": "public.t.x"}
    plan = planned(alter(2, 3, text, lsn=30, **gone), alter(3, 3, text, definition=again, lsn=31))
    assert [each.fields for each in plan.pasts["public.t"].epochs] == [
        {"id": "id"},
        {"id": "id"},
        {"id": "id", "x": "x"},
    ]
    assert plan.added == {("public.t", "x"): "new"}


def test_since_when_a_column_may_be_null_is_told_by_its_number() -> None:
    def of(name: str, not_null: bool, type_oid: int = 25) -> dict[str, Any]:
        told = table("id", name)
        told["columns"][1] |= {"not_null": not_null, "type_oid": type_oid}
        return told

    start = ddl_row(
        1, 0, kind="dump", schema_name=None, dump=DUMP, definition={"tables": [of("x", not_null=False)]}
    )
    rows = [
        start,
        alter(2, 3, "ALTER TABLE t ALTER x SET NOT NULL", definition=of("x", not_null=True), lsn=30),
        alter(3, 4, "ALTER TABLE t RENAME x TO y", definition=of("y", not_null=True), lsn=40),
        alter(4, 5, "ALTER TABLE t ALTER y DROP NOT NULL", definition=of("y", not_null=False), lsn=50),
        alter(5, 6, "ALTER TABLE t ALTER y TYPE own", definition=of("y", not_null=False, type_oid=20000)),
    ]
    captured = lambda name, _: name == "public"  # noqa: E731
    plan = schema_plan.plan(rows[:4], 9, lambda number: number * 256 or None, captured)
    told = [(START, frozenset({"y"})), (30, frozenset[str]()), (50, frozenset({"y"}))]
    assert [list(epoch.nullable) for epoch in plan.pasts["public.t"].epochs] == [told, told]
    plan = schema_plan.plan(rows, 9, lambda number: number * 256 or None, captured)
    assert plan.pasts["public.t"].epochs[-1].nullable[-1][1] == set(), "a domain may refuse NULL by itself"


def test_a_constraint_that_went_with_another_table_is_gone_from_the_one_that_stays() -> None:
    key = {"name": "k", "type": "f", "definition": "FOREIGN KEY (x) REFERENCES public.u(id)"}
    referring = {**table("id", "x"), "constraints": [key]}
    text = "DROP TABLE u CASCADE"
    gone = {"kind": "drop", "tag": "DROP TABLE", "statement": 3}
    left = {"object_type": "table constraint", "object_identity": "k on public.t"}
    plan = planned(
        alter(2, 2, "ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES u", definition=referring),
        alter(3, 3, text, lsn=30, oid=2, **gone | {"object_identity": "public.u"}),
        alter(4, 3, text, lsn=31, oid=7, definition={**referring, "constraints": []}, **gone | left),
    )
    assert plan.definitions["public.t"]["constraints"] == []
    assert [command.statement for command in plan.commands][1:] == [text]
    assert len(plan.pasts["public.t"].epochs) == 1


def test_a_table_made_again_under_its_name_has_only_the_rows_since() -> None:
    plan = planned(
        alter(2, 3, "DROP TABLE t", kind="drop", tag="DROP TABLE", oid=1, lsn=30),
        alter(3, 4, "CREATE TABLE t (id int)", tag="CREATE TABLE", definition=table("id", oid=2), lsn=40),
    )
    assert [(each.after, each.until) for each in plan.pasts["public.t"].epochs] == [(30, None)]
    assert plan.held.of("public.t") == ((START, 30), (40, None)), "nobody had the name in between"


def test_two_tables_that_swap_names_keep_their_rows() -> None:
    u = {"definition": table("id", oid=2, name="public.u"), "tag": "CREATE TABLE"}
    plan = planned(
        alter(2, 1, "CREATE TABLE u (id int)", lsn=10, **u),
        alter(3, 3, "ALTER TABLE t RENAME TO tmp", definition=table("id", "x", name="public.tmp"), lsn=30),
        alter(4, 3, "ALTER TABLE u RENAME TO t", definition=table("id", oid=2), lsn=31),
        alter(5, 3, "ALTER TABLE tmp RENAME TO u", definition=table("id", "x", name="public.u"), lsn=32),
    )
    old, new = plan.pasts["public.u"], plan.pasts["public.t"]
    assert [(each.collection, each.after) for each in old.epochs] == [
        ("public.t", START), ("public.tmp", 30), ("public.u", 32),
    ]  # fmt: skip
    assert [(each.collection, each.after, each.until) for each in new.epochs] == [
        ("public.u", START, 31), ("public.t", 31, None),
    ]  # fmt: skip
    assert plan.held.spans == {
        "public.t": ((START, 30), (31, None)),
        "public.u": ((10, 31), (32, None)),
        "public.tmp": ((30, 32),),
    }


def test_a_table_made_of_a_query_is_built_empty_and_has_all_rows_of_its_name() -> None:
    made = {
        **table(oid=5, name='public."New one"'),
        "columns": [{"attnum": 1, "name": 'a"b', "type": "text", "collation": 'pg_catalog."C"'}],
    }
    text = 'SELECT x INTO "New one" FROM t'
    plan = planned(alter(2, 3, text, tag="SELECT INTO", definition=made, lsn=30))
    assert [command.statement for command in plan.commands] == [
        'CREATE TABLE public."New one" ("a""b" text COLLATE pg_catalog."C")'
    ]
    assert plan.pasts['public."New one"'].epochs[0].after == START
    # Its rows come before the log's row about it.
    assert plan.held.of("public.New one") == ((START, None),)


PARTITIONS = [
    {**table("id", oid=2, name="public.root"), "kind": "p"},
    {**table("id", oid=3, name="public.leaf"), "partition_of": "public.root"},
]


def test_a_partition_that_takes_rows_along_is_refused_and_an_empty_one_is_not() -> None:
    made = [
        alter(number, 1, "CREATE TABLE …", tag="CREATE TABLE", definition=each, lsn=10)
        for number, each in enumerate(PARTITIONS, 2)
    ]
    row = {"kind": "drop", "tag": "DROP TABLE", "object_identity": "public.leaf", "oid": 3}
    dropped = alter(8, 3, "DROP TABLE leaf", lsn=30, **row)
    detached = alter(8, 3, "ALTER TABLE root DETACH PARTITION leaf", definition=PARTITIONS[0], lsn=30)
    for change, had_rows in product((dropped, detached), (True, False)):
        plan = partial(
            schema_plan.plan, [BEGINNING, *made, change], 9, lambda number: number * 256, lambda name, _: True
        )
        if had_rows:
            with pytest.raises(SchemaRefusedError, match="partition"):
                plan(lambda name, _: True)
        else:
            assert plan(lambda name, _: False).pasts["public.root"]


def test_dropping_for_good_is_replayed() -> None:
    plan = planned(
        alter(2, 3, "DROP TABLE t", kind="drop", tag="DROP TABLE"),
    )
    assert [command.statement for command in plan.commands] == ["DROP TABLE t"]
    assert plan.definitions == {}


def test_ddl_in_a_schema_that_is_not_captured_does_not_matter_to_rows() -> None:
    row = alter(2, 3, "ALTER TABLE other.t RENAME x TO y", schema_name="other", object_identity="other.t")
    assert [command.statement for command in planned(row).commands] == [row.query]


def test_without_a_dump_nothing_can_be_built() -> None:
    with pytest.raises(SchemaRefusedError, match="No dump"):
        schema_plan.plan([], 5, lambda number: number, lambda name, _: True)


@pytest.mark.parametrize(
    ("definition", "key"),
    [
        ("PRIMARY KEY (id)", ("id",)),
        ("PRIMARY KEY (id) DEFERRABLE", ()),
        ("PRIMARY KEY (id) INCLUDE (x) DEFERRABLE INITIALLY DEFERRED", ()),
    ],
)
def test_a_key_that_two_rows_may_hold_for_a_moment_tells_no_rows_apart(
    definition: str, key: tuple[str, ...]
) -> None:
    known = table("id", "x") | {"constraints": [{"name": "t_pkey", "type": "p", "definition": definition}]}
    start = ddl_row(1, 0, kind="dump", schema_name=None, dump=DUMP, definition={"tables": [known]})
    assert (
        schema_plan.plan([start], 9, lambda number: None, lambda name, _: True).pasts["public.t"].key == key
    )


@pytest.mark.parametrize(
    ("query", "tag", "why"),
    [
        (
            "SAVEPOINT s; CREATE VIEW v AS SELECT 1; ROLLBACK TO s; DO 'CREATE VIEW w AS SELECT 2'",
            "CREATE VIEW",
            "a rollback",
        ),
        (
            "DROP VIEW IF EXISTS v; DO 'CREATE VIEW w AS SELECT 2'",
            "CREATE VIEW",
            "another command was logged",
        ),
        ("DROP OWNED BY somebody", "DROP OWNED", "by its owner"),
        (None, "CREATE SERVER", "its text isn't logged"),
    ],
)
def test_a_text_that_may_not_be_what_ran_is_not_run_again(query: str | None, tag: str, why: str) -> None:
    row = ddl_row(2, 3, query=query, tag=tag, object_type="view", object_identity="public.w")
    with pytest.raises(SchemaRefusedError, match=why):
        planned(row)


def test_an_index_takes_none_of_its_name_in_another_schema_along() -> None:
    here = {**table("id", "x"), "indexes": [{"name": "i", "definition": "CREATE INDEX i ON public.t (x)"}]}
    made = alter(2, 2, "CREATE INDEX i ON t (x)", tag="CREATE INDEX", definition=here)
    gone = {"kind": "drop", "tag": "DROP INDEX", "object_type": "index"}
    other = alter(3, 3, "DROP INDEX aside.i", **gone, object_identity="aside.i", schema_name="aside")
    assert planned(made, other).definitions["public.t"]["indexes"] == here["indexes"]
    own = alter(4, 4, "DROP INDEX i", **gone, object_identity="public.i")
    assert planned(made, other, own).definitions["public.t"]["indexes"] == []
