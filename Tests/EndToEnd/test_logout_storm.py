"""A session that ends on one replica, in whichever way, is refused by the others within 100 ms, near caches and all.

Some sessions of each way in every run; `CLOAKROOM_SOAK` makes it a thousand. `scripts/soak` does that.
"""

from __future__ import annotations

import http.client
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable
from urllib.parse import urlencode

import pytest
import requests

from support.gateway import COOKIE, Gateway, run_program
from support.login import begin_login, finish_login, session_of
from support.ports import free_port
from support.quick_provider import QuickProvider
from support.records import handle
from support.redis_server import RedisServer
from support.servers import Servers

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

COUNT = 1000 if "CLOAKROOM_SOAK" in os.environ else 50
LIMIT = 0.1


class Client:
    """A browser that keeps its connection to one replica."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)

    def send(self, method: str, path: str, session: str | None = None, body: str | None = None, **fields: str) -> int:
        headers = {"Host": f"localhost:{self.gateway.port}", **fields}
        if session is not None:
            headers["Cookie"] = f"{COOKIE}={session}"
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def me(self, session: str) -> int:
        return self.send("GET", "/auth/me", session)


@dataclass
class Site:
    """Three replicas, and a client of each."""

    url: str
    redis: RedisServer
    provider: QuickProvider
    directory: Path
    clients: list[Client]

    @property
    def first(self) -> Client:
        return self.clients[0]

    def log_in(self, user: str, sid: str | None = None) -> str:
        """Gives the new session, begun at the first replica."""
        http = requests.Session()
        location = begin_login(http, self.url).headers["Location"]
        answer = finish_login(http, self.provider.sign_in(location, user, sid))
        assert answer.is_redirect, f"{answer.status_code}: {answer.text[:500]}"
        return session_of(http)


@dataclass(frozen=True)
class Case:
    """A session that is to end."""

    session: str
    user: str
    sid: str


def by_user(site: Site, case: Case) -> None:
    """At the first replica, as in all that follows."""
    assert site.first.send("POST", "/auth/logout", case.session, Origin=site.url) == 303


def by_operator(site: Site, case: Case) -> None:
    """From the command line, in a process of its own."""
    result = run_program(
        site.directory, "sessions", "revoke", handle(case.session), "--yes", REDIS_URL=site.redis.url,
        OIDC_ISSUER=site.provider.issuer)
    assert result.returncode == 0, result.stderr


def by_another_program(site: Site, case: Case) -> None:
    assert site.redis.client().delete("session:" + case.session) == 1


def by_another_login(site: Site, case: Case) -> None:
    """In the same browser, which brings the old cookie."""
    http = requests.Session()
    location = begin_login(http, site.url).headers["Location"]
    http.cookies.set(COOKIE, case.session, domain="localhost.local", path="/")
    assert finish_login(http, site.provider.sign_in(location, case.user)).is_redirect


def by_another_session(site: Site, case: Case) -> None:
    """Of the same user, who sees it in the list."""
    other = site.log_in(case.user)
    path = f"/auth/sessions/{handle(case.session)}"
    assert site.first.send("DELETE", path, other, **{"X-CSRF": "1", "Origin": site.url}) in (200, 204)


def everywhere(site: Site, case: Case) -> None:
    other = site.log_in(case.user)
    fields = {"X-CSRF": "1", "Origin": site.url}
    assert site.first.send("POST", "/auth/logout-everywhere", other, **fields) in (200, 204, 303)
    assert site.first.me(other) == 401


def by_back_channel(site: Site, case: Case) -> None:
    token = site.provider.logout_token(sub=case.user, sid=case.sid)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert site.first.send("POST", "/auth/backchannel-logout", body=urlencode({"logout_token": token}), **form) == 200


def by_front_channel(site: Site, case: Case) -> None:
    query = urlencode({"iss": site.provider.issuer, "sid": case.sid})
    assert site.first.send("GET", f"/auth/frontchannel-logout?{query}") == 200


# How a session can end. Each returns when whoever ended it has been told that it is over.
WAYS: dict[str, Callable[[Site, Case], None]] = {
    "user": by_user,
    "operator": by_operator,
    "another-program": by_another_program,
    "another-login": by_another_login,
    "another-session": by_another_session,
    "everywhere": everywhere,
    "back-channel": by_back_channel,
    "front-channel": by_front_channel,
}


@pytest.fixture(scope="module")
def site(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Site:
    directory = tmp_path_factory.mktemp("logouts")
    redis = module_servers.add(RedisServer(directory / "redis")).launch()
    provider = module_servers.enter_context(QuickProvider())
    port = free_port()
    url = f"http://localhost:{port}"
    settings = {"PUBLIC_URL": url, "REDIS_URL": redis.url, **provider.settings}
    replicas = [
        module_servers.add(Gateway(directory / name, name, own, **settings)).launch_ready()
        for name, own in (("replica-a", port), ("replica-b", None), ("replica-c", None))
    ]
    return Site(url, redis, provider, directory, [Client(replica) for replica in replicas])


@pytest.mark.parametrize("way", WAYS)
def test_r20_every_replica_refuses_a_session_within_100_ms_of_its_end(site: Site, way: str) -> None:
    # A command takes longer to start than all the rest does.
    count = min(COUNT, 10) if way == "operator" and COUNT < 1000 else COUNT
    last_served: list[float] = []
    for number in range(count):
        user, sid = f"user-{way}-{number}", f"sid-{way}-{number}"
        session = site.log_in(user, sid)
        # Twice, so that each near cache has it and serves it.
        for client in site.clients * 2:
            assert client.me(session) == 200
        WAYS[way](site, Case(session, user, sid))
        ended = time.monotonic()
        late = 0.0
        for client in site.clients:
            while True:
                asked = time.monotonic()
                status = client.me(session)
                if status != 200:
                    break
                late = max(late, asked - ended)
                assert late <= LIMIT, f"session {number}: {client.gateway.name} served it {late * 1000:.0f} ms after its end"
            assert status == 401, f"session {number}: {status} from {client.gateway.name}"
            # It stays so.
            assert client.me(session) == 401
        last_served.append(late)
    served = sorted(late for late in last_served if late > 0)
    print(
        f"measured: {count} sessions ended by {way}; {len(served)} were served again afterwards"
        + (f", median {statistics.median(served) * 1000:.1f} ms, last {served[-1] * 1000:.1f} ms after the end" if served else ""))
