"""R24: the provider goes and comes back: good tokens go on, ended ones are 503, and nobody is logged out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from support.api import API
from support.gateway import Gateway
from support.login import log_in
from support.providers import DJANGO, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

LONGEST_STEP = 2


@pytest.mark.skipif(not DJANGO.is_installed, reason="needs the provider that punishes a refresh token used twice")
def test_r24_r52_a_provider_that_is_down_logs_nobody_out(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    api = servers.enter_context(API())
    gateway = Gateway(tmp_path / "gateway", REDIS_URL=redis.url, UPSTREAM_URL=api.url)
    provider = servers.add(Provider(DJANGO, tmp_path / "provider", gateway.url, access_token_lifetime=6)).launch()
    gateway.environment.update({**provider.settings, "REFRESH_BACKOFF_MAX": f"{LONGEST_STEP}s"})
    servers.add(gateway).launch_ready()
    session = log_in(requests.Session(), gateway.url, provider)

    def call() -> requests.Response:
        return gateway.get("/api/x", session, headers={"X-CSRF": "1"})

    # Just after a refresh, which was the second token call: nothing is under way when the provider dies.
    def has_refreshed() -> bool:
        assert call().status_code == 200
        return len(set(api.tokens)) >= 2

    eventually("a refresh", has_refreshed, within=20, details=gateway.log_tail)
    provider.kill()
    died = time.monotonic()
    good = 0
    answer = call()
    while answer.status_code == 200:
        assert answer.elapsed.total_seconds() < 1, "a good token waited for a provider that is down"
        good += 1
        assert time.monotonic() < died + 20, "the token never ended"
        time.sleep(0.02)
        answer = call()
    assert time.monotonic() > died + 3, "refused before the token's end"
    assert good > 10
    for _ in range(50):
        answer = call()
        assert answer.status_code == 503, f"{answer.status_code} {answer.text[:300]}"
        assert 1 <= int(answer.headers["Retry-After"]) <= LONGEST_STEP
        assert "Set-Cookie" not in answer.headers, "the cookie is to be kept"
    tries = gateway.log().count("A refresh failed")
    assert 1 <= tries <= 10, f"{tries} token calls in {time.monotonic() - died:.0f} s"
    assert gateway.me(session) == 200

    provider.launch()
    up = time.monotonic()
    eventually("the session goes on", lambda: call().status_code == 200, within=30, details=gateway.log_tail)
    assert time.monotonic() - up < LONGEST_STEP + 2
