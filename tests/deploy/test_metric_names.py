"""Every metric and label that the dashboard and Prometheus ask for is one the worker has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from worker.histogram import BulkHistogram
from worker.metrics import Metrics
from worker.settings import HttpSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
METRIC = re.compile(r"\bstrandwatch_\w+")
SCRAPE_LABELS = {"instance", "job"}


def exposed() -> dict[str, set[str]]:
    """Name of every series of the worker to its labels."""
    series: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, BulkHistogram):
            name = metric.name
            series |= {f"{name}_sum": SCRAPE_LABELS, f"{name}_count": SCRAPE_LABELS}
            series[f"{name}_bucket"] = SCRAPE_LABELS | {"le"}
        if isinstance(metric, MetricWrapperBase):
            labels = {*metric._labelnames, *SCRAPE_LABELS}
            name = metric._name
            if isinstance(metric, Counter):
                series[f"{name}_total"] = labels
            elif isinstance(metric, Histogram):
                series |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}}
            else:
                series[name] = labels
    return series


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                yield f"{panel['title']}: {target['expr']}", target


TARGETS = dict(targets())


def test_there_is_a_dashboard() -> None:
    assert len(TARGETS) > 10


def test_the_expected_names_are_those_the_worker_serves() -> None:
    metrics = Metrics()
    metrics.samples.labels("used").inc()
    served = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    assert {"strandwatch_samples_total", "strandwatch_ready", "strandwatch_commit_seconds_bucket"} <= served
    assert {name for name in served if not name.endswith("_created")} <= set(exposed())


@pytest.mark.parametrize("where", TARGETS)
def test_a_panel_asks_for_metrics_and_labels_that_exist(where: str) -> None:
    target = TARGETS[where]
    asked = METRIC.findall(target["expr"])
    assert asked, "a panel that asks for nothing of the worker"
    series = exposed()
    assert set(asked) <= set(series)
    available = set.intersection(*(series[name] for name in asked))
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(",")}
    assert grouped <= available
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped


def test_prometheus_rules_and_scrapes_name_metrics_that_exist() -> None:
    for file in (DEPLOY / "prometheus").glob("*.yml"):
        assert set(METRIC.findall(file.read_text(encoding="utf-8"))) <= set(exposed()), file


def test_prometheus_scrapes_the_worker() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [target] = config["scrape_configs"][0]["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert host in SERVICES
    assert int(port) == HttpSettings().port


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"]
    assert urlsplit(source["url"]).hostname in SERVICES
    assert {target["datasource"]["uid"] for target in TARGETS.values()} == {source["uid"]}
    [provider] = yaml.safe_load((provisioning / "dashboards" / "strandwatch.yml").read_text("utf-8"))["providers"]
    grafana = SERVICES["grafana"]
    mounts = dict(mount.removesuffix(":ro").split(":") for mount in grafana["volumes"])
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == Path(provider["options"]["path"])
    assert home.name in {file.name for file in DASHBOARDS}
