"""The PostgreSQL server: settings, slots, identity, rights, clock."""

from __future__ import annotations

import time
from collections.abc import Iterator

from replicator.config import Config
from replicator.source.checks.check import Check, fail, ok, warn
from replicator.source.connector import slot_name
from replicator.source.continuity import Slot, read_slot
from replicator.source.database import Connection, connect, parameters
from replicator.source.install import identity, installed

CLOCK_WARN_S = 2.0
SLOT_LAG_WARN_BYTES = 1 << 30


def checks(connection: Connection, config: Config) -> Iterator[Check]:
    """All checks of the server."""
    yield _wal_level(connection)
    yield from _slots(connection, config)
    yield _identity(connection)
    yield from _rights(connection, config)
    yield _clock(connection)


def _wal_level(connection: Connection) -> Check:
    level = str(_one(connection, "SELECT current_setting('wal_level')"))
    if level == "logical":
        return ok("wal_level", "logical")
    return fail("wal_level", level, "ALTER SYSTEM SET wal_level = logical, and restart the server")


def _slots(connection: Connection, config: Config) -> Iterator[Check]:
    name = slot_name(config)
    slot = read_slot(connection, name)
    if slot is None:
        used, most = _pair(
            connection,
            "SELECT count(*), current_setting('max_replication_slots')::int FROM pg_replication_slots",
        )
        if used >= most:
            yield fail(
                "slots",
                f"all {most} are taken",
                "raise max_replication_slots, or drop slots that nobody reads",
            )
        else:
            yield ok("slots", f"{used} of {most} taken; {name} will be made when the connector starts")
    else:
        yield _slot(name, slot)
    idle = connection.execute(
        """
        SELECT slot_name FROM pg_replication_slots
        WHERE NOT active AND slot_name <> %s AND database = current_database()
          AND pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > %s
        """,
        (name, SLOT_LAG_WARN_BYTES),
    ).fetchall()
    for (other,) in idle:
        yield warn(
            "other slots", f"{other} is read by nobody and pins WAL", f"pg_drop_replication_slot('{other}')"
        )


def _slot(name: str, slot: Slot) -> Check:
    lag = f"{slot.behind / 2**20:.1f} MiB behind, WAL {slot.wal_status}"
    shown = f"{name}: {'read' if slot.active else 'not read by anybody'}, {lag}"
    if slot.wal_status == "unreserved":
        return fail(
            "slot", shown, "it is about to be lost: let the connector catch up; raise max_slot_wal_keep_size"
        )
    if not slot.active:
        return warn("slot", shown, "`replicator connect status`; while nobody reads it, WAL grows")
    if slot.behind > SLOT_LAG_WARN_BYTES or (
        slot.safe_wal_size is not None and slot.safe_wal_size < SLOT_LAG_WARN_BYTES
    ):
        return warn("slot", shown, "the connector doesn't keep up: look at the Connect worker's load")
    return ok("slot", shown)


def _identity(connection: Connection) -> Check:
    before = installed(connection)
    system, timeline = identity(connection)
    if before is None:
        return fail("installation", "our schema isn't there", "`replicator source install`")
    if (before.system_identifier, before.timeline) == (system, timeline):
        return ok("identity", f"system {system}, timeline {timeline}, as installed")
    return fail(
        "identity",
        f"system {system} timeline {timeline} now, {before.system_identifier} timeline {before.timeline} "
        "when installed: after a failover or a recovery changes may be missing, and LSNs don't compare",
        "a new installation (new name, new snapshot); keep the old destinations for moments before",
    )


def _rights(connection: Connection, config: Config) -> Iterator[Check]:
    dsn = config.source.connector_dsn or config.source.dsn
    user = parameters(dsn.get_secret_value()).get("user", connection.info.user)
    row = connection.execute(
        "SELECT rolreplication OR rolsuper, rolcanlogin FROM pg_roles WHERE rolname = %s", (user,)
    ).fetchone()
    if row is None:
        yield fail("rights", f"there is no role {user}", f"CREATE ROLE {user} LOGIN REPLICATION PASSWORD …")
        return
    if not row[0]:
        yield fail("rights", f"{user} may not replicate", f"ALTER ROLE {user} REPLICATION")
        return
    unreadable = [
        str(name)
        for (name,) in connection.execute(
            """
            SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (%s)
              AND NOT (has_schema_privilege(%s, n.oid, 'USAGE') AND has_table_privilege(%s, c.oid, 'SELECT'))
            """,
            ([*config.source.schemas, "replicator"], user, user),
        )
    ]
    if unreadable:
        yield fail(
            "rights",
            f"{user} may not read {', '.join(unreadable[:5])}: the snapshot would fail",
            f"GRANT USAGE ON SCHEMA … TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA … TO {user}; "
            "and ALTER DEFAULT PRIVILEGES for tables to come",
        )
    else:
        yield ok("rights", f"{user} may replicate and read every captured table")


def _clock(connection: Connection) -> Check:
    before = time.time()
    server = float(str(_one(connection, "SELECT extract(epoch FROM clock_timestamp())")))
    after = time.time()
    off = min(0.0, server - before) or max(0.0, server - after)
    if abs(off) <= CLOCK_WARN_S:
        return ok("clock", f"the server's and ours differ by {abs(off):.3f} s at least")
    return warn(
        "clock",
        f"the server is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} this machine",
        "run NTP on both: --to-time speaks the server's clock, and the RPO is measured with both",
    )


def reach(config: Config) -> Connection:
    """A connection for the checks; `SourceError` without one."""
    return connect(config.source.dsn.get_secret_value())


def _one(connection: Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def _pair(connection: Connection, query: str) -> tuple[int, int]:
    row = connection.execute(query).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    return int(row[0]), int(row[1])
