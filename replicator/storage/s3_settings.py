"""What a destination asks of S3 for each object: class, encryption, retention, checksum."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from replicator.config import S3Destination
from replicator.storage.probing import PROBES


class Settings:
    """Arguments of boto3's calls, by the kind of call."""

    def __init__(self, destination: S3Destination) -> None:
        """Nothing is checked here: the server refuses what it doesn't know, or the doctor finds out."""
        self._destination = destination
        customer = destination.customer_key
        self.key: dict[str, Any] = {}
        """Of every call on a body's bytes, reading ones included: a customer's key is never stored by S3."""
        if customer is not None:
            self.key = {
                "SSECustomerAlgorithm": "AES256",
                "SSECustomerKey": base64.b64decode(customer.get_secret_value()),
            }

    def create(self, key: str) -> dict[str, Any]:
        """Of the call that makes an object, whole or in parts."""
        destination = self._destination
        given: dict[str, Any] = dict(self.key)
        if destination.storage_class is not None:
            given["StorageClass"] = destination.storage_class
        if destination.encryption == "sse-s3":
            given["ServerSideEncryption"] = "AES256"
        elif destination.encryption == "sse-kms":
            given["ServerSideEncryption"] = "aws:kms"
            if destination.kms_key_id is not None:
                given["SSEKMSKeyId"] = destination.kms_key_id
        if destination.retention_days is not None and not key.startswith(PROBES):
            given["ObjectLockMode"] = destination.retention_mode.upper()
            given["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(
                days=destination.retention_days
            )
        return given

    def checksum(self, body: bytes, sha256: str) -> dict[str, Any]:
        """Of a call with a body, for the server to compare."""
        if self._destination.checksum_kind == "sha256":
            return {"ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        return {"ContentMD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}

    def whole(self) -> dict[str, Any]:
        """Of the call that begins an object in parts."""
        return {"ChecksumAlgorithm": "SHA256"} if self._destination.checksum_kind == "sha256" else {}

    def tell_checksums(self) -> dict[str, Any]:
        """Of the call that asks for what the server knows of an object."""
        return {"ChecksumMode": "ENABLED"} if self._destination.checksum_kind == "sha256" else {}
