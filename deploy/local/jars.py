"""Jars by their lock: coordinates and SHA-256, fetched by the ordinary Maven-layout resolver and verified."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

from deploy.local.cache import cache_dir, install
from deploy.local.errors import StackError

LOCK_FILE = Path(__file__).with_name("jars.lock.json")
_ATTEMPTS = 4
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file: `group:artifact:version[:packaging[:classifier]]` and its SHA-256 in hex."""

    coordinate: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the cache keeps it; the checksum in the path makes a changed lock fetch anew."""
        group, artifact, version, packaging, classifier = split_coordinate(self.coordinate)
        suffix = f"-{classifier}" if classifier else ""
        folder = cache_dir() / "jars" / group / artifact / version / self.sha256[:16]
        return folder / f"{artifact}-{version}{suffix}.{packaging}"


def split_coordinate(coordinate: str) -> tuple[str, str, str, str, str]:
    """Return (group, artifact, version, packaging, classifier) of a coordinate; packaging defaults to jar."""
    fields = coordinate.split(":")
    if not 3 <= len(fields) <= 5:
        raise StackError(f"{coordinate!r} is not group:artifact:version[:packaging[:classifier]]")
    group, artifact, version = fields[:3]
    return (
        group,
        artifact,
        version,
        fields[3] if len(fields) > 3 else "jar",
        fields[4] if len(fields) > 4 else "",
    )


def locked_set(name: str) -> list[Jar]:
    """Return the jars of the set `name` as the lock file has them."""
    sets = json.loads(LOCK_FILE.read_text(encoding="utf-8"))["sets"]
    return [Jar(entry["coordinate"], entry["sha256"]) for entry in sets[name]]


def fetch(name: str) -> list[Path]:
    """Return the paths of the set's files, downloading what the cache lacks.

    Raises StackError when a file can't be fetched, or when its SHA-256 isn't the locked one; such a file
    never enters the cache.
    """
    jars = locked_set(name)
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="jar") as pool:
        return list(pool.map(_fetched, jars))


def unpacked(name: str) -> Path:
    """Return the directory into which the set's one archive is unpacked."""
    (jar,) = locked_set(name)
    (archive,) = fetch(name)

    def unpack(work: Path) -> None:
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")

    return install(cache_dir() / "unpacked" / f"{name}-{jar.sha256[:16]}", unpack)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's bytes in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(coordinate: str, repository: Path) -> Path:
    """Fetch `coordinate` into the Maven layout under `repository` and return its path; retries."""
    # Here, because it takes half a second that a warm cache need not pay.
    from jgo.maven import MavenContext, PythonResolver

    group, artifact, version, packaging, classifier = split_coordinate(coordinate)
    context = MavenContext(resolver=PythonResolver(), repo_cache=repository, timeout=_TIMEOUT_SECONDS)
    component = context.project(group, artifact).at_version(version)
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return Path(component.artifact(classifier=classifier, packaging=packaging).resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            failure = error
            for partial in repository.rglob(f"*.{packaging}"):
                partial.unlink()
    raise StackError(
        f"{coordinate} could not be fetched in {_ATTEMPTS} attempts: {failure}",
        next_step="check the network and the proxy settings (HTTPS_PROXY), then run the same command again",
    )


def _fetched(jar: Jar) -> Path:
    if jar.path.exists():
        return jar.path
    folder = jar.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as work:
        arrived = download(jar.coordinate, Path(work))
        digest = sha256_of(arrived)
        if digest != jar.sha256:
            raise StackError(
                f"{jar.coordinate} arrived with SHA-256 {digest}, the lock says {jar.sha256}; "
                "it was thrown away",
                next_step="find out who changed it before anything else; "
                "`python -m deploy.local.lock_jars` writes a new lock once the change is understood",
            )
        arrived.replace(jar.path)
    return jar.path
