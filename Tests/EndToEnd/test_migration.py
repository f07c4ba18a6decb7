"""The migration, rehearsed with real processes: from in-memory replicas to Redis by a canary, and back, under load and with
refreshes going on all the time. No user is logged out, and no request fails.

CLOAKROOM_USERS says how many users there are.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from support.crowd import Crowd, NamingAPI
from support.gateway import Gateway, get
from support.login import begin_login, finish_login, log_in, session_of
from support.moving_proxy import MovingProxy
from support.ports import free_port
from support.providers import DJANGO, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

USERS = int(os.environ.get("CLOAKROOM_USERS", "40"))
# Half of its life is over when a token is due: this many users make about 20 refreshes in a second.
TOKEN_LIFETIME = max(8, USERS // 10)
# About 200 requests in a second.
INTERVAL = max(0.5, USERS / 200)
HALF_DONE = 6

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300 + USERS),
    pytest.mark.skipif(
        not DJANGO.is_installed, reason="needs the provider that ends a session whose refresh token is used twice"),
]


@dataclass
class HalfLogin:
    """A login whose user is at the provider."""

    http: requests.Session
    callback: str


@dataclass
class Rehearsal:
    servers: Servers
    directory: Path
    provider: Provider
    redis: RedisServer
    api: NamingAPI
    crowd: Crowd
    proxy: MovingProxy
    memory_ports: list[int]
    redis_ports: list[int]
    settings: dict[str, str]
    replicas: dict[str, Gateway] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.proxy.port}"

    def start(self, name: str, port: int, **settings: str) -> Gateway:
        gateway = Gateway(self.directory / name, name, port, **{**self.settings, **settings})
        self.replicas[name] = self.servers.add(gateway).launch_ready()
        return gateway

    def start_on_redis(self, number: int) -> None:
        """Has one more replica on Redis take part."""
        self.start(f"redis{number}", self.redis_ports[number - 1], REDIS_ENABLED="true")
        self.proxy.wait_until_up(f"redis/redis{number}")

    def log_in(self, user: str) -> str:
        session = log_in(requests.Session(), self.url, self.provider, user)
        self.crowd.add(user, session)
        return session

    def begin_login(self, user: str) -> HalfLogin:
        http = requests.Session()
        return HalfLogin(http, self.provider.sign_in(http, begin_login(http, self.url).headers["Location"], user))

    def finish_login(self, user: str, half: HalfLogin) -> None:
        answer = finish_login(half.http, half.callback)
        assert answer.is_redirect, f"{answer.status_code}: {answer.text[:500]}"
        self.crowd.add(user, session_of(half.http))

    def settle(self, refreshes: int = max(5, USERS // 10)) -> None:
        """Waits until every user was answered twice more, and this many refreshes were seen."""
        before = dict(self.crowd.answered)
        seen = self.refreshes()
        eventually(
            "everyone was answered twice, and there were refreshes",
            lambda: self.refreshes() >= seen + refreshes
            and all(self.crowd.answered[user] >= before.get(user, 0) + 2 for user in list(self.crowd.sessions)),
            within=120, details=self.crowd.report)

    def refreshes(self) -> int:
        return sum(self.api.refreshes(user) for user in list(self.crowd.sessions))

    def report(self) -> str:
        return f"\n{self.crowd.report()}\n{self.refreshes()} refreshes, {len(self.crowd.sessions)} users"

    def assert_all_is_well(self) -> None:
        assert not self.crowd.failures, self.crowd.report()
        for user, session in list(self.crowd.sessions.items()):
            answer = get(self.url + "/auth/me", session)
            assert answer.status_code == 200 and answer.json()["preferred_username"] == user, f"{user} is logged out"


@pytest.fixture(scope="module")
def rehearsal(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Two in-memory replicas, and every user logged in and asking."""
    directory = tmp_path_factory.mktemp("migration")
    port = free_port()
    memory_ports, redis_ports = [free_port() for _ in range(2)], [free_port() for _ in range(3)]
    users = {f"user-{number:03}": f"password-{number}" for number in range(1, USERS + HALF_DONE + 1)}
    provider = module_servers.add(
        Provider(DJANGO, directory / "provider", f"http://localhost:{port}", TOKEN_LIFETIME, users)).launch()
    redis = module_servers.add(RedisServer(directory / "redis")).launch()
    api = module_servers.enter_context(NamingAPI(TOKEN_LIFETIME))
    proxy = module_servers.add(MovingProxy(directory / "haproxy", memory_ports, redis_ports, port)).launch()
    crowd = module_servers.enter_context(Crowd(port, INTERVAL))
    settings = {
        "PUBLIC_URL": f"http://localhost:{port}", "REDIS_URL": redis.url, "UPSTREAM_URL": api.url, **provider.settings,
    }
    made = Rehearsal(
        module_servers, directory, provider, redis, api, crowd, proxy, memory_ports, redis_ports, settings,
        passwords=users)
    for number, own in enumerate(memory_ports, start=1):
        made.start(f"memory{number}", own, REDIS_ENABLED="false")
    crowd.enter("two replicas in memory")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(made.log_in, list(users)[:USERS]))
    made.settle()
    return made


@pytest.fixture(scope="module")
def on_redis(rehearsal: Rehearsal) -> Rehearsal:
    """The way there: a canary, then one replica after the other."""
    crowd, proxy = rehearsal.crowd, rehearsal.proxy
    late = list(rehearsal.passwords)[USERS:]
    crowd.enter("canary")
    rehearsal.start_on_redis(1)
    # Who has no session in memory goes there; the others stay where theirs is.
    proxy.route({0: "redis"})
    fresh = rehearsal.log_in(late[0])
    assert rehearsal.redis.client().exists("session:" + fresh), "a new user is on the canary"
    rehearsal.settle()
    assert rehearsal.redis.client().dbsize() < USERS / 2, "the others are not"

    for number in (1, 2):
        crowd.enter(f"memory{number} is drained")
        gateway = rehearsal.replicas.pop(f"memory{number}")
        # Two who are at the provider meanwhile.
        half_done = {user: rehearsal.begin_login(user) for user in late[2 * number - 1 : 2 * number + 1]}
        # Its users wait at the gate while it answers what is under way and hands its sessions over.
        proxy.close_gate()
        proxy.route({number: "gate"})
        proxy.wait_until_idle(f"memory/memory{number}")
        assert gateway.stop() == 0, gateway.log_tail()
        (moved,) = re.findall(r"moved=(\d+)", gateway.log())
        assert "failed=0" in gateway.log() and int(moved) > USERS / 4, gateway.log_tail()
        proxy.route({number: "redis"})
        proxy.open_gate()
        for user, half in half_done.items():
            rehearsal.finish_login(user, half)
        rehearsal.start_on_redis(number + 1)
        rehearsal.settle()

    crowd.enter("three replicas on Redis")
    rehearsal.settle()
    return rehearsal


def test_from_memory_to_redis_nobody_is_logged_out(on_redis: Rehearsal) -> None:
    crowd = on_redis.crowd
    on_redis.assert_all_is_well()
    print(on_redis.report())
    assert set(crowd.stages[0].replicas) == {"memory1", "memory2"}
    last = crowd.stages[-1].replicas
    assert set(last) == {"redis1", "redis2", "redis3"}
    assert min(last.values()) > sum(last.values()) / 5, "no stickiness: each has its share"
    assert len(list(on_redis.redis.client().scan_iter("session:*"))) >= len(crowd.sessions)


def test_back_to_memory_nobody_is_logged_out(on_redis: Rehearsal) -> None:
    """The way back: replicas that keep sessions in memory, and read those that they do not have yet from Redis."""
    crowd, proxy = on_redis.crowd, on_redis.proxy
    back = {"REDIS_ENABLED": "false", "SESSION_STORE": "memory", "REDIS_SECONDARY_URL": on_redis.redis.url}
    late = list(on_redis.passwords)[USERS + 5]
    half = on_redis.begin_login(late)
    # Two who do nothing until everything has moved.
    asleep, leaving = (log_in(requests.Session(), on_redis.url, on_redis.provider, late) for _ in range(2))
    for number, port in enumerate(on_redis.memory_ports, start=1):
        on_redis.start(f"memory{number}", port, **back)

    crowd.enter("back to memory")
    # Everyone waits until no replica on Redis is left: a refresh of one of them, after its session was read into memory,
    # would make the refresh token there a used one.
    proxy.close_gate()
    proxy.route({0: "gate", 1: "gate", 2: "gate"})
    proxy.wait_until_idle("redis/BACKEND")
    with ThreadPoolExecutor() as pool:
        stopped = [on_redis.replicas.pop(f"redis{number}") for number in (1, 2, 3)]
        assert list(pool.map(Gateway.stop, stopped)) == [0, 0, 0]
    proxy.route({0: "memory", 1: "memory", 2: "memory"})
    proxy.open_gate()
    on_redis.settle()
    on_redis.finish_login(late, half)
    crowd.enter("two replicas in memory again")
    on_redis.settle()
    on_redis.assert_all_is_well()
    assert set(crowd.stages[-1].replicas) == {"memory1", "memory2"}
    assert get(on_redis.url + "/auth/me", asleep).json()["preferred_username"] == late
    # A logout counts, also of a session that only Redis has.
    assert get(on_redis.url + "/auth/logout", leaving).is_redirect
    assert get(on_redis.url + "/auth/me", leaving).status_code == 401

    crowd.enter("Redis is gone")
    on_redis.redis.kill()
    on_redis.settle()
    on_redis.assert_all_is_well()
    # Whether Redis has it nobody can tell now.
    assert get(on_redis.url + "/auth/me", leaving).status_code in (401, 503)
    print(on_redis.report())
