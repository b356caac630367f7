"""The demonstration as a whole: the stack, the acts, the report, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from demo import acts, proof, report, site
from demo.decisions import Decisions
from demo.display import Display
from demo.progress import Progress
from demo.site import DemoError
from demo.stage import Options, Stage
from deploy.local.stack import Stack
from replicator import config


def run(root: Path, options: Options) -> dict[str, Any]:
    """Run it all and return the report; what it started is gone afterwards, unless it is to be kept.

    The stack is always one of its own: parts of it are killed. `DemoError` and the errors of the parts when
    an act fails.
    """
    show = Display()
    directory = root / ".demo"
    directory.mkdir(exist_ok=True)
    stack = Stack(directory / "stack", progress=show.result)
    with ExitStack() as cleanup:
        show.step(
            "the stack: PostgreSQL, Kafka, Connect with Debezium, registry, and three clouds' stand-ins"
        )
        _clear(stack, directory)
        cleanup.callback(stack.remove)
        cleanup.enter_context(_compiling())
        if not options.keep:
            cleanup.enter_context(stack.held())
        stack.up()
        place = site.prepare(directory, stack.endpoints)
        decisions = Decisions(config.load(place.config))
        cleanup.callback(decisions.close)
        stage = Stage(options, show, stack, place, Progress(place), decisions)
        cleanup.callback(stage.end)
        cleanup.callback(show.still)
        found = _acts(stage, cleanup)
        if options.keep:
            # All has ended well, and what would take it down is dropped: it stays up.
            cleanup.pop_all()
            _say_kept(stage, stack)
        return found


@contextmanager
def _compiling() -> Iterator[None]:
    """Has the restore's loops compiled meanwhile, once per machine; the first restore would wait for it."""
    compiling = subprocess.Popen(
        [sys.executable, "-c", "from replicator.restore import kernels; kernels.load()"]
    )
    try:
        yield
    finally:
        compiling.kill()
        compiling.wait()


def _acts(stage: Stage, cleanup: ExitStack) -> dict[str, Any]:
    acts.capture(stage)
    traffic = acts.traffic(stage)
    cleanup.callback(traffic.end)
    held, lost_cloud, settled = acts.live(stage, traffic, cleanup)
    proven = proof.prove(stage, held, lost_cloud)
    found = report.gather(stage, traffic, held, lost_cloud, settled, proven)
    # Whether all stays up or ends now: its sinks store what they hold instead of waiting for it.
    stage.regain(proof.GONE)
    return found


def _clear(stack: Stack, directory: Path) -> None:
    """Begin on a fresh stack, as a fresh machine would; one that DEMO_KEEP=1 left running is somebody's."""
    if any(part.pid is not None for part in stack.status()):
        raise DemoError(
            f"The stack of an earlier demonstration is up in {stack.directory}.",
            next_step=f"take it down: {sys.executable} -m deploy.local down --dir {stack.directory}",
        )
    stack.remove()
    for leftover in (*directory.glob("*.pem"), *directory.glob("*.refuse")):
        leftover.unlink()


def _say_kept(stage: Stage, stack: Stack) -> None:
    place, show = stage.site, stage.show
    running = [str(program.process.pid) for program in stage.programs if program.running]
    show.step("DEMO_KEEP=1: everything stays up")
    for line in (
        f"configuration: {place.config}",
        f"what a restore would do: replicator -c {place.config} restore --latest --from s3 --plan",
        f"what control decided: replicator -c {place.config} events",
        f"source: {place.source}",
        f"restored: {place.target('to_lsn')}",
        f"logs: {place.logs}; addresses of all parts: {stack.directory / 'endpoints.json'}",
        f"more traffic: {sys.executable} -m demo.traffic --dsn {place.source}",
        f"the end: kill {' '.join(running)}; {sys.executable} -m deploy.local down --dir {stack.directory}",
    ):
        show.result(line)
