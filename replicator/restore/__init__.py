"""The database as of a moment: plan, fold, load, proof.

From the ground up: `segments` reads what is stored, `schema` what the DDL log says; `moment` finds the cut,
`fold` the records that decide at it, and `rows` makes rows of them. `plan` says what will be done with which
`selection`; `target` does it in a PostgreSQL, `spread` on many machines, `export` without a database;
`service` goes from beginning to end. import-linter holds them to that order.

The name is the package's and the call's at once: `replicator.restore(...)` is `replicator.api.restore`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """Importing any part of this package makes it the attribute `restore` of its parent; so it is called."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """See `replicator.api.restore`."""
        return import_module("replicator.api").restore(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
