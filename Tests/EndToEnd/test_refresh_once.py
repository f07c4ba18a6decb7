"""R21: however many requests on however many replicas meet a token that ends, the provider is asked once."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
import requests

from support.api import API
from support.gateway import Gateway, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import DJANGO, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

THREADS_PER_REPLICA = 3


@pytest.mark.skipif(not DJANGO.is_installed, reason="needs the provider that punishes a refresh token used twice")
@pytest.mark.parametrize("form", ["plain", "sealed"])
def test_r21_one_token_call_cluster_wide(servers: Servers, tmp_path: Path, form: str) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    # Due after two seconds.
    provider = servers.add(Provider(DJANGO, tmp_path / "provider", url, access_token_lifetime=4)).launch()
    api = servers.enter_context(API())
    settings = {"PUBLIC_URL": url, "REDIS_URL": redis.url, "UPSTREAM_URL": api.url, **provider.settings}
    if form == "sealed":
        settings["SESSION_KEYS"] = new_key(tmp_path)
    replicas = [
        servers.add(
            Gateway(tmp_path / f"replica-{number}", f"replica-{number}", port if number == 1 else None, **settings)
        ).launch_ready()
        for number in (1, 2, 3)
    ]
    session = log_in(requests.Session(), url, provider)
    over = threading.Event()
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def use(replica: Gateway) -> None:
        while not over.is_set():
            status = replica.get("/api/x", session, headers={"X-CSRF": "1"}).status_code
            with lock:
                statuses[status] += 1

    workers = [threading.Thread(target=use, args=[replica]) for replica in replicas for _ in range(THREADS_PER_REPLICA)]
    for worker in workers:
        worker.start()
    try:
        # The one of the login, and three refreshes.
        eventually("three refreshes", lambda: len(set(api.tokens)) >= 4, within=60, details=replicas[0].log_tail)
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert set(statuses) == {200}, statuses
    calls = provider.log().count("POST /o/token/")
    assert calls == len(set(api.tokens)), f"{calls} token calls brought {len(set(api.tokens))} tokens"
