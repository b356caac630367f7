from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from replicator import config
from replicator.cli.init import template
from replicator.errors import ConfigError

MINIMAL = """
installation: weddings
kafka: {bootstrap_servers: "127.0.0.1:9092"}
registry: {url: "http://127.0.0.1:8081"}
source: {dsn: "postgresql://x"}
"""


def load(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "replicator.yaml"
    path.write_text(text)
    return config.load(path)


def test_the_template_is_a_valid_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATOR_SOURCE_DSN", "postgresql://app@db/weddings")
    loaded = load(tmp_path, template())
    assert loaded.source.dsn.get_secret_value() == "postgresql://app@db/weddings"


def _keys(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


@pytest.mark.parametrize(
    "section",
    [
        config.Config,
        config.Kafka,
        config.Registry,
        config.Source,
        config.S3Destination,
        config.FileDestination,
        config.AzureDestination,
        config.GcsDestination,
        config.B2Destination,
        config.Sink,
        config.Urgency,
        config.Replay,
        config.Drill,
    ],
)
def test_the_template_explains_every_key(section: type[BaseModel]) -> None:
    missing = {key for key in _keys(section) if f"{key}:" not in template()}
    assert not missing


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (MINIMAL + "sinc: {}", "sinc: unknown key"),
        (MINIMAL + "sink: {segment_byte: 1}", "sink.segment_byte: unknown key"),
        (MINIMAL + "sink: {upload_threads: none}", "sink.upload_threads"),
        (MINIMAL + "destinations: {a: {type: ftp}}", "destinations.a"),
        (MINIMAL.replace("weddings", "Weddings!"), "installation"),
        ("installation: weddings", "kafka"),
        ("- a", "keys and values"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_key_is_an_error_that_names_it(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        load(tmp_path, text)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "none.yaml")
    assert "replicator init" in str(caught.value)


def test_secrets_come_from_the_environment_or_a_file_and_stay_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    monkeypatch.setenv("WEDDING_DSN", "from-environment")
    text = MINIMAL.replace("postgresql://x", "${env:WEDDING_DSN}") + (
        f"destinations: {{p: {{type: s3, bucket: b, secret_access_key: '${{file:{tmp_path}/secret}}'}}}}"
    )
    loaded = load(tmp_path, text)
    destination = loaded.destination("p")
    assert isinstance(destination, config.S3Destination)
    assert destination.secret_access_key is not None
    assert destination.secret_access_key.get_secret_value() == "from-file"
    assert loaded.source.dsn.get_secret_value() == "from-environment"
    assert "from-" not in repr(loaded)


def test_a_secret_that_is_not_there_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source\.dsn: the environment variable NOT_SET_ANYWHERE"):
        load(tmp_path, MINIMAL.replace("postgresql://x", "${env:NOT_SET_ANYWHERE}"))


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATOR_KAFKA__BOOTSTRAP_SERVERS", "kafka:9093")
    assert load(tmp_path, MINIMAL).kafka.bootstrap_servers == "kafka:9093"


def test_a_section_without_keys_has_its_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL + "sink:\n  # memory_bytes: 1\n").sink == config.Sink()


def test_an_unknown_destination_names_the_known_ones(tmp_path: Path) -> None:
    loaded = load(tmp_path, MINIMAL + "destinations: {a: {type: file, path: /tmp/a}}")
    with pytest.raises(ConfigError, match="known: a"):
        loaded.destination("b")


SAME = (
    ("{type: file, path: /tmp/a}", "{type: file, path: /tmp/x/../a}"),
    ("{type: s3, bucket: b}", "{type: s3, bucket: b, region: eu-central-1}"),
    ("{type: s3, bucket: b}", "{type: s3, bucket: b, endpoint_url: 'https://s3.eu-west-1.amazonaws.com'}"),
    (
        "{type: s3, bucket: b, endpoint_url: 'http://s3.local:9000'}",
        "{type: s3, bucket: b, endpoint_url: 'http://S3.local:9000/', prefix: /}",
    ),
    ("{type: b2, bucket: b}", "{type: s3, bucket: b, provider: backblaze, region: us-west-004}"),
    ("{type: gcs, bucket: b}", "{type: s3, bucket: b, endpoint_url: 'https://storage.googleapis.com'}"),
    (
        "{type: azure, account_url: 'https://a.blob.core.windows.net', container: c, prefix: p}",
        "{type: azure, account_url: 'https://A.blob.core.windows.net/', container: c, prefix: p/}",
    ),
)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_destinations_that_are_one_place_are_refused(tmp_path: Path, one: str, other: str) -> None:
    text = MINIMAL + f"destinations: {{a: {one}, b: {other}}}"
    with pytest.raises(ConfigError, match="'a' and 'b' are one place"):
        load(tmp_path, text)
    load(
        tmp_path,
        text.replace(
            other,
            other.replace("}", ", prefix: another}").replace("prefix: p/, ", "").replace("prefix: /, ", ""),
        ),
    )


@pytest.mark.parametrize(
    ("destination", "named"),
    [
        ("{type: s3, bucket: b, provider: wasabi}", "needs `region`"),
        ("{type: s3, bucket: b, encryption: customer-key}", "customer_key"),
        ("{type: s3, bucket: b, encryption: customer-key, customer_key: c2hvcnQ=}", "32 bytes"),
        ("{type: s3, bucket: b, kms_key_id: k}", "sse-kms"),
        ("{type: s3, bucket: b, retention_days: 0}", "retention_days"),
        ("{type: azure, account_url: u, container: c, storage_class: Archive}", "Hot, Cool or Cold"),
        ("{type: azure, account_url: u, container: c, account_key: k, sas_token: t}", "not both"),
        ("{type: gcs, bucket: b, anonymous: true, credentials_json: '{}'}", "give one of"),
        ("{type: b2, bucket: b, application_key: k}", "go together"),
        ("{type: b2, bucket: b, storage_class: cold}", "one class"),
        ("{type: ftp}", "'azure'"),
    ],
)
def test_a_destination_that_can_t_be_is_refused_by_the_key(
    tmp_path: Path, destination: str, named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL + f"destinations: {{odd: {destination}}}")
    assert "destinations.odd" in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("destination", "address", "checksum"),
    [
        ("{type: s3, bucket: b}", None, "sha256"),
        ("{type: s3, bucket: b, provider: wasabi, region: r}", "https://s3.r.wasabisys.com", "sha256"),
        ("{type: s3, bucket: b, provider: backblaze, region: r}", "https://s3.r.backblazeb2.com", "md5"),
        (
            "{type: s3, bucket: b, endpoint_url: 'https://s3.r.backblazeb2.com'}",
            "https://s3.r.backblazeb2.com",
            "md5",
        ),
        ("{type: s3, bucket: b, endpoint_url: 'http://m:9000', checksum: md5}", "http://m:9000", "md5"),
    ],
)
def test_a_provider_s_preset_is_only_what_differs(
    tmp_path: Path, destination: str, address: str | None, checksum: str
) -> None:
    found = load(tmp_path, MINIMAL + f"destinations: {{p: {destination}}}").destination("p")
    assert isinstance(found, config.S3Destination)
    assert (found.address, found.checksum_kind) == (address, checksum)
