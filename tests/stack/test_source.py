"""Our schema in a real PostgreSQL, and the connector that captures it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from deploy.local.endpoints import Endpoints
from deploy.local.waiting import wait_for
from replicator.debezium import snapshots
from replicator.errors import SourceError
from replicator.source import dump, notifications
from replicator.source.checks import snapshot
from replicator.source.checks.check import Level
from replicator.source.connect_api import ConnectError
from replicator.source.doctor import examine
from replicator.source.install import uninstall
from replicator.source.registration import Registration
from replicator.source.running import ConnectorFailedError, state
from replicator.source.state import read as read_state
from replicator.source.watching import watch
from tests.faults.proxy import FaultProxy
from tests.source_database import SourceDatabase
from tests.stack.source_config import Capture, config_for, installed, partitions, records, rows


@pytest.fixture
def capture(stack: Endpoints, database: SourceDatabase) -> Iterator[Capture]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE guests (id int PRIMARY KEY, wedding_id int, diet text DEFAULT 'none')"
        )
        connection.execute("INSERT INTO guests VALUES (1, 7, NULL), (2, 7, 'vegan')")
    yield installed(config_for(stack, database))


def logged(capture: Capture, columns: str = "kind, tag, object_identity") -> list[tuple[Any, ...]]:
    return capture.sql(f"SELECT {columns} FROM replicator.ddl_log WHERE kind <> 'dump' ORDER BY id")


# --- our schema ---


def test_installing_again_changes_nothing_and_logs_nothing(capture: Capture) -> None:
    before = capture.sql("SELECT count(*) FROM replicator.ddl_log")
    again = installed(capture.config)
    assert "publication" in " ".join(again.said)
    assert any("as it should be" in line for line in again.said)
    assert any("up to date" in line for line in again.said)
    assert capture.sql("SELECT count(*) FROM replicator.ddl_log") == before
    assert read_state(capture.config).problems == ()


def test_what_was_installed_can_be_removed_without_trace(capture: Capture) -> None:
    capture.sql("CREATE TABLE later (id int)")
    uninstall(capture.config, capture.said.append)
    assert capture.sql("SELECT nspname FROM pg_namespace WHERE nspname = 'replicator'") == []
    assert capture.sql("SELECT evtname FROM pg_event_trigger") == []
    assert capture.sql("SELECT pubname FROM pg_publication") == []
    kept = capture.sql("SELECT relreplident::text FROM pg_class WHERE relname IN ('guests', 'later')")
    assert kept == [("d",), ("d",)]


def test_a_replica_identity_by_index_comes_back(stack: Endpoints, database: SourceDatabase) -> None:
    config = config_for(stack, database)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE seats (no int NOT NULL)")
        connection.execute('CREATE UNIQUE INDEX "Seat no" ON seats (no)')
        connection.execute('ALTER TABLE seats REPLICA IDENTITY USING INDEX "Seat no"')
    capture = installed(config)
    identity = "SELECT relreplident::text FROM pg_class WHERE relname = 'seats'"
    assert capture.sql(identity) == [("f",)]
    uninstall(config, capture.said.append)
    assert capture.sql(identity) == [("i",)]


def test_another_installation_on_the_same_database_is_refused(capture: Capture) -> None:
    other = capture.config.model_copy(update={"installation": "another"})
    with pytest.raises(SourceError, match="captured by the installation"):
        installed(other)
    with pytest.raises(SourceError, match="belongs to the installation"):
        uninstall(other, print)


def test_a_server_that_is_not_the_one_installed_on_is_refused(capture: Capture) -> None:
    capture.sql("UPDATE replicator.installation SET timeline = timeline + 1")
    with pytest.raises(SourceError, match="not the one that was installed on"):
        installed(capture.config)
    assert any("timeline" in problem for problem in read_state(capture.config).problems)


# --- the DDL log ---


def test_each_command_is_logged_with_the_definition_that_came_of_it(capture: Capture) -> None:
    capture.sql("ALTER TABLE guests ADD COLUMN plus_one boolean NOT NULL DEFAULT false")
    ((kind, tag, name, query, definition),) = logged(capture, "kind, tag, object_identity, query, definition")
    assert (kind, tag, name) == ("command", "ALTER TABLE", "public.guests")
    assert query == "ALTER TABLE guests ADD COLUMN plus_one boolean NOT NULL DEFAULT false"
    columns = {column["name"]: column for column in definition["columns"]}
    assert columns["plus_one"]["type"] == "boolean"
    assert columns["plus_one"]["not_null"]
    assert columns["plus_one"]["missing"] == "f"
    assert columns["diet"]["missing"] is None
    assert columns["diet"]["default"] == "'none'::text"
    assert definition["constraints"] == [
        {"name": "guests_pkey", "type": "p", "definition": "PRIMARY KEY (id)"}
    ]


def test_the_constant_that_postgresql_kept_for_old_rows_is_logged_for_every_kind(capture: Capture) -> None:
    capture.sql(
        "ALTER TABLE guests ADD at timestamptz DEFAULT now(), ADD tags text[] DEFAULT '{a,\"b c\"}', "
        "ADD note text DEFAULT 'it''s \"so\"', ADD nothing int"
    )
    ((definition,),) = logged(capture, "definition")
    missing = {column["name"]: column["missing"] for column in definition["columns"]}
    ((tags, note, at),) = capture.sql("SELECT tags::text, note, at::text FROM guests WHERE id = 1")
    assert (missing["tags"], missing["note"], missing["nothing"]) == (tags, note, None)
    assert psycopg.connect(capture.config.source.dsn.get_secret_value()).execute(
        "SELECT %s::timestamptz = %s::timestamptz", (missing["at"], at)
    ).fetchone() == (True,)


def test_a_partitioned_table_and_its_partitions_are_all_logged(capture: Capture) -> None:
    capture.sql("CREATE TABLE photos (id int, wedding_id int) PARTITION BY LIST (wedding_id)")
    capture.sql("CREATE TABLE photos_7 PARTITION OF photos FOR VALUES IN (7)")
    capture.sql("INSERT INTO photos VALUES (1, 7)")
    capture.sql("ALTER TABLE photos ADD COLUMN stars int DEFAULT 3")
    changed = {
        name: definition
        for tag, name, definition in logged(capture, "tag, object_identity, definition")
        if tag == "ALTER TABLE"
    }
    assert set(changed) == {"public.photos", "public.photos_7"}
    for definition in changed.values():
        assert [c["missing"] for c in definition["columns"] if c["name"] == "stars"] == ["3"]
    assert changed["public.photos"]["partition_key"] == "LIST (wedding_id)"
    assert changed["public.photos_7"]["partition_of"] == "public.photos"
    assert changed["public.photos_7"]["partition_bound"] == "FOR VALUES IN (7)"
    assert capture.sql("SELECT DISTINCT relreplident::text FROM pg_class WHERE relname LIKE 'photos%'") == [
        ("f",)
    ]


def test_drops_and_rewrites_are_logged(capture: Capture) -> None:
    capture.sql("ALTER TABLE guests ALTER diet TYPE varchar(9) USING upper(diet)")
    capture.sql("ALTER TABLE guests DROP COLUMN diet")
    capture.sql("DROP TABLE guests")
    assert [row for row in logged(capture) if row[0] != "command"] == [
        ("rewrite", "ALTER TABLE", "public.guests"),
        *[("rewrite", "REREAD", "public.guests")] * 2,
        ("drop", "ALTER TABLE", "public.guests.diet"),
        ("drop", "ALTER TABLE", "for public.guests.diet"),
        ("drop", "DROP TABLE", "public.guests"),
        ("drop", "DROP TABLE", "public.guests_pkey"),
    ]


def test_a_single_partitions_truncate_is_logged_since_postgresql_does_not_send_it(capture: Capture) -> None:
    capture.sql(
        "CREATE TABLE photos (id int, wedding_id int) PARTITION BY LIST (wedding_id);"
        "CREATE TABLE photos_7 PARTITION OF photos FOR VALUES IN (7);"
        "CREATE TABLE photos_8 (id int, wedding_id int);"
        "ALTER TABLE photos ATTACH PARTITION photos_8 FOR VALUES IN (8)"
    )
    before = len(logged(capture))
    capture.sql("TRUNCATE photos")
    capture.sql("TRUNCATE photos, guests")
    assert logged(capture)[before:] == []
    capture.sql("TRUNCATE photos_7")
    capture.sql("BEGIN; TRUNCATE photos; TRUNCATE ONLY photos_8; COMMIT")
    truncated = [
        ("rewrite", "TRUNCATE TABLE", "public.photos_7"),
        ("rewrite", "TRUNCATE TABLE", "public.photos_8"),
    ]
    assert logged(capture)[before:] == truncated
    # A detached one is a table of its own, whose TRUNCATE is sent.
    capture.sql("ALTER TABLE photos DETACH PARTITION photos_7")
    before = len(logged(capture))
    capture.sql("TRUNCATE photos_7")
    assert logged(capture)[before:] == []


def test_the_triggers_on_partitions_are_in_no_dump_and_go_with_an_uninstall(capture: Capture) -> None:
    dsn = capture.config.source.dsn.get_secret_value()
    capture.sql("CREATE TABLE photos (id int) PARTITION BY LIST (id)")
    capture.sql("CREATE TABLE photos_7 PARTITION OF photos FOR VALUES IN (7)")
    ours = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'replicator_%'"
    assert capture.sql(ours) == [(3,)]
    row = dump.take(dsn, capture.config.source.pg_dump)
    ((text,),) = capture.sql(f"SELECT dump FROM replicator.ddl_log WHERE id = {row}")
    assert "CREATE TABLE public.photos_7" in text
    assert "replicator" not in text
    uninstall(capture.config, capture.said.append)
    assert capture.sql(ours) == [(0,)]


def test_somebody_elses_change_of_our_publication_is_logged_as_what_it_is(capture: Capture) -> None:
    name = f"replicator_{capture.config.installation}"
    assert logged(capture) == []
    capture.sql(f"ALTER PUBLICATION {name} SET (publish = 'insert')")
    assert logged(capture) == [("rewrite", "ALTER PUBLICATION", name)]
    installed(capture.config)
    assert len(logged(capture)) == 1
    assert read_state(capture.config).problems == ()


def test_what_one_statement_touched_can_be_told_from_the_next_statement(capture: Capture) -> None:
    text = "CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int)"
    capture.sql(text)
    found = logged(capture, "statement, tag, object_identity, query")
    first = [row[2] for row in found if row[0] == found[0][0]]
    assert first == ["public.a_id_seq", "public.a", "public.a_pkey", "public.a_id_seq"]
    assert [row[2] for row in found if row[0] != found[0][0]] == ["public.b"]
    assert {row[3] for row in found} == {text}


def test_ddl_that_is_rolled_back_leaves_no_row(capture: Capture) -> None:
    with psycopg.connect(capture.config.source.dsn.get_secret_value()) as connection:
        connection.execute("CREATE TABLE never (id int)")
        connection.rollback()
    assert logged(capture) == []


def test_what_cascade_takes_from_a_table_that_stays_is_logged_with_what_is_left(capture: Capture) -> None:
    capture.sql("CREATE TABLE halls (id int PRIMARY KEY)")
    capture.sql(
        "CREATE SEQUENCE nr; CREATE TABLE \"Chairs\" (hall int REFERENCES halls, n int DEFAULT nextval('nr'))"
    )
    capture.sql("CREATE INDEX ON halls (abs(id))")
    before = len(logged(capture))
    capture.sql("DROP TABLE halls CASCADE")
    capture.sql("DROP SEQUENCE nr CASCADE")
    rows = logged(capture, "object_type, definition")[before:]
    left = {kind: definition for kind, definition in rows if definition is not None}
    assert set(left) == {"table constraint", "default value"}
    assert left["table constraint"]["table"] == 'public."Chairs"'
    assert left["table constraint"]["constraints"] == []
    assert left["table constraint"]["columns"][1]["default"] == "nextval('public.nr'::regclass)"
    assert left["default value"]["columns"][1]["default"] is None


def test_commands_about_a_sequence_log_where_it_stands(capture: Capture) -> None:
    newest = (
        "SELECT DISTINCT ON (name) name, last_value, is_called FROM replicator.sequence_log "
        "ORDER BY name, id DESC"
    )
    capture.sql("CREATE SEQUENCE one; CREATE SEQUENCE two; SELECT setval('one', 10), setval('two', 20)")
    for before, after in (("one", "old"), ("two", "one"), ("old", "two")):
        capture.sql(f"ALTER SEQUENCE {before} RENAME TO {after}")
    assert capture.sql(newest) == [
        ("public.old", 10, True),
        ("public.one", 20, True),
        ("public.two", 10, True),
    ]
    capture.sql("DROP SEQUENCE one; CREATE SEQUENCE one; ALTER SEQUENCE two RESTART WITH 5")
    assert capture.sql(newest)[1:] == [("public.one", 1, False), ("public.two", 5, False)]


def test_a_beat_goes_on_past_a_sequence_that_a_command_restarts(capture: Capture) -> None:
    capture.sql("CREATE SEQUENCE held; CREATE SEQUENCE free")
    newest = (
        "SELECT last_value FROM replicator.sequence_log WHERE name = 'public.{}' ORDER BY id DESC LIMIT 1"
    )
    with psycopg.connect(capture.config.source.dsn.get_secret_value()) as other:
        other.execute("ALTER SEQUENCE held RESTART WITH 9")
        capture.sql("SELECT setval('free', 3)")
        capture.sql("SELECT replicator.beat()")
        assert capture.sql(newest.format("free")) == [(3,)]
    assert capture.sql(newest.format("held")) == [(9,)]


def test_temporary_tables_and_our_own_are_not_logged(capture: Capture) -> None:
    capture.sql("CREATE TEMP TABLE scratch (id int)")
    capture.sql("ALTER TABLE replicator.heartbeat ADD COLUMN x int")
    assert logged(capture) == []


def test_the_callers_search_path_and_role_are_logged_and_a_role_without_rights_can_run_ddl(
    capture: Capture,
) -> None:
    role = f"planner_{capture.config.installation}"
    capture.sql(f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}")
    try:
        with psycopg.connect(capture.config.source.dsn.get_secret_value(), autocommit=True) as connection:
            connection.execute("SET search_path = public, pg_temp")
            connection.execute(f"SET ROLE {role}".encode())
            connection.execute("CREATE TABLE theirs (id int)")
        found = logged(capture, "object_identity, search_path, role")
        assert ("public.theirs", "public, pg_temp", role) in found
        assert capture.sql("SELECT relreplident::text FROM pg_class WHERE relname = 'theirs'") == [("f",)]
    finally:
        capture.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_password_in_a_command_is_not_logged(capture: Capture) -> None:
    role = f"temp_{capture.config.installation}"
    capture.sql(f"CREATE ROLE {role} PASSWORD 'hush''hush'; CREATE TABLE x (id int); DROP ROLE {role}")
    ((query,),) = logged(capture, "query")
    assert "hush" not in query
    assert "CREATE TABLE x (id int)" in query


def test_a_log_that_cannot_be_written_warns_and_lets_the_ddl_through(capture: Capture) -> None:
    capture.sql("ALTER TABLE replicator.ddl_log RENAME TO moved_away")
    notices: list[str] = []
    with psycopg.connect(capture.config.source.dsn.get_secret_value(), autocommit=True) as connection:
        connection.add_notice_handler(
            lambda notice: notices.append(f"{notice.severity} {notice.message_primary}")
        )
        connection.execute("CREATE TABLE goes_on (id int)")
        connection.execute("DROP TABLE goes_on")
    assert len([notice for notice in notices if notice.startswith("WARNING replicator:")]) >= 2


def test_an_extension_is_logged_as_one_command_and_not_piece_by_piece(capture: Capture) -> None:
    names = {name for (name,) in capture.sql("SELECT name FROM pg_available_extensions")}
    if "vector" not in names:
        pytest.skip("the server brings no extension to try it with")
    capture.sql("CREATE EXTENSION vector")
    assert logged(capture) == [("command", "CREATE EXTENSION", "vector")]


# --- the dump ---


def test_the_first_row_is_a_dump_without_our_schema(capture: Capture) -> None:
    ((text, definition),) = capture.sql("SELECT dump, definition FROM replicator.ddl_log WHERE kind = 'dump'")
    assert "CREATE TABLE public.guests" in text
    assert "replicator_" not in text
    assert "CREATE SCHEMA replicator" not in text
    assert [table["table"] for table in definition["tables"]] == ["public.guests"]


def test_a_dump_is_due_after_ddl_and_only_then(capture: Capture) -> None:
    dsn = capture.config.source.dsn.get_secret_value()
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert not dump.is_due(connection)
        connection.execute("CREATE TABLE more (id int)")
        assert dump.is_due(connection)
        row = dump.take(dsn, capture.config.source.pg_dump)
        assert not dump.is_due(connection)
    assert (
        "CREATE TABLE public.more"
        in capture.sql(f"SELECT dump FROM replicator.ddl_log WHERE id = {row}")[0][0]
    )


def test_ddl_that_commits_while_the_dump_is_taken_makes_it_be_taken_again(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = capture.config.source.dsn.get_secret_value()
    run = dump._run
    raced: list[str] = []

    def race(*arguments: Any) -> str:
        text = run(*arguments)
        if not raced:
            raced.append(text)
            capture.sql("CREATE TABLE raced (id int)")
        return text

    monkeypatch.setattr(dump, "_run", race)
    row = dump.take(dsn, capture.config.source.pg_dump)
    assert "raced" not in raced[0]
    assert (
        "CREATE TABLE public.raced"
        in capture.sql(f"SELECT dump FROM replicator.ddl_log WHERE id = {row}")[0][0]
    )


def test_a_pg_dump_that_fails_says_why(capture: Capture, tmp_path: Path) -> None:
    broken = tmp_path / "pg_dump"
    broken.write_text("#!/bin/sh\necho 'aborting because of server version mismatch' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(SourceError, match="older than the server"):
        dump.take(capture.config.source.dsn.get_secret_value(), broken)


# --- sequences and heartbeat ---


def test_a_beat_records_the_sequences_that_moved_and_only_those(capture: Capture) -> None:
    capture.sql("CREATE SEQUENCE invoices; CREATE SEQUENCE idle")
    beat, names = (
        "SELECT replicator.beat()",
        "SELECT name, last_value, is_called FROM replicator.sequence_log ORDER BY id",
    )
    capture.sql(beat)
    capture.sql("SELECT nextval('invoices'), nextval('invoices')")
    capture.sql(beat)
    capture.sql(beat)
    capture.sql("SELECT setval('invoices', 1, false)")
    capture.sql(beat)
    assert capture.sql(names) == [
        ("public.invoices", 1, False),
        ("public.idle", 1, False),
        ("public.invoices", 2, True),
        ("public.invoices", 1, False),
    ]
    assert capture.sql("SELECT beat FROM replicator.heartbeat") == [(4,)]


def test_a_locked_sequence_waits_for_the_next_beat(capture: Capture) -> None:
    capture.sql("CREATE SEQUENCE invoices")
    capture.sql("SELECT nextval('invoices')")
    logged_calls = "SELECT is_called FROM replicator.sequence_log WHERE name = 'public.invoices' ORDER BY id"
    with psycopg.connect(capture.config.source.dsn.get_secret_value()) as holder:
        holder.execute("DROP SEQUENCE invoices")
        capture.sql("SELECT replicator.beat()")
        assert capture.sql(logged_calls) == [(False,)]
        holder.rollback()
    capture.sql("SELECT replicator.beat()")
    assert capture.sql(logged_calls) == [(False,), (True,)]


# --- the connector ---


def test_a_snapshot_that_failed_before_its_first_row_is_taken_again(
    stack: Endpoints, database: SourceDatabase
) -> None:
    """Debezium's own channel of notifications makes the second attempt skip it."""
    failing = {
        "snapshot.select.statement.overrides": "public.aaa",
        "snapshot.select.statement.overrides.public.aaa": "SELECT * FROM public.later",
    }
    capture = installed(config_for(stack, database, exact_values=True, overrides=failing))
    capture.sql("CREATE TABLE aaa (id int); INSERT INTO aaa VALUES (1), (2)")
    Registration.open(capture.config).apply()
    records(
        capture.config, "notification", lambda notes: sum(note["type"] == "STARTED" for note in notes) > 1
    )
    capture.sql("CREATE VIEW later AS SELECT * FROM aaa")
    records(capture.config, "notification", lambda notes: notes[-1]["type"] == "COMPLETED")
    told = snapshots.read(notifications.read(capture.config))
    assert told is not None and told.attempts > 1 and told.scanned["public.aaa"] == 2
    # Taken, and yet of no use: it doesn't stand where its slot begins.
    found = next(snapshot.checks(capture.config))
    assert found.level is Level.FAIL and "begun" in found.found and "--purge" in str(found.fix)


def test_a_table_is_captured_from_its_first_row_with_old_rows_and_without_a_key(capture: Capture) -> None:
    capture.apply()
    assert rows(capture.config, "public.guests", 2) and rows(capture.config, "public.guests", 2)[0][0] == "r"
    capture.sql("CREATE TABLE notes (wedding_id int, note text)")
    capture.sql("INSERT INTO notes VALUES (7, 'roses'); UPDATE notes SET note = 'tulips'; DELETE FROM notes")
    found = rows(capture.config, "public.notes", 3)
    roses, tulips = {"wedding_id": 7, "note": "roses"}, {"wedding_id": 7, "note": "tulips"}
    assert found == [("c", None, roses), ("u", roses, tulips), ("d", tulips, None)]


def test_the_doctor_tells_whether_the_snapshot_is_complete(capture: Capture) -> None:
    assert next(snapshot.checks(capture.config)).level is Level.WARN
    capture.apply()
    records(capture.config, "notification", lambda notes: notes[-1]["type"] == "COMPLETED")
    found = next(snapshot.checks(capture.config))
    assert found.level is Level.OK and "tables" in found.found


def test_the_snapshot_reads_partitions_and_inherited_tables_once(capture: Capture) -> None:
    capture.sql(
        "CREATE TABLE photos (id int, wedding_id int) PARTITION BY LIST (wedding_id);"
        "CREATE TABLE photos_7 PARTITION OF photos FOR VALUES IN (7); INSERT INTO photos VALUES (1, 7);"
        "CREATE TABLE people (id int); CREATE TABLE staff (wage int) INHERITS (people);"
        "INSERT INTO people VALUES (1); INSERT INTO staff VALUES (2, 3)"
    )
    capture.apply()
    counts = {
        note["additional_data"]["scanned_collection"]: int(note["additional_data"]["total_rows_scanned"])
        for note in records(
            capture.config, "notification", lambda notes: any(note["type"] == "COMPLETED" for note in notes)
        )
        if note["type"] == "TABLE_SCAN_COMPLETED"
    }
    assert {name: count for name, count in counts.items() if name.startswith("public.")} == {
        "public.guests": 2,
        "public.photos": 1,
        "public.people": 1,
        "public.staff": 1,
    }
    # A partition that is made later, and a row that moves into it, stay in the root's topic.
    capture.sql(
        "CREATE TABLE photos_8 PARTITION OF photos FOR VALUES IN (8); UPDATE photos SET wedding_id = 8"
    )
    assert [op for op, _, _ in rows(capture.config, "public.photos", 3)] == ["r", "d", "c"]
    # One that is detached is a table of its own from then on, and stays captured.
    capture.sql("ALTER TABLE photos DETACH PARTITION photos_7; INSERT INTO photos_7 VALUES (2, 7)")
    assert rows(capture.config, "public.photos_7", 1) == [("c", None, {"id": 2, "wedding_id": 7})]
    # Only its key would change; what was for the snapshot alone is over and no drift.
    assert [change.setting for change in Registration.open(capture.config).changes()] == [
        "message.key.columns"
    ]


def test_topics_whose_order_counts_have_one_partition_and_tables_have_theirs(capture: Capture) -> None:
    capture.apply()
    capture.sql("UPDATE guests SET diet = 'none'")
    records(capture.config, "transaction", lambda found: any(r["status"] == "END" for r in found))
    counts = {
        topic: partitions(capture.config, topic)
        for topic in ("transaction", "notification", "replicator.ddl_log", "public.guests")
    }
    assert counts == {"transaction": 1, "notification": 1, "replicator.ddl_log": 1, "public.guests": 3}


def test_truncate_and_ddl_and_heartbeats_come_through(capture: Capture) -> None:
    capture.apply()
    capture.sql("TRUNCATE guests")
    found = records(capture.config, "public.guests", lambda rows: any(row["op"] == "t" for row in rows))
    assert found[-1]["op"] == "t"
    capture.sql("CREATE TABLE more (id int)")
    ddl = records(capture.config, "replicator.ddl_log", lambda rows: len(rows) >= 2)
    assert json.loads(ddl[1]["after"]["definition"])["table"] == "public.more"
    records(capture.config, "replicator.heartbeat", lambda rows: len(rows) >= 3)


def test_applying_twice_changes_nothing_and_a_changed_setting_is_shown_and_taken_over(
    capture: Capture,
) -> None:
    capture.apply()
    assert Registration.open(capture.config).changes() == []
    source = capture.config.source.model_copy(update={"overrides": {"poll.interval.ms": "40"}})
    changed = Capture(capture.config.model_copy(update={"source": source}), [])
    (change,) = Registration.open(changed.config).changes()
    assert (change.setting, change.old, change.new) == ("poll.interval.ms", "20", "40")
    assert any("poll.interval.ms" in problem for problem in Registration.open(changed.config).problems())
    registration = changed.apply()
    assert registration.connect.task_configs(registration.name)[0]["poll.interval.ms"] == "40"


def test_a_setting_that_connect_objects_to_is_named_and_nothing_is_created(capture: Capture) -> None:
    source = capture.config.source.model_copy(update={"overrides": {"snapshot.mode": "sometimes"}})
    registration = Registration.open(capture.config.model_copy(update={"source": source}))
    with pytest.raises(SourceError, match=r"snapshot\.mode"):
        registration.apply()
    assert registration.connect.config(registration.name) is None


def test_a_failed_task_is_told_with_its_cause(capture: Capture) -> None:
    registration = capture.apply()
    # A converter that can't reach its registry fails the task on the next new schema.
    source = capture.config.source.model_copy(
        update={
            "overrides": {
                "value.converter.apicurio.registry.url": "http://127.0.0.1:1/apis/registry/v2",
                "errors.retry.timeout": "0",
            }
        }
    )
    broken = Registration.open(capture.config.model_copy(update={"source": source}))
    registration.connect.put_config(registration.name, broken.wanted)
    capture.sql("CREATE TABLE unseen (id int); INSERT INTO unseen VALUES (1)")

    def missing() -> str | None:
        try:
            broken.wait(5)
        except ConnectorFailedError as error:
            return None if "Caused by" in str(error) else f"no cause in: {error}"
        return "the connector still runs"

    wait_for("the task to fail with a cause", missing, 60)


def test_pausing_and_resuming_loses_nothing(capture: Capture) -> None:
    registration = capture.apply()
    registration.pause()
    capture.sql("INSERT INTO guests VALUES (3, 7, 'nuts')")
    registration.connect.resume(registration.name)
    registration.wait(60)
    assert {after["id"] for _, _, after in rows(capture.config, "public.guests", 3)} == {1, 2, 3}


def test_removing_says_what_stays_and_purging_takes_slot_and_publication(capture: Capture) -> None:
    capture.apply()
    slot = f"replicator_{capture.config.installation}"
    count = f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}'"
    said = " ".join(Registration.named(capture.config).remove(purge=False))
    assert slot in said
    assert "pins WAL" in said
    assert capture.sql(count) == [(1,)]
    with pytest.raises(SourceError, match="has no connector"):
        Registration.named(capture.config)
    capture.apply()
    list(Registration.named(capture.config).remove(purge=True))
    assert capture.sql(count) == [(0,)]
    assert capture.sql("SELECT count(*) FROM pg_publication") == [(0,)]


def test_a_connector_without_its_publication_is_not_created(capture: Capture) -> None:
    capture.sql(f"DROP PUBLICATION replicator_{capture.config.installation}")
    registration = Registration.open(capture.config)
    with pytest.raises(SourceError, match="no publication") as caught:
        registration.apply()
    assert "source install" in str(caught.value.next_step)
    assert registration.connect.config(registration.name) is None


def test_an_unreachable_connect_says_what_to_check(capture: Capture) -> None:
    source = capture.config.source.model_copy(update={"connect_url": "http://127.0.0.1:1"})
    with pytest.raises(ConnectError, match="can't be reached"):
        Registration.open(capture.config.model_copy(update={"source": source}))


def test_a_role_with_no_more_than_replication_and_select_is_enough_for_the_connector(
    stack: Endpoints, capture: Capture
) -> None:
    role, where = f"cdc_{capture.config.installation}", stack.postgres
    capture.sql(
        f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'cdc-only';"
        f"GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    )
    dsn = f"postgresql://{role}:cdc-only@{where.host}:{where.port}/{capture.config.installation}"
    source = capture.config.source.model_copy(update={"connector_dsn": SecretStr(dsn)})
    limited = installed(capture.config.model_copy(update={"source": source}))
    try:
        registration = limited.apply()
        capture.sql("CREATE SEQUENCE invoices; UPDATE guests SET diet = 'nuts' WHERE id = 2")
        assert rows(limited.config, "public.guests", 3)[2][0] == "u"
        records(limited.config, "replicator.sequence_log", lambda found: len(found) >= 1)
        assert [c for c in examine(limited.config) if c.level is Level.FAIL] == []
        # A snapshot that is taken once more can read the canary's table, which is newer than the grants.
        list(registration.remove(purge=True))
        again = limited.config.model_copy(update={"installation": f"{limited.config.installation}b"})
        capture.sql(f"UPDATE replicator.installation SET name = '{again.installation}'")
        registration = installed(again).apply()
        assert len(rows(again, "public.guests", 2)) == 2
        list(registration.remove(purge=True))
    finally:
        capture.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


# --- what may never happen silently ---


def drop_slot(capture: Capture) -> None:
    slot = f"replicator_{capture.config.installation}"

    def missing() -> str | None:
        free = capture.sql(f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active")
        return None if free else "it is being read"

    wait_for("the slot to be let go", missing, 30)
    capture.sql(f"SELECT pg_drop_replication_slot('{slot}')")


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_lost_slot_is_an_error_and_never_a_silent_hole(capture: Capture, made_anew: bool) -> None:
    registration = capture.apply()
    rows(capture.config, "public.guests", 2)

    def not_streaming() -> str | None:
        offsets = registration.connect.offsets(registration.name)
        return None if any("lsn_commit" in entry["offset"] for entry in offsets) else f"only {offsets}"

    wait_for("a streamed transaction to be committed", not_streaming, 30)
    list(registration.remove(purge=False))
    drop_slot(capture)
    capture.sql("INSERT INTO guests VALUES (9, 9, 'lost')")
    if made_anew:
        slot = f"replicator_{capture.config.installation}"
        capture.sql(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    # Debezium itself must refuse: Connect starts its tasks without asking us.
    registration.connect.put_config(registration.name, registration.wanted)
    with pytest.raises(ConnectorFailedError, match="Changes are lost: the slot") as caught:
        registration.wait(60)
    assert "new installation" in str(caught.value.next_step)
    assert findings(capture)["continuity"][0] is Level.FAIL
    # Nobody starts it over the hole, by hand or by watching.
    with pytest.raises(ConnectorFailedError, match="isn't started"):
        Registration.open(capture.config).apply()
    with pytest.raises(ConnectorFailedError, match="isn't restarted"):
        watch(capture.config, 0.2)


def test_a_task_that_failed_because_the_registry_was_away_goes_on_by_itself_and_loses_nothing(
    stack: Endpoints, capture: Capture
) -> None:
    with FaultProxy(stack.registry.native_url) as proxy:
        through = {"apicurio.registry.url": f"{proxy.url}/apis/registry/v2"}
        converter = capture.config.source.converter.model_copy(
            update={"settings": stack.converter.settings | through}
        )
        source = capture.config.source.model_copy(update={"converter": converter})
        behind = Capture(capture.config.model_copy(update={"source": source}), [])
        registration = behind.apply()
        capture.sql("UPDATE guests SET diet = 'nuts' WHERE id = 1")
        assert rows(capture.config, "public.guests", 3)[2][0] == "u"
        proxy.down()
        capture.sql("CREATE TABLE vows (id int); INSERT INTO vows VALUES (1)")

        def failed() -> str | None:
            now = state(registration.connect.status(registration.name))
            return None if now.failed else str(now)

        wait_for("the task to fail without its registry", failed, 60)
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(behind.config, 0.5, stop))
        watcher.start()
        try:
            proxy.up()
            assert rows(capture.config, "public.vows", 1) == [("c", None, {"id": 1})]
        finally:
            stop.set()
            watcher.join()
        list(registration.remove(purge=True))


def test_a_value_of_some_megabytes_comes_through_whole(capture: Capture) -> None:
    capture.apply()
    capture.sql("CREATE TABLE albums (id int, photo text)")
    capture.sql("INSERT INTO albums SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 150000) n")
    ((_, _, after),) = rows(capture.config, "public.albums", 1)
    assert capture.sql("SELECT photo FROM albums") == [(after["photo"],)]
    assert len(after["photo"]) == 4_800_000


# --- the doctor, without its canary ---


def findings(capture: Capture, **update: Any) -> dict[str, tuple[Level, str]]:
    source = capture.config.source.model_copy(update=update)
    config = capture.config.model_copy(update={"source": source})
    return {c.name: (c.level, c.found) for c in examine(config, with_canary=False)}


def test_the_doctor_finds_nothing_to_fail_where_all_is_well(capture: Capture) -> None:
    capture.apply()
    records(capture.config, "transaction", lambda found: len(found) >= 2)
    assert [name for name, (level, _) in findings(capture).items() if level is Level.FAIL] == []


def test_the_doctor_names_what_was_broken(capture: Capture) -> None:
    capture.apply()
    slot = f"replicator_{capture.config.installation}"
    capture.sql("ALTER EVENT TRIGGER replicator_ddl DISABLE")
    capture.sql("ALTER TABLE guests REPLICA IDENTITY DEFAULT; CREATE UNLOGGED TABLE scratch (id int)")
    capture.sql(f"ALTER PUBLICATION {slot} SET (publish = 'insert')")
    capture.sql("SELECT lo_create(0)")
    capture.sql('CREATE TABLE "g,h" (id int); CREATE TABLE "g.h" (id int); CREATE TABLE "g h" (id int)')
    capture.sql("UPDATE replicator.installation SET system_identifier = '1'")
    found = findings(capture)
    assert found["event triggers"][0] is Level.FAIL
    assert found["replica identity"][0] is Level.FAIL and "public.guests" in found["replica identity"][1]
    assert found["publication"][0] is Level.FAIL
    assert found["table names"][0] is Level.FAIL and "public.g h, public.g,h" in found["table names"][1]
    assert found["identity"][0] is Level.FAIL
    assert found["unlogged tables"][0] is Level.WARN
    assert found["large objects"][0] is Level.WARN
    assert found["primary keys"][0] is Level.WARN


def test_the_doctor_names_schemas_with_a_dot_and_tables_without_columns(capture: Capture) -> None:
    """Debezium parts schema and table at a dot, and its snapshot fails at a table that has no column."""
    capture.sql('CREATE SCHEMA "odd.one" CREATE TABLE fine (id int PRIMARY KEY); CREATE TABLE nothing ()')
    quiet = findings(capture)
    assert "schema names" not in quiet
    assert quiet["tables without columns"] == (
        Level.FAIL,
        "Debezium's snapshot can't read public.nothing",
    )
    found = findings(capture, schemas=["public", "odd.one"], exclude_tables=[r"public\.nothing"])
    assert "tables without columns" not in found
    assert found["schema names"][0] is Level.FAIL
    assert found["schema names"][1].startswith("odd.one: a dot parts schema and table")


def test_the_doctor_goes_on_where_a_part_is_away(capture: Capture) -> None:
    found = findings(capture, connect_url="http://127.0.0.1:1")
    assert found["connect"][0] is Level.FAIL
    assert found["wal_level"] == (Level.OK, "logical")
    assert found["registry storage"][0] is Level.OK


def test_a_role_that_may_not_read_a_table_is_found_before_the_snapshot_fails(capture: Capture) -> None:
    role = f"cdc_{capture.config.installation}"
    capture.sql(f"CREATE ROLE {role} LOGIN REPLICATION")
    try:
        level, shown = findings(capture, connector_dsn=SecretStr(f"user={role} host=h dbname=d"))["rights"]
        assert level is Level.FAIL
        assert "guests" in shown
    finally:
        capture.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
