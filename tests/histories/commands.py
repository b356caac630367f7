"""The command line in a forked process: a campaign calls it hundreds of times, and its start costs a second
of CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

from tests.faults.capture import Capture

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["replicator.cli.main", "tests.histories.history"])


class ForkedCapture(Capture):
    """A capture whose commands run in forks of a process that has imported everything."""

    def replicator(
        self, config: Path, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end; its output is in the error when it fails."""
        output = self.directory / "output"
        words = ["-c", str(config), *arguments]
        process = CONTEXT.Process(target=_run, args=(words, str(output)))
        process.start()
        process.join(300)
        if process.is_alive():
            process.kill()
            process.join()
        code, text = process.exitcode or 0, output.read_text()
        if check and code != 0:
            raise subprocess.CalledProcessError(code, f"replicator {' '.join(arguments)}\n{text}")
        return subprocess.CompletedProcess(words, code, text, "")


def _run(words: list[str], output: str) -> None:
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ["NO_COLOR"] = "1"
    sys.argv = ["replicator", *words]
    from replicator.cli.main import run

    run()
