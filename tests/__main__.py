"""Run the suites one after the other, on one stack, with a result line each: `python -m tests [SUITE …]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.stack import DEFAULT_PARTS
from deploy.local.temporary import VARIABLE, temporary
from tests.containers import docker_answers

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("unit", "contract", "stack", "faults", "spark")
_TOGETHER = ("-n", "2", "--dist", "loadfile")
"""Half of these tests' time is waiting: for a session to end, a connector to start, a store to come back. The
tests of a module stay together, for they share what is dear to make, a captured database say."""
_APART = ((*_TOGETHER, "-m", "not alone"), ("-m", "alone"))
"""Who breaks parts of the stack that all others use runs when they are done."""
_PASSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "unit": (("-n", "auto"),),
    "contract": (_TOGETHER,),
    "stack": _APART,
    "faults": _APART,
    "spark": ((),),
}
STORES = ("s3", "azure", "gcs")
NEEDS_STACK = {"contract", "stack", "faults", "spark"}


def main() -> int:
    """Run the named suites, all of them by default; 0 if every one passed."""
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    chosen = parser.parse_args().suites or list(SUITES)
    if unknown := sorted(set(chosen) - set(SUITES)):
        parser.error(f"no such suite: {', '.join(unknown)}")
    results = []
    with _stack(NEEDS_STACK & set(chosen)) as environment:
        for suite in chosen:
            print(f"\n── {suite} ──", flush=True)
            began = time.monotonic()
            codes = [_pytest(suite, options, environment) for options in _PASSES[suite]]
            results.append((suite, next(filter(None, codes), 0), time.monotonic() - began))
    print()
    for suite, code, seconds in results:
        print(f"{suite:<9} {_verdict(code)} in {seconds:.0f} s")
    return 0 if all(code == 0 for _, code, _ in results) else 1


def _pytest(suite: str, options: tuple[str, ...], environment: dict[str, str]) -> int:
    if suite in NEEDS_STACK and VARIABLE not in environment:
        # Each worker would bring up containers of its own.
        options = tuple(option for option in options if option not in _TOGETHER)
    return subprocess.call(
        [sys.executable, "-m", "pytest", "-q", *options, f"tests/{suite}"], cwd=ROOT, env=environment
    )


def _verdict(code: int) -> str:
    """In words; pytest's status 5 says that nothing ran, which is a failure here."""
    return {0: "passed", 5: "FAILED: no test ran"}.get(code, f"FAILED (pytest status {code})")


@contextmanager
def _stack(needed: set[str]) -> Iterator[dict[str, str]]:
    """The environment for pytest, with one stack for all suites; taken down at the end, however it ends."""
    environment = dict(os.environ)
    # Where Docker answers, the fixture of each suite brings the containers up.
    if not needed or VARIABLE in environment or docker_answers():
        yield environment
        return
    with temporary("tests", STORES if needed == {"contract"} else DEFAULT_PARTS, print) as stack:
        yield environment | {VARIABLE: str(stack.directory)}


if __name__ == "__main__":
    sys.exit(main())
