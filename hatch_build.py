"""Compiles the package's C when a wheel or an editable installation is made of it.

The compiler is $CC, or cc, or the one in the wheel `ziglang` where a machine has none.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

SOURCE = Path("replicator/fetch/kernel.c")
ZIG = "ziglang==0.17.1"
BUILT = SOURCE.with_name("libkernel.so")


class KernelHook(BuildHookInterface[Any]):
    """Puts the shared library beside its source, and into the wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What an isolated build needs beside the build system."""
        return [] if os.environ.get("CC") or shutil.which("cc") else [ZIG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; `RuntimeError` with what the compiler said, or where there is none."""
        root = Path(self.root)
        unfinished = root / f"{BUILT}.{os.getpid()}"
        command = [
            *compiler(),
            "-std=c11",
            "-O3",
            "-shared",
            "-fPIC",
            "-o",
            str(unfinished),
            str(root / SOURCE),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stderr}")
        unfinished.replace(root / BUILT)
        build_data["artifacts"].append(f"/{BUILT}")
        # It is loaded by ctypes: any Python will do, on this platform.
        build_data["tag"] = f"py3-none-{next(sys_tags()).platform}"
        build_data["pure_python"] = False


def compiler() -> list[str]:
    """The command of a C compiler."""
    if command := os.environ.get("CC"):
        return shlex.split(command)
    if found := shutil.which("cc"):
        return [found]
    if find_spec("ziglang"):
        # Unlike other compilers, it would otherwise build for the very CPU that it runs on.
        return [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    raise RuntimeError("there is no C compiler: install one, or `pip install ziglang`, or set CC")
