"""The walk-through that the project is measured by, step by step, with processes in place of containers: several replicas
behind round robin, a browser, Redis with the configuration of deploy/. What Kubernetes adds is shown as far as processes can.
"""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Iterator

import pytest
import requests

from support.browser import Browser
from support.crowd import NamingAPI
from support.gateway import COOKIE, PROJECT, REPLICA_HEADER, Gateway, get, run_program
from support.haproxy import HAProxy
from support.login import log_in
from support.ports import free_port
from support.providers import DJANGO, Provider
from support.records import handle
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

LOGIN = "Login with Keycloak"
LOGOUT = "Logout"
CALL_API = "Call the sample API"
USERS = {"admin": "test", "user": "test"}
TOKEN_LIFETIME = 300

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not DJANGO.is_installed, reason="needs the provider that answers as Keycloak does"),
]


def deployed_redis(directory: Path) -> RedisServer:
    """Redis with the directives of deploy/; address and folder are the test's."""
    (file, *_) = sorted((PROJECT / "deploy").rglob("redis.conf"))
    lines = [line.split(maxsplit=1) for line in file.read_text().splitlines() if line and not line.startswith("#")]
    directives = {name: value for name, value in lines if name not in ("bind", "port", "dir")}
    assert directives["appendonly"] == "yes" and directives["maxmemory"] == "256mb", directives
    return RedisServer(directory, **directives)


def redis_cli(redis: RedisServer, *command: str) -> str:
    result = subprocess.run(
        ["redis-cli", "-p", str(redis.port), *command], capture_output=True, text=True, timeout=20, check=True)
    return result.stdout.strip()


class Walk:
    """Redis, a provider that is called Keycloak, an API, and replicas behind haproxy on one public port."""

    def __init__(self, servers: Servers, directory: Path, count: int, room: int) -> None:
        """Starts `count` replicas; haproxy has room for as many as `room`."""
        self.servers = servers
        self.directory = directory
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.redis = servers.add(deployed_redis(directory / "redis")).launch()
        self.provider = servers.add(
            Provider(DJANGO, directory / "provider", self.url, TOKEN_LIFETIME, USERS)).launch()
        self.api = servers.enter_context(NamingAPI(TOKEN_LIFETIME))
        self.ports = [free_port() for _ in range(room)]
        self.replicas: list[Gateway] = []
        self.scale(count)
        self.proxy = servers.add(HAProxy(directory / "haproxy", self.ports, self.port)).launch()

    def scale(self, count: int) -> None:
        for number in range(len(self.replicas) + 1, count + 1):
            settings = {
                "PUBLIC_URL": self.url, "REDIS_ENABLED": "true", "REDIS_URL": self.redis.url, "UPSTREAM_URL": self.api.url,
                **self.provider.settings,
            }
            gateway = Gateway(self.directory / f"app-{number}", f"app-{number}", self.ports[number - 1], **settings)
            self.replicas.append(self.servers.add(gateway).launch_ready())

    def answering(self, session: str) -> set[str]:
        """The replicas that answer this session's user, who is logged in at each of them."""
        seen = set()
        for _ in range(3 * len(self.replicas)):
            answer = get(self.url + "/auth/me", session)
            assert answer.status_code == 200 and answer.json()["preferred_username"] == "admin", answer.text
            seen.add(answer.headers[REPLICA_HEADER])
        return seen

    def all_answer(self, session: str) -> None:
        names = {replica.name for replica in self.replicas}
        eventually(f"each of {sorted(names)} answers", lambda: self.answering(session) == names, within=30)

    def lines(self, session: str, text: str) -> dict[str, list[str]]:
        """Each replica's log lines with this text that are about this session; only replicas with such lines."""
        field = f"session={handle(session)}"
        found = {
            replica.name: [line for line in replica.log().splitlines() if text in line and field in line]
            for replica in self.replicas
        }
        return {name: lines for name, lines in found.items() if lines}


@pytest.fixture
def browser(tmp_path: Path, artifacts: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "browser", artifacts)
    yield browser
    browser.close()


def reload(browser: Browser, walk: Walk, times: int = 1) -> None:
    """Reloads the page; the user is still logged in."""
    for _ in range(times):
        browser.open(walk.url + "/")
        browser.clickable(LOGOUT)
        assert not browser.has(LOGIN)
        assert "admin" in browser.text


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_the_walk_through_on_one_machine(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    # docker-compose up -d --scale app=3
    walk = Walk(servers, tmp_path, count=3, room=3)
    redis = walk.redis
    for replica in walk.replicas:
        assert f"Using RedisSessionStore (url=redis://127.0.0.1:{redis.port}/0)" in replica.log()
        eventually("the log tells of Redis", lambda replica=replica: "Redis connection successful" in replica.log())
    assert redis_cli(redis, "KEYS", "session:*") == ""

    # Open the address, Login with Keycloak, admin / test.
    browser.open(walk.url + "/")
    browser.keep("walkthrough-1-landing")
    browser.click(LOGIN)
    browser.type("username", "admin")
    browser.type("password", "test")
    browser.click("Sign in")
    browser.wait_for_url(walk.url + "/")
    browser.clickable(LOGOUT)
    browser.keep("walkthrough-2-logged-in")
    cookie = browser.driver.get_cookie(COOKIE)
    assert cookie
    session = cookie["value"]

    # KEYS, TTL and GET.
    assert redis_cli(redis, "KEYS", "session:*").splitlines() == [f"session:{session}"]
    assert 28_700 <= int(redis_cli(redis, "TTL", f"session:{session}")) <= 28_800
    assert_is_the_documented_record(json.loads(redis_cli(redis, "GET", f"session:{session}")))

    # One replica handled the login, and others the requests after it.
    (login,) = walk.lines(session, "A session began")
    for _ in range(6):
        reload(browser, walk)
        browser.click(CALL_API)
        browser.wait_for_text('"user": "admin"')
    browser.keep("walkthrough-3-api")
    others = eventually("others forward requests", lambda: set(walk.lines(session, "route=/api/**")) - {login})
    assert others <= {"app-1", "app-2", "app-3"}
    walk.all_answer(session)

    # Restart one: reload, and again, while it is away and after.
    one, two, three = walk.replicas
    assert one.stop() == 0
    reload(browser, walk, times=3)
    one.launch_ready()
    reload(browser, walk, times=3)
    walk.all_answer(session)
    browser.keep("walkthrough-4-one-restarted")

    # Kill one: no replica had a chance to hand anything over.
    two.kill()
    reload(browser, walk, times=4)
    two.launch_ready()
    walk.all_answer(session)

    # All of them at once, as a deploy of everything would.
    for replica in walk.replicas:
        replica.restart()
    walk.all_answer(session)
    reload(browser, walk)

    # Restart Redis, which has written to its append-only file.
    assert redis.stop() == 0
    redis.launch()
    walk.all_answer(session)
    reload(browser, walk, times=3)
    assert redis_cli(redis, "KEYS", "session:*").splitlines() == [f"session:{session}"]
    browser.keep("walkthrough-5-redis-restarted")

    browser.click(LOGOUT)
    browser.clickable(LOGIN)
    browser.keep("walkthrough-6-logged-out")
    assert redis_cli(redis, "KEYS", "session:*") == ""


def assert_is_the_documented_record(record: dict[str, object]) -> None:
    assert {"tokens", "user_info", "created_at", "expires_at"} <= set(record), list(record)
    tokens, user = record["tokens"], record["user_info"]
    assert isinstance(tokens, dict) and isinstance(user, dict)
    assert set(tokens) == {"access_token", "refresh_token", "id_token", "expires_in", "refresh_expires_in"}
    assert all(tokens[name] for name in ("access_token", "refresh_token", "id_token"))
    assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (300, 1800)
    assert {name: user[name] for name in ("email", "name", "preferred_username", "given_name", "family_name")} == {
        "email": "admin@example.test", "name": "Admin Test", "preferred_username": "admin", "given_name": "Admin",
        "family_name": "Test",
    }
    assert user["sub"]
    begin, end = (datetime.strptime(str(record[name]), "%Y-%m-%dT%H:%M:%S") for name in ("created_at", "expires_at"))
    assert end - begin == timedelta(hours=8)


@pytest.mark.timeout(300)
def test_the_walk_through_on_kubernetes_as_far_as_processes_can(servers: Servers, tmp_path: Path) -> None:
    """Three pods, one login, then `kubectl scale --replicas=5`, back to 3, and a pod that is deleted."""
    walk = Walk(servers, tmp_path, count=3, room=5)
    session = log_in(requests.Session(), walk.url, walk.provider, "admin")
    walk.all_answer(session)
    for _ in range(9):
        answer = get(walk.url + "/api/whoami", session, headers={"X-CSRF": "1"})
        assert answer.status_code == 200 and answer.json()["user"] == "admin"
    # The logs show it: the login by one, requests to the API by all, under one handle.
    assert len(walk.lines(session, "A session began")) == 1
    eventually("the logs tell of the API", lambda: len(walk.lines(session, "route=/api/**")) == 3)
    assert redis_cli(walk.redis, "TTL", f"session:{session}").isdigit()

    walk.scale(5)
    walk.all_answer(session)
    for replica in walk.replicas[3:]:
        assert replica.stop() == 0
    del walk.replicas[3:]
    walk.all_answer(session)
    walk.replicas.pop(0).kill()
    walk.all_answer(session)


@pytest.mark.timeout(300)
def test_switching_redis_on_in_the_documented_order(servers: Servers, tmp_path: Path) -> None:
    """Deploy Redis switched off, verify it by ping, switch one replica on, watch for errors, then all the others."""
    url = f"http://localhost:{(port := free_port())}"
    provider = servers.add(Provider(DJANGO, tmp_path / "provider", url, TOKEN_LIFETIME, USERS)).launch()
    redis = servers.add(deployed_redis(tmp_path / "redis"))
    off = {"PUBLIC_URL": url, "REDIS_ENABLED": "false", "REDIS_URL": redis.url, **provider.settings}
    on = {**off, "REDIS_ENABLED": "true"}
    # The first is at the public address, so that users log in there; the others are reached by their own.
    replicas = [
        servers.add(Gateway(tmp_path / f"app-{number}", f"app-{number}", own, **off)).launch_ready()
        for number, own in enumerate([port, free_port(), free_port()], start=1)
    ]
    session = log_in(requests.Session(), url, provider, "admin")
    assert all("Using InMemorySessionStore" in replica.log() for replica in replicas)

    # A ping before anything depends on it: first of a Redis that is not there, then of one that is.
    assert reachability(tmp_path, **on) == "fail"
    redis.launch()
    assert redis_cli(redis, "PING") == "PONG"
    assert reachability(tmp_path, **on) == "ok"
    assert all("RedisSessionStore" not in replica.log() for replica in replicas), "nobody uses it yet"

    # The canary.
    canary, *others = replicas
    before = len(canary.log())
    canary.restart(REDIS_ENABLED="true")
    assert canary.get("/auth/me", session).json()["preferred_username"] == "admin", "still logged in"
    fresh = log_in(requests.Session(), url, provider, "user")
    assert redis_cli(redis, "EXISTS", f"session:{session}", f"session:{fresh}") == "2"
    eventually("Redis answers", lambda: "Redis connection successful" in canary.log()[before:])
    log = canary.log()[before:]
    assert f"Using RedisSessionStore (url=redis://127.0.0.1:{redis.port}/0)" in log
    assert re.findall(r"^\S+ (?:WARNING|ERROR|CRITICAL) .*$", log, re.M) == []
    assert [replica.me(session) for replica in others] == [401, 401], "those have sessions of their own"

    # All.
    for replica in others:
        replica.restart(REDIS_ENABLED="true")
    for replica in replicas:
        assert replica.get("/auth/me", session).json()["preferred_username"] == "admin"
        assert replica.get("/auth/me", fresh).json()["preferred_username"] == "user"


def reachability(directory: Path, **settings: str) -> str:
    """What `cloakroom check` says of whether Redis can be reached. It fails all the same: no replica uses it yet."""
    result = run_program(directory, "check", "--json", **settings)
    assert result.returncode == 1, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
    (line,) = [line for line in json.loads(result.stdout)["checks"] if (line["part"], line["name"]) == ("redis", "reachable")]
    return line["status"]
