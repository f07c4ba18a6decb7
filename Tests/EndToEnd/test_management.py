"""What operators see: metrics, health with reasons, traces in the log, and the audit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

from support.api import API
from support.gateway import Gateway, run_program
from support.login import begin_login, finish_login, log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.raw import exchange, head
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

CSRF = {"X-CSRF": "1"}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Managed(Gateway):
    """A gateway with a management listener."""

    def __init__(self, directory: Path, **settings: str | None) -> None:
        self.management = free_port()
        super().__init__(directory, MANAGEMENT_ADDRESS=f"127.0.0.1:{self.management}", **settings)

    def launch(self) -> Managed:
        super().launch()
        eventually("it listens for operators", lambda: self.ask("/healthz").status_code == 200)
        return self

    def ask(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.management}{path}", headers=headers, timeout=10)

    def metrics(self, query: str = "") -> dict[str, float]:
        """The value of each series, by its name and labels."""
        response = self.ask(f"/metrics{query}")
        assert response.status_code == 200
        lines = [line for line in response.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class Site:
    def __init__(self, servers: Servers, directory: Path, kind: Kind, api: API) -> None:
        self.directory = directory
        self.redis = servers.add(RedisServer(directory / "redis")).launch()
        port = free_port()
        self.provider = servers.add(Provider(kind, directory / "provider", f"http://localhost:{port}")).launch()
        self.audit = directory / "audit.jsonl"
        self.gateway = servers.add(
            Managed(
                directory / "gateway", port=port, REDIS_URL=self.redis.url, UPSTREAM_URL=api.url,
                AUDIT_LOG=str(self.audit), LOG_FORMAT="json", **self.provider.settings,
            )
        ).launch()

    def audit_lines(self, event: str) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in self.audit.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def api() -> API:
    with API() as api:
        yield api


@pytest.fixture(scope="module")
def site(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind, api: API) -> Site:
    return Site(module_servers, tmp_path_factory.mktemp("management"), any_provider, api)


def test_a_login_and_its_requests_are_counted_and_audited(site: Site) -> None:
    http = requests.Session()
    http.headers["User-Agent"] = "agent-of-the-test"
    session = log_in(http, site.gateway.url, site.provider)
    for _ in range(3):
        assert site.gateway.get("/api/x", session, headers=CSRF).status_code == 200
    assert site.gateway.get("/api/x", session).status_code == 403
    assert site.gateway.get("/nothing").status_code == 404
    values = site.gateway.metrics("?sessions=exact")
    assert values['cloakroom_requests_total{route="/api/**",status="200"}'] == 3
    assert values['cloakroom_requests_total{route="/api/**",status="403"}'] == 1
    assert values['cloakroom_requests_total{route="none",status="404"}'] == 1
    assert values['cloakroom_request_duration_seconds_count{route="/api/**"}'] == 4
    assert values['cloakroom_session_events_total{event="began",reason=""}'] == 1
    assert values['cloakroom_provider_request_duration_seconds_count{endpoint="token",outcome="ok"}'] == 1
    assert values["cloakroom_sessions_active_exact"] == 1
    assert values["cloakroom_sessions_active"] == 1
    assert values["cloakroom_store_up"] == 1
    server = f'{{server="127.0.0.1:{site.redis.port}"}}'
    assert values[f"cloakroom_redis_up{server}"] == 1
    assert values[f"cloakroom_redis_clients{server}"] >= 2
    assert values[f"cloakroom_redis_clients_max{server}"] > 0
    assert values[f"cloakroom_redis_memory_bytes{server}"] > 100_000
    assert values[f"cloakroom_redis_keys{server}"] >= 1
    assert values['cloakroom_redis_command_duration_seconds_count{command="PING"}'] >= 1
    assert values["cloakroom_redis_connections_opened_total"] >= 2
    assert values["cloakroom_near_cache_entries"] == 1
    assert values["cloakroom_client_sent_bytes_total"] > 500
    assert values["cloakroom_upstream_received_bytes_total"] > 100
    assert values['cloakroom_upstream_connections{state="busy"}'] == 0
    assert values["process_open_fds"] > 5
    assert values["process_resident_memory_bytes"] > 1 << 20
    assert values['cloakroom_build_info{version="0.1.0"}'] == 1

    began = eventually("the login is in the audit", lambda: site.audit_lines("began"))[0]
    assert began["address"] == "127.0.0.1"
    assert began["user_agent"] == "agent-of-the-test"
    assert began["outcome"] == "success"
    assert began["user"] and began["issuer"] == site.provider.issuer
    # The line of the callback in the log has the same request ID and session.
    def callback_line() -> dict[str, str] | None:
        lines = [json.loads(line) for line in site.gateway.log().splitlines() if line.startswith("{")]
        return next((line for line in lines if line.get("route") == "/auth/callback"), None)

    callback = eventually("the log has it", callback_line)
    assert (callback["request_id"], began["replica"]) == (began["request_id"], "cloakroom")
    denied = eventually("the refusal too", lambda: site.audit_lines("denied"))[0]
    assert denied["reason"] == "missing_csrf_header" and denied["request_id"]

    assert site.gateway.get("/auth/logout", session).status_code in (302, 303)
    ended = eventually("and the logout", lambda: site.audit_lines("ended"))[0]
    assert (ended["reason"], ended["session"]) == ("logout", began["session"])
    text = site.audit.read_text() + site.gateway.ask("/metrics").text
    assert session not in text, "the audit or the metrics have the session's ID"


def test_prometheus_takes_the_page(site: Site) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    response = site.gateway.ask("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    result = subprocess.run([promtool, "check", "metrics"], input=response.text, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    response = site.gateway.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")


def test_r53_what_clients_invent_makes_no_series(site: Site) -> None:
    def series() -> int:
        return len(site.gateway.metrics())

    site.gateway.get("/warm")
    before = series()
    connection = b"".join(
        head(f"GET /path/{number}?q={number} HTTP/1.1", f"User-Agent: agent-{number}", session=f"s{number}")
        for number in range(2000))
    last = head("GET /last HTTP/1.1", "Connection: close", session="last")
    for _ in range(5):
        assert exchange(site.gateway, connection + last).count(b"HTTP/1.1 404") == 2001
    assert series() <= before + 2


def test_the_public_port_says_only_whether(site: Site) -> None:
    assert site.gateway.get("/readyz").json() == {"status": "ready"}
    assert site.gateway.ask("/readyz").json() == {"status": "ready", "store": "redis"}
    assert site.gateway.get("/metrics").status_code == 404
    assert site.gateway.ask("/").status_code == 404
    assert requests.post(f"http://127.0.0.1:{site.gateway.management}/metrics", timeout=10).status_code == 405


def test_a_trace_goes_through_and_stands_in_the_log(site: Site) -> None:
    response = site.gateway.get("/healthz", headers={"traceparent": PARENT, "X-Request-Id": "theirs-1"})
    assert response.status_code == 200

    def line() -> str | None:
        return next((line for line in site.gateway.log().splitlines() if "theirs-1" in line), None)

    found = json.loads(eventually("it is in the log", line))
    assert found["trace_id"] == PARENT[3:35]
    assert found["client_request_id"] == "theirs-1"


def test_r42_a_scrape_during_an_outage_answers(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    gateway = servers.add(Managed(tmp_path / "gateway", REDIS_URL=redis.url)).launch()
    eventually("it is ready", lambda: gateway.ask("/readyz").status_code == 200)
    os.kill(redis.pid, signal.SIGSTOP)
    began = time.monotonic()
    values = gateway.metrics("?sessions=exact")
    assert time.monotonic() - began < 12
    assert values["cloakroom_store_up"] == 0
    assert [value for name, value in values.items() if name.startswith("cloakroom_redis_up")] == [0]
    why = gateway.ask("/readyz")
    assert why.status_code == 503 and why.json()["reason"]
    public = gateway.get("/readyz")
    assert public.status_code == 503 and public.json() == {"status": "not ready"}
    os.kill(redis.pid, signal.SIGCONT)
    eventually("it is ready again", lambda: gateway.ask("/readyz").status_code == 200)


def test_r50_a_client_of_the_management_port_harms_no_other(site: Site) -> None:
    held = []
    for number in range(200):
        connection = socket.create_connection(("127.0.0.1", site.gateway.management), timeout=10)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n" + b"x" * (number % 7))
        held.append(connection)
    # Users do not notice.
    assert site.gateway.get("/healthz").status_code == 200
    for connection in held:
        connection.close()
    eventually("there is room again", lambda: site.gateway.ask("/healthz").status_code == 200)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_a_full_disk_stops_logins_only_where_the_audit_is_required(
    servers: Servers, tmp_path: Path, any_provider: Kind
) -> None:
    link = tmp_path / "audit.jsonl"
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    link.symlink_to("/dev/full")
    gateway = servers.add(
        Managed(
            tmp_path / "gateway", port=port, REDIS_ENABLED="false", AUDIT_LOG=str(link), **provider.settings)
    ).launch()
    session = log_in(requests.Session(), gateway.url, provider)
    eventually("the loss is counted", lambda: gateway.metrics().get("cloakroom_audit_lines_lost_total", 0) >= 1)
    assert "The audit can't be written" in gateway.log()
    # Not required: the next login works as well.
    log_in(requests.Session(), gateway.url, provider)
    assert gateway.me(session) == 200

    gateway.restart(AUDIT_REQUIRED="true")
    http = requests.Session()
    callback = provider.sign_in(http, begin_login(http, gateway.url).headers["Location"])
    log_in(requests.Session(), gateway.url, provider)
    eventually("logins are refused", lambda: gateway.get("/auth/login").status_code == 503)
    answer = finish_login(http, callback)
    assert answer.status_code == 503, "a login that had begun was completed"
    link.unlink()
    # The next refusal is written, and ends this.
    eventually("logins are served", lambda: gateway.get("/auth/login").status_code in (302, 303))
    assert link.stat().st_mode & 0o777 == 0o600
    log_in(requests.Session(), gateway.url, provider)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"MANAGEMENT_ADDRESS": "9090"}, "MANAGEMENT_ADDRESS"),
        ({"AUDIT_LOG": "/nowhere/audit.jsonl"}, "AUDIT_LOG"),
        ({"AUDIT_REQUIRED": "true"}, "AUDIT_LOG"),
    ],
)
def test_wrong_settings_stop_it_at_its_start(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    result = run_program(tmp_path, "serve", PORT=str(free_port()), REDIS_ENABLED="false", **settings)
    assert result.returncode == 78
    assert re.search(rf"^cloakroom: {named} ", result.stderr, re.MULTILINE), result.stderr


def test_a_management_address_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run_program(
            tmp_path, "serve", PORT=str(free_port()), REDIS_ENABLED="false", MANAGEMENT_ADDRESS=address)
    assert result.returncode == 69, result.stderr
    assert f"cannot listen on {address}: the address is in use; choose another MANAGEMENT_ADDRESS" in result.stderr


def test_the_audit_on_standard_output_is_apart_from_the_log(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    session = put(redis.client(), record())
    gateway = servers.add(Managed(tmp_path / "gateway", REDIS_URL=redis.url, AUDIT_LOG="stdout")).launch()
    eventually("it is ready", lambda: gateway.ask("/readyz").status_code == 200)
    assert gateway.get("/auth/logout", session).status_code in (302, 303)
    eventually("the end is there", lambda: '"event":"ended"' in gateway.log())
