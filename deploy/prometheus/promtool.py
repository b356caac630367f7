"""Prometheus' own tool for rules: the one on PATH, or one that is built from its Go module into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.cache import cache_dir, locked
from deploy.local.errors import StackError
from deploy.local.go_programs import binary

VERSION = "v0.313.5"
"""The module's version; it is release 3.13.5."""
MODULE = "github.com/prometheus/prometheus/cmd/promtool"
_TAGS = "remove_all_sd"
"""Leaves out every provider's service discovery, which rules have no use for and which takes longest."""
_BUILD_SECONDS = 1800.0


def promtool() -> Path:
    """Where the tool is; built the first time, which takes minutes. `StackError` with why it can't be had."""
    found = shutil.which("promtool")
    if found is not None:
        return Path(found)
    target = binary("promtool", VERSION)
    with locked(cache_dir() / "locks" / "promtool.lock"):
        if not target.exists():
            _build(target)
    return target


def _build(target: Path) -> None:
    beside = Path(sys.executable).with_name("go")
    go = str(beside) if beside.exists() else shutil.which("go")
    if go is None:
        raise StackError(
            "building promtool needs the Go toolchain, and there is none",
            next_step="install the dependency group `stack`, it brings one, or put promtool on PATH",
        )
    work = target.parent.with_name(f".{target.parent.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    package = f"{MODULE}@{VERSION}"
    # A module of our own around it: `go install` refuses one that replaces a dependency, and it does.
    for arguments in (
        ("mod", "init", "promtool"),
        ("get", package),
        ("build", "-trimpath", "-tags", _TAGS, "-o", "promtool", MODULE),
    ):
        done = subprocess.run(
            [go, *arguments],
            cwd=work,
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(
                f"promtool couldn't be built: {done.stderr[-2000:]}",
                next_step="put Prometheus' promtool on PATH",
            )
    work.rename(target.parent)
