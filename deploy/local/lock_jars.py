"""Write jars.lock.json anew from versions.py: resolve each set, fetch every file, note its SHA-256."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

from deploy.local.cache import write_atomically
from deploy.local.jars import LOCK_FILE, download, sha256_of, split_coordinate
from deploy.local.versions import JAR_SETS, PROVIDED_GROUPS


def resolve(name: str, repository: Path) -> list[str]:
    """Return the sorted coordinates of a set: its roots and, where they are jars, all their dependencies."""
    context = MavenContext(resolver=PythonResolver(), repo_cache=repository, timeout=60)
    roots: list[Dependency] = []
    coordinates = set(JAR_SETS[name])
    for coordinate in JAR_SETS[name]:
        group, project, version, packaging, classifier = split_coordinate(coordinate)
        component = context.project(group, project).at_version(version)
        if packaging == "jar":
            # The first root's dependencyManagement rules the set, as it ruled that project's own build; the
            # others are raw, plain dependencies. Otherwise a logging binding decides on kafka-clients.
            artifact = component.artifact(classifier=classifier, packaging=packaging)
            roots.append(Dependency(artifact, raw=bool(roots)))
    if roots:
        _, nodes = context.resolver.get_dependency_list(roots)
        for node in nodes:
            dep = node.dep
            fields = [dep.groupId, dep.artifactId, dep.version]
            if dep.classifier or dep.type != "jar":
                fields += [dep.type, dep.classifier]
            if dep.groupId not in PROVIDED_GROUPS.get(name, ()) and dep.scope in ("compile", "runtime", None):
                coordinates.add(":".join(fields).rstrip(":"))
    return sorted(coordinates)


def main() -> None:
    """Resolve all sets and replace the lock file; prints one line per set."""
    sets = {}
    with tempfile.TemporaryDirectory(prefix="lock-jars-") as work:
        for name in sorted(JAR_SETS):
            sets[name] = [
                {"coordinate": coordinate, "sha256": sha256_of(download(coordinate, Path(work)))}
                for coordinate in resolve(name, Path(work))
            ]
            print(f"{name}: {len(sets[name])} files", flush=True)
    write_atomically(LOCK_FILE, json.dumps({"format": 1, "sets": sets}, indent=1) + "\n")


if __name__ == "__main__":
    main()
