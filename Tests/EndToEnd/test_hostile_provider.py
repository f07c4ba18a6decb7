"""A provider, or who poses as one, that hangs, floods, nests and goes round in circles.

Each is a clear error in bounded time and memory, and who is logged in notices nothing (R50, R52).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from support import hostile
from support.api import API
from support.gateway import Gateway
from support.hostile import HostileProvider, Reply
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.long

DISCOVERY, KEYS, PAR, TOKEN, USERINFO = "/.well-known/openid-configuration", "/jwks", "/par", "/token", "/userinfo"
# The gateway gives a provider 10 s for an answer.
LONGEST = 15
MEMORY = 64 << 20
# At once, at one gateway.
LOGINS = 8

SLOW: list[Reply] = [hostile.hang, hostile.drip]
WRONG: list[Reply] = [hostile.flood, hostile.gzip_bomb, hostile.deep, hostile.redirect]
WORDS = ("larger than", "not a JSON object", "redirect", "too long", "no usable request_uri", "lacks keys")


class Site:
    """A gateway whose provider is hostile, and a user who was logged in before."""

    def __init__(self, servers: Servers, directory: Path, path: str, reply: Reply) -> None:
        self.provider = servers.enter_context(HostileProvider())
        self.provider.replies[path] = reply
        redis = servers.add(RedisServer(directory / "redis")).launch()
        api = servers.enter_context(API())
        self.gateway = servers.add(
            Gateway(directory / "gateway", REDIS_URL=redis.url, UPSTREAM_URL=api.url, OIDC_ISSUER=self.provider.issuer)
        ).launch_ready()
        self.user = put(redis.client(), record())

    def use(self) -> None:
        """What the user does who was logged in before."""
        start = time.monotonic()
        assert self.gateway.me(self.user) == 200
        assert self.gateway.get("/api/x", self.user, headers={"X-CSRF": "1"}).status_code == 200
        assert time.monotonic() - start < 2, "the user waited for the provider"

    def log_in(self) -> requests.Response:
        """The answer to a whole login; the provider asks nobody for a password."""
        http = requests.Session()
        start = http.get(self.gateway.url + "/auth/login", allow_redirects=False, timeout=60)
        if not start.is_redirect:
            return start
        name = parse_qs(urlsplit(start.headers["Location"]).query)["request_uri"][0].removeprefix("urn:example:")
        state = self.provider.pushed[int(name)]["state"]
        return http.get(
            self.gateway.url + "/auth/callback", params={"code": name, "state": state}, allow_redirects=False, timeout=60
        )


def attack(servers: Servers, directory: Path, path: str, reply: Reply) -> None:
    site = Site(servers, directory, path, reply)
    site.use()
    before = site.gateway.resident_bytes
    start = time.monotonic()
    with ThreadPoolExecutor(LOGINS) as pool:
        logins = [pool.submit(site.log_in) for _ in range(LOGINS)]
        while not all(login.done() for login in logins):
            site.use()
            time.sleep(0.05)
    took = time.monotonic() - start
    name = f"{reply.__name__} at {path}"
    for login in logins:
        answer = login.result()
        assert answer.status_code == (503 if reply in SLOW else 502), f"{name}: {answer.status_code} {answer.text[:200]}"
    assert took < LONGEST * (2 if path == PAR else 1), f"{name}: {took:.1f} s"
    assert site.gateway.resident_bytes - before < MEMORY, name
    eventually(
        f"{name} is in the log", lambda: any(word in site.gateway.log() for word in WORDS), 10, site.gateway.log_tail)
    site.use()


@pytest.mark.parametrize("path", [DISCOVERY, KEYS, PAR, TOKEN, USERINFO])
def test_r50_r52_hostile_answers(servers: Servers, tmp_path: Path, path: str) -> None:
    for reply in WRONG + ([hostile.many_keys] if path == KEYS else []):
        attack(servers, tmp_path / reply.__name__, path, reply)
    # These take the most of the time; they wait side by side.
    with ThreadPoolExecutor() as pool:
        for attempt in [pool.submit(attack, servers, tmp_path / reply.__name__, path, reply) for reply in SLOW]:
            attempt.result()


def test_keys_beyond_those_that_are_looked_at_harm_nobody(servers: Servers, tmp_path: Path) -> None:
    """R50: ten thousand keys in few bytes: the good one is there, and the login works."""
    site = Site(servers, tmp_path, KEYS, hostile.many_small_keys)
    answer = site.log_in()
    assert answer.is_redirect, answer.text[:300]
    assert "Set-Cookie" in answer.headers


def test_what_is_good_works(servers: Servers, tmp_path: Path) -> None:
    """The provider of these tests is refused for what it is told to do, and for nothing else."""
    site = Site(servers, tmp_path, "/nowhere", hostile.hang)
    answer = site.log_in()
    assert answer.is_redirect, answer.text[:300]
