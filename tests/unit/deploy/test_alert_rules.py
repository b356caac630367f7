"""Alert rules ask for figures that exist, say what a person needs, and are each fired by a case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from replicator import telemetry
from replicator.control.observation import watches
from replicator.control.tasks import rehearsing, upkeep
from replicator.storage import ErrorKind

HERE = Path(__file__).resolve().parents[3] / "deploy" / "prometheus"
_DOCS = HERE.parents[1]


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((HERE / "rules.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def exported() -> dict[str, str]:
    """Every family of every class of metrics, by the names that samples have, with its kind."""
    found: dict[str, str] = {}
    for name, each in vars(telemetry).items():
        if name.endswith("Metrics"):
            for family in text_string_to_metric_families(each().text().decode()):
                suffixes = {
                    "counter": ("_total",),
                    "histogram": ("_bucket", "_sum", "_count"),
                }.get(family.type, ("",))
                found |= {f"{family.name}{suffix}": family.type for suffix in suffixes}
    return found


def test_every_figure_that_a_rule_asks_for_is_exported() -> None:
    asked = {name for rule in rules() for name in re.findall(r"\breplicator_[a-z_]+", rule["expr"])}
    assert len(asked) > 15
    assert asked - set(exported()) == set()


def test_every_alert_of_control_that_a_rule_names_can_be_raised() -> None:
    named = {
        name
        for rule in rules()
        for alternatives in re.findall(r'replicator_alerts\{name=~?"([^"]+)"', rule["expr"])
        for name in alternatives.split("|")
    }
    assert named and named - {*watches.NAMES, *rehearsing.ALERTS, *upkeep.ALERTS} == set()


def test_every_kind_of_storage_error_that_a_rule_names_exists() -> None:
    named = {kind for rule in rules() for kind in re.findall(r'retries_total\{kind="([^"]+)"', rule["expr"])}
    assert named and named - {kind.value for kind in ErrorKind} == set()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_happened_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "data", "action", "runbook"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert all(len(text) > 20 for text in annotations.values())
    document, _, anchor = annotations["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (_DOCS / document).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-").replace("`", "") for heading in headings}


def test_every_alert_is_fired_by_a_case_and_named_once() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    cases = yaml.safe_load((HERE / "rules.test.yaml").read_text())["tests"]
    fired = {
        name
        for case in cases
        for test in case["promql_expr_test"]
        for sample in test["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == set(names)


def test_inhibitions_and_routes_name_alerts_that_exist() -> None:
    text = (HERE / "alertmanager.yaml").read_text()
    assert set(re.findall(r"Replicator\w+", text)) <= {rule["alert"] for rule in rules()}
