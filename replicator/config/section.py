"""What every section of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

NAME = r"^[a-z][a-z0-9_-]{0,62}$"
"""What names of installations and destinations look like: they become parts of topics, slots and keys."""


class Section(BaseModel):
    """Read-only keys; one that isn't known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
