from __future__ import annotations

import pytest
from pydantic import ValidationError

from replicator.config import Control, FileDestination


def test_all_delays_follow_from_the_time_in_which_to_decide() -> None:
    control = Control(decide_within_s=12)
    assert control.probe_interval_s + control.probe_patience_s + control.down_delay_s <= 12


def test_delays_that_cannot_keep_the_time_are_an_error() -> None:
    with pytest.raises(ValidationError, match="can't be decided in time"):
        Control(decide_within_s=10, probe_every_s=6)


def test_a_destination_is_active_unless_it_says_otherwise() -> None:
    plain = FileDestination.model_validate({"type": "file", "path": "/somewhere"})
    assert (plain.role, plain.priority, plain.cost, plain.failure_domain) == ("active", 0, 0.0, None)
