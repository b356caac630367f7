"""What a destination's settings make of a request: the stand-ins drop some of them, so it is what is sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from replicator.storage import ErrorKind, PutResult
from replicator.storage.http_body import PiecewiseAdapter
from tests.contract.clouds.azure import AzureCloud
from tests.contract.clouds.b2 import B2Cloud
from tests.contract.clouds.gcs import GcsCloud
from tests.contract.clouds.port import LOW_BOUND, Cloud
from tests.contract.clouds.s3 import S3Cloud
from tests.contract.test_faults import caught, put
from tests.faults.proxy import Action, FaultProxy, Request, Respond

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def proxied_moto(moto: S3Cloud) -> Iterator[tuple[FaultProxy, str]]:
    with moto.container() as bucket, FaultProxy(moto.url) as proxy:
        yield proxy, bucket


def sent_to_s3(moto: S3Cloud, proxied: tuple[FaultProxy, str], body: bytes, **settings: Any) -> list[Request]:
    """The requests that a put of "k" makes; the server never sees those that carry bodies."""
    proxy, bucket = proxied
    store = moto.open(moto.destination(bucket, url=proxy.url, **settings))
    _ = store.capabilities
    found: list[Request] = []

    def rule(request: Request) -> Action:
        if "/k" not in request.target or request.method not in ("PUT", "POST"):
            return None
        found.append(request)
        if request.method == "PUT":
            return Respond(200, b"", {"ETag": '"any"'})
        started = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        ended = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
        return Respond(200, started if "uploads" in request.target else ended)

    proxy.rule = rule
    assert put(store, "k", body) is PutResult.CREATED
    return found


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {"x-amz-storage-class": None, "x-amz-server-side-encryption": None, "content-md5": None}),
        ({"storage_class": "STANDARD_IA"}, {"x-amz-storage-class": "STANDARD_IA"}),
        ({"encryption": "sse-s3"}, {"x-amz-server-side-encryption": "AES256"}),
        (
            {"encryption": "sse-kms", "kms_key_id": "arn:k"},
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "arn:k",
            },
        ),
        (
            {"encryption": "customer-key", "customer_key": KEY},
            {
                "x-amz-server-side-encryption-customer-algorithm": "AES256",
                "x-amz-server-side-encryption-customer-key": KEY,
            },
        ),
        (
            {"retention_days": 30, "retention_mode": "compliance"},
            {"x-amz-object-lock-mode": "COMPLIANCE"},
        ),
        ({"checksum": "md5"}, {"content-md5": "ndTkYSaMgDT1yFZOFVxnpg==", "x-amz-checksum-sha256": None}),
        ({"session_token": "t"}, {"x-amz-security-token": "t"}),
    ],
)
def test_s3_is_sent_what_was_asked(
    moto: S3Cloud,
    proxied_moto: tuple[FaultProxy, str],
    settings: dict[str, Any],
    headers: dict[str, str | None],
) -> None:
    (request,) = sent_to_s3(moto, proxied_moto, b"x", **settings)
    assert {name: request.headers.get(name) for name in headers} == headers
    if settings.get("retention_days"):
        until = datetime.fromisoformat(request.headers["x-amz-object-lock-retain-until-date"])
        assert abs(until - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    if "checksum" not in settings:
        assert "x-amz-checksum-sha256" in request.headers


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_s3_is_sent_it_for_each_part_that_needs_it(
    moto: S3Cloud, proxied_moto: tuple[FaultProxy, str], checksum: str
) -> None:
    settings = {"encryption": "customer-key", "customer_key": KEY, "storage_class": "STANDARD_IA"}
    begin, *parts, complete = sent_to_s3(
        moto, proxied_moto, bytes(LOW_BOUND + 1), checksum=checksum, **settings
    )
    assert begin.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert len(parts) == 2
    for request in (begin, *parts, complete):
        assert request.headers["x-amz-server-side-encryption-customer-key"] == KEY
    header = "x-amz-checksum-sha256" if checksum == "sha256" else "content-md5"
    assert all(header in part.headers for part in parts)


def test_s3_probes_are_never_locked(moto: S3Cloud, proxied_moto: tuple[FaultProxy, str]) -> None:
    proxy, bucket = proxied_moto
    found: list[Request] = []

    def rule(request: Request) -> Action:
        if request.method == "PUT":
            found.append(request)
        return None

    proxy.rule = rule
    store = moto.open(moto.destination(bucket, url=proxy.url, retention_days=30))
    put(store, "v1/probe/any", b"x")
    assert found
    assert not any("x-amz-object-lock-mode" in request.headers for request in found)


def test_what_moto_stores_it_says(moto: S3Cloud) -> None:
    with moto.container() as bucket:
        settings = {"storage_class": "STANDARD_IA", "encryption": "sse-kms", "kms_key_id": "arn:k"}
        store = moto.open(moto.destination(bucket, **settings))
        put(store, "k", b"x")
        assert store.head("k").storage_class == "STANDARD_IA"
        assert [info.storage_class for info in store.list("k")] == ["STANDARD_IA"]
        assert store.facts("k").encryption == "aws:kms arn:k"  # type: ignore[attr-defined]


@pytest.fixture
def locked_bucket(versitygw: S3Cloud) -> Iterator[str]:
    admin = versitygw.admin()
    name = f"contract-{uuid4().hex[:12]}"
    admin.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    yield name
    found = admin.list_object_versions(Bucket=name)
    for each in (*found.get("Versions", []), *found.get("DeleteMarkers", [])):
        admin.delete_object(
            Bucket=name, Key=each["Key"], VersionId=each["VersionId"], BypassGovernanceRetention=True
        )
    admin.delete_bucket(Bucket=name)


def test_an_object_under_retention_cant_be_removed(versitygw: S3Cloud, locked_bucket: str) -> None:
    admin = versitygw.admin()
    store = versitygw.open(versitygw.destination(locked_bucket, retention_days=1))
    assert put(store, "k", b"first") is PutResult.CREATED
    assert put(store, "k", b"second") is PutResult.EXISTED
    facts = store.facts("k")  # type: ignore[attr-defined]
    assert (facts.object_lock, facts.versioning) == (True, True)
    version = admin.head_object(Bucket=locked_bucket, Key="k")["VersionId"]
    with pytest.raises(admin.exceptions.ClientError, match=r"AccessDenied|Locked|WORM"):
        admin.delete_object(Bucket=locked_bucket, Key="k", VersionId=version)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[requests.PreparedRequest]:
    """What goes through the transport of Azure and GCS, bodies included; the servers answer."""
    found: list[requests.PreparedRequest] = []
    original = PiecewiseAdapter.send

    def send(
        self: PiecewiseAdapter, request: requests.PreparedRequest, *a: Any, **k: Any
    ) -> requests.Response:
        found.append(request.copy())
        return original(self, request, *a, **k)

    monkeypatch.setattr(PiecewiseAdapter, "send", send)
    return found


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"storage_class": "Cool"}, {"x-ms-access-tier": "Cool"}),
        ({"encryption_scope": "weddings"}, {"x-ms-encryption-scope": "weddings"}),
        ({"retention_days": 30}, {"x-ms-immutability-policy-mode": "Unlocked"}),
        (
            {"retention_days": 30, "retention_mode": "compliance"},
            {"x-ms-immutability-policy-mode": "Locked"},
        ),
    ],
)
@pytest.mark.parametrize("size", [1, LOW_BOUND + 1])
def test_azure_is_sent_what_was_asked(
    azurite: AzureCloud,
    sent: list[requests.PreparedRequest],
    settings: dict[str, Any],
    headers: dict[str, str],
    size: int,
) -> None:
    with azurite.container() as container:
        store = azurite.open(azurite.destination(container, **settings))
        assert put(store, "k", bytes(size)) is PutResult.CREATED
    made = [each for each in sent if each.method == "PUT" and "/k" in str(each.url)]
    assert {name: made[-1].headers.get(name) for name in headers} == headers
    assert made[-1].headers["If-None-Match"] == "*"
    bodies = made if size == 1 else made[:-1]
    assert all("Content-MD5" in each.headers for each in bodies)
    probes = [each for each in sent if "v1/probe" in str(each.url)]
    assert not any("x-ms-immutability-policy-mode" in each.headers for each in probes)


def test_azure_takes_a_customer_s_key_over_tls_alone(azurite: AzureCloud) -> None:
    with azurite.container() as container:
        error = caught(lambda: azurite.open(azurite.destination(container, customer_key=KEY)).get("k"))
    assert error.kind is ErrorKind.FATAL
    assert "https" in error.message.lower()


def test_a_sas_that_may_only_read_reads_and_is_told_so(azurite: AzureCloud) -> None:
    with azurite.container() as container:
        put(azurite.open(azurite.destination(container)), "k", b"x")
        token = generate_container_sas(
            "replicator",
            container,
            account_key=azurite.account_key,
            permission=ContainerSasPermissions(read=True, list=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        reader = azurite.open(azurite.destination(container, account_key=None, sas_token=token))
        assert reader.get("k") == b"x"
        assert [info.key for info in reader.list("k")] == ["k"]
        error = caught(lambda: put(reader, "other", b"x"))
        assert error.kind is ErrorKind.AUTH
        assert error.next_step is not None
        assert token not in str(error)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"storage_class": "NEARLINE"}, {"storageClass": "NEARLINE"}),
        ({"retention_days": 30}, {"mode": "Unlocked"}),
        ({"retention_days": 30, "retention_mode": "compliance"}, {"mode": "Locked"}),
    ],
)
@pytest.mark.parametrize("size", [1, 8 * 2**20 + 1])
def test_gcs_is_sent_what_was_asked(
    gcs: GcsCloud,
    sent: list[requests.PreparedRequest],
    settings: dict[str, Any],
    said: dict[str, str],
    size: int,
) -> None:
    with gcs.container() as container:
        store = gcs.open(gcs.destination(container, **settings))
        assert put(store, "k", bytes(size)) is PutResult.CREATED
    made = [
        each
        for each in sent
        if each.method == "POST" and "/upload/" in str(each.url) and b'"k"' in (each.body or b"")[:2000]
    ]
    assert made
    assert "ifGenerationMatch=0" in str(made[0].url)
    body = made[0].body
    assert isinstance(body, bytes)
    described = json.loads(body[body.index(b"{") : body.index(b"}\r\n") + 1] if size == 1 else body)
    found = {**described, **described.get("retention", {})}
    assert {name: found.get(name) for name in said} == said
    assert described["metadata"].keys() == {"sha256"}
    assert "crc32c" in described


def test_gcs_is_sent_its_keys(gcs: GcsCloud, sent: list[requests.PreparedRequest]) -> None:
    with gcs.container() as container:
        put(gcs.open(gcs.destination(container, kms_key_name="projects/p/k")), "k", b"x")
        assert any("kmsKeyName=projects%2Fp%2Fk" in str(each.url) for each in sent)
        sent.clear()
        store = gcs.open(gcs.destination(container, customer_key=KEY))
        put(store, "c", b"x")
        store.get("c")
        keyed = [each for each in sent if each.headers.get("X-Goog-Encryption-Key") == KEY]
        assert {each.method for each in keyed} >= {"POST", "GET"}


@pytest.mark.parametrize(
    ("settings", "mode"), [({"encryption": "sse-b2"}, "SSE-B2"), ({}, "SSE-B2")], ids=["asked", "default"]
)
def test_b2_encrypts_as_asked(b2: B2Cloud, settings: dict[str, Any], mode: str) -> None:
    with b2.container() as container:
        store = b2.open_inside(b2.destination(container, **settings))
        put(store, "k", b"x")
        assert store.facts("k").encryption == mode  # type: ignore[attr-defined]


def test_b2_takes_a_customer_s_key_and_gives_it_back_for_reading(b2: B2Cloud) -> None:
    with b2.container() as container:
        settings = {"encryption": "customer-key", "customer_key": KEY}
        store = b2.open_inside(b2.destination(container, **settings))
        put(store, "k", b"secret")
        assert store.get("k") == b"secret"
        assert store.head("k").size == 6
        assert (
            caught(lambda: b2.open_inside(b2.destination(container)).get("k")).kind is not ErrorKind.TRANSIENT
        )


def test_a_proxy_is_asked_instead_of_the_server(cloud: Cloud) -> None:
    with FaultProxy(cloud.url) as proxy:
        proxy.rule = lambda _: cloud.respond(403, "")
        store = cloud.open(cloud.destination("any", url="http://store.invalid:81", proxy=proxy.url))
        assert caught(lambda: store.get("k")).kind is ErrorKind.AUTH
        assert proxy.seen[0][1].startswith("http://store.invalid:81/")
