"""What the defaults cost when nothing happens."""

from __future__ import annotations

from replicator.config import Control, Source


def test_by_default_an_idle_database_makes_no_more_than_five_puts_a_minute() -> None:
    source, control = Source.model_fields["heartbeat_s"].default, Control()
    beats, segments_a_beat = 60 / source, 2
    probes, points = 60 / control.write_probe_every_s, 60 / control.point_every_s
    assert beats * segments_a_beat + probes + points <= 5
