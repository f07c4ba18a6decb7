"""A Redis that answers, but refuses: 503 to the user, and a log that says why (R42)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis
import requests

from support.gateway import COOKIE, Gateway
from support.ports import accepts, free_port
from support.providers import Kind, Provider
from support.records import new_id, put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


def assert_log_says(gateway: Gateway, pattern: str) -> None:
    eventually(f"the log says {pattern}", lambda: re.search(pattern, gateway.log()), details=gateway.log_tail)


def assert_refused(answer: requests.Response) -> None:
    assert answer.status_code == 503, f"{answer.status_code}: {answer.text[:300]}"
    assert int(answer.headers["Retry-After"]) > 0
    assert COOKIE not in answer.cookies


@pytest.mark.parametrize(
    ("credentials", "pattern"),
    [("", "NOAUTH"), (":not-the-password@", "WRONGPASS"), ("nobody:not-the-password@", "WRONGPASS")],
    ids=["no password", "wrong password", "unknown user"],
)
def test_r42_wrong_credentials(servers: Servers, tmp_path: Path, credentials: str, pattern: str) -> None:
    store = servers.add(RedisServer(tmp_path / "redis", password="the-password")).launch()
    session = put(store.client(), record())
    url = f"redis://{credentials}127.0.0.1:{store.port}/0"
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=url)).launch()
    assert_refused(gateway.get("/auth/me", session))
    ready = gateway.get("/readyz")
    assert ready.status_code == 503
    assert_log_says(gateway, pattern)
    assert "not-the-password" not in gateway.log() + ready.text


def is_written(client: redis.Redis) -> bool:
    persistence = client.info("persistence")
    return not persistence["aof_rewrite_in_progress"] and not persistence["aof_rewrite_scheduled"]


def test_r42_redis_still_loads_its_data(servers: Servers, tmp_path: Path) -> None:
    """LOADING: not ready, 503, and ready by itself when the data is there."""
    # Each key takes 5 ms to load, so a restart takes some seconds; Redis looks at its connections after each KiB.
    slow = {"key-load-delay": "5000", "loading-process-events-interval-bytes": "1024", "rdbcompression": "no"}
    store = servers.add(RedisServer(tmp_path / "redis", **slow)).launch()
    client = store.client()
    session = put(client, record("user-1"))
    with client.pipeline(transaction=False) as pipeline:
        for number in range(1000):
            pipeline.set(f"filler:{number}", "x" * 100, ex=3600)
        pipeline.execute()
    client.bgrewriteaof()
    eventually("the file is rewritten", lambda: is_written(client))
    store.stop()
    store.start(lambda: accepts(store.port))

    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=store.url)).launch()
    assert_refused(gateway.get("/auth/me", session))
    assert gateway.status("/readyz") == 503
    assert_log_says(gateway, "LOADING")
    eventually("ready by itself", lambda: gateway.status("/readyz") == 200, within=60)
    assert gateway.get("/auth/me", session).json()["sub"] == "user-1"


def begin_login(gateway: Gateway, http: requests.Session) -> requests.Response:
    return http.get(gateway.url + "/auth/login", allow_redirects=False, timeout=30)


def try_to_log_in(gateway: Gateway, provider: Provider) -> requests.Response:
    """Goes as far as the login gets; gives the answer that ended it."""
    http = requests.Session()
    answer = begin_login(gateway, http)
    if answer.is_redirect:
        callback_url = provider.sign_in(http, answer.headers["Location"])
        answer = http.get(callback_url, allow_redirects=False, timeout=30)
    assert COOKIE not in http.cookies
    return answer


def refuse(store: RedisServer, refusal: str) -> None:
    client = store.client()
    if refusal == "READONLY":
        # What a primary becomes when another took its place: a replica, here of one that is dead.
        client.replicaof("127.0.0.1", free_port())
    else:
        client.config_set("maxmemory", "1")


def accept_again(store: RedisServer) -> None:
    store.client().replicaof("NO", "ONE")
    store.client().config_set("maxmemory", "0")


@pytest.mark.parametrize("refusal", ["READONLY", "OOM"])
def test_r42_writes_refused(servers: Servers, tmp_path: Path, any_provider: Kind, refusal: str) -> None:
    """A login can't be kept, so it fails with 503; who has a session keeps it."""
    store = servers.add(RedisServer(tmp_path / "redis")).launch()
    session = put(store.client(), record("user-1"))
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    gateway = servers.add(Gateway(tmp_path / "gateway", port=port, REDIS_URL=store.url, **provider.settings))
    gateway.launch_ready()
    assert gateway.get("/auth/me", session).json()["sub"] == "user-1"

    refuse(store, refusal)
    assert_refused(try_to_log_in(gateway, provider))
    assert_log_says(gateway, refusal)
    assert gateway.get("/auth/me", session).json()["sub"] == "user-1"
    assert gateway.get("/auth/me", new_id()).status_code == 401

    accept_again(store)
    eventually("logins work again", lambda: begin_login(gateway, requests.Session()).is_redirect, within=30)
