"""The acts: capture a database, stream it, crash and scale a sink, hold a moment, restore it."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from demo import clouds, history, invariants, letters, outage, site
from demo.letters import Letters
from demo.outage import Outage
from demo.processes import Program
from demo.site import Site
from demo.stage import Crash, Stage
from replicator import compare

_ON_ITS_WAY_S = 3.0
_RECOVERY_S = 120.0


@dataclass(slots=True)
class Held:
    """The moment in the middle of the traffic, and the source as it was then."""

    lsn: str
    time: datetime
    digests: compare.Digests
    connection: psycopg.Connection


def capture(stage: Stage) -> None:
    """A history, captured, proven by the canary, and durable in two clouds, with a third one waiting."""
    show, options, place = stage.show, stage.options, stage.site
    show.step("a wedding planner's database and its history")
    loaded = history.build(place.source, options.rows, options.seed)
    show.result(f"{loaded.rows:,} rows in {loaded.seconds:.1f} s")
    show.step("capturing it: our schema in PostgreSQL, the Debezium connector")
    place.run("source", "install")
    place.run("connect", "apply", "--yes")
    stage.start_doorman()
    show.step("doctor, and the canary: do values arrive as they are?")
    lines = place.run("doctor", "--canary-deadline", "150", deadline_s=240.0).strip().splitlines()
    show.result(lines[-1])
    show.step(
        "`replicator run`: a sink for each cloud, S3 and Azure keep every change, GCS stands by; control "
        "watches them"
    )
    stage.start_installation()
    all_durable(stage)
    stage.flow(None, _RECOVERY_S, until=partial(_restless, stage))
    stage.show.still()
    show.step("the history is durable in two clouds, and all three serve")


def _restless(stage: Stage) -> str | None:
    """What control still has to find or to do before all is as it should be."""
    unhealthy = stage.decisions.unhealthy(clouds.ALL)
    if unhealthy is None and stage.decisions.active(clouds.STANDBY):
        return f"{clouds.STANDBY} is on duty, though nothing has happened yet"
    return unhealthy


def acknowledged(place: Site) -> Path:
    """Where the traffic writes the ids of the transactions whose COMMIT was acknowledged."""
    return place.logs / "acknowledged-xids.txt"


def traffic(stage: Stage) -> Program:
    """Start the live traffic."""
    options = stage.options
    return Program(
        "traffic",
        [
            sys.executable, "-m", "demo.traffic", "--dsn", stage.site.source, "--rate", str(options.rate),
            "--workers", str(options.workers), "--seed", str(options.seed),
            "--ddl-after", str(options.traffic_s * 0.15), "--wedding-day",
            "--xids", str(acknowledged(stage.site)),
        ],
        stage.site.logs / "traffic.log",
    )  # fmt: skip


def live(stage: Stage, traffic: Program, cleanup: ExitStack) -> tuple[Held, Outage, Letters]:
    """Everything that happens while the traffic flows; `DemoError` when one of these fails."""
    show, options = stage.show, stage.options
    show.step("live traffic, on a wedding day; the schema grows in the middle of it")
    stage.flow(traffic, options.traffic_s * 0.1)
    letters.provoke(stage, traffic)
    settled = letters.settle(stage, traffic)
    _crash(stage, traffic)
    calm_from = datetime.now(UTC)
    stage.flow(traffic, options.traffic_s * 0.25)
    lost = outage.strike(stage, traffic, calm_from)
    stage.flow(traffic, options.traffic_s * 0.25)
    lost.observed_to = datetime.now(UTC)
    # To read the source whole takes what the machine has; what was committed before arrives undisturbed.
    stage.flow(traffic, _ON_ITS_WAY_S)
    held = _hold(stage, cleanup)
    outage.complete(stage, traffic)
    outage.recover(stage, traffic, lost)
    stage.flow(traffic, options.traffic_s * 0.1)
    show.still()
    traffic.end()
    traffic.check()
    summary = json.loads(traffic.log.read_text().splitlines()[-1])
    show.step(
        f"the traffic has ended: {summary['committed']:,} transactions committed, "
        f"{summary['rolled_back']:,} rolled back"
    )
    return held, lost, settled


def _crash(stage: Stage, traffic: Program) -> None:
    """Kill a sink, have its supervisor start it again, and add an instance elsewhere."""
    show, role = stage.show, "sink:s3:1"
    show.step("[bold]SIGKILL[/bold] of the sink that writes to S3")
    crash = stage.crash = Crash(datetime.now(UTC))
    killed = stage.kill(role)

    def restarted() -> str | None:
        assert stage.installation is not None
        again = stage.installation.pids.get(role, killed) != killed
        return None if again else "its supervisor hasn't started it again"

    stage.flow(traffic, _RECOVERY_S, until=restarted)
    show.step("its supervisor has started it again")
    crash.owed = stage.progress.ends()
    stage.flow(traffic, _RECOVERY_S, until=partial(stage.behind, "s3", crash.owed))
    crash.over_at = datetime.now(UTC)
    show.step(
        f"all that had piled up is durable, {crash.seconds:.1f} s after the kill; a second instance joins, "
        "as if on another machine"
    )
    stage.start_sink("s3")
    stage.flow(
        traffic, _RECOVERY_S, until=lambda: None if stage.joined_stored else "it has stored nothing yet"
    )
    show.step(f"partitions of the instances: {', '.join(map(str, stage.progress.members('s3')))}")


def all_durable(stage: Stage) -> None:
    """Wait until the active clouds hold everything that is committed in PostgreSQL now."""
    ends = stage.progress.ends_after_now(_RECOVERY_S)
    for destination in clouds.ACTIVE:
        stage.flow(None, _RECOVERY_S, until=partial(stage.behind, destination, ends))
    stage.show.still()


def _hold(stage: Stage, cleanup: ExitStack) -> Held:
    point = cleanup.enter_context(compare.hold(stage.site.source))
    start = time.monotonic()
    digests = compare.capture_within(point.connection)
    stage.show.step(
        f"a moment while one cloud is gone: LSN [bold]{point.lsn}[/bold], {digests.rows:,} rows in "
        f"{len(digests.tables)} tables, digests in {time.monotonic() - start:.1f} s; the traffic goes on"
    )
    return Held(point.lsn, point.time, digests, point.connection)


@dataclass(frozen=True, slots=True)
class Rest:
    """The source when its traffic has ended, and before that is durable everywhere."""

    time: datetime
    lsn: int


def rest(place: Site) -> Rest:
    """The source's clock, and its WAL's end then."""
    with psycopg.connect(place.source) as connection:
        row = connection.execute("SELECT clock_timestamp(), pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None and isinstance(row[0], datetime)
    return Rest(row[0], compare.parse_lsn(str(row[1])))


@dataclass(frozen=True, slots=True)
class Restored:
    """What `replicator restore --json` said, and the seconds that the whole command took."""

    report: dict[str, Any]
    seconds: float

    @property
    def given(self) -> dict[str, int]:
        """How many segments each cloud gave."""
        return {name: share["segments"] for name, share in self.report["sources"].items()}


def restore(stage: Stage, sources: tuple[str, ...], to: tuple[str, str], suffix: str) -> Restored:
    """Restore into a new database."""
    site.create_database(stage.site, f"{stage.site.database}_{suffix}")
    start = time.monotonic()
    origin = [option for name in sources for option in ("--from", name)]
    output = stage.site.run("restore", *to, "--target", stage.site.target(suffix), *origin, "--json")
    return Restored(json.loads(output), time.monotonic() - start)


def explain(stage: Stage, held: Held, report: compare.Report) -> list[str]:
    """Show what differs, rows by key and column; the lines that it showed."""
    lines = report.lines()
    if report.different_tables:
        with compare.session.connect(stage.site.target("to_lsn"), "target") as connection:
            compare.session.begin(connection, None)
            for table in report.different_tables:
                if table.source_rows is not None and table.target_rows is not None:
                    known = held.digests.tables[table.name].table
                    found = compare.row_differences(held.connection, connection, known, 5)
                    lines += [str(difference) for difference in found]
    for line in lines[:40]:
        stage.show.result(line)
    if not lines:
        stage.show.result(f"equal: {len(report.tables)} tables, {report.rows:,} rows")
    return lines


def money(stage: Stage) -> list[str]:
    """The rules that don't hold in the restored database."""
    with psycopg.connect(stage.site.target("to_lsn")) as connection:
        broken = invariants.violations(connection)
    for line in broken:
        stage.show.result(f"the money doesn't add up in the restored database: {line}")
    return broken
