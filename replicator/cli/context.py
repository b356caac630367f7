"""What every command is given: where the configuration is, and logs that are set up."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from replicator import config, log
from replicator.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Context:
    """The global options of one call."""

    config_path: Path | None
    log_level: str = "info"
    log_format: log.LogFormat = "auto"

    def load(self) -> config.Config:
        """The configuration; read only by commands that need one."""
        return config.load(self.config_path)


def start(config_path: Path | None, log_level: str, log_format: str) -> Context:
    """Check the global options and set up logging; `ConfigError` for a value that isn't known."""
    if log_level.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(f"--log-level {log_level!r} is not one of debug, info, warning, error.")
    if log_format not in get_args(log.LogFormat):
        raise ConfigError(f"--log-format {log_format!r} is not one of auto, console, json.")
    known = cast(log.LogFormat, log_format)
    log.configure(log_level, known)
    return Context(config_path, log_level, known)
