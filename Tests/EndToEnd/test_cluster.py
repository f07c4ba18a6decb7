"""Three replicas behind haproxy, one Redis, a provider that we did not write: one session for all."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from support.gateway import REPLICA_HEADER, Gateway, get
from support.haproxy import HAProxy
from support.login import begin_login, finish_login, log_in, session_of
from support.ports import free_port
from support.providers import Kind, Provider
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


@pytest.fixture(scope="module")
def cluster(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind) -> Cluster:
    directory: Path = tmp_path_factory.mktemp("cluster")
    port = free_port()
    url = f"http://localhost:{port}"
    redis = module_servers.add(RedisServer(directory / "redis")).launch()
    provider = module_servers.add(Provider(any_provider, directory / "provider", url)).launch()
    replicas = [
        module_servers.add(
            Gateway(directory / name, name, PUBLIC_URL=url, REDIS_URL=redis.url, **provider.settings)
        ).launch_ready()
        for name in NAMES
    ]
    proxy = module_servers.add(HAProxy(directory / "haproxy", [replica.port for replica in replicas], port)).launch()
    cluster = Cluster(url, redis, provider, replicas)
    all_in_rotation(cluster)
    assert proxy.is_running
    return cluster


def all_in_rotation(cluster: Cluster) -> None:
    """Returns when the proxy sends requests to each replica."""

    def seen() -> bool:
        names = {get(cluster.url + "/healthz").headers.get(REPLICA_HEADER) for _ in range(6)}
        return names == set(NAMES)

    eventually("the proxy uses all replicas", seen, within=30)


@pytest.fixture
def session(cluster: Cluster) -> str:
    """A fresh session of alice, logged in through the proxy."""
    return log_in(requests.Session(), cluster.url, cluster.provider)


def test_300_requests_spread_over_all_replicas_see_one_user(cluster: Cluster, session: str) -> None:
    replicas: Counter[str] = Counter()
    users: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for _ in range(300):
        answer = get(cluster.url + "/auth/me", session)
        statuses[answer.status_code] += 1
        replicas[answer.headers[REPLICA_HEADER]] += 1
        users[json.dumps(answer.json(), sort_keys=True)] += 1
    assert statuses == {200: 300}
    assert set(replicas) == set(NAMES)
    assert min(replicas.values()) >= 90, f"not round robin: {replicas}"
    assert len(users) == 1
    assert json.loads(next(iter(users)))["email"] == "alice@example.test"


@pytest.mark.parametrize("first", range(3), ids=NAMES)
def test_login_begun_on_one_replica_ends_on_the_next(cluster: Cluster, first: int) -> None:
    """The half-done login lives in no replica's memory."""
    begins, ends = cluster.replicas[first], cluster.replicas[(first + 1) % 3]
    http = requests.Session()
    start = begin_login(http, begins.url)
    callback_url = cluster.provider.sign_in(http, start.headers["Location"])
    end = finish_login(http, callback_url.replace(cluster.url, ends.url))
    assert end.is_redirect, f"{end.status_code}: {end.text[:500]}"
    assert (start.headers[REPLICA_HEADER], end.headers[REPLICA_HEADER]) == (begins.name, ends.name)
    assert get(cluster.url + "/auth/me", session_of(http)).status_code == 200


def test_round_robin_login_ends_on_another_replica(cluster: Cluster) -> None:
    """The same with nobody's help: two requests in a row go to two replicas."""
    http = requests.Session()
    start = begin_login(http, cluster.url)
    callback_url = cluster.provider.sign_in(http, start.headers["Location"])
    end = finish_login(http, callback_url)
    assert end.is_redirect, f"{end.status_code}: {end.text[:500]}"
    assert end.headers[REPLICA_HEADER] != start.headers[REPLICA_HEADER]
    landing = http.get(urljoin(cluster.url, end.headers["Location"]), timeout=30)
    assert landing.status_code == 200
    assert "Alice Test" in landing.text


def test_logout_on_one_replica_holds_on_all(cluster: Cluster) -> None:
    """R20: after the answer to the logout no replica knows the session."""
    http = requests.Session()
    session = log_in(http, cluster.url, cluster.provider)
    for replica in cluster.replicas:
        assert replica.get("/auth/me", session).status_code == 200
    assert http.get(cluster.url + "/auth/logout", allow_redirects=False, timeout=30).status_code in (302, 303)
    for replica in cluster.replicas:
        assert replica.get("/auth/me", session).status_code == 401
    assert cluster.redis.client().get("session:" + session) is None


def test_record_in_redis_has_the_frozen_form(cluster: Cluster) -> None:
    """Key, members, times and TTL of what a login writes, as Python reads them."""
    client = cluster.redis.client()
    before = set(client.scan_iter("session:*"))
    session = log_in(requests.Session(), cluster.url, cluster.provider)
    # One key more that matches: nothing else of ours does.
    assert set(client.scan_iter("session:*")) - before == {"session:" + session}
    assert client.type("session:" + session) == "string"

    record = json.loads(client.get("session:" + session))
    # Exactly these: the four that others may rely on, and ours. The provider's `sid` is there if it names one.
    assert set(record) - {"sid"} == {"tokens", "user_info", "created_at", "expires_at", "issuer", "client"}
    assert record["issuer"] == cluster.provider.settings["OIDC_ISSUER"]
    assert set(record["client"]) == {"user_agent", "address"}
    assert record["client"]["user_agent"].startswith("python-requests/")
    tokens = record["tokens"]
    assert {"access_token", "refresh_token", "id_token", "expires_in", "refresh_expires_in"} <= set(tokens)
    assert all(isinstance(tokens[name], str) and tokens[name] for name in ("access_token", "refresh_token", "id_token"))
    assert tokens["expires_in"] == 300
    assert tokens["refresh_expires_in"] is None or isinstance(tokens["refresh_expires_in"], int)
    assert record["user_info"]["email"] == "alice@example.test"
    assert record["user_info"]["name"] == "Alice Test"
    assert isinstance(record["user_info"]["sub"], str)

    form = "%Y-%m-%dT%H:%M:%S"
    created, expires = (datetime.strptime(record[name], form) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(hours=8)
    # The replicas run with a local time that is 5:30 h ahead; the record must not.
    assert abs(datetime.now(timezone.utc).replace(tzinfo=None) - created) < timedelta(minutes=2)
    assert 28800 - 120 < client.ttl("session:" + session) <= 28800
    # Pending logins and whatever else is there: a key without a TTL is a bug.
    assert {key for key in client.scan_iter() if client.ttl(key) == -1} == set()


@dataclass
class Load:
    """Requests of one session through the proxy until told to stop, and what became of them."""

    url: str
    session: str
    sub: str
    threads: int = 4
    good: Counter[str] = field(default_factory=Counter)
    proxy_errors: int = 0
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._workers = [threading.Thread(target=self._work) for _ in range(self.threads)]
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for worker in self._workers:
            worker.join(60)

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                answer = get(self.url + "/auth/me", self.session)
            except requests.RequestException:
                with self._lock:
                    self.proxy_errors += 1
                continue
            replica = answer.headers.get(REPLICA_HEADER)
            with self._lock:
                if answer.status_code == 200 and replica and answer.json().get("sub") == self.sub:
                    self.good[replica] += 1
                elif answer.status_code in (502, 503, 504) and replica is None:
                    self.proxy_errors += 1
                else:
                    self.wrong.append(f"{answer.status_code} from {replica}: {answer.text[:200]}")

    def answers_of(self, replica: str) -> int:
        with self._lock:
            return self.good[replica]


def test_killing_each_replica_in_turn_under_load_loses_nobody(cluster: Cluster, session: str) -> None:
    """Every answer that a replica gives is 200 and the right user: no 401, no other user, ever.

    What the proxy itself says of a request whose replica was killed under it is not the gateway's; there are at most
    as many of these per kill as requests were under way.
    """
    sub = get(cluster.url + "/auth/me", session).json()["sub"]
    with Load(cluster.url, session, sub) as load:
        for replica in cluster.replicas:
            eventually(f"{replica.name} answers", lambda: load.answers_of(replica.name) > 0, within=30)
            replica.kill()
            replica.launch_ready()
            before = load.answers_of(replica.name)
            eventually(f"{replica.name} answers again", lambda: load.answers_of(replica.name) >= before + 10, within=30)
    assert load.wrong == []
    assert set(load.good) == set(NAMES)
    assert load.proxy_errors <= load.threads * len(cluster.replicas), f"{load.proxy_errors} of {load.good}"
    assert get(cluster.url + "/auth/me", session).json()["sub"] == sub
