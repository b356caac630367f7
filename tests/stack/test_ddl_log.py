"""The DDL log can always be followed: it says what the tables are, and builds the same."""

from __future__ import annotations

import time

from deploy.local.endpoints import Endpoints
from tests.histories.ddl_log import wrong_cases, wrong_story

_STORIES_S = 12.0
"""For so long stories are begun; `python -m tests.histories.ddl_log --seeds 0 200` tells more of them."""


def test_every_kind_of_command_is_followed_or_refused_by_name(stack: Endpoints) -> None:
    assert list(wrong_cases(stack)) == []


def test_random_stories_are_followed_after_each_transaction(stack: Endpoints) -> None:
    begun, seed = time.monotonic(), 0
    while seed == 0 or time.monotonic() - begun < _STORIES_S:
        assert list(wrong_story(stack, seed, 100)) == []
        seed += 1
