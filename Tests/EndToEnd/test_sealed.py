"""Sealed sessions: three replicas with warm near caches behind haproxy, and a Redis that tells nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from support.api import API
from support.gateway import REPLICA_HEADER, Gateway, get, new_key
from support.haproxy import HAProxy
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.records import handle, put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

NAMES = ["replica-a", "replica-b", "replica-c"]


@dataclass
class Cluster:
    url: str
    redis: RedisServer
    provider: Provider
    replicas: list[Gateway]
    api: API


@pytest.fixture(scope="module")
def api(module_servers: Servers) -> API:
    return module_servers.enter_context(API())


@pytest.fixture(scope="module")
def cluster(
    module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind, api: API
) -> Cluster:
    directory: Path = tmp_path_factory.mktemp("sealed")
    port = free_port()
    url = f"http://localhost:{port}"
    redis = module_servers.add(RedisServer(directory / "redis")).launch()
    provider = module_servers.add(Provider(any_provider, directory / "provider", url)).launch()
    settings = {
        "PUBLIC_URL": url, "REDIS_URL": redis.url, "SESSION_KEYS": new_key(directory), "UPSTREAM_URL": api.url,
        **provider.settings,
    }
    replicas = [module_servers.add(Gateway(directory / name, name, **settings)).launch_ready() for name in NAMES]
    module_servers.add(HAProxy(directory / "haproxy", [replica.port for replica in replicas], port)).launch()
    cluster = Cluster(url, redis, provider, replicas, api)

    def seen() -> bool:
        return {get(url + "/healthz").headers.get(REPLICA_HEADER) for _ in range(6)} == set(NAMES)

    eventually("the proxy uses all replicas", seen, within=30)
    return cluster


def warm(cluster: Cluster, session: str) -> None:
    """Lets every replica have the session in its near cache."""
    for replica in cluster.replicas:
        for _ in range(2):
            assert replica.me(session) == 200


def key_of(cluster: Cluster, session: str) -> bytes:
    """The key of this session in Redis: that which is there only while it lives."""
    import base64
    import hashlib

    digest = base64.urlsafe_b64encode(hashlib.sha256(session.encode()).digest()).rstrip(b"=")
    key = b"session:sha256:" + digest
    assert cluster.redis.raw_client().exists(key), "the key of a sealed session is not what the documentation says"
    return key


def test_any_replica_knows_the_user(cluster: Cluster) -> None:
    session = log_in(requests.Session(), cluster.url, cluster.provider)
    replicas = set()
    for _ in range(60):
        answer = get(cluster.url + "/auth/me", session)
        assert answer.status_code == 200 and answer.json()["email"] == "alice@example.test"
        replicas.add(answer.headers[REPLICA_HEADER])
    assert replicas == set(NAMES)


def test_warm_reads_do_not_ask_redis(cluster: Cluster) -> None:
    """Otherwise the test of the logout below would prove nothing about near caches."""
    session = log_in(requests.Session(), cluster.url, cluster.provider)
    warm(cluster, session)
    client = cluster.redis.client()
    before = client.info("commandstats")["cmdstat_get"]["calls"]
    for _ in range(20):
        for replica in cluster.replicas:
            assert replica.me(session) == 200
    assert client.info("commandstats")["cmdstat_get"]["calls"] - before < 10


def test_r20_a_logout_holds_on_all_replicas_within_100_ms(cluster: Cluster) -> None:
    """R20: near caches are warm, and in use while the session ends."""
    http = requests.Session()
    session = log_in(http, cluster.url, cluster.provider)
    warm(cluster, session)
    over = threading.Event()
    last_good = {replica.name: 0.0 for replica in cluster.replicas}
    refused: set[str] = set()

    def read(replica: Gateway) -> None:
        while not over.is_set():
            asked = time.monotonic()
            status = replica.me(session)
            if status == 200:
                last_good[replica.name] = asked
            elif status == 401:
                refused.add(replica.name)

    readers = [threading.Thread(target=read, args=[replica]) for replica in cluster.replicas]
    for reader in readers:
        reader.start()
    try:
        eventually("all are read", lambda: all(last_good.values()))
        answer = http.get(cluster.url + "/auth/logout", allow_redirects=False, timeout=30)
        ended = time.monotonic()
        assert answer.status_code in (302, 303)
        eventually("all refuse it", lambda: refused == set(NAMES))
    finally:
        over.set()
        for reader in readers:
            reader.join()
    late = {name: asked - ended for name, asked in last_good.items() if asked - ended > 0.1}
    assert not late, f"served after the logout: {late}"
    for replica in cluster.replicas:
        assert replica.me(session) == 401


def test_r20_a_key_deleted_by_another_program_ends_the_session_in_near_caches_too(cluster: Cluster) -> None:
    session = log_in(requests.Session(), cluster.url, cluster.provider)
    warm(cluster, session)
    assert cluster.redis.raw_client().delete(key_of(cluster, session)) == 1
    for replica in cluster.replicas:
        eventually(f"{replica.name} refuses it", lambda replica=replica: replica.me(session) == 401, within=2)


def test_r41_redis_holds_no_token_and_no_usable_id(cluster: Cluster) -> None:
    """R41: the files on the server's disk, searched for what a thief would want."""
    session = log_in(requests.Session(), cluster.url, cluster.provider)
    answer = get(cluster.url + "/api/x", session, headers={"X-CSRF": "1"})
    assert answer.status_code == 200
    token = cluster.api.tokens[-1]
    assert len(token) > 16
    # The control: what another program wrote in the plain form is found.
    plain = put(cluster.redis.client(), record("user-in-plain-sight"))
    stolen = cluster.redis.stored_bytes()
    assert b"access-token-of-user-in-plain-sight" in stolen and plain.encode() in stolen
    assert token.encode() not in stolen
    assert session.encode() not in stolen
    assert b"alice@example.test" not in stolen
    # What stands there instead is no cookie either.
    name = key_of(cluster, session).removeprefix(b"session:").decode()
    for guess in (name, name.removeprefix("sha256:")):
        assert cluster.replicas[0].me(guess) == 401


def test_plain_records_are_read_and_sealed_at_the_next_write(cluster: Cluster) -> None:
    """A session of another program, or from before there were keys."""
    session = put(cluster.redis.client(), record("user-1"))
    for replica in cluster.replicas:
        assert replica.get("/auth/me", session).json()["sub"] == "user-1"


def flipped(value: bytes) -> bytes:
    at = len(value) * 2 // 3
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


DAMAGE = {
    "truncated": lambda value, other: value[: len(value) // 2],
    "one bit flipped": lambda value, other: flipped(value),
    "a few bytes": lambda value, other: value[:3],
    "of another session": lambda value, other: other,
    "longer": lambda value, other: value + b"\x00",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_r41_a_damaged_or_swapped_record_ends_that_session_alone(cluster: Cluster, damage: str) -> None:
    """R41, R46: refused and logged by its handle; others see nothing of it."""
    bad = log_in(requests.Session(), cluster.url, cluster.provider, "alice")
    good = log_in(requests.Session(), cluster.url, cluster.provider, "bob")
    warm(cluster, bad)
    warm(cluster, good)
    client = cluster.redis.raw_client()
    value, other = client.get(key_of(cluster, bad)), client.get(key_of(cluster, good))
    assert value and other
    client.set(key_of(cluster, bad), DAMAGE[damage](value, other), keepttl=True)
    for replica in cluster.replicas:
        eventually(f"{replica.name} refuses it", lambda replica=replica: replica.me(bad) == 401, within=2)
        assert replica.get("/auth/me", good).json()["email"] == "bob@example.test"
        assert handle(bad) in replica.log()
        assert bad not in replica.log()


def test_an_unknown_key_is_no_session_and_no_error(cluster: Cluster, servers: Servers, tmp_path: Path) -> None:
    session = log_in(requests.Session(), cluster.url, cluster.provider)
    stranger = servers.add(
        Gateway(tmp_path / "stranger", REDIS_URL=cluster.redis.url, SESSION_KEYS=new_key(tmp_path))
    ).launch_ready()
    assert stranger.me(session) == 401
    without = servers.add(Gateway(tmp_path / "without", REDIS_URL=cluster.redis.url)).launch_ready()
    assert without.me(session) == 401
    # It was only refused, not taken away.
    for replica in cluster.replicas:
        assert replica.me(session) == 200
