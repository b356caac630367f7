"""No orphans: a child asks the kernel to be killed when the process that started it is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "REPLICATOR_PARENT_PID"
"""The environment variable that tells a child whose child it is to be."""
_PR_SET_PDEATHSIG = 1


def supported() -> bool:
    """Whether this system can do that: it is Linux's prctl(2)."""
    return sys.platform == "linux"


def follow_parent() -> None:
    """Die by SIGKILL when the parent that the environment names dies; nothing where it names none.

    SIGKILL, because a sink is made to be killed at any instruction and a drain that nobody supervises may
    last. The kernel keeps the request over an exec. A parent that died before it was made is seen by its id.
    """
    named = os.environ.get(PARENT)
    if named is None or not supported():
        return
    failed = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0
    if failed or os.getppid() != int(named):
        os.write(2, b"the supervisor is gone: ending before anything is begun\n")
        os._exit(1)
