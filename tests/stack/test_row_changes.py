"""All that changes rows, through the real path, judged by the source at the same LSN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from replicator import config
from replicator.compare import Digests, capture, capture_within, compare, hold
from replicator.restore import service
from replicator.restore.moment import cut
from tests.faults.capture import Capture, captured

TABLES = """
CREATE TABLE turns (id int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, v text, wide text);
ALTER TABLE turns ALTER wide SET STORAGE EXTERNAL;
CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
CREATE TABLE swaps (id int PRIMARY KEY, wedding_id int, v text, wide text);
ALTER TABLE swaps ALTER wide SET STORAGE EXTERNAL;
CREATE TABLE places (id int, at int, v text, PRIMARY KEY (id, at)) PARTITION BY LIST (at);
CREATE TABLE places_1 PARTITION OF places FOR VALUES IN (1);
CREATE TABLE places_2 PARTITION OF places FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE places_2_low PARTITION OF places_2 FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE places_2_high PARTITION OF places_2 FOR VALUES FROM (100) TO (MAXVALUE);
CREATE TABLE places_rest PARTITION OF places DEFAULT;
CREATE TABLE parents (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
CREATE TABLE children (id serial PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE, v text);
CREATE TABLE grandchildren (id bigserial, child int REFERENCES children ON UPDATE CASCADE ON DELETE SET NULL);
CREATE TABLE beasts (id int PRIMARY KEY, name text);
CREATE TABLE birds (wings int) INHERITS (beasts);
CREATE TABLE eagles (PRIMARY KEY (id), eyes int) INHERITS (birds);
CREATE TABLE heaps (a int, b text, wide text);
ALTER TABLE heaps ALTER wide SET STORAGE EXTERNAL;
CREATE TABLE counters (k text PRIMARY KEY, n int DEFAULT 0, wide text);
ALTER TABLE counters ALTER wide SET STORAGE EXTERNAL;
INSERT INTO turns SELECT n, 'v' || n, repeat(md5(n::text), 200) FROM generate_series(1, 30) n;
INSERT INTO late SELECT n, 'v' || n FROM generate_series(1, 10) n;
INSERT INTO swaps SELECT n, n % 3, 'v' || n, repeat(md5(n::text), 200) FROM generate_series(1, 60) n;
INSERT INTO places SELECT n, 1 + n % 3, 'v' || n FROM generate_series(1, 150) n;
INSERT INTO parents (v) SELECT 'p' || n FROM generate_series(1, 20) n;
INSERT INTO children (parent, v) SELECT n, 'c' || n FROM generate_series(1, 20) n;
INSERT INTO grandchildren (child) SELECT n FROM generate_series(1, 20) n;
INSERT INTO beasts SELECT n, 'beast' FROM generate_series(1, 5) n;
INSERT INTO birds SELECT n, 'bird', 2 FROM generate_series(3, 9) n;
INSERT INTO eagles SELECT n, 'eagle', 2, 2 FROM generate_series(5, 12) n;
INSERT INTO heaps SELECT n % 4, 'same', repeat('x', 4000 * (n % 2)) FROM generate_series(1, 40) n;
INSERT INTO counters SELECT 'k' || n, n, repeat(md5(n::text), 300) FROM generate_series(1, 20) n;
"""
CHAPTERS: dict[str, tuple[str, ...]] = {
    "keys change places": (
        "UPDATE turns SET id = 31 - id",
        "UPDATE turns SET id = id + 1",
        "BEGIN; UPDATE turns SET id = (id - 1) % 5 + 2 WHERE id < 7; "
        "UPDATE turns SET v = NULL WHERE id = 3; COMMIT",
        "BEGIN; INSERT INTO late VALUES (1, 'twice'); DELETE FROM late WHERE v = 'v1'; COMMIT",
        "BEGIN; UPDATE late SET id = 3 WHERE v = 'v2'; UPDATE late SET id = 2 WHERE v = 'v3'; COMMIT",
        "BEGIN; UPDATE swaps SET id = -1 WHERE id = 1; UPDATE swaps SET id = 1 WHERE id = 2; "
        "UPDATE swaps SET id = 2 WHERE id = -1; COMMIT",
        "BEGIN; DELETE FROM swaps WHERE id = 5; INSERT INTO swaps VALUES (5, 9, 'anew'); COMMIT",
        "BEGIN; INSERT INTO swaps VALUES (500, 1, 'x'); DELETE FROM swaps WHERE id = 500; COMMIT",
        "UPDATE swaps SET id = id + 1000, v = 'moved' WHERE id % 7 = 0",
        "UPDATE swaps SET wedding_id = wedding_id + 1 WHERE id % 2 = 0",
        "UPDATE swaps SET v = NULL",
    ),
    "rows move between partitions": (
        "UPDATE places SET at = 3 - at WHERE at < 3",
        "BEGIN; UPDATE places SET id = -7 WHERE id = 7; UPDATE places SET id = 7 WHERE id = 8; "
        "UPDATE places SET id = 8 WHERE id = -7; COMMIT",
        "UPDATE places SET id = id + 100 WHERE at = 2 AND id % 2 = 0",
        "UPDATE places_rest SET v = 'direct'",
        "INSERT INTO places_2_high VALUES (900, 2, 'direct')",
        "DELETE FROM places WHERE id % 11 = 0",
        "BEGIN; UPDATE places SET at = 1 WHERE id = 900; DELETE FROM places WHERE id = 900; "
        "INSERT INTO places VALUES (900, 2, 'again'); COMMIT",
    ),
    "tables are emptied": (
        "BEGIN; INSERT INTO parents (v) VALUES ('gone'); TRUNCATE parents CASCADE; INSERT INTO parents (v) "
        "VALUES ('kept'); COMMIT",
        "INSERT INTO children (parent, v) SELECT id, 'new' FROM parents",
        "INSERT INTO grandchildren (child) SELECT id FROM children",
        "TRUNCATE parents, children, grandchildren RESTART IDENTITY",
        "INSERT INTO parents (v) VALUES ('first')",
        "INSERT INTO children (parent, v) VALUES (1, 'first')",
        "BEGIN; TRUNCATE heaps; ROLLBACK",
        "BEGIN; SAVEPOINT s; TRUNCATE turns, heaps; ROLLBACK TO s; INSERT INTO heaps VALUES (9, 'k'); COMMIT",
        "BEGIN; TRUNCATE late; INSERT INTO late VALUES (1, 'a'); TRUNCATE late; "
        "INSERT INTO late VALUES (1, 'b'); COMMIT",
        "TRUNCATE places",
        "INSERT INTO places VALUES (1, 1, 'a'), (1, 2, 'b')",
    ),
    "inheritance": (
        "UPDATE beasts SET name = name || '!' WHERE id > 4",
        "UPDATE ONLY beasts SET id = id + 100",
        "DELETE FROM birds WHERE id = 6",
        "TRUNCATE ONLY birds",
        "INSERT INTO birds VALUES (3, 'again', 3)",
    ),
    "transactions of every shape": (
        "BEGIN; COMMIT",
        "BEGIN; SELECT pg_current_xact_id(); COMMIT",
        "BEGIN; SAVEPOINT a; INSERT INTO heaps VALUES (1, 'a'); SAVEPOINT b; INSERT INTO heaps VALUES (1); "
        "ROLLBACK TO b; INSERT INTO heaps VALUES (1, 'c'); RELEASE a; COMMIT",
        "BEGIN; SAVEPOINT a; DELETE FROM swaps; ROLLBACK TO a; COMMIT",
        "INSERT INTO counters VALUES ('k1', 1), ('new', 1) ON CONFLICT (k) DO UPDATE SET n = counters.n + 1",
        "INSERT INTO counters VALUES ('k1', 1), ('k2', 1) ON CONFLICT DO NOTHING",
        "MERGE INTO counters USING (VALUES ('k3'), ('k99')) AS w(k) ON counters.k = w.k "
        "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (w.k, 7)",
        "UPDATE heaps SET b = b WHERE a = 1",
        "DELETE FROM heaps WHERE ctid IN (SELECT ctid FROM heaps WHERE a = 2 LIMIT 3)",
        "UPDATE heaps SET a = 5 WHERE ctid IN (SELECT ctid FROM heaps WHERE a = 3 LIMIT 2)",
        "DO $$ BEGIN FOR i IN 1..50 LOOP BEGIN INSERT INTO swaps VALUES (2000 + i % 40, i); "
        "EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END $$",
        "UPDATE counters SET k = upper(k), n = NULL WHERE k IN ('k5', 'k6')",
    ),
    "replica identity is taken away": (
        "ALTER TABLE counters REPLICA IDENTITY DEFAULT",
        "UPDATE counters SET n = n + 1",
        "DELETE FROM counters WHERE k = 'k7'",
        "BEGIN; ALTER TABLE heaps REPLICA IDENTITY NOTHING; UPDATE heaps SET b = 'x' WHERE a = 1; COMMIT",
        "DELETE FROM heaps WHERE ctid IN (SELECT ctid FROM heaps WHERE b = 'x' LIMIT 2)",
    ),
}


@dataclass
class Told:
    """A captured history, its segments, and the source at some points of it."""

    capture: Capture
    settings: config.Config
    points: dict[str, tuple[str, Digests]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def told(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Every chapter, and after each a point at which the source was held."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "store").mkdir()
    points = {}
    with captured(stack, folder / "capture", more=TABLES, source={"partitions": 2}) as made:
        with psycopg.connect(made.dsn, autocommit=True) as connection:
            for name, statements in CHAPTERS.items():
                for statement in statements:
                    connection.execute(statement.encode())
                points[name] = held(made)
        interleaved(made.dsn)
        points["interleaved"] = held(made)
        if prepared(made.dsn):
            points["prepared"] = held(made)
        made.settle(60)
        path = made.write_config(
            "sink",
            destinations={"store": {"type": "file", "path": str(folder / "store")}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
        )
        made.replicator(path, "sink", "store", "--once", "--accept-unproven-values")
        yield Told(made, config.load(path), points)


def held(made: Capture) -> tuple[str, Digests]:
    with hold(made.dsn) as point:
        return point.lsn, capture_within(point.connection)


def interleaved(dsn: str) -> None:
    """Transactions that overlap, end in another order than they began, and change what others just left."""
    with psycopg.connect(dsn) as first, psycopg.connect(dsn) as second, psycopg.connect(dsn) as third:
        first.execute("UPDATE swaps SET v = 'first' WHERE id < 20")
        second.execute("INSERT INTO swaps SELECT n, 1, 'second' FROM generate_series(3000, 3400) n")
        third.execute("INSERT INTO turns SELECT n, 'third' FROM generate_series(4000, 4400) n")
        second.execute("UPDATE swaps SET v = 'second' WHERE id BETWEEN 20 AND 40")
        second.commit()
        second.execute("DELETE FROM swaps WHERE id > 3200")
        first.execute("UPDATE swaps SET id = id + 5000 WHERE id BETWEEN 20 AND 30")
        third.execute("UPDATE turns SET id = id - 1 WHERE id >= 4000")
        first.commit()
        second.rollback()
        third.commit()


def prepared(dsn: str) -> bool:
    """Prepared transactions, one committed after a later one, one rolled back; False where there are none."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SHOW max_prepared_transactions").fetchone()
        if row is None or row[0] == "0":
            return False
        for statement in (
            "BEGIN; INSERT INTO heaps VALUES (70, 'prepared first'); UPDATE swaps SET v = 'two phases' "
            "WHERE id = 40; PREPARE TRANSACTION 'one'",
            "INSERT INTO heaps VALUES (71, 'in between')",
            "BEGIN; DELETE FROM heaps; PREPARE TRANSACTION 'two'",
            "ROLLBACK PREPARED 'two'",
            "BEGIN; INSERT INTO heaps VALUES (72, 'prepared second'); PREPARE TRANSACTION 'three'",
            "COMMIT PREPARED 'three'",
            "COMMIT PREPARED 'one'",
        ):
            connection.execute(statement.encode())
    return True


@pytest.mark.parametrize("name", [*CHAPTERS, "interleaved", "prepared"])
def test_the_rows_are_those_of_the_source(stack: Endpoints, told: Told, name: str) -> None:
    if name not in told.points:
        pytest.skip("the server has no prepared transactions")
    lsn, source = told.points[name]
    target = f"r{uuid4().hex[:10]}"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {target}".encode())
        try:
            dsn = stack.postgres.dsn_of(target)
            service.run(told.settings, "store", cut.parse(None, lsn, None, False), dsn)
            found = compare(source, capture(dsn))
        finally:
            admin.execute(f"DROP DATABASE {target} WITH (FORCE)".encode())
    assert found.equal, "\n".join(found.lines())
