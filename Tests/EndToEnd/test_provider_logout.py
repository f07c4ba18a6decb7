"""Logouts that begin at the provider, on three replicas over one Redis (R26 to R30)."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from support.api import API
from support.gateway import COOKIE, Gateway, get
from support.login import begin_login, finish_login, log_in
from support.ports import free_port
from support.records import stored_keys
from support.redis_server import RedisServer
from support.scripted_provider import CLIENT_SECRET, EVENT, Key, ScriptedProvider, hmac_with
from support.servers import Servers
from support.wait import eventually

SOAKS = bool(os.environ.get("CLOAKROOM_SOAK"))
ROUNDS = 1000 if SOAKS else 30
FLOOD = 10_000 if SOAKS else 3000
PATH = "/auth/backchannel-logout"


@dataclass
class Site:
    url: str
    provider: ScriptedProvider
    redis: RedisServer
    replicas: list[Gateway]
    api: API

    def log_in(self, username: str = "alice", sid: str | None = "session-1") -> str:
        self.provider.sid = sid
        return log_in(requests.Session(), self.url, self.provider, username)  # type: ignore[arg-type]

    def statuses(self, session: str) -> list[int]:
        """What each replica answers the user of this session."""
        return [replica.me(session) for replica in self.replicas]

    def end(self, token: str, replica: int = 0) -> requests.Response:
        return backchannel(self.replicas[replica], token)


def backchannel(replica: Gateway, token: str, **options: Any) -> requests.Response:
    """What the provider's server does. It calls the gateway by an internal name, and has no cookies."""
    headers = {"Host": "gateway.internal", **options.pop("headers", {})}
    return requests.post(replica.url + PATH, data={"logout_token": token}, headers=headers, timeout=30, **options)


def make_site(servers: Servers, directory: Path, lifetime: int = 300, **settings: str) -> Site:
    port = free_port()
    url = f"http://localhost:{port}"
    redis = servers.add(RedisServer(directory / "redis")).launch()
    provider = servers.enter_context(ScriptedProvider(lifetime))
    api = servers.enter_context(API())
    replicas = [
        servers.add(
            Gateway(
                directory / f"replica-{number}", f"replica-{number}", port if number == 1 else None, PUBLIC_URL=url,
                REDIS_URL=redis.url, UPSTREAM_URL=api.url, **provider.settings, **settings,
            )
        ).launch_ready()
        for number in (1, 2, 3)
    ]
    return Site(url, provider, redis, replicas, api)


@pytest.fixture(scope="module")
def site(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(module_servers, tmp_path_factory.mktemp("logout"))


def test_r26_r27_sid_ends_that_session_on_every_replica(site: Site) -> None:
    """R26, R27: 200 and no-store; the user's other sessions, and other users', go on."""
    one, two = site.log_in(sid="session-1"), site.log_in(sid="session-2")
    bob = site.log_in("bob", sid="session-3")
    assert [site.statuses(session) for session in (one, two, bob)] == [[200] * 3] * 3
    answer = site.end(site.provider.logout_token({"sid": "session-1", "sub": "alice"}), replica=1)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert site.statuses(one) == [401] * 3
    assert site.statuses(two) == site.statuses(bob) == [200] * 3
    # Who is logged out already is logged out.
    assert site.end(site.provider.logout_token({"sid": "session-1"})).status_code == 200
    assert "reason=revoked_by_provider" in site.replicas[1].log()


def test_r27_sub_alone_ends_all_sessions_of_the_user(site: Site) -> None:
    """R27: those of every replica, with a sid or without; nobody else's."""
    mine = [site.log_in("carol", sid) for sid in ("session-10", "session-11", None)]
    dave = site.log_in("dave", sid="session-12")
    answer = site.end(site.provider.logout_token({"sub": "carol", "sid": None}), replica=2)
    assert answer.status_code == 200
    for session in mine:
        assert site.statuses(session) == [401] * 3
    assert site.statuses(dave) == [200] * 3


def test_r26_each_replica_refuses_the_session_within_100_ms(site: Site) -> None:
    """R20, R26: whichever replica is told, near caches included; by the median, as the machine has other work too."""
    waits: list[float] = []
    for number in range(ROUNDS):
        sid = f"round-{number}"
        session = site.log_in(sid=sid)
        for _ in range(2):
            assert site.statuses(session) == [200] * 3
        told = number % 3
        token = site.provider.logout_token({"sid": sid})
        assert site.end(token, told).status_code == 200
        began = time.monotonic()
        for replica in site.replicas:
            while replica.me(session) != 401:
                assert time.monotonic() - began < 5, f"{replica.name} still knows the session"
        waits.append(time.monotonic() - began)
    # Three requests are in each of these.
    assert statistics.median(waits) < 0.1, sorted(waits)
    print(f"{ROUNDS} logouts: median {statistics.median(waits) * 1000:.1f} ms, longest {max(waits) * 1000:.1f} ms")


def wrong_tokens(provider: ScriptedProvider) -> dict[str, str]:
    """Logout tokens, each wrong in one way."""
    now = int(time.time())
    other = Key("key-1")
    public = json.dumps(provider.key.jwk).encode()
    make = provider.logout_token
    return {
        "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none": make(
            header={"alg": "none", "kid": None}, sign=lambda _: b""
        ),
        "oidcc-client-test-rp-backchannel-rpinitlogout-no-event": make({"events": None}),
        "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce": make({"nonce": "n"}),
        "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg": make(
            header={"alg": "HS256", "kid": None}, sign=hmac_with(CLIENT_SECRET.encode())
        ),
        "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud": make({"aud": "another"}),
        "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": make({"events": {EVENT + "x": {}}}),
        "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss": make({"iss": "https://evil.example"}),
        "HMAC with the public key": make(header={"alg": "HS256"}, sign=hmac_with(public)),
        "signature of another key": make(sign=other.signature),
        "unknown key": make(header={"kid": "key-2"}, sign=other.signature),
        "no signature": make(sign=lambda _: b""),
        "type of an ID token": make(header={"typ": "JWT"}),
        "no type": make(header={"typ": None}),
        "critical extension": make(header={"crit": ["exp"]}),
        "expired": make({"exp": now - 120}),
        "no exp": make({"exp": None}),
        "no iat": make({"iat": None}),
        "iat ahead": make({"iat": now + 600, "exp": now + 700}),
        "no jti": make({"jti": None}),
        "neither sid nor sub": make({"sid": None, "sub": None}),
        "sid not a string": make({"sid": 7}),
        "event without an object": make({"events": {EVENT: None}}),
        "events in a list": make({"events": [EVENT]}),
        "deeply nested": make({"x": json.loads("[" * 40 + "]" * 40)}),
        "not a token": "x",
        "five parts": "a.b.c.d.e",
        "empty": "",
    }


def test_r28_wrong_tokens_are_refused_and_leave_nothing(site: Site) -> None:
    """R26, R28, R53: 400 in JSON for each, under the names of the conformance suite where it has them."""
    session = site.log_in(sid="session-20")
    before = stored_keys(site.redis.client())
    for number, (name, token) in enumerate(wrong_tokens(site.provider).items()):
        answer = site.end(token, number % 3)
        assert answer.status_code == 400, f"{name}: {answer.status_code} {answer.text}"
        assert answer.json()["error"] == "invalid_request", name
        assert answer.headers["Cache-Control"] == "no-store", name
        assert CLIENT_SECRET not in answer.text and (not token or token not in answer.text), name
    for body, kind in [
        ("", "application/x-www-form-urlencoded"), ("logout_token=a&logout_token=b", "application/x-www-form-urlencoded"),
        ("{}", "application/json"), (f"logout_token={site.provider.logout_token()}", "text/plain"),
    ]:
        answer = requests.post(site.url + PATH, data=body, headers={"Content-Type": kind}, timeout=30)
        assert answer.status_code == 400, body
    large = requests.post(site.url + PATH, data={"logout_token": "a" * 70_000}, timeout=30)
    assert large.status_code == 413
    assert requests.get(site.url + PATH, timeout=30).status_code == 405
    assert site.statuses(session) == [200] * 3
    assert stored_keys(site.redis.client()) == before


def test_r28_an_id_token_is_no_logout_token(site: Site) -> None:
    session = site.log_in(sid="session-21")
    record = json.loads(site.redis.client().get("session:" + session))
    assert site.end(record["tokens"]["id_token"]).status_code == 400
    assert site.statuses(session) == [200] * 3


def test_r28_a_token_is_good_once_on_all_replicas_together(site: Site) -> None:
    """R28: of 30 at once on three replicas one is accepted, and a replay ends no session that began later."""
    token = site.provider.logout_token({"sub": "erin", "sid": None})
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda number: site.end(token, number % 3).status_code, range(30)))
    assert sorted(statuses) == [200] + [400] * 29
    session = site.log_in("erin", sid="session-22")
    answer = site.end(token, 1)
    assert answer.status_code == 400 and "used before" in answer.json()["error_description"]
    assert site.statuses(session) == [200] * 3
    # Its name is remembered for as long as the token would be accepted.
    client = site.redis.client()
    lives = [client.pttl(key) for key in client.scan_iter("session-once:logout-*")]
    assert lives and all(0 < life <= 720_000 for life in lives)


def test_r30_a_logout_during_the_login_wins(site: Site) -> None:
    """R27, R30: the code is being redeemed on one replica as another is told of the logout."""
    for claims in ({"sid": "session-30", "sub": "frank"}, {"sub": "frank", "sid": None}):
        http_session = requests.Session()
        site.provider.sid = "session-30"
        start = begin_login(http_session, site.url)
        callback = site.provider.sign_in(http_session, start.headers["Location"], "frank")
        before = set(site.redis.client().scan_iter("session:*"))
        site.provider.asked.clear()
        site.provider.may_answer.clear()
        with ThreadPoolExecutor(1) as pool:
            finishing = pool.submit(finish_login, http_session, callback)
            try:
                assert site.provider.asked.wait(20)
                assert site.end(site.provider.logout_token(claims), 2).status_code == 200
            finally:
                site.provider.may_answer.set()
            answer = finishing.result()
        assert answer.status_code == 403, f"{claims}: {answer.status_code} {answer.text[:300]}"
        assert COOKIE not in http_session.cookies
        assert not set(site.redis.client().scan_iter("session:*")) - before
        # The next login of the same user is another, in another session of the provider's.
        assert site.statuses(site.log_in("frank", sid=f"session-31-{claims['sid']}")) == [200] * 3


def test_r30_a_logout_during_a_refresh_wins(servers: Servers, tmp_path: Path) -> None:
    """R30: the provider is asked for new tokens on one replica as another is told of the logout."""
    site = make_site(servers, tmp_path, lifetime=4, REFRESH_MARGIN="2s")
    session = site.log_in(sid="session-40")
    site.provider.asked.clear()
    site.provider.may_answer.clear()
    answers: list[int] = []
    over = threading.Event()

    def use() -> None:
        while not over.is_set():
            answers.append(site.replicas[0].get("/api/x", session, headers={"X-CSRF": "1"}).status_code)

    user = threading.Thread(target=use)
    user.start()
    try:
        assert site.provider.asked.wait(20), "no refresh began"
        assert site.end(site.provider.logout_token({"sid": "session-40"}), 2).status_code == 200
        assert site.statuses(session) == [401] * 3
        site.provider.may_answer.set()
        eventually("the user is refused", lambda: answers and answers[-1] == 401)
        # The refresh has ended by now: nothing revives the session.
        eventually("the lease is given back", lambda: not stored_keys(site.redis.client(), "session-lease:*"))
        assert site.statuses(session) == [401] * 3
        assert not set(site.redis.client().scan_iter("session:*"))
    finally:
        over.set()
        site.provider.may_answer.set()
        user.join()


def test_r42_503_while_redis_is_away_and_then_the_same_token_is_good(servers: Servers, tmp_path: Path) -> None:
    """R26, R42: the provider may send it again; the session ends then, and the token is used up."""
    site = make_site(servers, tmp_path)
    session = site.log_in(sid="session-50")
    token = site.provider.logout_token({"sid": "session-50"})
    site.redis.kill()
    answer = site.end(token)
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    site.redis.launch()
    eventually("ready again", lambda: all(replica.status("/readyz") == 200 for replica in site.replicas))
    assert site.statuses(session) == [200] * 3
    assert site.end(token, 1).status_code == 200
    assert site.statuses(session) == [401] * 3
    assert site.end(token, 2).status_code == 400


def test_r28_older_providers_need_the_lenient_setting(servers: Servers, tmp_path: Path) -> None:
    """R28: Keycloak before 24 sends the type JWT, and one version no exp; all else is checked as ever."""
    site = make_site(servers, tmp_path, OIDC_LOGOUT_TOKEN_TYPES="lenient")
    make = site.provider.logout_token
    for number, (header, claims) in enumerate(
        [({"typ": "JWT"}, {}), ({"typ": None}, {}), ({"typ": "JWT"}, {"exp": None}), ({}, {})]
    ):
        session = site.log_in(sid=f"session-6{number}")
        assert site.end(make({"sid": f"session-6{number}", **claims}, header), number % 3).status_code == 200
        assert site.statuses(session) == [401] * 3
    still_wrong = {
        name: token for name, token in wrong_tokens(site.provider).items()
        if name not in ("type of an ID token", "no type", "no exp")
    }
    for name, token in still_wrong.items():
        assert site.end(token).status_code == 400, name
    old = make({"exp": None, "iat": int(time.time()) - 600}, {"typ": "JWT"})
    assert site.end(old).status_code == 400


def test_r29_front_channel_needs_both_issuer_and_sid(site: Site) -> None:
    """R29: with them the session ends without its cookie, as in a frame of another site; else nothing happens."""
    session = site.log_in(sid="session-70")
    issuer = site.provider.issuer

    def front(replica: int, **parameters: str) -> requests.Response:
        query = urlencode(parameters)
        return requests.get(f"{site.replicas[replica].url}/auth/frontchannel-logout?{query}", timeout=30)

    for wrong in (
        {}, {"sid": "session-70"}, {"iss": issuer}, {"iss": issuer + "/", "sid": "session-70"},
        {"iss": "https://evil.example", "sid": "session-70"},
    ):
        assert front(0, **wrong).status_code == 400
    assert front(0, iss=issuer, sid="session-7").status_code == 200
    assert site.statuses(session) == [200] * 3
    answer = front(1, iss=issuer, sid="session-70")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert f"frame-ancestors {issuer}" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert site.statuses(session) == [401] * 3


def test_r53_thousands_of_tokens_for_unknown_sessions_are_bounded(servers: Servers, tmp_path: Path) -> None:
    """R50, R53: each leaves two small keys that end by themselves, and users are served all the while."""
    site = make_site(servers, tmp_path, LOG_LEVEL="error")
    session = site.log_in(sid="session-80")
    tokens = [site.provider.logout_token({"sid": f"unknown-{number}"}) for number in range(FLOOD)]
    before = [replica.resident_bytes for replica in site.replicas]

    def send(worker: int) -> int:
        replica = site.replicas[worker % 3]
        connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=30)
        accepted = 0
        for token in tokens[worker::6]:
            connection.request(
                "POST", PATH, f"logout_token={quote(token)}", {"Content-Type": "application/x-www-form-urlencoded"}
            )
            answer = connection.getresponse()
            answer.read()
            accepted += answer.status == 200
        connection.close()
        return accepted

    served: list[int] = []
    with ThreadPoolExecutor(6) as pool:
        sending = [pool.submit(send, worker) for worker in range(6)]
        while not all(one.done() for one in sending):
            served += site.statuses(session)
        assert sum(one.result() for one in sending) == FLOOD
    assert served and set(served) == {200}
    client = site.redis.client()
    keys = list(client.scan_iter("session-once:logout-*", count=5000))
    assert len(keys) <= 2 * FLOOD
    pipeline = client.pipeline()
    for key in keys:
        pipeline.pttl(key)
    assert all(0 < life <= 720_000 for life in pipeline.execute())
    grown = [replica.resident_bytes - was for replica, was in zip(site.replicas, before)]
    assert max(grown) < 64 << 20, grown
    assert get(site.url + "/auth/me", session).status_code == 200
