"""Assemble what Connect's image adds to Kafka's: the plugins, locked and compiled as for the local stack.

`python -m deploy.docker.connect_image DIR` writes DIR/plugins and DIR/worker.properties, the latter without
the addresses, which the container's command adds from its environment.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.local.converter import plugin_dir
from deploy.local.parts.connect import worker_properties

IMAGE_DIR = Path("/opt/replicator")


def assemble(target: Path) -> None:
    """Fill `target` with what the image has in IMAGE_DIR."""
    shutil.copytree(plugin_dir(), target / "plugins")
    properties = worker_properties(plugin_path=str(IMAGE_DIR / "plugins"))
    (target / "worker.properties").write_text(properties, encoding="utf-8")


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
