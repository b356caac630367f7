"""The mark that an installation leaves in a destination, and what its absence means."""

from __future__ import annotations

import pytest

from replicator.errors import ConfigError
from replicator.storage.memory import MemoryStore
from replicator.writer.destination import MARK, mark


def test_an_empty_destination_is_marked_when_nothing_was_ever_stored_in_it() -> None:
    store = MemoryStore()
    mark(store, "wedding", "k1", lambda: False)
    assert b'"wedding"' in store.get(MARK)


def test_an_emptied_destination_is_refused_at_every_start() -> None:
    store = MemoryStore()
    for _ in range(2):
        with pytest.raises(ConfigError, match="emptied, replaced, or isn't mounted"):
            mark(store, "wedding", "k1", lambda: True)
    assert not list(store.list(""))


def test_a_marked_destination_needs_no_question_about_the_group() -> None:
    store = MemoryStore()
    mark(store, "wedding", "k1", lambda: False)

    def never() -> bool:
        raise AssertionError("the mark says enough")

    mark(store, "wedding", "k1", never)


def test_another_installations_mark_is_refused() -> None:
    store = MemoryStore()
    mark(store, "wedding", "k1", lambda: False)
    with pytest.raises(ConfigError, match="'wedding' of Kafka cluster k1"):
        mark(store, "wedding", "k2", lambda: False)


def test_two_names_for_one_place_are_found_out_by_the_mark() -> None:
    store = MemoryStore()
    mark(store, "wedding", "k1", lambda: False, name="primary", others=["second"])
    mark(store, "wedding", "k1", lambda: False, name="primary", others=["second"])
    with pytest.raises(ConfigError, match="destination 'primary' of this installation already"):
        mark(store, "wedding", "k1", lambda: False, name="second", others=["primary"])


def test_a_destination_that_was_renamed_keeps_its_place() -> None:
    store = MemoryStore()
    mark(store, "wedding", "k1", lambda: False, name="old", others=[])
    mark(store, "wedding", "k1", lambda: False, name="new", others=["second"])


def test_a_mark_of_before_names_were_in_it_is_anybody_s() -> None:
    store = MemoryStore()
    mark(store, "wedding", "k1", lambda: False)
    mark(store, "wedding", "k1", lambda: False, name="second", others=["primary"])
