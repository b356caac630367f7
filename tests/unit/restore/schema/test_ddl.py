from __future__ import annotations

import pytest

from replicator.restore.schema import ddl, sql
from replicator.restore.schema.ddl import DdlRow


@pytest.mark.parametrize(
    ("tag", "statement"),
    [
        ("CREATE TABLE", None),
        ("CREATE TABLE AS", "CREATE TABLE t AS SELECT * FROM u"),
        ("SELECT INTO", "SELECT * INTO t FROM u"),
        ("DROP TABLE", None),
        ("ALTER TABLE", None),
        ("ALTER TABLE", "ALTER TABLE t RENAME COLUMN a TO b"),
        ("ALTER DEFAULT PRIVILEGES", None),
        ("ALTER MATERIALIZED VIEW", None),
        ("ALTER DOMAIN", None),
        ("ALTER TYPE", "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'rename value'"),
        ("ALTER TYPE", "ALTER TYPE mood RENAME TO humour"),
        ("ALTER SCHEMA", "ALTER SCHEMA a OWNER TO b"),
        ("COMMENT", None),
        ("GRANT", None),
    ],
)
def test_what_the_log_tells_by_tables_columns_and_rewrites_keeps_rows(
    tag: str, statement: str | None
) -> None:
    assert ddl.keeps_rows(tag, statement)


@pytest.mark.parametrize(
    ("tag", "statement"),
    [
        ("ALTER TYPE", "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'"),
        ("ALTER TYPE", "ALTER TYPE pair ADD ATTRIBUTE c int"),
        ("ALTER TYPE", None),
        ("ALTER SCHEMA", "ALTER SCHEMA a RENAME TO b"),
        ("ALTER SCHEMA", None),
        ("ALTER SOMETHING", "ALTER SOMETHING NEW"),
        ("SOMETHING NEW", None),
    ],
)
def test_everything_else_is_taken_for_a_change_of_rows(tag: str, statement: str | None) -> None:
    assert not ddl.keeps_rows(tag, statement)


def rewrite(query: str, reason: int | None = None) -> DdlRow:
    told = None if reason is None else {"reason": reason}
    return DdlRow(2, 1, "rewrite", 2, "ALTER TABLE", "table", "public", "public.t", query, "", told, None)


def test_a_rewrite_keeps_values_when_it_only_generates_columns_or_moves_the_table() -> None:
    generated = "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (a * 2) STORED"
    assert ddl.keeps_values(rewrite(generated, 2))
    assert ddl.keeps_values(rewrite("ALTER TABLE t SET ACCESS METHOD other", 8))
    assert not ddl.keeps_values(rewrite("ALTER TABLE t SET LOGGED", 1))
    assert not ddl.keeps_values(rewrite(f"{generated}; ALTER TABLE t ALTER a TYPE text", 4))
    assert not ddl.keeps_values(rewrite("DO $$ BEGIN PERFORM change(); END $$", 4))


def test_a_materialized_view_is_not_filled_before_there_are_rows() -> None:
    made = "CREATE MATERIALIZED VIEW v AS SELECT 1"
    assert ddl.without_data(made) == made + " WITH NO DATA"
    assert ddl.without_data(made + " with data") == made + " WITH NO DATA"
    assert ddl.without_data(made + " WITH NO DATA") == made + " WITH NO DATA"
    assert ddl.without_data("CREATE VIEW v AS SELECT 1") == "CREATE VIEW v AS SELECT 1"


def test_a_text_of_several_statements_is_split_where_the_log_agrees() -> None:
    table, index = "CREATE TABLE a (x text DEFAULT ';')", "CREATE INDEX ON a (x)"
    text = f"BEGIN; {table}; INSERT INTO a VALUES (';'); {index}; COMMIT"
    assert ddl.split(text, 2) == [table, index]
    assert ddl.split(text, 3) is None
    assert ddl.split("DO $$ BEGIN CREATE TABLE x (); END $$", 1) is None


def test_only_generated_columns_make_a_harmless_rewrite() -> None:
    generated = "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (a * 2) STORED"
    assert ddl.adds_only_generated_columns(generated)
    assert not ddl.adds_only_generated_columns(generated + ", ADD COLUMN r float DEFAULT random()")


def test_what_would_act_on_rows_runs_late() -> None:
    assert ddl.is_late("CREATE EVENT TRIGGER x ON sql_drop EXECUTE FUNCTION f()")
    assert not ddl.is_late("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()")
    # The name that it has then is another table's by the end; what it made is found in the catalogue.
    assert not ddl.is_late("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID")
    assert not ddl.is_late("CREATE FUNCTION trigger_of() RETURNS trigger LANGUAGE plpgsql AS 'x'")


FUNCTION = """CREATE FUNCTION f(a int) RETURNS int
    BEGIN ATOMIC
        SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END;
        SELECT 2;
    END"""


def test_bodies_quotes_and_comments_hold_semicolons() -> None:
    parts = [
        FUNCTION,
        "CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN; END; $_$",
        """SELECT 'a;''b', E'c\\';d', "e;f", $$;$$""",
        "COMMENT ON TABLE t IS 'x'",
    ]
    text = ";\n-- a comment; with one\n/* and /* nested; */ ; */\n".join(parts) + ";"
    assert sql.statements(text) == parts


def test_the_words_begin_and_end_are_only_words_elsewhere() -> None:
    assert sql.statements("BEGIN; SELECT 1; END; CREATE TABLE atomic (begin int)") == [
        "BEGIN",
        "SELECT 1",
        "END",
        "CREATE TABLE atomic (begin int)",
    ]
