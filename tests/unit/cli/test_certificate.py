"""`replicator check-certificate` of what it can't speak about: nothing is looked up, and it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from replicator.certificate import encode, sign
from replicator.points import public_pem
from tests.unit.certificate.test_certificate import KEY, MADE, SIGNING
from tests.unit.cli.test_main import replicator


def configured(folder: Path, installation: str, mark: tuple[str, str] | None) -> None:
    """A configuration of that installation with one destination, whose mark names another perhaps."""
    store = folder / "store"
    (store / "v1").mkdir(parents=True)
    if mark is not None:
        text = json.dumps({"installation": mark[0], "cluster_id": mark[1]})
        (store / "v1" / "installation.json").write_text(text)
    document = {
        "installation": installation,
        "kafka": {"bootstrap_servers": "unused"},
        "registry": {"url": "http://unused"},
        "source": {"dsn": "unused"},
        "destinations": {"primary": {"type": "file", "path": str(store)}},
        "control": {"public_keys": [public_pem(KEY)]},
    }
    path = folder / "replicator.yaml"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    (folder / "weddings.json").write_text(encode(sign(MADE, SIGNING)))


@pytest.mark.parametrize(
    ("installation", "mark", "words"),
    [
        ("bakery", None, "certifies a restore of the installation 'shop'"),
        ("shop", ("bakery", "cluster"), "primary holds installation 'bakery' of Kafka cluster cluster"),
        ("shop", ("shop", "another"), "primary holds installation 'shop' of Kafka cluster another"),
    ],
)
def test_a_certificate_of_another_installation_or_cluster_is_refused_and_not_called_fallen(
    tmp_path: Path, installation: str, mark: tuple[str, str] | None, words: str
) -> None:
    configured(tmp_path, installation, mark)
    done = replicator("check-certificate", "weddings.json", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert words in done.stderr
    assert "next:" in done.stderr


def test_a_certificate_whose_objects_are_gone_has_fallen(tmp_path: Path) -> None:
    configured(tmp_path, "shop", ("shop", "cluster"))
    done = replicator("check-certificate", "weddings.json", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
