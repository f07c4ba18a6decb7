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

import pytest

from support.gateway import COOKIE, Gateway, run_program
from support.ports import free_port
from support.records import handle, put, record
from support.redis_server import RedisServer
from support.servers import Servers

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

COUNT = 1000 if "CLOAKROOM_SOAK" in os.environ else 50
LIMIT = 0.1


class Client:
    """A browser that keeps its connection to one replica."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)

    def send(self, method: str, path: str, session: str, **fields: str) -> int:
        headers = {"Host": f"localhost:{self.gateway.port}", "Cookie": f"{COOKIE}={session}", **fields}
        self.connection.request(method, path, headers=headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def me(self, session: str) -> int:
        return self.send("GET", "/auth/me", session)


@dataclass
class Site:
    redis: RedisServer
    directory: Path
    clients: list[Client]


def by_user(site: Site, session: str) -> None:
    """At the first replica."""
    assert site.clients[0].send("POST", "/auth/logout", session, Origin=site.clients[0].gateway.environment["PUBLIC_URL"]) == 303


def by_operator(site: Site, session: str) -> None:
    """From the command line, in a process of its own."""
    result = run_program(
        site.directory, "sessions", "revoke", handle(session), "--yes", REDIS_URL=site.redis.url, OIDC_CLIENT_ID=None)
    assert result.returncode == 0, result.stderr


def by_another_program(site: Site, session: str) -> None:
    assert site.redis.client().delete("session:" + session) == 1


# How a session can end. Each returns when whoever ended it has been told that it is over.
WAYS: dict[str, Callable[[Site, str], None]] = {
    "user": by_user,
    "operator": by_operator,
    "another-program": by_another_program,
}


@pytest.fixture(scope="module")
def site(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Site:
    directory = tmp_path_factory.mktemp("logouts")
    redis = module_servers.add(RedisServer(directory / "redis")).launch()
    port = free_port()
    settings = {"PUBLIC_URL": f"http://localhost:{port}", "REDIS_URL": redis.url}
    replicas = [
        module_servers.add(Gateway(directory / name, name, own, **settings)).launch_ready()
        for name, own in (("replica-a", port), ("replica-b", None), ("replica-c", None))
    ]
    return Site(redis, directory, [Client(replica) for replica in replicas])


@pytest.mark.parametrize("way", WAYS)
def test_r20_logout_reaches_all_replicas_within_100_ms(site: Site, way: str) -> None:
    last_served: list[float] = []
    for number in range(COUNT):
        session = put(site.redis.client(), record(f"user-{number}"))
        # Twice, so that each near cache has it and serves it.
        for client in site.clients * 2:
            assert client.me(session) == 200
        WAYS[way](site, session)
        ended = time.monotonic()
        late = 0.0
        for client in site.clients:
            while True:
                asked = time.monotonic()
                if client.me(session) != 200:
                    break
                late = max(late, asked - ended)
                assert late <= LIMIT, f"session {number}: {client.gateway.name} served it {late * 1000:.0f} ms after its end"
            assert client.me(session) == 401
        last_served.append(late)
    served = sorted(late for late in last_served if late > 0)
    print(
        f"measured: {COUNT} sessions ended by {way}, {len(served)} of them served once more afterwards"
        + (f", median {statistics.median(served) * 1000:.1f} ms, last {served[-1] * 1000:.1f} ms after the end" if served else ""))
