"""What a stack's directory remembers when the stack gains a part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.errors import StackError
from deploy.local.settings import PORT_NAMES, load_or_create


def test_a_directory_of_before_a_part_existed_keeps_its_ports_and_secrets(tmp_path: Path) -> None:
    first = load_or_create(tmp_path)
    path = tmp_path / "settings.json"
    older = json.loads(path.read_text())
    del older["ports"]["azure"], older["azure_key"]
    path.write_text(json.dumps(older))
    again = load_or_create(tmp_path)
    assert set(again.ports) == set(PORT_NAMES)
    assert len(set(again.ports.values())) == len(PORT_NAMES)
    assert {name: again.ports[name] for name in older["ports"]} == older["ports"]
    assert again.postgres_password == first.postgres_password
    assert load_or_create(tmp_path) == again


def test_a_directory_of_a_newer_stack_is_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    path = tmp_path / "settings.json"
    newer = json.loads(path.read_text())
    newer["ports"]["telegraph"] = 1
    path.write_text(json.dumps(newer))
    with pytest.raises(StackError, match="another version"):
        load_or_create(tmp_path)
