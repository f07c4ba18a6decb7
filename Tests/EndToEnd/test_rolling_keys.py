"""Keys begin and change by rolling restarts: one replica after the other, and nobody is logged out on any."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from support.gateway import Gateway, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers

pytestmark = pytest.mark.long


class Deployment:
    """Two replicas on one Redis. The provider sends browsers to the first, which is where logins begin and end."""

    def __init__(self, servers: Servers, directory: Path, kind: Kind, **settings: str) -> None:
        port = free_port()
        self.redis = servers.add(RedisServer(directory / "redis")).launch()
        self.provider = servers.add(Provider(kind, directory / "provider", f"http://localhost:{port}")).launch()
        url = f"http://localhost:{port}"
        self.replicas = [
            servers.add(
                Gateway(
                    directory / f"replica-{number}", f"replica-{number}", port if number == 1 else None,
                    PUBLIC_URL=url, REDIS_URL=self.redis.url, **settings, **self.provider.settings,
                )
            ).launch_ready()
            for number in (1, 2)
        ]
        self.sessions: list[str] = []

    def log_in(self) -> str:
        session = log_in(requests.Session(), self.replicas[0].url, self.provider)
        self.sessions.append(session)
        return session

    def assert_all_live(self) -> None:
        for replica in self.replicas:
            for session in self.sessions:
                assert replica.me(session) == 200, f"{replica.name} does not know a session\n{replica.log_tail()}"

    def roll(self, **settings: str | None) -> None:
        """New settings on one replica after the other; users come to both all the while, and new ones log in."""
        for replica in reversed(self.replicas):
            replica.restart(**settings)
            self.log_in()
            self.assert_all_live()

    def keys(self) -> list[str]:
        return sorted(self.redis.client().scan_iter("session:*"))


def test_keys_rotate_with_nobody_logged_out(servers: Servers, tmp_path: Path, any_provider: Kind) -> None:
    old, new = new_key(tmp_path), new_key(tmp_path)
    deployment = Deployment(servers, tmp_path, any_provider, SESSION_KEYS=old)
    first = deployment.log_in()
    deployment.assert_all_live()
    deployment.roll(SESSION_KEYS=f"{old},{new}")
    deployment.roll(SESSION_KEYS=f"{new},{old}")
    latest = deployment.log_in()
    deployment.assert_all_live()
    # Whoever takes the old key away too early logs out those that it sealed, and nobody else.
    deployment.replicas[1].restart(SESSION_KEYS=new)
    assert deployment.replicas[1].me(first) == 401
    assert deployment.replicas[1].me(latest) == 200
    assert deployment.replicas[0].me(first) == 200


def test_sealing_begins_with_nobody_logged_out(servers: Servers, tmp_path: Path, any_provider: Kind) -> None:
    """Plain, then keys that only open, then sealed: at no time a replica meets what it can't read."""
    deployment = Deployment(servers, tmp_path, any_provider)
    deployment.log_in()
    deployment.assert_all_live()
    key = new_key(tmp_path)
    deployment.roll(SESSION_KEYS=key, SESSION_SEAL="false")
    assert not any(name.startswith("session:sha256:") for name in deployment.keys())
    deployment.roll(SESSION_SEAL=None)
    sealed = deployment.log_in()
    deployment.assert_all_live()
    assert sum(name.startswith("session:sha256:") for name in deployment.keys()) >= 2
    assert "session:" + sealed not in deployment.keys()


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_compression_begins_and_ends_with_nobody_logged_out(
    servers: Servers, tmp_path: Path, any_provider: Kind, sealed: bool
) -> None:
    keys = {"SESSION_KEYS": new_key(tmp_path)} if sealed else {}
    deployment = Deployment(servers, tmp_path, any_provider, **keys)
    deployment.log_in()
    deployment.roll(SESSION_COMPRESSION="gzip", SESSION_COMPRESSION_THRESHOLD="0")
    deployment.roll(SESSION_COMPRESSION="off")
