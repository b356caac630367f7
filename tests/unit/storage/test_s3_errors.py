"""The table from S3's errors to kinds, and what a person is told."""

from __future__ import annotations

from unittest.mock import patch

import botocore.exceptions as boto
import pytest
from botocore.parsers import ResponseParserError
from pydantic import SecretStr

from replicator.config import S3Destination
from replicator.storage import ErrorKind, StorageError, s3_errors
from replicator.storage.s3 import S3Store


def test_no_credentials_at_all_say_what_to_give() -> None:
    error = s3_errors.classify(boto.NoCredentialsError(), "S3 bucket 'b': PUT k")
    assert error.kind is ErrorKind.AUTH
    assert "access_key_id" in str(error)


def test_what_was_never_seen_before_is_for_a_person() -> None:
    assert s3_errors.classify(RuntimeError("odd"), "x").kind is ErrorKind.FATAL
    assert s3_errors.classify(boto.ParamValidationError(report="odd"), "x").kind is ErrorKind.FATAL


def test_half_a_document_may_be_a_whole_one_next_time() -> None:
    secret = SecretStr("any")
    store = S3Store(
        S3Destination(
            type="s3",
            bucket="b",
            endpoint_url="http://127.0.0.1:1",
            access_key_id=secret,
            secret_access_key=secret,
        )
    )
    broken = ResponseParserError("unable to parse")
    with (
        patch.object(store._client, "list_objects_v2", side_effect=broken),
        pytest.raises(StorageError) as caught,
    ):
        list(store.list(""))
    assert caught.value.kind is ErrorKind.TRANSIENT
