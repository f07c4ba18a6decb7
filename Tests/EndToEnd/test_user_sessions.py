"""A user's own sessions over three replicas and a real Redis: listed, ended, and told why (R20, R31, R33)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest
import requests

from support.api import API
from support.gateway import COOKIE, Gateway, get, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

CSRF = {"X-CSRF": "1"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
FORM = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Site:
    redis: RedisServer
    provider: Provider
    replicas: list[Gateway]

    @property
    def url(self) -> str:
        return self.replicas[0].url

    def log_in(self, user: str = "alice", agent: str = FIREFOX) -> str:
        http = requests.Session()
        http.headers["User-Agent"] = agent
        return log_in(http, self.url, self.provider, user)

    def warm(self, session: str) -> None:
        """Every replica has the session in memory, and hears of its end."""
        for replica in self.replicas:
            for _ in range(2):
                assert replica.me(session) == 200


@pytest.fixture(scope="module", params=["plain", "sealed"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with Servers() as servers, API() as api:
        redis = servers.add(RedisServer(directory / "redis")).launch()
        port = free_port()
        url = f"http://localhost:{port}"
        provider = servers.add(Provider(any_provider, directory / "provider", url)).launch()
        settings = {
            "PUBLIC_URL": url, "REDIS_URL": redis.url, "UPSTREAM_URL": api.url, "SESSION_IDLE_TIMEOUT": "1h",
            **provider.settings,
        }
        if request.param == "sealed":
            settings["SESSION_KEYS"] = new_key(directory)
        replicas = [
            servers.add(Gateway(directory / name, name, number, **settings)).launch_ready()
            for name, number in (("first", port), ("second", None), ("third", None))
        ]
        yield Site(redis, provider, replicas)


def listed(replica: Gateway, session: str) -> list[dict[str, object]]:
    answer = replica.get("/auth/sessions", session, headers=CSRF)
    assert answer.status_code == 200, answer.text
    return answer.json()["sessions"]


def send(replica: Gateway, method: str, path: str, session: str, **headers: str) -> requests.Response:
    return requests.request(
        method, replica.url + path, headers={"Cookie": f"{COOKIE}={session}", **(headers or CSRF)}, timeout=20,
        allow_redirects=False)


def wait_for_end(site: Site, session: str) -> None:
    for replica in site.replicas:
        eventually(f"{replica.name} refuses the session", lambda: replica.me(session) == 401, within=5)


def reason(replica: Gateway, session: str, path: str = "/auth/me") -> str | None:
    answer = replica.get(path, session, headers=CSRF)
    assert answer.status_code == 401, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json().get("reason")


def test_r20_every_replica_lists_the_same(site: Site) -> None:
    laptop, phone = site.log_in(), site.log_in(agent="curl/8.5.0")
    bob = site.log_in("bob")
    for replica in site.replicas:
        first, second = listed(replica, laptop)
        assert first["current"] is True and second["current"] is False
        assert (first["device"], second["device"]) == ("Firefox on Linux", "curl")
        assert first["address"] == "127.0.0.1" and first["provider"] == "Keycloak"
        assert str(first["last_used"]).endswith("Z") and str(first["ends"]).endswith("Z")
        assert [entry["current"] for entry in listed(replica, bob)] == [True]
    for session in (laptop, phone, bob):
        send(site.replicas[0], "POST", "/auth/logout-everywhere", session)


def test_r20_one_is_ended_and_told_why_on_every_replica(site: Site) -> None:
    laptop, phone, bob = site.log_in(), site.log_in(), site.log_in("bob")
    for session in (laptop, phone, bob):
        site.warm(session)
    handle = str(listed(site.replicas[0], phone)[0]["handle"])
    stranger = send(site.replicas[1], "DELETE", f"/auth/sessions/{handle}", bob)
    assert (stranger.status_code, stranger.json()["error"]) == (404, "no_such_session")
    assert all(replica.me(phone) == 200 for replica in site.replicas)
    done = send(site.replicas[2], "DELETE", f"/auth/sessions/{handle}", laptop)
    assert (done.status_code, done.json()) == (200, {"ended": 1})
    wait_for_end(site, phone)
    for replica in site.replicas:
        assert reason(replica, phone) == reason(replica, phone, "/api/x") == "revoked_by_user"
        assert replica.me(laptop) == 200
        eventually(
            "the replica says why",
            lambda: any(
                handle in line and "reason=revoked_by_user" in line and "A session ended" in line
                for line in replica.log().splitlines()),
            details=replica.log_tail)
        assert "reason=elsewhere" not in replica.log()
    page = site.replicas[1].get("/", phone, headers={"Accept": "text/html"})
    assert "from another of your sessions" in page.text
    assert page.headers["Set-Cookie"].startswith(f"{COOKIE}=; Max-Age=0")
    for session in (laptop, bob):
        send(site.replicas[0], "POST", "/auth/logout-everywhere", session)


def test_r20_logout_everywhere(site: Site) -> None:
    sessions = [site.log_in() for _ in range(4)]
    for session in sessions:
        site.warm(session)
    answer = send(site.replicas[1], "POST", "/auth/logout-everywhere", sessions[0], **FORM)
    assert answer.status_code == 303 and "id_token_hint=" in answer.headers["Location"]
    for session in sessions:
        wait_for_end(site, session)
    for replica in site.replicas:
        assert reason(replica, sessions[0]) == "logout"
        assert [reason(replica, session) for session in sessions[1:]] == ["revoked_by_user"] * 3


def test_r20_the_others_are_ended_within_100_ms_on_every_replica(site: Site) -> None:
    keeper = site.log_in()
    for number in range(10):
        with ThreadPoolExecutor(3) as pool:
            others = list(pool.map(lambda _: site.log_in(), range(3)))
        for session in others:
            site.warm(session)
        done = send(site.replicas[number % 3], "DELETE", "/auth/sessions", keeper)
        ended = time.monotonic()
        assert done.json() == {"ended": 3}
        for replica in site.replicas:
            for session in others:
                asked = time.monotonic() - ended
                while replica.me(session) == 200:
                    assert asked < 0.1, "a replica still knew the session when 100 ms had passed"
                    asked = time.monotonic() - ended
                assert reason(replica, session) == "revoked_by_user"
    send(site.replicas[0], "POST", "/auth/logout-everywhere", keeper)


def test_r31_r33_no_other_site_ends_a_session(site: Site) -> None:
    session, other = site.log_in(), site.log_in()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        for method, path in (
            ("POST", "/auth/sessions"), ("DELETE", "/auth/sessions"), ("POST", "/auth/logout-everywhere"),
            ("DELETE", f"/auth/sessions/{listed(site.replicas[0], other)[0]['handle']}"),
        ):
            for more in (CSRF, {"Accept": "text/html"}):
                assert send(site.replicas[0], method, path, session, **headers, **more).status_code == 403
    assert [replica.me(one) for replica in site.replicas for one in (session, other)] == [200] * 6
    send(site.replicas[0], "POST", "/auth/logout-everywhere", session)


def test_r53_notes_are_no_sessions_and_end(site: Site) -> None:
    session = site.log_in()
    send(site.replicas[0], "POST", "/auth/logout-everywhere", session)
    client = site.redis.client()
    notes = list(client.scan_iter("session-ended:*"))
    assert notes and not set(notes) & set(client.scan_iter("session:*"))
    assert all(0 < client.ttl(note) <= 600 for note in notes)
    # A stranger's cookie leaves no note.
    for number in range(20):
        get(site.url + "/auth/logout", f"{number:043d}")
    assert len(list(client.scan_iter("session-ended:*"))) == len(notes)


@pytest.mark.parametrize("form", ["memory", "plain", "sealed"])
def test_a_login_beyond_the_limit_says_so(servers: Servers, tmp_path: Path, any_provider: Kind, form: str) -> None:
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    settings: dict[str, str] = {"REDIS_ENABLED": "false"}
    if form != "memory":
        settings = {"REDIS_URL": servers.add(RedisServer(tmp_path / "redis")).launch().url}
    if form == "sealed":
        settings["SESSION_KEYS"] = new_key(tmp_path)
    gateway = servers.add(
        Gateway(tmp_path / "gateway", port=port, SESSION_MAX_PER_USER="1", **settings, **provider.settings)
    ).launch_ready()
    older = log_in(requests.Session(), gateway.url, provider)
    newer = log_in(requests.Session(), gateway.url, provider)
    eventually("the oldest is over", lambda: gateway.me(older) == 401, within=5)
    assert reason(gateway, older) == "limit"
    told = gateway.get("/", older, headers={"Accept": "text/html"})
    assert "because you logged in elsewhere" in told.text
    assert gateway.me(newer) == 200
