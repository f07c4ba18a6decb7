"""Alert rules and the dashboard of deploy/observability, against a real Prometheus that scrapes loaded gateways."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from support.api import API
from support.gateway import PROJECT, Gateway
from support.login import log_in
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
CSRF = {"X-CSRF": "1"}


def rules() -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]


def panels() -> list[tuple[str, str]]:
    """The title and the expression of each panel's queries."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"] for target in panel.get("targets", [])]


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
    cases = {case["name"] for case in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]}
    names = [rule["alert"] for rule in rules()]
    assert cases == {f"{name} {state}" for name in names for state in ("fires", "is quiet")}
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert (PROJECT / rule["annotations"]["runbook"]).exists(), rule["annotations"]["runbook"]


def test_only_documented_metrics_are_asked_for() -> None:
    asked = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    asked |= {name for _, expression in panels() for name in NAME.findall(expression)}
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert asked - documented() == set()


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
        self.start(lambda: self.answers())
        return self

    def answers(self) -> bool:
        try:
            return requests.get(self.url + "/-/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        response = requests.get(self.url + "/api/v1/query", params={"query": expression}, timeout=10)
        assert response.status_code == 200, f"{expression}: {response.text}"
        return response.json()["data"]["result"]


def managed(servers: Servers, directory: Path, port: int | None, **settings: str) -> tuple[Gateway, str]:
    address = f"127.0.0.1:{free_port()}"
    gateway = Gateway(directory, directory.name, port, MANAGEMENT_ADDRESS=address, **settings)
    return servers.add(gateway).launch_ready(), address


def test_no_query_of_the_dashboard_is_empty(servers: Servers, tmp_path: Path, any_provider: Kind) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    port = free_port()
    provider = servers.add(
        Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}", access_token_lifetime=33)).launch()
    with API() as api:
        settings = {"REDIS_URL": redis.url, "PUBLIC_URL": f"http://localhost:{port}", "UPSTREAM_URL": api.url, **provider.settings}
        first, address = managed(servers, tmp_path / "first", port, **settings)
        second, other = managed(servers, tmp_path / "second", None, **settings)
        prometheus = servers.add(Prometheus(tmp_path / "prometheus", [address, other])).launch()
        eventually("it scrapes both", lambda: len(prometheus.query('up{job="cloakroom"} == 1')) == 2)

        def use() -> None:
            """A little of everything that is counted."""
            session = log_in(requests.Session(), f"http://localhost:{port}", provider)
            for gateway in (first, second):
                assert gateway.get("/api/x", session, headers=CSRF).status_code == 200
                assert gateway.get("/api/x", session).status_code == 403
                assert gateway.me(session) == 200
            exchange(first, b"nonsense\r\n\r\n")
            first.get("/auth/logout", session)

        # A rate needs two scrapes between which something happened; a series must have been there before.
        deadline = time.monotonic() + 100
        keeper = log_in(requests.Session(), f"http://localhost:{port}", provider)
        empty: list[tuple[str, str]] = panels()
        while empty and time.monotonic() < deadline:
            use()
            for gateway in (first, second):
                # Due for a refresh, as its token lasts hardly longer than the margin: both replicas may want it at once.
                gateway.get("/api/x", keeper, headers=CSRF)
            empty = [
                (title, expression) for title, expression in empty
                if not prometheus.query(expression.replace("$__rate_interval", "15s").replace("$instance", ".*"))]
        assert not empty, "\n".join(f"{title}: {expression}" for title, expression in empty)
        for rule in rules():
            prometheus.query(rule["expr"])
