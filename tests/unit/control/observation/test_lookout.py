"""When a destination's lane makes its probes write."""

from __future__ import annotations

from typing import Any

from replicator.config import Config
from replicator.control.events.state import State
from replicator.control.observation.lookout import Lookout
from replicator.telemetry import ControlMetrics
from replicator.writer.process.pool import Supervisor


def unsuspicious_s(sink: Any) -> float:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        "registry": {"url": "http://127.0.0.1:9"},
        "source": {"dsn": "postgresql:///x", "connect_url": "http://127.0.0.1:9"},
        "sink": sink,
    }
    config = Config(installation="weddings", **sections)
    return Lookout(config, State(), ControlMetrics(), Supervisor(), 0.0)._unsuspicious_s


def test_a_lane_that_waits_for_its_segments_age_is_not_suspected() -> None:
    assert unsuspicious_s({}) == 65.0
    assert unsuspicious_s({"urgent": [{"topics": ".*", "max_age_s": 1.0}]}) == 6.0
    some = {"urgent": [{"topics": r".*\.guests", "max_age_s": 1.0}]}
    assert unsuspicious_s(some) == 65.0
