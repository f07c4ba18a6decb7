"""From one Redis to another as docs/migration.md says, and back, with users who send requests and tokens that are refreshed all
the time: nobody is logged out.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from support.crowd import NamingAPI
from support.gateway import Gateway, get
from support.login import log_in
from support.ports import free_port
from support.providers import DJANGO, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

USERS = {f"user-{number}": f"password-of-{number}" for number in range(6)}
TOKEN_LIFETIME = 4

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not DJANGO.is_installed, reason="needs the provider that ends a session whose refresh token is used twice"),
]


class Move:
    """Two replicas, and users who ask both of them at once."""

    def __init__(self, servers: Servers, directory: Path) -> None:
        port = free_port()
        url = f"http://localhost:{port}"
        self.old = servers.add(RedisServer(directory / "old", name="old")).launch()
        self.new = servers.add(RedisServer(directory / "new", name="new")).launch()
        provider = servers.add(Provider(DJANGO, directory / "provider", url, TOKEN_LIFETIME, users=USERS)).launch()
        self.api = servers.enter_context(NamingAPI(TOKEN_LIFETIME))
        self.replicas = [
            servers.add(
                Gateway(
                    directory / name, name, own, PUBLIC_URL=url, UPSTREAM_URL=self.api.url, REDIS_URL=self.old.url,
                    **provider.settings)
            ).launch_ready()
            for name, own in (("one", port), ("two", free_port()))
        ]
        self.sessions = {user: log_in(requests.Session(), url, provider, user) for user in USERS}
        self.answers: Counter[int] = Counter()
        self.is_over = threading.Event()
        pool = servers.enter_context(ThreadPoolExecutor(2 * len(USERS)))
        servers.callback(self.is_over.set)
        self.users = [
            pool.submit(self.use, replica, session) for replica in self.replicas for session in self.sessions.values()]

    def use(self, replica: Gateway, session: str) -> None:
        while not self.is_over.wait(0.1):
            try:
                answer = get(replica.url + "/api/x", session, headers={"X-CSRF": "1"})
            except requests.ConnectionError:
                # It restarts: a proxy would try again.
                continue
            self.answers[answer.status_code] += 1

    def settle(self, settings: str) -> None:
        """Waits until the tokens of all were refreshed twice."""
        before = {user: self.api.refreshes(user) for user in USERS}

        def is_settled() -> bool:
            assert set(self.answers) <= {200}, f"{settings}: {dict(self.answers)}"
            return all(self.api.refreshes(user) >= before[user] + 2 for user in USERS)

        eventually(
            f"tokens are refreshed: {settings}", is_settled, within=90,
            details=lambda: "\n".join(replica.log_tail() for replica in self.replicas))

    def restart_all_at_once(self, name: str, **settings: str | None) -> None:
        with ThreadPoolExecutor() as pool:
            assert list(pool.map(Gateway.stop, self.replicas)) == [0, 0]
            # What counts is that none has the new settings while another has the old ones.
            for replica in self.replicas:
                replica.environment = {
                    key: value for key, value in {**replica.environment, **settings}.items() if value is not None}
            list(pool.map(Gateway.launch_ready, self.replicas))
        self.settle(name)


@pytest.mark.timeout(300)
def test_all_at_once_there_and_back_and_there(servers: Servers, tmp_path: Path) -> None:
    """R21, R22: the provider would end the session of a refresh token that is used twice."""
    move = Move(servers, tmp_path)
    old_alone: dict[str, str | None] = {
        "SESSION_STORE": None, "REDIS_URL": move.old.url, "REDIS_SECONDARY_URL": None}
    hybrid: dict[str, str | None] = {
        "SESSION_STORE": "hybrid", "REDIS_URL": move.new.url, "REDIS_SECONDARY_URL": move.old.url}
    new_alone: dict[str, str | None] = {**old_alone, "REDIS_URL": move.new.url}

    move.settle("the old one")
    move.restart_all_at_once("both", **hybrid)
    assert len(list(move.new.client().scan_iter("session:*"))) == len(USERS)
    move.restart_all_at_once("back", **old_alone)
    # It has tokens that are used up by now.
    move.new.client().flushdb()
    move.restart_all_at_once("both again", **hybrid)
    move.restart_all_at_once("the new one", **new_alone)
    move.is_over.set()
    for user in move.users:
        user.result(30)
    move.old.kill()
    for replica in move.replicas:
        assert [replica.me(session) for session in move.sessions.values()] == [200] * len(USERS)
