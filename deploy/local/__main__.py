"""`python -m deploy.local up|down|status|start|stop|restart`: the local stack from the command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from deploy.local.stack import DEFAULT_PARTS, PARTS, Stack
from replicator.errors import ReplicatorError

DEFAULT_DIR = Path(__file__).resolve().parents[2] / ".stack"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status", "start", "stop", "restart"))
    parser.add_argument("part", nargs="?", choices=tuple(PARTS), help="which part (start, stop, restart)")
    parser.add_argument("--dir", type=Path, help="the stack's directory (default: .stack of the checkout)")
    parser.add_argument("--only", help=f"parts to bring up, with commas (default: {','.join(DEFAULT_PARTS)})")
    parser.add_argument(
        "--signal", choices=("TERM", "INT", "KILL", "QUIT"), help="how to end the part (stop, restart)"
    )
    parser.add_argument("--remove-data", action="store_true", help="down: delete the stack's directory, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    arguments = parser.parse_args(argv)
    if (arguments.action in ("start", "stop", "restart")) != (arguments.part is not None):
        parser.error("start, stop and restart name a part; up, down and status don't")
    if arguments.remove_data and arguments.action != "down":
        parser.error("--remove-data belongs to down")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed (or, for status, not everything serves)."""
    arguments = _arguments(argv)
    directory = arguments.dir or Path(os.environ.get("REPLICATOR_STACK_DIR") or DEFAULT_DIR)

    def say(line: str) -> None:
        print(line, file=sys.stderr if arguments.json else sys.stdout, flush=True)

    stack = Stack(directory, progress=say)
    sig = signal.Signals[f"SIG{arguments.signal}"] if arguments.signal else None
    began = time.monotonic()
    try:
        if arguments.action == "up":
            started = stack.up(arguments.only.split(",") if arguments.only else DEFAULT_PARTS)
            took = time.monotonic() - began
            how = "up" if started else "already up"
            say(f"{how} after {took:.1f} s; endpoints in {directory / 'endpoints.json'}")
        elif arguments.action == "down":
            say("down" if stack.down() else "nothing was up")
            if arguments.remove_data:
                stack.remove()
                say(f"removed {directory}")
        elif arguments.action == "start":
            stack.start(arguments.part)
        elif arguments.action == "stop":
            stack.stop(arguments.part, sig)
        elif arguments.action == "restart":
            stack.restart(arguments.part, sig)
        else:
            return _status(stack, as_json=arguments.json)
    except ReplicatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps({"action": arguments.action, "seconds": round(time.monotonic() - began, 3)}))
    return 0


def _status(stack: Stack, *, as_json: bool) -> int:
    statuses = stack.status()
    serving = all(status.serving for status in statuses)
    if as_json:
        parts = {status.name: asdict(status) | {"serving": status.serving} for status in statuses}
        print(json.dumps({"dir": str(stack.directory), "serving": serving, "parts": parts}))
    else:
        for status in statuses:
            if status.serving:
                print(f"{status.name:10} up {status.seconds_up:8.0f} s  process {status.pid}")
            else:
                print(f"{status.name:10} {status.missing}")
    return 0 if serving else 1


if __name__ == "__main__":
    sys.exit(main())
