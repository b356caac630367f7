"""Change data capture from PostgreSQL into object stores, and the exact database back as of any moment.

`restore(...)` fills a database, `open_catalog(...)` gives tables of any moment as Arrow; docs/python.md. Both
are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replicator.api import Catalog, Moment, Report, open_catalog, restore

__version__ = "0.1.0"
__all__ = ["Catalog", "Moment", "Report", "__version__", "open_catalog", "restore"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("replicator.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
