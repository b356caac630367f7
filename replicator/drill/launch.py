"""Becomes a server that ends with the process that asked: `launch.py PARENT UID GID PROGRAM ARGUMENT…`.

A program of its own rather than code between fork and exec, which isn't safe in a process with threads
(docs/decisions/0019-process-tree.md). Imports nothing but Python's own.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Step down to UID and GID (-1: stay), ask the kernel for SIGQUIT at the parent's end, and exec."""
    parent, uid, gid = map(int, sys.argv[1:4])
    if gid >= 0:
        os.setgroups([])
        os.setgid(gid)
    if uid >= 0:
        os.setuid(uid)
    if sys.platform == "linux":
        # After stepping down, which would undo it (prctl(2)); exec keeps it. SIGQUIT ends PostgreSQL at once.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the drill is gone: its server isn't started")
    os.execv(sys.argv[4], sys.argv[4:])


if __name__ == "__main__":
    main()
