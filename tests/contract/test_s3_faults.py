"""What is S3's own: stores without preconditions, its word for a clock that is off, uploads left in parts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from replicator.storage import CreateIfAbsent, ErrorKind, PutResult, RetryingStore, RetryPolicy
from replicator.storage.s3 import S3Store
from tests.contract.clouds.s3 import S3Cloud
from tests.contract.test_faults import caught, put
from tests.faults.proxy import Action, FaultProxy, Request


@pytest.fixture
def bucket(versitygw: S3Cloud) -> Iterator[str]:
    with versitygw.container() as name:
        yield name


@pytest.fixture
def proxy(versitygw: S3Cloud) -> Iterator[FaultProxy]:
    with FaultProxy(versitygw.url) as made:
        yield made


def test_a_store_without_preconditions_is_found_out_and_still_not_overwritten(
    versitygw: S3Cloud, proxy: FaultProxy, bucket: str
) -> None:
    def as_backblaze(request: Request) -> Action:
        return versitygw.respond(501, "NotImplemented") if "if-none-match" in request.headers else None

    proxy.rule = as_backblaze
    store = S3Store(versitygw.destination(bucket, endpoint_url=proxy.url))
    assert store.capabilities.create_if_absent is CreateIfAbsent.CHECKED
    assert put(store, "k", b"first") is PutResult.CREATED
    assert put(store, "k", b"second") is PutResult.EXISTED
    assert store.get("k") == b"first"


def test_a_store_that_refuses_every_other_put_is_found_out_and_written_to(
    versitygw: S3Cloud, proxy: FaultProxy, bucket: str
) -> None:
    turns = itertools.count(1)
    proxy.rule = lambda request: (
        versitygw.respond(503, "SlowDown") if request.method == "PUT" and next(turns) % 2 else None
    )
    plain = S3Store(versitygw.destination(bucket, endpoint_url=proxy.url))
    store = RetryingStore(plain, RetryPolicy(base_s=0.01, cap_s=0.02, deadline_s=15.0))
    assert put(store, "k", b"first") is PutResult.CREATED
    assert store.capabilities.create_if_absent is CreateIfAbsent.ATOMIC
    assert store.capabilities.refuses_wrong_checksum
    assert put(store, "k", b"second") is PutResult.EXISTED


def test_a_clock_that_is_off_is_refused_by_the_server_and_told_with_both_times(
    versitygw: S3Cloud, bucket: str
) -> None:
    store = S3Store(versitygw.destination(bucket))
    assert store.capabilities.refuses_wrong_checksum
    real_now = datetime.now(UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", lambda: real_now - timedelta(hours=2)):
        error = caught(lambda: put(store, "late", b"x"))
    assert error.kind is ErrorKind.AUTH
    assert error.code == "RequestTimeTooSkewed"
    assert error.next_step is not None
    assert "clock" in error.next_step
    assert "server's clock" in error.message
    assert list(store.list("late")) == []


def test_a_part_that_fails_leaves_no_upload_behind(
    versitygw: S3Cloud, proxy: FaultProxy, bucket: str
) -> None:
    store = S3Store(
        versitygw.destination(bucket, endpoint_url=proxy.url),
        multipart_bytes=6 * 2**20,
        part_bytes=5 * 2**20,
    )
    body = os.urandom(12 * 2**20)
    proxy.rule = lambda request: (
        versitygw.respond(500, "InternalError") if "partNumber=2" in request.target else None
    )
    assert caught(lambda: put(store, "parts", body)).kind is ErrorKind.TRANSIENT
    assert "Uploads" not in versitygw.admin().list_multipart_uploads(Bucket=bucket)
    proxy.heal()
    assert put(store, "parts", body) is PutResult.CREATED
    assert store.get("parts") == body


def test_keys_that_may_only_read_read_and_are_told_so(versitygw: S3Cloud, bucket: str) -> None:
    put(versitygw.open(versitygw.destination(bucket)), "k", b"x")
    with versitygw.reader(bucket) as keys:
        reader = versitygw.open(versitygw.destination(bucket, **keys))
        assert reader.get("k") == b"x"
        assert reader.head("k").size == 1
        assert [info.key for info in reader.list("k")] == ["k"]
        assert caught(lambda: reader.get("missing")).kind is ErrorKind.NOT_FOUND
        for act in (lambda: put(reader, "other", b"x"), lambda: reader.delete("k")):
            error = caught(act)
            assert error.kind is ErrorKind.AUTH
            assert error.next_step is not None and "s3:PutObject" in error.next_step
            assert keys["secret_access_key"].get_secret_value() not in str(error)
    assert versitygw.open(versitygw.destination(bucket)).get("k") == b"x"
