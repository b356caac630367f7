"""`replicator init`: a commented configuration to start from."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from replicator import config
from replicator.errors import ConfigError


def template() -> str:
    """The commented `replicator.yaml` that this version understands; every key is in it."""
    return (resources.files("replicator.cli") / "replicator.yaml.template").read_text()


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = config.DEFAULT_PATH,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print it instead.")] = False,
) -> None:
    """Write a commented configuration. A file that is there already is never overwritten."""
    if stdout:
        typer.echo(template(), nl=False)
        return
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(template())
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already and was left as it is.",
            next_step="edit it, or name another path; `replicator init --stdout` prints the template",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None
    typer.echo(f"Wrote {path}. Fill in what it says, then: replicator source install")
