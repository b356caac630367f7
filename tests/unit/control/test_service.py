from __future__ import annotations

from typing import Any

import pytest

from replicator.config import Config
from replicator.control import service
from replicator.errors import ConfigError

PLAIN: dict[str, Any] = {
    "installation": "weddings",
    "kafka": {"bootstrap_servers": "127.0.0.1:1"},
    "registry": {"url": "http://127.0.0.1:1"},
    "source": {"dsn": "postgresql://127.0.0.1:1/x"},
    "destinations": {"only": {"type": "file", "path": "/somewhere"}},
}


def test_a_promise_that_nothing_could_keep_is_refused() -> None:
    service.check(Config.model_validate(PLAIN))
    with pytest.raises(ConfigError, match="min_copies is 2, and 1 destinations"):
        service.check(Config.model_validate({**PLAIN, "control": {"min_copies": 2}}))
