"""The jar lock: what is fetched is what was locked, and nothing else enters the cache."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.cache import install
from deploy.local.errors import StackError
from deploy.local.versions import JAR_SETS

LOCKED = {"sets": {"one": [{"coordinate": "a.b:c:1", "sha256": hashlib.sha256(b"good").hexdigest()}]}}


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPLICATOR_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "jars.lock.json"
    path.write_text(json.dumps(LOCKED))
    monkeypatch.setattr(jars, "LOCK_FILE", path)


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str]:
    """Have every download bring `content`; the list returned fills with what was asked for."""
    asked: list[str] = []

    def download(coordinate: str, repository: Path) -> Path:
        asked.append(coordinate)
        path = repository / "c-1.jar"
        path.write_bytes(content)
        return path

    monkeypatch.setattr(jars, "download", download)
    return asked


@pytest.mark.usefixtures("lock")
def test_a_file_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, b"good")
    (path,) = jars.fetch("one")
    assert path.read_bytes() == b"good"
    assert jars.fetch("one") == [path]
    assert asked == ["a.b:c:1"]


@pytest.mark.usefixtures("lock")
def test_a_file_with_another_checksum_is_refused_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"tampered")
    with pytest.raises(StackError, match=re.escape("a.b:c:1 arrived with SHA-256")):
        jars.fetch("one")
    serve(monkeypatch, b"good")
    assert jars.fetch("one")[0].read_bytes() == b"good"


def test_the_lock_names_every_root_of_every_set() -> None:
    for name, roots in JAR_SETS.items():
        coordinates = [jar.coordinate for jar in jars.locked_set(name)]
        assert set(roots) <= set(coordinates), f"{name}: run `python -m deploy.local.lock_jars`"
        assert len(coordinates) == len(set(coordinates))


def test_the_lock_names_no_host() -> None:
    """Where files come from is the resolver's configuration, not the lock's."""
    assert "://" not in jars.LOCK_FILE.read_text()


def test_kafka_s_jars_are_all_of_one_version() -> None:
    found = {
        jar.coordinate.split(":")[2]
        for jar in jars.locked_set("kafka")
        if jar.coordinate.startswith("org.apache.kafka:")
    }
    assert len(found) == 1


def test_the_converter_brings_no_kafka_of_its_own() -> None:
    assert not [j for j in jars.locked_set("converter") if j.coordinate.startswith("org.apache.kafka:")]


def test_a_build_that_fails_leaves_nothing_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPLICATOR_CACHE", str(tmp_path))

    def broken(work: Path) -> None:
        (work / "half").touch()
        raise OSError("disk full")

    target = tmp_path / "things" / "one"
    with pytest.raises(OSError, match="disk full"):
        install(target, broken)
    assert list(target.parent.iterdir()) == []
    assert install(target, lambda work: (work / "whole").touch()) == target
    assert [path.name for path in target.iterdir()] == ["whole"]
