"""Where a restore into topics registers its schemas, and what a prefix of another moment is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replicator.config import Config
from replicator.registry import RegistryError
from replicator.restore.export import subjects
from tests.unit.answering_registry import AnsweringRegistry, answering


@pytest.fixture
def registry() -> Iterator[AnsweringRegistry]:
    with answering() as found:
        yield found


def config(url: str, **sections: object) -> Config:
    return Config.model_validate(
        {
            "installation": "w",
            "kafka": {"bootstrap_servers": "127.0.0.1:9"},
            "registry": {"url": url},
            "source": {"dsn": "postgresql:///x"},
            **sections,
        }
    )


def test_the_restores_own_registry_comes_first_and_is_named_in_what_to_do(
    registry: AnsweringRegistry,
) -> None:
    own = subjects.registry_of(config("http://127.0.0.1:9", restore={"registry": {"url": registry.url}}))
    assert subjects.register(own, "then.guests-value", {"type": "string"}) == 7
    registry.status = 401
    with pytest.raises(RegistryError) as caught:
        subjects.register(own, "then.guests-value", {"type": "string"})
    assert "`restore.registry.user`" in str(caught.value.next_step)
    assert [path for _, path, _, _ in registry.asked] == ["/subjects/then.guests-value/versions"] * 2


def test_another_moments_subject_says_to_choose_another_prefix(registry: AnsweringRegistry) -> None:
    registry.status = 409
    with pytest.raises(RegistryError, match=r"incompatible schema under then\.guests-value") as caught:
        subjects.register(subjects.registry_of(config(registry.url)), "then.guests-value", {})
    assert "prefix" in str(caught.value.next_step)
