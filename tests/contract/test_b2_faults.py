"""What is B2's own: the SDK's classes of errors, application keys, versions."""

from __future__ import annotations

import hashlib

import pytest
import requests
from b2sdk._internal.exception import FileOrBucketNotFound
from b2sdk.v3 import exception

from replicator.storage import ErrorKind, PutResult, RetryingStore, RetryPolicy, b2_errors
from tests.contract.clouds.b2 import B2Cloud
from tests.contract.test_faults import caught, put

QUICK = RetryPolicy(base_s=0.01, cap_s=0.05, deadline_s=20.0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exception.ServiceError("503 service_unavailable"), ErrorKind.TRANSIENT),
        (exception.ServiceError("503", retry_after_seconds="7"), ErrorKind.THROTTLED),
        (exception.TooManyRequests(retry_after_seconds="3"), ErrorKind.THROTTLED),
        (exception.B2ConnectionError("reset"), ErrorKind.TRANSIENT),
        (exception.B2RequestTimeout("slow"), ErrorKind.TRANSIENT),
        (exception.BadUploadUrl("gone"), ErrorKind.TRANSIENT),
        (requests.ConnectionError("broken"), ErrorKind.TRANSIENT),
        (exception.ChecksumMismatch("sha1", "a", "b"), ErrorKind.CORRUPT),
        (exception.BadRequest("Checksum did not match data received", "bad_request"), ErrorKind.CORRUPT),
        (exception.BadRequest("odd", "bad_request"), ErrorKind.FATAL),
        (exception.InvalidAuthToken("bad key", "bad_auth_token"), ErrorKind.AUTH),
        (exception.AccessDenied(), ErrorKind.AUTH),
        (FileOrBucketNotFound("b", "k"), ErrorKind.NOT_FOUND),
        (exception.FileNotPresent(), ErrorKind.NOT_FOUND),
        (exception.NonExistentBucket("b"), ErrorKind.FATAL),
        (exception.StorageCapExceeded(), ErrorKind.FATAL),
        (exception.UnknownError("never seen"), ErrorKind.FATAL),
        (RuntimeError("never seen"), ErrorKind.FATAL),
    ],
)
def test_each_error_of_the_sdk_has_its_kind(error: Exception, kind: ErrorKind) -> None:
    found = b2_errors.classify(error, "B2 bucket 'b': PUT k")
    assert found.kind is kind
    assert "PUT k" in found.message


def test_retry_after_is_passed_on() -> None:
    asked = exception.TooManyRequests(retry_after_seconds="3")
    assert b2_errors.classify(asked, "x").retry_after == 3.0


def test_without_any_keys_it_says_what_to_give(b2: B2Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY"):
        monkeypatch.delenv(name, raising=False)
    with b2.container() as bucket:
        nobody = b2.destination(bucket, application_key_id=None, application_key=None)
        error = caught(lambda: b2.open(nobody).get("k"))
        assert error.kind is ErrorKind.AUTH
        assert "B2_APPLICATION_KEY_ID" in (error.next_step or "")
        monkeypatch.setenv("B2_APPLICATION_KEY_ID", b2.key_id)
        monkeypatch.setenv("B2_APPLICATION_KEY", b2.key)
        assert put(b2.open(nobody), "k", b"x") is PutResult.CREATED


def test_a_key_that_may_only_read_reads_and_is_told_so(b2: B2Cloud) -> None:
    with b2.container() as name:
        put(b2.open(b2.destination(name)), "k", b"x")
        admin = b2.admin()
        made = admin.create_key(
            admin.account_info.get_account_id(),
            ["listBuckets", "listFiles", "readFiles"],
            "reader",
            None,
            None,
            None,
        )
        reader = b2.open(
            b2.destination(
                name,
                application_key_id=made["applicationKeyId"],
                application_key=made["applicationKey"],
            )
        )
        assert reader.get("k") == b"x"
        assert [info.key for info in reader.list("k")] == ["k"]
        error = caught(lambda: put(reader, "other", b"x"))
        assert error.kind is ErrorKind.AUTH
        assert "writeFiles" in (error.next_step or "")


def test_an_upload_that_fails_is_sent_again_by_our_retries_alone(b2: B2Cloud) -> None:
    with b2.container() as name:
        store = b2.open(b2.destination(name))
        put(store, "first", b"x")
        store = b2.open_inside(b2.destination(name))
        b2.simulator.set_upload_errors([exception.ServiceError("503 busy")])
        assert caught(lambda: put(store, "k", b"x")).kind is ErrorKind.TRANSIENT
        b2.simulator.set_upload_errors([exception.ServiceError("503 busy")] * 2)
        assert put(RetryingStore(store, QUICK), "k", b"x") is PutResult.CREATED


def test_delete_leaves_no_older_version_to_come_back(b2: B2Cloud) -> None:
    with b2.container() as name:
        store = b2.open(b2.destination(name))
        for body in (b"first", b"second"):
            store.put("k", body, sha256=hashlib.sha256(body).hexdigest(), if_absent=False)
        store.delete("k")
        assert caught(lambda: store.head("k")).kind is ErrorKind.NOT_FOUND
        assert list(store.list("")) == []
