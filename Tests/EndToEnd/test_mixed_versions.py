"""The version before this one beside this one, on the same Redis: no session is lost in either direction.

Needs the program of that version: CLOAKROOM_PREVIOUS_BIN=/path/to/cloakroom. To make it, in a scratch directory:
`git worktree add --detach DIRECTORY COMMIT`, then `swift build --product cloakroom` there.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests

from support.gateway import Gateway, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.records import put, record
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

PREVIOUS = os.environ.get("CLOAKROOM_PREVIOUS_BIN")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PREVIOUS, reason="CLOAKROOM_PREVIOUS_BIN names no program of the version before this one"),
]


def launch_redis(servers: Servers, directory: Path, topology: str) -> RedisServer | RedisCluster:
    if topology == "cluster":
        return RedisCluster(servers, directory).launch()
    return servers.add(RedisServer(directory)).launch()


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
@pytest.mark.parametrize("form", ["plain", "sealed"])
@pytest.mark.parametrize("first", ["previous", "current"])
def test_a_mixed_deploy_loses_no_session(
    servers: Servers, tmp_path: Path, any_provider: Kind, first: str, form: str, topology: str
) -> None:
    """`first` is the one where users log in; the other serves them too, near cache and all."""
    port = free_port()
    url = f"http://localhost:{port}"
    redis = launch_redis(servers, tmp_path / "redis", topology)
    provider = servers.add(Provider(any_provider, tmp_path / "provider", url)).launch()
    previous = Path(PREVIOUS or "").resolve()
    programs = {"previous": previous, "current": None}
    keys = {"SESSION_KEYS": new_key(tmp_path)} if form == "sealed" else {}
    gateways = {
        name: servers.add(
            Gateway(
                tmp_path / name, name, port if name == first else None, program, PUBLIC_URL=url, REDIS_URL=redis.url,
                SESSION_IDLE_TIMEOUT="30m", **keys, **provider.settings,
            )
        ).launch_ready()
        for name, program in programs.items()
    }
    begin, other = gateways.pop(first), next(iter(gateways.values()))
    https = [requests.Session() for _ in range(5)]
    sessions = [log_in(http, begin.url, provider) for http in https]
    sessions.append(put(redis.client(), record("user-1")))
    for _ in range(5):
        for session in sessions:
            assert begin.me(session) == other.me(session) == 200
    # A logout on either side holds on both, whatever the near cache of the newer one has.
    for number, gateway in enumerate((begin, other)):
        assert gateway.get("/auth/logout", sessions[number]).status_code in (302, 303)
        for reader in (begin, other):
            eventually("it is over", lambda reader=reader, number=number: reader.me(sessions[number]) == 401, within=2)
    for session in sessions[2:]:
        assert begin.me(session) == other.me(session) == 200
    client = redis.client()
    assert {key for key in client.scan_iter() if client.ttl(key) == -1} == set()


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
@pytest.mark.parametrize("form", ["plain", "sealed"])
@pytest.mark.parametrize("first", ["previous", "current"])
def test_both_versions_count_the_sessions_of_a_user_alike(
    servers: Servers, tmp_path: Path, any_provider: Kind, first: str, form: str, topology: str
) -> None:
    """The limit per user goes by the user's index: each version must find there what the other has entered."""
    port = free_port()
    url = f"http://localhost:{port}"
    redis = launch_redis(servers, tmp_path / "redis", topology)
    provider = servers.add(Provider(any_provider, tmp_path / "provider", url)).launch()
    keys = {"SESSION_KEYS": new_key(tmp_path)} if form == "sealed" else {}
    programs = {"previous": Path(PREVIOUS or "").resolve(), "current": None}
    second = "current" if first == "previous" else "previous"
    sessions: list[str] = []
    gateway = None
    # One after the other on the port that the provider sends browsers back to.
    for name in (first, second):
        gateway = servers.add(
            Gateway(
                tmp_path / name, name, port, programs[name], PUBLIC_URL=url, REDIS_URL=redis.url,
                SESSION_MAX_PER_USER="3", **keys, **provider.settings,
            )
        ).launch_ready()
        sessions += [log_in(requests.Session(), gateway.url, provider) for _ in range(2)]
        if name == first:
            gateway.stop()
    assert gateway is not None
    eventually("the oldest is over", lambda: gateway.me(sessions[0]) == 401, within=5)
    assert [gateway.me(session) for session in sessions[1:]] == [200, 200, 200]
