"""What the demonstration says in the end: .demo/report.json."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from demo import acts, clouds
from demo.acts import Held, Restored
from demo.evidence import Evidence
from demo.letters import Letters
from demo.outage import Outage
from demo.processes import Program
from demo.proof import Proof
from demo.stage import Options, Stage


def gather(
    stage: Stage, traffic: Program, held: Held, lost_cloud: Outage, settled: Letters, proof: Proof
) -> dict[str, Any]:
    """All figures; `equal` only if everything is as it should be."""
    crash, found, damage, money = stage.crash, proof.found, proof.damage, proof.money
    to_lsn, by_lsn, to_time, by_time = proof.to_lsn, proof.by_lsn, proof.to_time, proof.by_time
    assert crash is not None and crash.over_at is not None
    xids = [int(line) for line in acts.acknowledged(stage.site).read_text().split()]
    missing = found.missing(xids)
    lost = found.lost + len(missing)
    undisturbed = found.percentiles((crash.at, crash.over_at))
    committed = json.loads(traffic.log.read_text().splitlines()[-1])
    sound = (
        lost == 0
        and found.duplicated == 0
        and lost_cloud.gap == 0
        and damage.both_found
        and not damage.unexplained
        and damage.clean
        and settled.left == 0
    )
    return {
        "equal": by_lsn.equal and by_time.equal and not money and sound,
        "tables": len(by_lsn.tables),
        "rows": by_lsn.rows,
        "changes": found.changes,
        "segments": found.segments,
        "bytes": found.bytes,
        "rpo_seconds_p50": undisturbed["p50"],
        "rpo_seconds_p99": undisturbed["p99"],
        "rpo_seconds_max": undisturbed["max"],
        "rpo_seconds_with_crash": found.percentiles(),
        "crash_recovered_seconds": round(crash.seconds, 3),
        "restore_seconds": round(to_lsn.seconds, 3),
        "lost": lost,
        "duplicated": found.duplicated,
        "stored_twice": found.stored_twice,
        "clouds": _clouds(stage),
        "failover": _failover(lost_cloud, found),
        "letters": asdict(settled),
        "damage": asdict(damage),
        "restored_from": to_lsn.given,
        "restore_points_believed": proof.points,
        "snapshot_rows": found.snapshot_rows,
        "transactions": found.transactions,
        "transactions_acknowledged": len(xids),
        "transactions_missing": len(missing),
        "transactions_committed_by_traffic": committed["committed"],
        "transactions_rolled_back_by_traffic": committed["rolled_back"],
        "held_lsn": held.lsn,
        "held_time": held.time.isoformat(),
        "different": proof.different,
        "money_adds_up": not money,
        "restore_to_lsn": _short(to_lsn),
        "restore_to_time": {"equal": by_time.equal, "rows": by_time.rows, **_short(to_time)},
        "seconds": round(stage.show.elapsed, 1),
        "load_average": os.getloadavg()[1],
        "options": {name: getattr(stage.options, name) for name in Options.__slots__},
    }


def lines(report: dict[str, Any]) -> list[str]:
    """The verdict for people."""
    crash, failover, damage = report["rpo_seconds_with_crash"], report["failover"], report["damage"]
    by_time, s3 = report["restore_to_time"], failover["others_rpo_seconds_p99"]
    return [
        f"{report['tables']} tables, {report['rows']:,} rows, as of LSN {report['held_lsn']}, restored in "
        f"{report['restore_seconds']:.1f} s from {' and '.join(report['restored_from'])} while S3 was gone",
        f"{report['changes']:,} changes of {report['transactions']:,} transactions in {report['segments']:,} "
        f"segments, {report['bytes'] / 2**20:.1f} MiB; lost {report['lost']}, duplicated "
        f"{report['duplicated']}",
        f"commit to durable: p50 {report['rpo_seconds_p50']:.2f} s, p99 {report['rpo_seconds_p99']:.2f} s; "
        f"with the crash p99 {crash['p99']:.2f} s, worst {crash['max']:.2f} s "
        f"(recovered {report['crash_recovered_seconds']:.1f} s after the kill)",
        f"{failover['failed']} died: {failover['activated']} took over after "
        f"{failover['decided_seconds']:.1f} s, gap {failover['gap']}; S3's p99 was {s3['before']:.2f} s "
        f"before and {s3['during']:.2f} s meanwhile; caught up {failover['caught_up_seconds']:.1f} s after "
        "its return",
        f"dead letters: {report['letters']['discarded']} discarded with a reason, "
        f"{report['letters']['replayed']} replayed, {report['letters']['left']} left",
        f"damage by hand: {', '.join(f'{count} {kind}' for kind, count in damage['found'].items())} found, "
        f"{'mended' if damage['clean'] else 'NOT MENDED'}",
        f"to a time, from s3: {'equal' if by_time['equal'] else 'DIFFERENT'}, "
        f"{by_time['rows']:,} rows in {by_time['seconds']:.1f} s",
    ]


def _clouds(stage: Stage) -> dict[str, Any]:
    return {
        name: {
            "role": "standby" if name == clouds.STANDBY else "active",
            "segments_stored": flow.segments,
            "records_stored": flow.records,
            "bytes_stored": flow.bytes,
        }
        for name, flow in stage.flows.items()
    }


def _failover(outage: Outage, found: Evidence) -> dict[str, Any]:
    before = found.percentiles_within(outage.calm_from, outage.at)
    during = found.percentiles_within(outage.at, outage.observed_to)
    return {
        "failed": "azure",
        "activated": clouds.STANDBY,
        "decided_seconds": round(outage.decided_s, 3),
        "gap": outage.gap,
        "caught_up_seconds": round(outage.caught_up_s, 3),
        "released": outage.released is not None,
        "others_rpo_seconds_p99": {"before": before["p99"], "during": during["p99"]},
        "others_rpo_seconds_p50": {"before": before["p50"], "during": during["p50"]},
        "reason": outage.activated.reason,
    }


def _short(restored: Restored) -> dict[str, Any]:
    wanted = ("cut", "transactions", "events", "phases", "peak_rss_mb")
    said = {name: restored.report[name] for name in wanted if name in restored.report}
    return {"seconds": round(restored.seconds, 3), **said}
