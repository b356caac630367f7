"""Restores across every kind of DDL on the real path, judged by the source at the same LSN."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from replicator import config, verify
from replicator.compact import service as compaction
from replicator.compare import Digests, capture, capture_within, compare, hold
from replicator.restore import service
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.moment import cut
from tests.faults.capture import Capture, captured
from tests.stack.forgery import Forger
from tests.stack.test_restore import target as target

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE people (id bigserial PRIMARY KEY, name varchar(20) NOT NULL, note text, mood mood, n int);
CREATE TABLE pets (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint REFERENCES people, n int);
CREATE TABLE steps (at timestamp, what text, n float8);
CREATE TABLE swapped (id int PRIMARY KEY, v text);
CREATE TABLE again (id int PRIMARY KEY, v text);
CREATE TABLE singles (id int UNIQUE, v text NOT NULL);
CREATE TABLE zones (id int, at timestamptz);
INSERT INTO zones SELECT n, timestamptz '2026-01-01 12:00Z' + n * interval '1 h' FROM generate_series(1, 9) n;
INSERT INTO singles SELECT n, 'v' || n FROM generate_series(1, 9) n;
CREATE TABLE stays (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE stays_old PARTITION OF stays FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE breaks (v text DEFAULT E'a\\r\\nb\\rc\\n');
INSERT INTO breaks VALUES (DEFAULT), (E'\\r\\n');
CREATE TABLE halves (id int CHECK (id > 0), at date) PARTITION BY RANGE (at);
CREATE TABLE halves_old PARTITION OF halves FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
ALTER TABLE halves ADD CONSTRAINT late CHECK (id < 10000) NOT VALID;
CREATE TABLE halves_new PARTITION OF halves FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE retyped (id int PRIMARY KEY, answer text, at json);
CREATE TABLE loose (id int, at date, v text, PRIMARY KEY (id, at));
INSERT INTO people (name, note, mood, n) SELECT 'p' || n, md5(n::text), 'ok', n FROM generate_series(1, 60) n;
INSERT INTO pets (owner, n) SELECT n, n FROM generate_series(1, 40) n;
INSERT INTO steps SELECT timestamp '2020-01-01' + n * interval '1 s', 'm' || n % 3, n
    FROM generate_series(1, 30) n;
INSERT INTO swapped SELECT n, 'swapped ' || n FROM generate_series(1, 9) n;
INSERT INTO again SELECT n, 'first ' || n FROM generate_series(1, 9) n;
INSERT INTO stays SELECT n, date '2020-06-01' + n, 'v' FROM generate_series(1, 20) n;
"""
STEPS: dict[str, tuple[str, ...]] = {
    "columns renamed": (
        "UPDATE people SET n = n + 1 WHERE id < 10",
        "ALTER TABLE people RENAME COLUMN note TO remark",
        "UPDATE people SET remark = 'late' WHERE id % 7 = 0",
        "ALTER TABLE pets RENAME id TO pet; ALTER TABLE pets RENAME n TO id;ALTER TABLE pets RENAME pet TO n",
        "INSERT INTO pets (owner, id) VALUES (1, 900)",
        "UPDATE pets SET id = -id WHERE n < 8",
        "DELETE FROM pets WHERE n BETWEEN 10 AND 14",
        "ALTER TABLE steps RENAME what TO kind",
        "DELETE FROM steps WHERE kind = 'm1'",
        "UPDATE steps SET n = n * 2 WHERE kind = 'm2'",
    ),
    "dropped and added": (
        "BEGIN; INSERT INTO people (name, remark, n) VALUES ('in between', 'x', 1);"
        "ALTER TABLE people DROP COLUMN remark, ADD COLUMN remark text DEFAULT 'fresh';"
        "INSERT INTO people (name, remark) VALUES ('after', NULL); COMMIT",
        "ALTER TABLE steps DROP COLUMN kind; ALTER TABLE steps ADD COLUMN kind int",
        "DELETE FROM steps WHERE n < 6",
        "ALTER TABLE people ALTER COLUMN name TYPE text",
        # No key, and older rows need the new column's constant: all images together break the index.
        "ALTER TABLE singles ADD COLUMN late text DEFAULT 'constant'",
        "UPDATE singles SET v = v || '!' WHERE id < 4; DELETE FROM singles WHERE id = 9",
        "INSERT INTO singles VALUES (9, 'again')",
        # Nothing is rewritten in that zone, so rows of before are there in the old type's spelling.
        "SET TimeZone = 'UTC'; ALTER TABLE zones ALTER COLUMN at TYPE timestamp; RESET TimeZone",
        "DELETE FROM zones WHERE id = 3; UPDATE zones SET at = at + interval '1 h' WHERE id = 4",
        # Rows may be there that a constraint wouldn't let in, and tables change their names after it came.
        "INSERT INTO again VALUES (-5, 'negative')",
        "ALTER TABLE again ADD CONSTRAINT positive CHECK (id > 0) NOT VALID",
        "COMMENT ON CONSTRAINT positive ON again IS 'from now on'",
        "INSERT INTO people (name) VALUES (repeat('long', 20))",
    ),
    "tables renamed": (
        "ALTER TABLE people RENAME TO persons; ALTER TYPE mood RENAME TO temper",
        "UPDATE persons SET n = 0 WHERE id % 5 = 0",
        "BEGIN; UPDATE swapped SET v = 'before' WHERE id = 1; ALTER TABLE swapped RENAME TO spare;"
        "ALTER TABLE again RENAME TO swapped; ALTER TABLE spare RENAME TO again;"
        "UPDATE again SET v = 'after' WHERE id = 2; DELETE FROM swapped WHERE id = 3; COMMIT",
        "INSERT INTO again VALUES (100, 'new'); INSERT INTO swapped VALUES (100, 'new as well')",
    ),
    "made again": (
        "DROP TABLE again",
        "CREATE TABLE again (id text PRIMARY KEY, other int)",
        "INSERT INTO again VALUES ('1', 1), ('x', 2)",
        "BEGIN; DROP TABLE swapped; CREATE TABLE swapped (id int, v int);"
        "INSERT INTO swapped VALUES (1, 1), (1, 1); COMMIT",
        "DELETE FROM swapped WHERE ctid = '(0,1)'",
    ),
    "taken along": (
        "CREATE TABLE halls (id int PRIMARY KEY); INSERT INTO halls SELECT generate_series(1, 9)",
        "CREATE FUNCTION half(int) RETURNS int IMMUTABLE RETURN $1 / 2; CREATE SEQUENCE chair_nr",
        "CREATE TABLE chairs (id int PRIMARY KEY, hall int, nr int DEFAULT nextval('chair_nr'),"
        "    place int CHECK (half(place) > 0), twice int GENERATED ALWAYS AS (half(place) * 4) STORED)",
        "CREATE INDEX chairs_half ON chairs (half(id))",
        "INSERT INTO chairs (id, hall, place) SELECT n, n % 12, n + 5 FROM generate_series(1, 30) n",
        "ALTER TABLE chairs ADD FOREIGN KEY (hall) REFERENCES halls ON DELETE CASCADE NOT VALID",
        "DELETE FROM halls WHERE id = 3",
        "BEGIN; UPDATE chairs SET place = 40 WHERE id = 1; DROP TABLE halls CASCADE;"
        "UPDATE chairs SET hall = 700 WHERE id = 2; COMMIT",
        "DROP SEQUENCE chair_nr CASCADE; INSERT INTO chairs (id, place) VALUES (31, 8)",
        "DROP FUNCTION half CASCADE; UPDATE chairs SET place = -1 WHERE id = 5",
    ),
    "of queries": (
        "CREATE TABLE copy AS SELECT id, name, random() AS r FROM persons WHERE id < 30",
        "DELETE FROM copy WHERE id < 5",
        "SELECT id, owner INTO picked FROM pets",
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM copy",
        "DROP TABLE IF EXISTS picked, nothing; CREATE TABLE picked AS SELECT generate_series(1, 3) AS n",
        "UPDATE picked SET n = 10 WHERE n = 2",
        # Another table under the former name of one with a key, and without any.
        "CREATE TABLE people AS SELECT 1 AS id",
        "UPDATE people SET id = 2; UPDATE persons SET n = n + 1 WHERE id < 5",
        "ALTER TABLE stays ATTACH PARTITION loose FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
        "INSERT INTO stays VALUES (1, '2021-05-05', 'attached')",
        "ALTER TABLE copy ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED",
    ),
    "rewritten": (
        "UPDATE persons SET n = n + 1 WHERE id > 50",
        "BEGIN; DELETE FROM persons WHERE id = 50;"
        "ALTER TABLE persons ALTER COLUMN n TYPE bigint USING n * 10;"
        "UPDATE persons SET n = 1 WHERE id = 51; COMMIT",
        "ALTER TABLE pets ADD COLUMN lot float8 DEFAULT random(), ADD COLUMN nr serial",
        "DELETE FROM pets WHERE n > 30",
        "INSERT INTO steps SELECT * FROM steps WHERE n < 20",
        "ALTER TABLE steps ALTER COLUMN n TYPE numeric(10, 1), ALTER COLUMN at TYPE timestamptz",
        "DELETE FROM steps WHERE ctid IN(SELECT max(ctid) FROM steps GROUP BY n HAVING count(*) > 1 LIMIT 3)",
        # When Debezium gets to the rows the catalogue has the later types, in which one can't be read at all.
        "BEGIN; INSERT INTO retyped VALUES (1, 'true', '{}'), (2, 'no', '[7]');"
        "ALTER TABLE retyped ALTER answer TYPE boolean USING answer = 'true',"
        "    ALTER at TYPE timestamp USING timestamp '2026-06-06';"
        "INSERT INTO retyped VALUES (3, true, '2026-07-07'); COMMIT",
        "BEGIN; UPDATE retyped SET answer = false WHERE id = 1;"
        "ALTER TABLE retyped ALTER answer TYPE text USING answer::text || '!', ALTER at TYPE date;"
        "DELETE FROM retyped WHERE id = 2; COMMIT",
        "ALTER TABLE swapped ADD COLUMN lot uuid DEFAULT gen_random_uuid()",
        "UPDATE swapped SET v = 2; ALTER TABLE stays ALTER COLUMN v TYPE varchar(8)",
        "ALTER TABLE copy ALTER COLUMN twice DROP EXPRESSION; UPDATE copy SET twice = 0 WHERE id = 6",
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.moved AS SELECT 1 AS a;"
        "ALTER TABLE elsewhere.moved SET SCHEMA public",
    ),
    "partitions": (
        # The parent's check was never validated; whatever is made after it has it validated.
        "ALTER TABLE halves ADD CONSTRAINT later CHECK (id < 9000) NOT VALID",
        "CREATE TABLE halves_last PARTITION OF halves FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');"
        "INSERT INTO halves VALUES (1, '2020-05-05'), (2, '2021-05-05'), (3, '2022-05-05')",
        'CREATE TABLE parent (id int); ALTER TABLE parent ADD CONSTRAINT "Its own" CHECK (id > 0) NOT VALID;'
        "CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (5)",
        # Nothing comes or goes with a partition without rows, so nothing has to be sent again.
        "CREATE TABLE stays_none (LIKE stays INCLUDING ALL)",
        "INSERT INTO stays_none VALUES (1, '2023-01-01', 'x')",
        "DELETE FROM stays_none; "
        "ALTER TABLE stays ATTACH PARTITION stays_none FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
        "INSERT INTO stays VALUES (2, '2023-02-02', 'y'); DELETE FROM stays WHERE id = 2 AND v = 'y'",
        "ALTER TABLE stays DETACH PARTITION stays_none",
        "INSERT INTO stays_none VALUES (3, '2023-03-03', 'z')",
        "ALTER TABLE stays DETACH PARTITION stays_old",
        "INSERT INTO stays_old VALUES (99, '2019-01-01', 'own')",
        "DELETE FROM stays_old WHERE id = 3",
        "CREATE TABLE stays_new (LIKE stays INCLUDING ALL);"
        "INSERT INTO stays_new VALUES (7, '2022-02-02', 'new')",
        "ALTER TABLE stays ATTACH PARTITION stays_new FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')",
        "UPDATE stays SET v = 'upd' WHERE id = 7",
        "DROP TABLE loose",
        "INSERT INTO stays VALUES (8, '2022-03-03', 'two')",
        # Logical decoding remembers with a partition what its root was called.
        "ALTER TABLE stays RENAME TO sojourns",
        "INSERT INTO sojourns VALUES (9, '2022-04-04', 'named')",
    ),
}
REFUSED = (
    "ALTER TYPE temper RENAME VALUE 'ok' TO 'fine'",
    "INSERT INTO persons (name) VALUES ('beyond')",
)


class Epochs:
    """The captured history, its segments, and the source as it was after each step."""

    def __init__(self, made: Capture, store: Path) -> None:
        self.capture = made
        self.store = store
        self.points: dict[str, tuple[str, Digests]] = {}

    def run(self, statements: tuple[str, ...]) -> None:
        with psycopg.connect(self.capture.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def hold(self, name: str) -> None:
        with hold(self.capture.dsn) as point:
            self.points[name] = (point.lsn, capture_within(point.connection))

    def settings(self, store: Path | None = None) -> config.Config:
        path = self.capture.write_config(
            "restore",
            destinations={"store": {"type": "file", "path": str(store or self.store)}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
        )
        return config.load(path)

    def sink(self) -> None:
        self.capture.settle()
        self.settings()
        path = self.capture.directory / "restore.yaml"
        self.capture.replicator(path, "sink", "store", "--once", "--accept-unproven-values")


@pytest.fixture(scope="module")
def history(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Epochs]:
    folder = tmp_path_factory.mktemp("epochs")
    store = folder / "store"
    store.mkdir()
    with captured(stack, folder / "capture", more=TABLES) as made:
        told = Epochs(made, store)
        for name, statements in STEPS.items():
            # Debezium looks up keys and defaults in the catalogue of the day on which it reads.
            made.settle()
            told.run(statements)
            told.hold(name)
        told.run(REFUSED)
        told.sink()
        yield told


@pytest.mark.parametrize("name", STEPS)
def test_rows_cross_a_change_of_the_schema(history: Epochs, target: str, name: str) -> None:
    at, source = history.points[name]
    report = service.run(history.settings(), "store", cut.parse(None, at, None, False), target)
    found = compare(source, capture(target))
    assert found.equal, "\n".join(found.lines())
    assert report.ddl_replayed, "nothing was replayed: the dump is newer than the history"


def test_renamed_labels_are_refused_with_the_moment_before_it(history: Epochs, target: str) -> None:
    with pytest.raises(SchemaRefusedError, match="can't be carried across it") as caught:
        service.plan(history.settings(), "store", cut.Latest())
    nearest = str(caught.value.next_step).split("--to-lsn ")[1].split()[0]
    service.run(history.settings(), "store", cut.parse(None, nearest, None, False), target)
    found = compare(history.points["partitions"][1], capture(target))
    assert found.equal, "\n".join(found.lines())


def test_a_record_under_a_name_that_no_table_had_is_refused(
    history: Epochs, target: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(history.store, store)
    forger = Forger(store, history.capture.name)
    stray = forger.one("public.swapped", lambda each: (each["value"]["after"] or {}).get("v") == "before")
    renamed, *_ = forger.find(
        "replicator.ddl_log", lambda each: "RENAME TO spare" in (each["value"]["after"]["query"] or "")
    )
    # Between two commands of its transaction: counts by name and transaction stay what they were.
    between = int(renamed.record["value"]["source"]["lsn"]) + 1
    forger.change(stray, lambda value: value["source"].update(lsn=between))
    at, _ = history.points["tables renamed"]
    with pytest.raises(SchemaRefusedError, match="no table had that name then") as caught:
        service.run(history.settings(store), "store", cut.parse(None, at, None, False), target)
    assert f"offset {stray.record['offset']} of {history.capture.name}.public.swapped," in str(caught.value)
    assert "--to-lsn" in str(caught.value.next_step)


def test_bases_cross_a_change_of_the_schema(history: Epochs, target: str, tmp_path: Path) -> None:
    """A base after every second step, made from the one before; the moments behind it begin with it."""
    copy = tmp_path / "store"
    shutil.copytree(history.store, copy)
    settings = history.settings(copy)
    base = None
    for number, (name, (at, source)) in enumerate(history.points.items()):
        to = cut.parse(None, at, None, False)
        if base is not None:
            report = service.run(settings, "store", to, target, force_clean=True)
            assert report.base == base.id
            found = compare(source, capture(target))
            assert found.equal, f"{name}: " + "\n".join(found.lines())
        if number % 2 == 0:
            made = compaction.run(settings, "store", to)
            assert made.made and made.made_from == (base and base.id)
            base = made.base
            assert verify.run(settings, "store", verify.Options(verify.Depth.BYTES)).findings == []
