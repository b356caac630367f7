"""Every metric of the replicator, once: its name, its unit, its labels. A module for each role."""

from __future__ import annotations

from replicator.telemetry.control import ControlMetrics
from replicator.telemetry.notify import NotifyMetrics
from replicator.telemetry.replay import ReplayMetrics
from replicator.telemetry.run import RunMetrics
from replicator.telemetry.sink import SinkMetrics

__all__ = ["ControlMetrics", "NotifyMetrics", "ReplayMetrics", "RunMetrics", "SinkMetrics"]
