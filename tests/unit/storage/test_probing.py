"""What a store is found to do, though it answers only now and then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from replicator.storage import Capabilities, CreateIfAbsent, ErrorKind, StorageError
from replicator.storage.probing import Probe


class Flaky:
    """A store that refuses every request with an odd number, from the first one on."""

    def __init__(self, *, conditional: bool, compares: bool) -> None:
        self.requests = 0
        self._conditional, self._compares = conditional, compares
        self._keys: set[str] = set()

    def _refuse(self) -> None:
        self.requests += 1
        if self.requests % 2:
            raise StorageError("slow down", kind=ErrorKind.THROTTLED)

    def create(self, key: str, body: bytes) -> None:
        self._refuse()
        if self._conditional and key in self._keys:
            raise StorageError("it is there", kind=ErrorKind.EXISTS)
        self._keys.add(key)

    def send_wrong(self, key: str, body: bytes) -> None:
        self._refuse()
        if self._compares:
            raise StorageError("its checksum differs", kind=ErrorKind.CORRUPT)


def retried(ask: Callable[[], Capabilities], times: int) -> Capabilities:
    for _ in range(times - 1):
        try:
            return ask()
        except StorageError as error:
            assert error.kind is ErrorKind.THROTTLED
    return ask()


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("compares", [True, False])
def test_a_store_that_refuses_every_other_request_is_known_after_a_few_retries(
    conditional: bool, compares: bool
) -> None:
    store = Flaky(conditional=conditional, compares=compares)
    probe = Probe(store.create, store.send_wrong)
    found = retried(probe.capabilities, 4)
    creation = CreateIfAbsent.ATOMIC if conditional else CreateIfAbsent.CHECKED
    assert found == Capabilities(creation, compares)
    asked = store.requests
    assert probe.capabilities() == found
    assert store.requests == asked, "what is known isn't asked again"
