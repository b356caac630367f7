"""The PostgreSQL programs of this machine, and the account that runs a server where we are root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replicator.config import Config
from replicator.drill.errors import DrillError

_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)")
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory with initdb and postgres, and their major version."""

    bin: Path
    major: int


def find(config: Config, at_least: int) -> Programs:
    """Programs of PostgreSQL `at_least` or newer: those that the configuration names, or the first on this
    machine that are of that very version, or else newer.

    `DrillError` says where was looked and what was found there.
    """
    seen: list[Programs] = []
    for folder in _folders(config):
        major = _major(folder)
        if major is not None:
            seen.append(Programs(folder, major))
    able = sorted((each for each in seen if each.major >= at_least), key=lambda each: each.major)
    if able:
        return able[0]
    found = ", ".join(f"{each.bin} has {each.major}" for each in seen) or "none was found"
    raise DrillError(
        f"A drill needs the server programs of PostgreSQL {at_least} or newer, as the source is: {found}.",
        next_step="install them, or name their directory under `drill: {postgres_bin: …}`; or name a scratch "
        "server with `drill: {dsn: …}`",
    )


def account(config: Config) -> pwd.struct_passwd | None:
    """The account that runs the server: None for our own, another where we are root, whom PostgreSQL refuses.

    `DrillError` when there is none to step down to.
    """
    if os.geteuid() != 0:
        return None
    named = config.drill.postgres_user
    for name in (named,) if named is not None else ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DrillError(
        f"PostgreSQL refuses to run as root, and there is no user {named or 'postgres or nobody'} here.",
        next_step="run the drill as an ordinary user, or name one under `drill: {postgres_user: …}`",
    )


def _folders(config: Config) -> Iterator[Path]:
    if config.drill.postgres_bin is not None:
        yield config.drill.postgres_bin
        return
    # pg_dump has to be of the source's version or newer, so what lies beside it is a good guess.
    if config.source.pg_dump is not None:
        yield config.source.pg_dump.parent
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    yield from sorted(_DEBIAN.glob("*/bin"))


def _major(folder: Path) -> int | None:
    """The version of the server programs in a directory; None when they aren't there or don't run."""
    if not (folder / "postgres").exists():
        return None
    try:
        done = subprocess.run([folder / "initdb", "--version"], capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(done.stdout)
    return None if match is None else int(match[1])
