"""What a configuration for a stack's database says, and who may read it."""

from __future__ import annotations

from pathlib import Path

from deploy.local import configuration
from deploy.local.addresses import endpoints_of
from deploy.local.settings import load_or_create
from replicator.config import load


def test_the_replicator_takes_it_with_what_was_replaced_and_nobody_else_reads_it(tmp_path: Path) -> None:
    endpoints = endpoints_of(load_or_create(tmp_path))
    document = configuration.captured(endpoints, "weddings", "postgresql://127.0.0.1/x", heartbeat_s=1.0)
    path = configuration.save(tmp_path / "replicator.yaml", document)
    assert path.stat().st_mode & 0o777 == 0o600
    config = load(path)
    assert config.installation == "weddings"
    assert config.registry.url == endpoints.registry.url
    assert config.source.dsn.get_secret_value() == "postgresql://127.0.0.1/x"
    assert config.source.connect_url == endpoints.connect.url
    assert config.source.converter.class_name == endpoints.converter.class_name
    assert config.source.heartbeat_s == 1.0
