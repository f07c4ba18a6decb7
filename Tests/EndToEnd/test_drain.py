"""Sessions in memory move to Redis when the gateway stops: switching REDIS_ENABLED on logs nobody out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from support.api import API
from support.gateway import Gateway, new_key
from support.login import begin_login, finish_login, log_in, session_of
from support.ports import free_port
from support.providers import Kind, Provider
from support.records import stored_keys
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


@pytest.fixture
def redis(servers: Servers, tmp_path: Path) -> RedisServer:
    return servers.add(RedisServer(tmp_path / "redis")).launch()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def provider(
    module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind, port: int
) -> Provider:
    directory = tmp_path_factory.mktemp("provider")
    return module_servers.add(Provider(any_provider, directory, f"http://localhost:{port}")).launch()


@pytest.fixture
def gateway(servers: Servers, tmp_path: Path, provider: Provider, port: int) -> Gateway:
    """One that keeps its sessions in memory; not started yet."""
    return servers.add(Gateway(tmp_path / "gateway", port=port, REDIS_ENABLED="false", **provider.settings))


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_the_same_cookie_works_after_the_switch(
    gateway: Gateway, redis: RedisServer, provider: Provider, tmp_path: Path, sealed: bool
) -> None:
    gateway.environment["REDIS_URL"] = redis.url
    if sealed:
        gateway.environment["SESSION_KEYS"] = new_key(tmp_path)
    gateway.launch_ready()
    assert "Using InMemorySessionStore" in gateway.log()
    alice = log_in(requests.Session(), gateway.url, provider, "alice")
    bob = log_in(requests.Session(), gateway.url, provider, "bob")
    gone = requests.Session()
    ended = log_in(gone, gateway.url, provider)
    gone.get(gateway.url + "/auth/logout", allow_redirects=False, timeout=30)
    # A login that is half done moves too.
    half = requests.Session()
    callback = provider.sign_in(half, begin_login(half, gateway.url).headers["Location"])
    assert not stored_keys(redis.client())

    gateway.restart(REDIS_ENABLED="true")
    assert "moved=2" in gateway.log(), gateway.log_tail()
    assert gateway.get("/auth/me", alice).json()["email"] == "alice@example.test"
    assert gateway.get("/auth/me", bob).json()["email"] == "bob@example.test"
    assert gateway.me(ended) == 401, "a logout stays one"
    assert finish_login(half, callback).is_redirect
    assert gateway.me(session_of(half)) == 200
    client = redis.client()
    keys = list(client.scan_iter("session:*"))
    assert len(keys) == 3 and all(0 < client.ttl(key) <= 28800 for key in keys)
    assert all(key.startswith("session:sha256:") == sealed for key in keys)


def test_without_a_redis_url_nothing_moves(gateway: Gateway, provider: Provider) -> None:
    """The default of REDIS_URL is no wish."""
    gateway.launch_ready()
    log_in(requests.Session(), gateway.url, provider)
    start = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - start < 8
    assert "moved" not in gateway.log()


def test_an_absent_redis_does_not_fail_the_exit(gateway: Gateway, provider: Provider) -> None:
    gateway.environment["REDIS_URL"] = f"redis://:top-secret-word@127.0.0.1:{free_port()}/0"
    gateway.launch_ready()
    log_in(requests.Session(), gateway.url, provider)
    start = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - start < 15
    assert "could not be moved" in gateway.log()
    assert "top-secret-word" not in gateway.log()


def test_a_request_under_way_ends_first_and_its_session_moves(
    gateway: Gateway, redis: RedisServer, provider: Provider
) -> None:
    with ThreadPoolExecutor() as pool, API() as api:
        gateway.environment |= {"REDIS_URL": redis.url, "UPSTREAM_URL": api.url}
        gateway.launch_ready()
        session = log_in(requests.Session(), gateway.url, provider)
        api.may_answer.clear()
        answer = pool.submit(gateway.get, "/api/slow", session, headers={"X-CSRF": "1"})
        assert api.asked.wait(20)
        code = pool.submit(gateway.stop)
        eventually("no new request is served", lambda: gateway.status("/healthz") is None)
        assert not stored_keys(redis.client()), "it moves while requests are under way"
        api.may_answer.set()
        assert answer.result(20).text == "done"
        assert code.result(30) == 0
    assert stored_keys(redis.client())
