"""How long a record may wait: patterns of topics, and the topic of transactions."""

from __future__ import annotations

import pytest

from replicator import config
from replicator.errors import ConfigError
from replicator.writer.partition.urgency import Urgencies


def urgencies(*urgent: tuple[str, float]) -> Urgencies:
    sections = [config.Urgency(topics=topics, max_age_s=age) for topics, age in urgent]
    return Urgencies(config.Sink(max_age_s=60.0, urgent=sections), "shop")


def test_the_shortest_age_of_all_patterns_that_match_the_whole_name_counts() -> None:
    ages = urgencies((r".*\.guests", 5.0), (r"shop\.public\..*", 10.0), ("guests", 0.1))
    assert ages.max_age_s("shop.public.guests") == 5.0
    assert ages.max_age_s("shop.public.vendors") == 10.0
    assert ages.max_age_s("shop.audit.log") == 60.0


def test_the_transaction_topic_is_as_urgent_as_the_most_urgent() -> None:
    assert urgencies((r".*\.guests", 5.0), (r".*\.rsvps", 1.0)).max_age_s("shop.transaction") == 1.0
    assert urgencies().max_age_s("shop.transaction") == 60.0
    assert urgencies((r".*\.guests", 5.0)).max_age_s("other.transaction") == 60.0


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"sink\.urgent: '\('"):
        urgencies(("(", 1.0))
