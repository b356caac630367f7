"""docker-compose.yml against the Compose specification's schema, and against the local stack.

Running it needs a Docker daemon. Each setting is compared, so that the two stacks can't drift apart.
"""

from __future__ import annotations

import json
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.local import versions
from deploy.local.addresses import endpoints_of
from deploy.local.parts import azure, connect, gcs, kafka, postgres, registry
from deploy.local.parts.port import Part, Site
from deploy.local.settings import load_or_create
from deploy.local.stack import DEFAULT_PARTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return content


def as_environment(prefix: str, settings: dict[str, str]) -> dict[str, str]:
    """Settings by the names under which the images take them from the environment."""
    return {
        prefix + key.upper().translate(str.maketrans(".-", "__")): value for key, value in settings.items()
    }


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    jsonschema.validate(compose, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**compose, "servcies": {}}, schema)


def test_it_has_a_service_for_each_part(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*DEFAULT_PARTS, "registry-topics"}


def test_the_versions_are_the_local_stack_s(compose: dict[str, Any]) -> None:
    images = {name: service.get("image") for name, service in compose["services"].items()}
    assert images == {
        "postgres": f"postgres:{versions.POSTGRES_IMAGE}",
        "kafka": f"apache/kafka:{versions.KAFKA}",
        "registry-topics": f"apache/kafka:{versions.KAFKA}",
        "registry": f"apicurio/apicurio-registry:{versions.REGISTRY}",
        "connect": None,
        "s3": f"versity/versitygw:{versions.VERSITYGW}",
        "azure": f"mcr.microsoft.com/azure-storage/azurite:{versions.AZURITE}",
        "gcs": f"fsouza/fake-gcs-server:{versions.FAKE_GCS.removeprefix('v')}",
    }
    assert compose["services"]["connect"]["build"]["args"] == {"KAFKA_VERSION": versions.KAFKA}


def test_the_postgres_image_is_the_wheel_s_minor_version() -> None:
    said = subprocess.run(
        [postgres.server_bin() / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert said.split()[-1] == versions.POSTGRES_IMAGE
    assert versions.POSTGRES_IMAGE.split(".")[0] == versions.POSTGRES


def test_postgres_has_the_local_stack_s_settings(compose: dict[str, Any]) -> None:
    service = compose["services"]["postgres"]
    words = service["command"]
    assert words[0] == "postgres"
    assert set(words[1::2]) == {"-c"}
    assert dict(word.split("=", 1) for word in words[2::2]) == postgres.SERVER_SETTINGS
    assert service["environment"]["POSTGRES_INITDB_ARGS"] == " ".join(postgres.INITDB_OPTIONS)
    assert service["stop_signal"] == postgres.PostgresPart.stop_signal.name


def test_kafka_has_the_local_stack_s_settings(compose: dict[str, Any]) -> None:
    environment = compose["services"]["kafka"]["environment"]
    expected = as_environment("KAFKA_", kafka.SERVER_SETTINGS)
    # A second listener, for this machine, is the one difference.
    protocols = expected.pop("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP").split(",")
    assert environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",") == [
        protocols[0],
        "HOST:PLAINTEXT",
        protocols[1],
    ]
    assert {name: environment.get(name) for name in expected} == expected


def test_the_registry_has_the_local_stack_s_durable_storage(compose: dict[str, Any]) -> None:
    environment = compose["services"]["registry"]["environment"]
    expected = as_environment("", registry.STORAGE_SETTINGS)
    assert {name: environment.get(name) for name in expected} == expected
    (script,) = compose["services"]["registry-topics"]["command"]
    for topic in (registry.JOURNAL_TOPIC, registry.SNAPSHOT_TOPIC):
        assert topic in script
    for key, value in registry.TOPIC_SETTINGS.items():
        assert f"--config {key}={value}" in script


def test_connect_has_the_local_stack_s_heap(compose: dict[str, Any]) -> None:
    heap = compose["services"]["connect"]["environment"]["KAFKA_HEAP_OPTS"]
    assert heap.endswith(f"-Xmx{connect.HEAP_MB}m")


def flags(words: list[str]) -> dict[str, str]:
    """Options by name; one without a value has none."""
    found: dict[str, str] = {}
    for word in words:
        if word.startswith("-"):
            name = word
            found[name] = ""
        else:
            found[name] = word
    return found


@pytest.mark.parametrize(
    ("part", "places"),
    [
        (azure.AzurePart(), {"--blobHost", "--blobPort", "--location"}),
        (gcs.GcsPart(), {"-host", "-port", "-external-url", "-public-host", "-filesystem-root"}),
    ],
    ids=["azure", "gcs"],
)
def test_the_clouds_stand_ins_have_the_local_stack_s_options(
    compose: dict[str, Any], tmp_path: Path, part: Part, places: set[str]
) -> None:
    settings = load_or_create(tmp_path)
    command = part.command(Site(tmp_path, settings, endpoints_of(settings)))
    first = next(index for index, word in enumerate(command.argv) if word.startswith("-"))
    ours = flags(list(command.argv[first:]))
    words = compose["services"][part.name]["command"]
    theirs = flags(words[1:] if words[0] == "azurite-blob" else words)
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name] != theirs[name]} == places


def test_the_azure_account_is_the_local_stack_s(compose: dict[str, Any]) -> None:
    account, _, _ = compose["services"]["azure"]["environment"]["AZURITE_ACCOUNTS"].partition(":")
    assert account == azure.ACCOUNT


def test_azurite_is_locked_with_hashes_and_without_addresses() -> None:
    folder = ROOT / "deploy" / "local" / "azurite"
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["dependencies"] == {"azurite": versions.AZURITE}
    locked = {name: package for name, package in lock["packages"].items() if name}
    assert {name for name, package in locked.items() if "integrity" not in package} == set()
    assert {name for name, package in locked.items() if "resolved" in package} == set()


def test_nothing_is_reachable_from_other_machines(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if service.get("network_mode") == "host":
            assert service["environment"]["LISTENER"].startswith("http://127.0.0.1:"), name


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = json.dumps(compose)
    for secret in ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "AZURE_KEY"):
        assert f"${{{secret}:?" in text
        assert f"${{{secret}:-" not in text
