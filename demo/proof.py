"""The last act: everything is counted, a bucket is harmed and mended, and the database comes back."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from demo import acts, damage, evidence, outage
from demo.acts import Held, Rest, Restored
from demo.damage import Damage
from demo.evidence import Evidence
from demo.outage import Outage
from demo.stage import Stage
from replicator import compare, config

GONE = "s3"
"""The cloud that the restore has to do without."""
_LEFT = ("azure", "gcs")


@dataclass(frozen=True, slots=True)
class Proof:
    """Two restores and their comparisons with the source, and what lies in the buckets."""

    to_lsn: Restored
    by_lsn: compare.Report
    different: list[str]
    money: list[str]
    to_time: Restored
    by_time: compare.Report
    found: Evidence
    damage: Damage
    points: int
    """Restore points of a cloud that is left, each with a good signature."""


def prove(stage: Stage, held: Held, lost_cloud: Outage) -> Proof:
    """Restore to a time and to an LSN, the latter while a cloud is gone; compare, count and mend."""
    show = stage.show
    show.step("waiting until both active clouds hold everything that was committed")
    at_rest = acts.rest(stage.site)
    acts.all_durable(stage)
    outage.account(stage, lost_cloud)
    show.step("aside: the whole S3 bucket is read back and counted, and a restore to a time is made from it")
    with ThreadPoolExecutor(2) as aside:
        counted = aside.submit(_count, stage, at_rest)
        timed = aside.submit(_to_time, stage, at_rest)
        harmed = damage.inflict_and_mend(stage, lost_cloud.at)
        to_time, by_time = timed.result()
        found = counted.result()
    show.step(f"restored from s3 to {at_rest.time:%H:%M:%S}, when the traffic had ended")
    show.result(f"{to_time.report['rows']:,} rows in {to_time.seconds:.1f} s, as of {to_time.report['cut']}")
    for line in by_time.lines()[:20] or [f"equal: {len(by_time.tables)} tables, {by_time.rows:,} rows"]:
        show.result(line)
    points = _points(stage, _LEFT[0])
    show.step("[bold]SIGKILL[/bold] of S3's stand-in; the database as of that LSN, from what is left")
    stage.lose(GONE)
    to_lsn = acts.restore(stage, _LEFT, ("--to-lsn", held.lsn), "to_lsn")
    show.result(f"{to_lsn.report['rows']:,} rows in {to_lsn.seconds:.1f} s, as of {to_lsn.report['cut']}")
    show.result(", ".join(f"{n} segments from {name}" for name, n in to_lsn.given.items()))
    show.step(
        "comparing every table and definition with the source as of that LSN, and whether sequences go on"
    )
    by_lsn = compare.compare(held.digests, compare.capture(stage.site.target("to_lsn")))
    different = acts.explain(stage, held, by_lsn)
    held.connection.close()
    money = acts.money(stage)
    return Proof(to_lsn, by_lsn, different, money, to_time, by_time, found, harmed, points)


def _points(stage: Stage, destination: str) -> int:
    """How many restore points of that cloud are believed; a forged one ends the command with an error."""
    said = stage.site.run("points", "list", destination, "--last", "1000", "--json").splitlines()
    newest = json.loads(said[-1])
    stage.show.step(
        f"{len(said)} restore points in {destination}, every signature is good; the newest is {newest['lsn']}"
    )
    return len(said)


def _to_time(stage: Stage, at_rest: Rest) -> tuple[Restored, compare.Report]:
    restored = acts.restore(stage, (GONE,), ("--to-time", at_rest.time.isoformat()), "to_time")
    source, target = compare.capture(stage.site.source), compare.capture(stage.site.target("to_time"))
    return restored, compare.compare(source, target)


def _count(stage: Stage, at_rest: Rest) -> Evidence:
    stage.read_logs()
    with TemporaryDirectory(dir=stage.site.directory) as scratch:
        settings = config.load(stage.site.config)
        return evidence.collect(settings, "s3", stage.durable["s3"], Path(scratch), at_rest.lsn)
