"""Prometheus' own promtool fires every alert rule, and nothing fires on a quiet installation."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.promtool import promtool

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def tool() -> Path:
    return promtool()


def run(tool: Path, *arguments: str, directory: Path = RULES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tool), *arguments], cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.timeout(1900)
def test_rules_and_the_example_configuration_are_valid(tool: Path) -> None:
    done = run(tool, "check", "config", "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(_names())} rules found" in done.stdout


def test_every_case_fires_its_alerts_and_no_other(tool: Path) -> None:
    done = run(tool, "test", "rules", "rules.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_could_not_fire_would_be_found(tool: Path, tmp_path: Path) -> None:
    shutil.copy(RULES / "rules.test.yaml", tmp_path)
    document = yaml.safe_load((RULES / "rules.yaml").read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = f"({rule['expr']}) and on () vector(1) == 2"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document))
    done = run(tool, "test", "rules", "rules.test.yaml", directory=tmp_path)
    assert done.returncode != 0
    assert not [name for name in _names() if name not in done.stdout + done.stderr]


def _names() -> list[str]:
    document = yaml.safe_load((RULES / "rules.yaml").read_text())
    return [rule["alert"] for group in document["groups"] for rule in group["rules"]]
