"""A tree of small programs: `python -m tests.unit.run.small_tree JSON` with {name: program, …}."""

from __future__ import annotations

import json
import sys

from replicator import log
from replicator.config import Run
from replicator.errors import ReplicatorError
from replicator.supervisor.child import Child
from replicator.supervisor.roles import Role
from replicator.supervisor.service import Tree


def main() -> int:
    log.configure("info", "json")
    programs: dict[str, str] = json.loads(sys.argv[1])
    settings = Run(metrics_port=0, backoff_s=0.05, backoff_max_s=0.2)

    def told(name: str, line: str) -> None:
        print(json.dumps({"event": "line", "child": name, "line": line}), flush=True)

    children = [
        Child(
            Role(name, (), (("role", name),)),
            (sys.executable, "-c", program),
            lambda line, name=name: told(name, line),  # type: ignore[misc]
        )
        for name, program in programs.items()
    ]
    tree = Tree(children, settings, 2.0, lambda fields: print(json.dumps(fields), flush=True))
    try:
        tree.run()
    except ReplicatorError as error:
        print(json.dumps({"event": "error", "line": str(error)}), flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
