"""What every part of the stack offers, and what it is given."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.local.endpoints import Endpoints
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """One stack's place: its directory, what that directory remembers, and where its parts answer."""

    directory: Path
    settings: Settings
    endpoints: Endpoints

    def part_dir(self, part: str) -> Path:
        """Return the directory of a part's own files, created if absent."""
        path = self.directory / part
        path.mkdir(exist_ok=True)
        return path

    def log(self, part: str) -> Path:
        """Return the path of a part's log."""
        return self.directory / "logs" / f"{part}.log"


class Part(Protocol):
    """A part: how to fetch it, prepare its files, run it, and tell whether it serves."""

    name: str
    stop_signal: signal.Signals
    start_seconds: float
    """The deadline for serving, measured generously on two busy cores."""
    needs: tuple[str, ...]
    """Parts that must serve before this one starts."""

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Put what the part consists of into the cache."""

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Make the part's files in the stack's directory, where they aren't there yet."""

    def command(self, site: Site) -> Command:
        """Return the process to run."""

    def missing(self, site: Site) -> str | None:
        """Return what keeps the part from serving, None once it serves."""
