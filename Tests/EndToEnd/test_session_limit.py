"""SESSION_MAX_PER_USER: one login more ends the user's oldest session, and nobody else's."""

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
from support.wait import eventually


@pytest.mark.parametrize("form", ["memory", "plain", "sealed"])
def test_the_oldest_goes(servers: Servers, tmp_path: Path, any_provider: Kind, form: str) -> None:
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    settings: dict[str, str] = {"REDIS_ENABLED": "false"}
    if form != "memory":
        settings = {"REDIS_URL": servers.add(RedisServer(tmp_path / "redis")).launch().url}
    if form == "sealed":
        settings["SESSION_KEYS"] = new_key(tmp_path)
    gateway = servers.add(
        Gateway(tmp_path / "gateway", port=port, SESSION_MAX_PER_USER="2", **settings, **provider.settings)
    ).launch_ready()
    bob = log_in(requests.Session(), gateway.url, provider, "bob")
    mine = [log_in(requests.Session(), gateway.url, provider) for _ in range(2)]
    assert [gateway.me(session) for session in mine] == [200, 200]
    mine.append(log_in(requests.Session(), gateway.url, provider))
    eventually("the oldest is over", lambda: gateway.me(mine[0]) == 401, within=5)
    assert [gateway.me(session) for session in mine[1:]] == [200, 200]
    assert gateway.me(bob) == 200
