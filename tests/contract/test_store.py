"""What every store promises, whatever is behind it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import google_crc32c
import pytest

from replicator.storage import CreateIfAbsent, ErrorKind, PutResult, StorageError
from replicator.storage.check import confirm, fetch
from replicator.storage.survey import survey
from tests.contract.subjects import Subject


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(subject: Subject, key: str, body: bytes, *, if_absent: bool = True) -> PutResult:
    return subject.store.put(key, body, sha256=digest(body), if_absent=if_absent)


def test_gives_back_what_was_put_also_to_another_process(subject: Subject) -> None:
    body = os.urandom(70_000)
    assert put(subject, "v1/changes/t/a.avro", body) is PutResult.CREATED
    assert subject.store.get("v1/changes/t/a.avro") == body
    assert subject.reopen().get("v1/changes/t/a.avro") == body


def test_keeps_an_empty_object(subject: Subject) -> None:
    put(subject, "empty", b"")
    assert subject.store.get("empty") == b""
    assert subject.store.head("empty").size == 0


def test_leaves_an_existing_object_alone_and_says_so(subject: Subject) -> None:
    put(subject, "k", b"first")
    assert put(subject, "k", b"second") is PutResult.EXISTED
    assert subject.store.get("k") == b"first"


def test_replaces_when_asked_to(subject: Subject) -> None:
    put(subject, "k", b"first")
    assert put(subject, "k", b"second!", if_absent=False) is PutResult.CREATED
    assert subject.store.get("k") == b"second!"
    assert subject.store.head("k").size == 7


def test_one_of_many_racing_writers_creates_and_its_body_stays_whole(subject: Subject) -> None:
    writers = 8
    bodies = [bytes([number]) * 300_000 for number in range(writers)]
    for round_ in range(3):
        barrier = threading.Barrier(writers)

        def write(body: bytes, key: str, barrier: threading.Barrier = barrier) -> PutResult:
            barrier.wait(timeout=30)
            return put(subject, key, body)

        key = f"race/{round_}"
        with ThreadPoolExecutor(writers) as pool:
            results = list(pool.map(write, bodies, [key] * writers))
        created = [body for body, result in zip(bodies, results, strict=True) if result is PutResult.CREATED]
        # Where the store has no such condition, more than one may: then any of theirs stays, whole.
        if subject.known.create_if_absent is CreateIfAbsent.ATOMIC:
            assert len(created) == 1
        assert subject.store.get(key) in created


def test_knows_whether_creation_is_atomic(subject: Subject) -> None:
    assert subject.store.capabilities.create_if_absent is subject.known.create_if_absent


def test_a_body_that_does_not_match_its_checksum_is_refused_and_not_stored(subject: Subject) -> None:
    with pytest.raises(StorageError) as caught:
        subject.store.put("bad", b"what was meant, altered", sha256=digest(b"what was meant"))
    assert caught.value.kind is ErrorKind.CORRUPT
    assert [info.key for info in subject.store.list("bad")] == []


def test_knows_whether_the_server_itself_compares_checksums(subject: Subject) -> None:
    assert subject.store.capabilities.refuses_wrong_checksum is subject.known.refuses_wrong_checksum


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 4, b"0123"),
        (4, 8, b"4567"),
        (None, 3, b"012"),
        (7, None, b"789"),
        (8, 100, b"89"),
        (10, 20, b""),
        (50, None, b""),
        (5, 5, b""),
        (0, 1, b"0"),
    ],
)
def test_a_range_is_half_open_and_cut_to_the_object(
    subject: Subject, start: int | None, end: int | None, expected: bytes
) -> None:
    put(subject, "digits", b"0123456789")
    assert subject.store.get("digits", start=start, end=end) == expected


def test_what_is_not_there_is_not_found(subject: Subject) -> None:
    for ask in (
        lambda: subject.store.get("none"),
        lambda: subject.store.get("none", start=3, end=3),
        lambda: subject.store.get("none", start=1, end=5),
        lambda: subject.store.head("none"),
        lambda: subject.store.get("none/below"),
    ):
        with pytest.raises(StorageError) as caught:
            ask()
        assert caught.value.kind is ErrorKind.NOT_FOUND


def test_head_tells_size_checksum_and_time(subject: Subject) -> None:
    body = os.urandom(1000)
    put(subject, "a/b", body)
    info = subject.store.head("a/b")
    assert (info.key, info.size, info.sha256) == ("a/b", 1000, digest(body))
    assert info.modified is not None
    assert (abs(info.modified - datetime.now(UTC)) < timedelta(minutes=1)) is subject.known.keeps_time
    confirm(subject.store, "a/b", size=1000, sha256=digest(body)[:16])
    with pytest.raises(StorageError) as caught:
        confirm(subject.store, "a/b", size=1000, sha256=digest(b"another")[:16])
    assert caught.value.kind is ErrorKind.CORRUPT


def test_fetch_refuses_an_object_that_is_not_what_its_name_says(subject: Subject) -> None:
    put(subject, "s", b"content")
    assert fetch(subject.store, "s", sha256=digest(b"content")[:16]) == b"content"
    with pytest.raises(StorageError) as caught:
        fetch(subject.store, "s", sha256=digest(b"other")[:16])
    assert caught.value.kind is ErrorKind.CORRUPT


def test_a_large_body_goes_in_and_comes_back_whole(subject: Subject) -> None:
    body = os.urandom(13 * 2**20 + 7)
    assert put(subject, "large", body) is PutResult.CREATED
    assert subject.store.get("large") == body
    assert subject.store.get("large", start=5 * 2**20 - 2, end=5 * 2**20 + 2) == body[5242878:5242882]
    confirm(subject.store, "large", size=len(body), sha256=digest(body))
    assert put(subject, "large", body) is PutResult.EXISTED


def test_a_large_body_that_does_not_match_its_checksum_is_not_stored(subject: Subject) -> None:
    with pytest.raises(StorageError) as caught:
        subject.store.put("large-bad", bytes(13 * 2**20), sha256=digest(b"x"))
    assert caught.value.kind is ErrorKind.CORRUPT
    assert list(subject.store.list("large-bad")) == []


def test_lists_more_than_one_page_in_key_order(subject: Subject) -> None:
    keys = [f"v1/changes/topic/{number // 100:03d}/{number:05d}.avro" for number in range(1250)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(subject, key, key.encode()), reversed(keys)))
    found = list(subject.store.list("v1/changes/topic/"))
    assert [info.key for info in found] == keys
    assert {info.size for info in found} == {len(keys[0])}
    assert {info.key: info.sha256 for info in found} == {
        key: digest(key.encode()) if subject.known.lists_sha256 else None for key in keys
    }
    assert [info.key for info in subject.store.list("v1/changes/topic/", start_after=keys[1003])] == keys[
        1004:
    ]
    assert [info.key for info in subject.store.list("v1/changes/topic/007/")] == keys[700:800]
    assert [info.key for info in subject.store.list("v1/changes/topic/007/", start_after=keys[750])] == (
        keys[751:800]
    )


def test_a_listing_is_in_the_order_of_bytes_and_start_after_need_not_exist(subject: Subject) -> None:
    keys = ["t.a/1", "t.a-b/1", "t.a/0/x", "t.ab/1", "t.a.c/1", "t.a", "t.aä/1", "t.aZ/1", "u/1", "t/a"]
    keys.remove("t.a")  # a file and a directory of one name can't both be
    for key in keys:
        put(subject, key, b"x")
    ordered = sorted(keys, key=str.encode)
    assert [info.key for info in subject.store.list("t")] == [key for key in ordered if key[0] == "t"]
    for after in ("t.a", "t.a/0", "t.a/0/x", "t.a0", "zzz", "a", "t.a-b/1"):
        expected = [key for key in ordered if key.encode() > after.encode()]
        assert [info.key for info in subject.store.list("", start_after=after) if info.key[:3] != "v1/"] == (
            expected
        ), after


def test_a_prefix_may_end_inside_a_name_and_may_match_nothing(subject: Subject) -> None:
    put(subject, "v1/changes/abc/1", b"x")
    put(subject, "v1/changes/abd/1", b"x")
    assert [info.key for info in subject.store.list("v1/changes/ab")] == [
        "v1/changes/abc/1",
        "v1/changes/abd/1",
    ]
    assert [info.key for info in subject.store.list("v1/changes/abd")] == ["v1/changes/abd/1"]
    assert list(subject.store.list("v1/changes/x")) == []
    assert list(subject.store.list("nothing/at/all/")) == []


def test_a_checksum_that_the_store_computed_is_the_body_s(subject: Subject) -> None:
    body = os.urandom(3000)
    put(subject, "summed", body)
    ours = {"crc32c": google_crc32c.value(body).to_bytes(4, "big").hex()}
    for name, checksum in subject.store.head("summed").checksums.items():
        expected = ours.get(name) or hashlib.new(name, body, usedforsecurity=False).hexdigest()
        assert checksum == expected, name


def test_a_key_may_hold_what_topics_and_base64_hold(subject: Subject) -> None:
    key = "v1/changes/wedding-1.public.guests_2/bV9-x_A0QmKe==/00000/00-01.ab+c d.avro"
    put(subject, key, b"x")
    assert [info.key for info in subject.store.list("v1/changes/")] == [key]
    assert subject.store.get(key) == b"x"


def test_delete_removes_and_may_be_repeated(subject: Subject) -> None:
    put(subject, "d/e", b"x")
    subject.store.delete("d/e")
    subject.store.delete("d/e")
    assert list(subject.store.list("d/")) == []
    assert put(subject, "d/e", b"y") is PutResult.CREATED
    assert subject.store.get("d/e") == b"y"


def test_many_threads_share_one_store(subject: Subject) -> None:
    def work(number: int) -> bool:
        body = os.urandom(20_000)
        put(subject, f"threads/{number}", body)
        return subject.store.get(f"threads/{number}") == body

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(96)))


def test_a_survey_tells_what_it_really_does_and_leaves_nothing_of_its_own(subject: Subject) -> None:
    seen = survey(subject.store)
    known = subject.known
    assert seen.create_if_absent == known.create_if_absent.value
    assert seen.refuses_wrong_checksum is known.refuses_wrong_checksum
    assert seen.ranges
    assert seen.lists_after is known.lists_after
    assert seen.lists_sha256 is known.lists_sha256
    assert (seen.versioning, seen.object_lock) == (known.versioning, known.object_lock)
    assert seen.storage_class == known.storage_class
    assert min(seen.put_s, seen.get_s, seen.list_s, seen.delete_s) >= 0
    assert json.loads(json.dumps(seen.as_dict()))["ranges"] is True
    left = {info.key for info in subject.store.list("")}
    assert left <= {"v1/probe/create-if-absent", "v1/probe/checksum"}
