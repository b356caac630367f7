"""What a client that downloads takes over from our own environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

_PREFIXES = ("GO", "HTTP", "http", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "SSL", "NODE_", "npm_")


def environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The proxies, certificates and registries that are set for Go's and npm's clients.

    Parts get none of it: a server on loopback has nobody else to talk to.
    """
    return {name: value for name, value in ours.items() if name.startswith(_PREFIXES)}
