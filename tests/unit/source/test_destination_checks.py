"""What the doctor says of a destination that doesn't do what was asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from replicator.cli import doctor
from replicator.config import Destination, FileDestination
from replicator.source.checks.check import Level
from replicator.source.checks.destinations import broken_promises, checks
from replicator.storage.survey import Survey
from tests.unit.source.configs import config

SEEN: dict[str, Any] = {
    "create_if_absent": "atomic",
    "refuses_wrong_checksum": True,
    "ranges": True,
    "lists_after": True,
    "lists_sha256": False,
    "checksums": ("sha256",),
    "storage_class": "STANDARD",
    "encryption": None,
    "versioning": None,
    "object_lock": None,
    "location": None,
    "put_s": 0.01,
    "get_s": 0.01,
    "list_s": 0.01,
    "delete_s": 0.01,
}
S3 = {"type": "s3", "bucket": "b"}
AZURE = {"type": "azure", "account_url": "https://a.blob.core.windows.net", "container": "c"}
GCS = {"type": "gcs", "bucket": "b"}
B2 = {"type": "b2", "bucket": "b"}


@pytest.mark.parametrize(
    ("asked", "seen", "level"),
    [
        (S3, {}, None),
        ({**S3, "storage_class": "STANDARD_IA"}, {}, Level.WARN),
        ({**S3, "storage_class": "STANDARD_IA"}, {"storage_class": "STANDARD_IA"}, None),
        ({**S3, "encryption": "sse-kms", "kms_key_id": "arn:k"}, {"encryption": "aws:kms arn:k"}, None),
        ({**S3, "encryption": "sse-kms", "kms_key_id": "arn:k"}, {"encryption": "aws:kms arn:x"}, Level.FAIL),
        ({**S3, "encryption": "sse-kms"}, {}, Level.FAIL),
        ({**S3, "encryption": "sse-s3"}, {"encryption": "AES256"}, None),
        ({**S3, "retention_days": 3}, {"object_lock": True}, None),
        ({**S3, "retention_days": 3}, {"object_lock": False}, Level.FAIL),
        ({**S3, "retention_days": 3}, {"object_lock": None}, Level.WARN),
        ({**AZURE, "storage_class": "Cool"}, {"storage_class": "Cool"}, None),
        ({**AZURE, "encryption_scope": "w"}, {"encryption": "account key"}, Level.FAIL),
        ({**GCS, "kms_key_name": "projects/k"}, {"encryption": "Google's own key"}, Level.FAIL),
        (
            {**GCS, "kms_key_name": "projects/k"},
            {"encryption": "projects/k/cryptoKeyVersions/1"},
            None,
        ),
        ({**B2, "encryption": "sse-b2"}, {"encryption": "SSE-B2"}, None),
        ({**B2, "encryption": "sse-b2"}, {"encryption": None}, Level.FAIL),
        ({"type": "file", "path": "/tmp/x"}, {"storage_class": None}, None),
    ],
)
def test_what_was_asked_is_held_against_what_is_stored(
    asked: dict[str, Any], seen: dict[str, Any], level: Level | None
) -> None:
    destination: Destination = TypeAdapter(Destination).validate_python(asked)
    found = list(broken_promises(destination, Survey(**{**SEEN, **seen})))
    assert [each[0] for each in found] == ([] if level is None else [level])


def test_a_destination_is_a_line_with_what_it_was_seen_to_do(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    settings = config().model_copy(
        update={
            "destinations": {
                "disk": FileDestination(type="file", path=tmp_path / "there"),
                "gone": FileDestination(type="file", path=tmp_path / "gone"),
            }
        }
    )
    disk, gone = checks(settings, [])
    assert (disk.level, gone.level) == (Level.OK, Level.FAIL)
    assert disk.details is not None
    assert disk.details["create_if_absent"] == "atomic"
    assert "mkdir" in (gone.fix or "")
    surveys = doctor._surveys([disk, gone])
    assert surveys.keys() == {"disk"}
    table = doctor._table(surveys)
    assert table.row_count == len(doctor._ROWS) + 4
    assert set(doctor._ROWS) <= set(SEEN)
