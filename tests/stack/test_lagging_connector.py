"""Migrations that Debezium reads late: it asks the catalogue of the day for what the stream doesn't say.

The connector is stopped while rows and DDL happen, so each row is decoded under definitions of after it;
paused, it would go on decoding.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.endpoints import Endpoints
from replicator.compare import capture, compare
from replicator.restore import service
from replicator.restore.moment import cut
from tests.faults.capture import captured
from tests.stack.test_restore import target as target
from tests.stack.test_restore_epochs import Epochs

TYPES = {
    "i": "int",
    "b": "bool",
    "f": "float8",
    "n": "numeric(8,2)",
    "t": "text",
    "d": "date",
    "at": "timestamptz",
    "ts": "timestamp",
    "tm": "time",
    "u": "uuid",
    "j": "jsonb",
    "y": "bytea",
    "a": "int[]",
    "s": "text[]",
    "iv": "interval",
    "e": "mood",
}
FILLED = (
    "i = 1, b = true, f = 1.5, n = 2.25, t = 'x', d = '2026-11-23', at = '2026-11-23 12:00Z', "
    "ts = '2026-11-23 12:00', tm = '12:00', u = gen_random_uuid(), j = '{}', y = '\\x00', a = '{1}', "
    "s = '{x}', iv = '1 day', e = 'ok'"
)
COLUMNS = ", ".join(f"{name} {declared}" for name, declared in TYPES.items())
REQUIRED = ", ".join(f"ALTER {name} SET NOT NULL" for name in TYPES)
TABLES = f"""
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE keyed (id int PRIMARY KEY, {COLUMNS});
CREATE TABLE keyless ({COLUMNS});
CREATE TABLE led (id int PRIMARY KEY, wedding_id int, v text NOT NULL);
CREATE TABLE late_key (a int, b text, v int);
CREATE TABLE early_key (a int PRIMARY KEY, b text NOT NULL);
INSERT INTO keyed (id) VALUES (1), (2);
INSERT INTO keyless (i) VALUES (NULL), (7);
INSERT INTO led VALUES (1, NULL, ''), (2, 2, 'two');
INSERT INTO late_key VALUES (NULL, NULL, 1), (2, 'two', 2);
INSERT INTO early_key VALUES (1, 'one'), (2, 'two');
"""
STEPS: dict[str, tuple[str, ...]] = {
    "with NULLs": (
        "INSERT INTO keyed (id) VALUES (3), (4); UPDATE keyed SET t = 'x' WHERE id = 1",
        "INSERT INTO keyless (t) VALUES (NULL), ('x'), (NULL)",
        "INSERT INTO led VALUES (3, NULL, ''), (4, 4, 'four'); UPDATE led SET v = 'x' WHERE id = 1",
        "INSERT INTO late_key VALUES (NULL, NULL, 3), (4, 'four', 4); DELETE FROM late_key WHERE v = 2",
        "INSERT INTO early_key VALUES (3, ''); UPDATE early_key SET b = 'changed' WHERE a = 1",
    ),
    "filled and required": (
        f"BEGIN; UPDATE keyed SET {FILLED}; ALTER TABLE keyed {REQUIRED}; COMMIT",
        f"BEGIN; UPDATE keyless SET {FILLED}; ALTER TABLE keyless {REQUIRED}; COMMIT",
        "UPDATE led SET wedding_id = id WHERE wedding_id IS NULL",
        "ALTER TABLE led ALTER wedding_id SET NOT NULL",
        "BEGIN; UPDATE late_key SET a = v, b = 'b' || v WHERE a IS NULL;"
        "ALTER TABLE late_key ADD PRIMARY KEY (a, b); COMMIT",
        "ALTER TABLE early_key DROP CONSTRAINT early_key_pkey, ALTER a DROP NOT NULL, ALTER b DROP NOT NULL",
        "INSERT INTO early_key VALUES (NULL, NULL), (4, '')",
    ),
    "used since": (
        "UPDATE keyed SET t = 'y' WHERE id = 3; DELETE FROM keyed WHERE id = 4",
        "DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)",
        "UPDATE led SET v = 'y' WHERE id = 3; UPDATE led SET wedding_id = 9 WHERE id = 4",
        "UPDATE late_key SET v = -v WHERE a = 3; DELETE FROM late_key WHERE a = 1",
        "DELETE FROM early_key WHERE a = 2; UPDATE early_key SET a = 5 WHERE a IS NULL",
    ),
    "optional again": (
        "ALTER TABLE keyed ALTER t DROP NOT NULL, ALTER i DROP NOT NULL, ALTER a DROP NOT NULL",
        "UPDATE keyed SET t = NULL, i = NULL, a = NULL WHERE id < 3",
        "ALTER TABLE keyed ALTER t SET DEFAULT 'fresh', ALTER i SET DEFAULT 8",
        "INSERT INTO keyed (id, t, i, b, f, n, d, at, ts, tm, u, j, y, a, s, iv, e)"
        " SELECT 9, NULL, NULL, b, f, n, d, at, ts, tm, u, j, y, a, s, iv, e FROM keyed WHERE id = 1",
        "UPDATE keyed SET t = '', i = 0 WHERE t IS NULL; "
        "ALTER TABLE keyed ALTER t SET NOT NULL, ALTER i SET NOT NULL",
        "UPDATE early_key SET b = 'b' WHERE b IS NULL; ALTER TABLE early_key ADD PRIMARY KEY (a)",
    ),
}


@pytest.fixture(scope="module", params=["each step late", "everything late"])
def history(
    request: pytest.FixtureRequest, stack: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Epochs]:
    folder = tmp_path_factory.mktemp("lagging")
    (folder / "store").mkdir()
    exact = {"exact_values": True} if stack.converter.exact_values else {}
    with captured(stack, folder / "capture", more=TABLES, source=exact) as made:
        made.settle()
        told = Epochs(made, folder / "store")
        told.settings()
        late = list(STEPS) if request.param == "each step late" else [None]
        for wanted in late:
            with made.stopped():
                for name in [wanted] if wanted else STEPS:
                    told.run(STEPS[name])
                    told.hold(name)
            made.settle()
        told.sink()
        yield told


@pytest.mark.parametrize("name", STEPS)
def test_rows_are_what_they_were_whenever_they_are_read(history: Epochs, target: str, name: str) -> None:
    at, source = history.points[name]
    service.run(history.settings(), "store", cut.parse(None, at, None, False), target)
    found = compare(source, capture(target))
    assert found.equal, "\n".join(found.lines())
