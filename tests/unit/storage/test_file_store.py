"""A directory's own traps: order, names, half-written files, and disks that refuse."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.storage import CreateIfAbsent, ErrorKind, PutResult, StorageError, file_keys
from replicator.storage.file import FileStore

_PART = st.text(alphabet="ab-.0/Zä", min_size=1, max_size=4)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(store: FileStore, key: str, body: bytes = b"x") -> PutResult:
    return store.put(key, body, sha256=digest(body))


def _usable(key: str) -> bool:
    return all(part not in ("", ".", "..", ".tmp") for part in key.split("/"))


@settings(max_examples=150, deadline=None)
@given(
    keys=st.sets(st.lists(_PART, min_size=1, max_size=3).map("/".join).filter(_usable), max_size=12),
    prefix=st.text(alphabet="ab-./", max_size=3),
    after=st.none() | st.lists(_PART, min_size=1, max_size=3).map("/".join),
)
def test_walking_gives_the_same_as_sorting_all_keys(keys: set[str], prefix: str, after: str | None) -> None:
    made = set()
    with tempfile.TemporaryDirectory() as root:
        for key in sorted(keys):
            path = Path(root, key)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # a file and a directory of one name can't both be
            made.add(key)
        found = [key for key, _ in file_keys.walk(root, prefix, after)]
    expected = [key for key in made if key.startswith(prefix) and key.encode() > (after or "").encode()]
    assert found == sorted(expected, key=str.encode)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a//b", "a/../../b", ".", "a/.", "a\0b", ".tmp/x", "a/"])
def test_a_key_that_would_leave_the_directory_is_refused(tmp_path: Path, key: str) -> None:
    store = FileStore(tmp_path)
    for act in (lambda: put(store, key), lambda: store.get(key), lambda: store.delete(key)):
        with pytest.raises(StorageError) as caught:
            act()
        assert caught.value.kind is ErrorKind.FATAL


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        FileStore(tmp_path / "not-mounted")
    assert caught.value.kind is ErrorKind.FATAL
    assert "mkdir" in str(caught.value)
    assert not (tmp_path / "not-mounted").exists()


def test_half_a_body_is_never_seen_under_its_name(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch("os.fsync", side_effect=full), pytest.raises(StorageError) as caught:
        put(store, "a", b"body")
    assert caught.value.kind is ErrorKind.FATAL
    assert "space" in str(caught.value)
    assert list(store.list("")) == []
    assert list((tmp_path / ".tmp").iterdir()) == []
    assert put(store, "a", b"body") is PutResult.CREATED


def test_the_body_is_synced_before_it_has_its_name_and_the_directories_after(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    events: list[str] = []
    real_fsync, real_link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)
        events.append(f"sync {path.parts[0] if path.parts else '.'}")
        real_fsync(descriptor)

    def link(source: Any, target: Any) -> None:
        events.append("link")
        real_link(source, target)

    with patch("os.fsync", fsync), patch("os.link", link):
        put(store, "d/e", b"body")
    assert events == ["sync .tmp", "sync .", "link", "sync d"]


def test_a_directory_that_another_process_made_is_synced_once_before_it_is_trusted(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    (tmp_path / "d" / "e").mkdir(parents=True)
    synced: list[str] = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)))
        real_fsync(descriptor)

    with patch("os.fsync", fsync):
        put(store, "d/e/f", b"body")
        assert [path for path in synced if not path.startswith(".tmp")] == [".", "d", "d/e"]
        synced.clear()
        put(store, "d/e/g", b"body")
        assert [path for path in synced if not path.startswith(".tmp")] == ["d/e"]


def test_a_directory_that_went_away_is_not_made_again(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    store = FileStore(mounted, "prefix")
    mounted.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError) as caught:
        put(store, "d/e", b"body")
    assert caught.value.kind is ErrorKind.FATAL
    assert not mounted.exists()


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    FileStore(tmp_path)
    old, young = tmp_path / ".tmp" / "1-old", tmp_path / ".tmp" / "2-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    store = FileStore(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert list(store.list("")) == []


def test_without_hard_links_it_still_leaves_what_exists_alone_and_says_what_it_can(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with patch("os.link", side_effect=OSError(errno.EPERM, "Operation not permitted")):
        assert put(store, "a", b"first") is PutResult.CREATED
        assert put(store, "a", b"second") is PutResult.EXISTED
    assert store.get("a") == b"first"
    assert store.capabilities.create_if_absent is CreateIfAbsent.CHECKED


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, ErrorKind.FATAL),
        (errno.EDQUOT, ErrorKind.FATAL),
        (errno.EIO, ErrorKind.FATAL),
        (errno.EROFS, ErrorKind.AUTH),
        (errno.EACCES, ErrorKind.AUTH),
        (errno.EMFILE, ErrorKind.TRANSIENT),
        (errno.ESTALE, ErrorKind.TRANSIENT),
    ],
)
def test_each_refusal_of_the_system_has_its_kind(tmp_path: Path, number: int, kind: ErrorKind) -> None:
    store = FileStore(tmp_path)
    refusal = OSError(number, os.strerror(number))
    with patch("os.link", side_effect=refusal), pytest.raises(StorageError) as caught:
        put(store, "a")
    assert caught.value.kind is kind
    assert caught.value.code == errno.errorcode[number]
