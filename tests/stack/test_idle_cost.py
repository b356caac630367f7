"""What a quiet database costs: PUTs counted before the S3 server, on a clock six times as fast."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from deploy.local.endpoints import Endpoints
from replicator.config import Control, Source
from replicator.points import new_key
from tests.faults import chains
from tests.faults.capture import Capture
from tests.faults.place import place_of
from tests.faults.proxy import FaultProxy
from tests.faults.sinks import wait_for
from tests.stack.test_run import Run

FASTER = 6.0
BEATS = 8
"""As many as there are in eight minutes of the defaults."""


def test_a_quiet_database_makes_no_more_than_five_puts_a_minute(stack: Endpoints, tmp_path: Path) -> None:
    defaults, key = Control(), tmp_path / "key.pem"
    key.write_text(new_key())
    directory = tmp_path / "capture"
    directory.mkdir()
    beat_s = Source.model_fields["heartbeat_s"].default / FASTER
    capture = Capture(stack, directory, source={"heartbeat_s": beat_s})
    try:
        capture.make()
        with place_of(capture) as place, FaultProxy(place.server.url) as proxy:
            control = {
                "signing_key": f"${{file:{key}}}",
                "decide_within_s": defaults.decide_within_s / FASTER,
                "write_probe_every_s": defaults.write_probe_every_s / FASTER,
                "point_every_s": defaults.point_every_s / FASTER,
            }
            # The template's urgency, as it is: a beat's records wait for the same second.
            sink = {"urgent": [{"topics": ".*", "max_age_s": 1.0}]}
            config = place.config(endpoint_url=proxy.url, sections={"control": control, "sink": sink})
            run = Run(config)
            try:
                run.until("everything stored", lambda: chains.behind(place.store, capture.settle()), 90)
                run.until("a restore point", lambda: run.lacks("replicator_restore_point_lsn{"))
                puts = _puts_of_beats(proxy, BEATS)
            finally:
                run.kill()
    finally:
        capture.remove()
    print(f"{len(puts)} PUTs in the time of {BEATS} beats: {len(puts) / BEATS:.2f} a minute by default")
    for kind, count in sorted(Counter(map(_kind, puts)).items()):
        print(f"  {count / BEATS:.2f} {kind}")
    assert len(puts) <= 5 * BEATS, "\n".join(puts)
    for kind in ("/v1/changes/", "/v1/probe/", "/v1/points/"):
        assert sum(kind in put for put in puts) >= BEATS // 2, f"{kind} isn't counted: {puts}"


def _kind(target: str) -> str:
    """What the object is, without what differs from one to the next: a topic, or a folder."""
    below = target.partition("/v1/")[2].split("/")
    return "/".join(below[:2]) if below[0] == "changes" else below[0]


def _puts_of_beats(proxy: FaultProxy, beats: int) -> list[str]:
    """The PUTs of the time that so many beats take; the first seconds after a start don't count."""
    seconds = beats * float(Source.model_fields["heartbeat_s"].default) / FASTER
    before, until = len(proxy.seen), time.monotonic() + seconds
    wait_for(
        "the end of the time",
        lambda: None if time.monotonic() >= until else "it isn't over",
        seconds + 5,
    )
    return [target for method, target in list(proxy.seen)[before:] if method in ("PUT", "POST")]
