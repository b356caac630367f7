"""From the file to the configuration: secrets looked up, each wrong key named."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from replicator.config.installation import Config
from replicator.errors import ConfigError

DEFAULT_PATH = Path("replicator.yaml")
_REFERENCE = re.compile(r"\$\{(env|file):([^}]+)\}")


def load(path: Path | None = None) -> Config:
    """Read and check the configuration; `ConfigError` names each key that is wrong, and why."""
    path = path or Path(os.environ.get("REPLICATOR_CONFIG", DEFAULT_PATH))
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration at {path}.",
            next_step="`replicator init` writes a commented one; `--config` names another place",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold keys and values, not a {type(raw).__name__}.")
    try:
        # A section whose keys are all commented out is one of defaults.
        return Config(**_resolve({key: value for key, value in raw.items() if value is not None}, ""))
    except ValidationError as error:
        raise ConfigError(
            f"{path} is not a valid configuration:\n" + "\n".join(_explain(error)),
            next_step="`replicator init --stdout` prints every key with its meaning",
        ) from None


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"  {key}: {'unknown key' if unknown else problem['msg']}")
    return lines


def _resolve(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {str(k): _resolve(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolve(v, f"{key}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _lookup(match.group(1), match.group(2), key), value)
    return value


def _lookup(kind: str, name: str, key: str) -> str:
    if kind == "env":
        if name not in os.environ:
            raise ConfigError(f"{key}: the environment variable {name} is not set.")
        return os.environ[name]
    try:
        return Path(name).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{key}: {name} can't be read: {error.strerror}.") from None
