"""`python -m bench.outage`: what the other destinations notice of one that is down, and how it catches up.

The real stack and three clouds' stand-ins, each with a sink; traffic into PostgreSQL at a steady rate. First
all is well for a while; then one cloud is down; it comes back, catches up; and all is well again for a while.
Every row's way from its commit to the moment at which it was durable is read out of the buckets themselves,
and p99 of the healthy clouds compared: during the outage with the calm before and after it. `--rounds`
alternates calm and outage, against noise. `caught_up_s` counts from the moment at which the cloud is started
again until all that Kafka held then is durable in it. Afterwards each bucket is read back and counted: no
hole, nothing twice. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import lanes
from bench.say import say
from bench.scene import DEAD, How, Scene, settled
from deploy.local.temporary import given_or_temporary


def measure(scene: Scene, minutes: float, calm_minutes: float, rounds: int, how: How) -> dict[str, Any]:
    """The whole course; what it came to. `minutes` is how long the cloud is down, in all rounds together."""
    calm_s, down_s = calm_minutes * 60 / (rounds + 1), minutes * 60 / rounds
    scene.calm(calm_s)
    for number in range(rounds):
        say(f"{DEAD} is {how} for {down_s:.0f} s")
        scene.outage(down_s, how)
        say(f"{DEAD} caught up {scene.caught_up_s[-1]:.1f} s after its return")
        scene.calm(calm_s)
        say(f"round {number + 1} of {rounds} is over")
    summary = scene.end_traffic()
    say("reading the buckets back")
    found = settled(scene)
    result = lanes.summary(scene.spans, {name: each.delays for name, each in found.items()}, DEAD)
    return {
        **result,
        "caught_up_s": round(max(scene.caught_up_s), 1),
        "holes": sum(each.holes for each in found.values()),
        "lost": sum(each.lost for each in found.values()),
        "twice": sum(each.twice for each in found.values()),
        "minutes_down": round(minutes, 2),
        "how": how,
        "changes": max(each.changes for each in found.values()),
        "transactions": summary["committed"],
        "segments": {name: each.segments for name, each in found.items()},
        "cpu": {span.kind: span.cpu for span in scene.spans},
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when something is missing or there twice."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the cloud is down in all")
    parser.add_argument("--calm-minutes", type=float, default=6.0, help="undisturbed minutes in all")
    parser.add_argument("--rounds", type=int, default=1, help="calm and outage alternate so often")
    parser.add_argument("--rate", type=float, default=25.0, help="transactions a second")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the history before")
    parser.add_argument(
        "--how", choices=("refusing", "frozen"), default="refusing", help="no connection, or no answer"
    )
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="bench-outage-"))
    try:
        with (
            given_or_temporary("bench", progress=say) as stack,
            Scene.staged(stack, folder, rows=options.rows, rate=options.rate) as scene,
        ):
            result = measure(scene, options.minutes, options.calm_minutes, options.rounds, options.how)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))
    return 1 if result["holes"] or result["lost"] or result["twice"] else 0


if __name__ == "__main__":
    sys.exit(main())
