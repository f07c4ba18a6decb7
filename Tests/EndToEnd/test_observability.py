"""Alert rules and the dashboard of deploy/observability, against a real Prometheus that scrapes loaded gateways."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from support.api import API
from support.gateway import PROJECT, Gateway
from support.login import log_in
from support.markdown import anchors
from support.ports import free_port
from support.processes import Server, bare_environment
from support.providers import Kind, Provider
from support.raw import exchange
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)"),
]

FOLDER = PROJECT / "deploy" / "observability"
NAME = re.compile(r"\b(?:cloakroom|process)_[a-z_]+[a-z]\b")
# What the real gateways below give no reason to report.
NOT_PROVOKED = {
    "cloakroom_hybrid_secondary_failures_total", "cloakroom_log_lines_dropped_total", "cloakroom_sessions_active_exact"}
CSRF = {"X-CSRF": "1"}


def rules() -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]


def panels() -> list[tuple[str, str, set[str]]]:
    """The title and the expression of each panel's queries, and the labels in its legend."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return [
        (panel["title"], target["expr"], set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))))
        for panel in dashboard["panels"] for target in panel.get("targets", [])]


def names(expression: str, known: set[str]) -> set[str]:
    """The metrics in it; series of a histogram count as the histogram."""
    return {
        name if name in known else re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(expression)}


def documented() -> set[str]:
    text = (PROJECT / "docs" / "operations.md").read_text()
    section = text[text.index("\n## Metrics"):]
    section = section[: section.index("\n## ", 5)]
    return {name for name in NAME.findall(section)}


def test_rules_and_configuration_are_right() -> None:
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"], ["check", "config", "prometheus.yml"]):
        result = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr


def test_each_alert_has_a_case_where_it_fires_and_one_where_it_does_not() -> None:
    cases = {case["name"]: case for case in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]}
    assert {f"{rule['alert']} {state}" for rule in rules() for state in ("fires", "is quiet")} <= cases.keys()
    for rule in rules():
        name = rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert not anchor or anchor in anchors(PROJECT / file), rule["annotations"]["runbook"]
        assert (PROJECT / file).exists()
        # An alert that fires has the labels that its description names.
        firing = next(
            check["exp_samples"] for check in cases[f"{name} fires"]["promql_expr_test"]
            if check["expr"] == f'ALERTS{{alertname="{name}",alertstate="firing"}}')
        has = set(re.findall(r'(\w+)="', firing[0]["labels"]))
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"])) <= has, name


def test_only_documented_metrics_are_asked_for() -> None:
    known = documented()
    expressions = [rule["expr"] for rule in rules()] + [expression for _, expression, _ in panels()]
    assert set().union(*(names(expression, known) for expression in expressions)) - known == set()


class Prometheus(Server):
    def __init__(self, directory: Path, targets: list[str]) -> None:
        directory.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        shutil.copy(FOLDER / "alerts.yml", directory)
        configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        job = configuration["scrape_configs"][0]
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": targets}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        super().__init__(
            "prometheus",
            ["prometheus", "--config.file", "prometheus.yml", "--storage.tsdb.path", "data",
             "--web.listen-address", self.url.removeprefix("http://")], directory, bare_environment(directory))

    def launch(self) -> Prometheus:
        self.start(self.answers)
        return self

    def answers(self) -> bool:
        try:
            return requests.get(self.url + "/-/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask("query", query=expression)["result"]

    def numbers(self, expression: str) -> list[dict[str, Any]]:
        """What it gives that can be drawn."""
        return [sample for sample in self.query(expression) if sample["value"][1] != "NaN"]

    def ask(self, path: str, **parameters: str) -> Any:
        response = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        assert response.status_code == 200, f"{path} {parameters}: {response.text}"
        return response.json()["data"]

    def firing(self) -> dict[str, dict[str, Any]]:
        return {alert["labels"]["alertname"]: alert for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}


def managed(servers: Servers, directory: Path, port: int | None, **settings: str) -> tuple[Gateway, str]:
    address = f"127.0.0.1:{free_port()}"
    gateway = Gateway(directory, directory.name, port, MANAGEMENT_ADDRESS=address, **settings)
    return servers.add(gateway).launch_ready(), address


def test_no_query_of_the_dashboard_is_empty(servers: Servers, tmp_path: Path, any_provider: Kind) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    port = free_port()
    url = f"http://localhost:{port}"
    provider = servers.add(Provider(any_provider, tmp_path / "provider", url, access_token_lifetime=33)).launch()
    full = tmp_path / "audit.jsonl"
    full.symlink_to("/dev/full")
    api = servers.enter_context(API())
    settings = {"REDIS_URL": redis.url, "PUBLIC_URL": url, **provider.settings}
    with API() as failing:
        first, address = managed(servers, tmp_path / "first", port, UPSTREAM_URL=api.url, **settings)
        second, other = managed(servers, tmp_path / "second", None, UPSTREAM_URL=failing.url, AUDIT_LOG=str(full), **settings)
        replicas = (first, second)
        prometheus = servers.add(Prometheus(tmp_path / "prometheus", [address, other])).launch()
        eventually("it scrapes both", lambda: len(prometheus.query('up{job="cloakroom"} == 1')) == 2)
        keeper = log_in(requests.Session(), url, provider)

        # One line of the audit is lost, and no other: that is enough.
        assert second.get("/api/x", keeper).status_code == 403
        lost = eventually("its loss is told", lambda: prometheus.firing().get("CloakroomAuditLost"))
        assert lost["annotations"]["description"].startswith(f"{other} could not write 1 lines")

        def use() -> None:
            """A little of everything that is counted."""
            session = log_in(requests.Session(), url, provider)
            for gateway in replicas:
                assert gateway.get("/api/x", session, headers=CSRF).status_code == 200
                assert gateway.get("/api/x", session).status_code == 403
                assert gateway.me(session) == 200
            exchange(first, b"nonsense\r\n\r\n")
            first.get("/auth/logout", session)

        def refresh(gateway: Gateway) -> None:
            # Due, as the token lasts hardly longer than the margin.
            gateway.get("/api/x", keeper, headers=CSRF)

        # A rate needs two scrapes between which something happened; a series must have been there before.
        deadline = time.monotonic() + 100
        empty = panels()
        with ThreadPoolExecutor(len(replicas)) as both:
            while empty and time.monotonic() < deadline:
                use()
                # At once, so that one waits for the other.
                list(both.map(refresh, replicas))
                empty = [panel for panel in empty if not is_drawn(prometheus, *panel)]
        assert not empty, "\n".join(f"{title}: {expression}" for title, expression, _ in empty)

    # The second's upstream is gone.
    assert second.get("/api/x", keeper, headers=CSRF).status_code == 502
    eventually("it is counted", lambda: prometheus.query("sum(cloakroom_upstream_failures_total) > 0"))
    for rule in rules():
        prometheus.query(rule["expr"])
    assert prometheus.firing().keys() == {"CloakroomAuditLost"}

    known = documented()
    reported = set().union(*(names(name, known) for name in prometheus.ask("label/__name__/values")))
    assert reported - known == set(), "not documented"
    assert known - reported == NOT_PROVOKED, "documented, but not reported"


def is_drawn(prometheus: Prometheus, title: str, expression: str, legend: set[str]) -> bool:
    """Whether a query of a panel gives numbers with the labels that its legend names."""
    if not names(expression, set()) & NOT_PROVOKED:
        # What stands for a series that is not there would hide that it is not.
        expression = expression.removesuffix(" or vector(0)")
    samples = prometheus.numbers(expression.replace("$__rate_interval", "15s").replace("$instance", ".*"))
    for sample in samples:
        assert legend <= sample["metric"].keys(), f"{title}: {expression} has no {legend}"
    return bool(samples)
