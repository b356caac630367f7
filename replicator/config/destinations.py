"""Where changes are kept: one class for each kind of store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from replicator.config.azure import AzureDestination
from replicator.config.b2 import B2Destination
from replicator.config.gcs import GcsDestination
from replicator.config.place import Place, PlacedDestination
from replicator.config.s3 import S3Destination


class FileDestination(PlacedDestination):
    """A directory: atomic renames, fsynced."""

    type: Literal["file"]
    path: Path

    @property
    def identity(self) -> tuple[str, ...]:
        """See `PlacedDestination`."""
        return (str(self.path.absolute()), self.prefix)

    @property
    def words(self) -> str:
        """See `PlacedDestination`."""
        return f"file://{self.path.absolute()}"

    @property
    def place(self) -> Place:
        """See `PlacedDestination`; symbolic links are followed."""
        return Place("file", "", str(self.path.resolve()), self.prefix)


Destination = Annotated[
    FileDestination | S3Destination | AzureDestination | GcsDestination | B2Destination,
    Field(discriminator="type"),
]
