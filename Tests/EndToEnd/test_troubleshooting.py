"""docs/troubleshooting.md: each symptom is provoked for real, looks as the guide says, and `cloakroom check` names it.

A symptom of the guide that has no test here is a failure.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Callable, Iterator, TypeVar

import pytest
import redis as redis_errors
import requests

from support.api import API
from support.certificates import Authority
from support.gateway import REPLICA_HEADER, Gateway, get, new_key
from support.guide import Symptom, symptoms
from support.login import begin_login, finish_login, session_of
from support.ports import accepts, free_port
from support.providers import DJANGO, Provider
from support.records import new_id, put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.site import Site, configured, launch_all, log_of, shown
from support.wait import eventually

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not DJANGO.is_installed, reason="needs django-oauth-toolkit (requirements-providers.txt)"),
]

GUIDE = symptoms()
PROVEN: set[str] = set()
Test = TypeVar("Test", bound=Callable[..., None])


def proves(heading: str) -> Callable[[Test], Test]:
    """Marks the test of a symptom, which gets that section as `symptom`."""
    PROVEN.add(heading)
    return pytest.mark.parametrize("symptom", [GUIDE.get(heading)], ids=[heading])


def test_each_symptom_of_the_guide_is_provoked_here() -> None:
    assert set(GUIDE) == PROVEN
    assert len(GUIDE) >= 13


@pytest.fixture(scope="module")
def site(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Site:
    directory = tmp_path_factory.mktemp("site")
    port = free_port()
    directives = {"enable-debug-command": "yes", "enable-protected-configs": "yes"}
    redis = module_servers.add(RedisServer(directory / "redis", **directives)).launch()
    provider = module_servers.add(Provider(DJANGO, directory / "provider", f"http://localhost:{port}")).launch()
    gateway = Gateway(directory / "web-1", name="web-1")
    site = Site(redis, provider, gateway, port, directory)
    gateway.environment.update({name: value for name, value in site.settings().items() if value is not None})
    module_servers.add(gateway).launch_ready()
    return site


@pytest.fixture(autouse=True)
def clean(site: Site) -> Iterator[None]:
    yield
    # But for what replicas say of themselves, which they repeat only every 20 seconds.
    client = site.redis.raw_client()
    for key in list(client.scan_iter(b"*")):
        if not key.startswith(b"session-replica:"):
            client.delete(key)


# Redis


@proves("Connection refused")
def test_connection_refused(site: Site, servers: Servers, symptom: Symptom) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    said = site.checks({"REDIS_URL": url})
    gateway = site.replica(servers, "refused", REDIS_URL=url).launch()
    answer = gateway.get("/auth/me", new_id())
    symptom.assert_seen(shown(answer) + "\n" + log_of(gateway, "connection refused"))
    symptom.assert_checked(said())
    symptom.try_by_hand(site.directory, **{**site.environment(), "REDIS_URL": url})


@proves("Sessions disappear")
def test_sessions_disappear(site: Site, servers: Servers, symptom: Symptom) -> None:
    directives = {"maxmemory": "4mb", "maxmemory-policy": "allkeys-lru"}
    redis = servers.add(RedisServer(site.directory / "evicting", name="evicting", **directives)).launch()
    gateway = site.replica(servers, "evicted", REDIS_URL=redis.url).launch_ready()
    client = redis.client()
    session = put(client, record())
    assert gateway.me(session) == 200

    def is_gone() -> bool:
        for _ in range(200):
            put(client, record(filling="x" * 2000))
        return not client.exists("session:" + session)

    eventually("Redis evicts the session", is_gone, within=30)
    eventually("the user is logged out", lambda: gateway.me(session) == 401)
    symptom.assert_seen(shown(gateway.get("/auth/me", session)) + "\n" + log_of(gateway, "check=eviction"))
    symptom.assert_checked(site.check(REDIS_URL=redis.url))
    symptom.try_by_hand(site.directory, **{**site.environment(), "REDIS_URL": redis.url})


@proves("Sessions are not shared between replicas")
def test_sessions_are_not_shared(site: Site, servers: Servers, symptom: Symptom) -> None:
    stranger = site.replica(servers, "web-2", REDIS_ENABLED="false").launch_ready()
    site.proxy(servers, site.gateway, stranger)
    session = put(site.redis.client(), record())
    answers = [get(site.public_url + "/auth/me", session) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200, 401}
    seen = [f"{answer.headers[REPLICA_HEADER]} {answer.status_code}" for answer in answers]
    symptom.assert_seen("\n".join([*seen, stranger.log()]))
    eventually("it has announced itself", lambda: "web-2" in site.check("--read-only"))
    symptom.assert_checked(site.check())
    symptom.try_by_hand(site.directory, **site.environment())


@proves("Redis is not found, or does not answer")
def test_redis_does_not_answer(site: Site, servers: Servers, symptom: Symptom) -> None:
    url = "redis://redis.invalid:6379/0"
    nowhere = site.replica(servers, "nowhere", REDIS_URL=url).launch()
    log = log_of(nowhere, "resolved")
    redis = servers.add(RedisServer(site.directory / "hanging", name="hanging")).launch()
    hanging = site.replica(servers, "hangs", REDIS_URL=redis.url).launch_ready()
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        said = site.checks({"REDIS_URL": url}, {"REDIS_URL": redis.url})
        answer = hanging.get("/auth/me", new_id())
        symptom.assert_seen(log + log_of(hanging, "did not answer") + shown(answer))
        symptom.assert_checked(said())
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    symptom.try_by_hand(site.directory, **site.environment())


@proves("Redis wants a password, or refuses it")
def test_redis_wants_a_password(site: Site, servers: Servers, symptom: Symptom) -> None:
    redis = servers.add(RedisServer(site.directory / "guarded", password="the-password", name="guarded")).launch()
    without = redis.url.replace(":the-password@", "")
    wrong = redis.url.replace("the-password", "another")
    gateways = [site.replica(servers, "without", REDIS_URL=without), site.replica(servers, "wrong", REDIS_URL=wrong)]
    said = site.checks({"REDIS_URL": without}, {"REDIS_URL": wrong})
    launch_all(gateways)
    symptom.assert_seen("\n".join(log_of(gateway, "Redis connection failed") for gateway in gateways))
    symptom.assert_checked(said())
    symptom.try_by_hand(site.directory, **{**site.environment(), "REDIS_URL": redis.url})


@proves("Certificate error on the way to Redis")
def test_certificate_errors(site: Site, servers: Servers, symptom: Symptom) -> None:
    authority = Authority(site.directory / "ca", "authority")
    redises = {}
    for name, days in (("good", 30), ("expired", -1)):
        certificate, key = authority.sign(name, days)
        redis = RedisServer(site.directory / f"tls-{name}", name=f"tls-{name}")
        config = redis.directory / "redis.conf"
        config.write_text(
            config.read_text().replace(f"port {redis.port}\n", "port 0\n")
            + f"tls-port {redis.port}\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-auth-clients no\n"
            + f"tls-ca-cert-file {authority.certificate}\n"
        )
        servers.add(redis).start(lambda redis=redis: accepts(redis.port))
        redises[name] = redis
    good, expired = redises["good"].port, redises["expired"].port
    cases: list[dict[str, str | None]] = [
        {"REDIS_URL": f"rediss://127.0.0.1:{good}", "REDIS_TLS_CA_FILE": None},
        {"REDIS_URL": f"rediss://127.0.0.1:{expired}", "REDIS_TLS_CA_FILE": str(authority.certificate)},
        {"REDIS_URL": f"rediss://localhost:{good}", "REDIS_TLS_CA_FILE": str(authority.certificate)},
        {"REDIS_URL": site.redis.url.replace("redis://", "rediss://"), "REDIS_TLS_CA_FILE": None},
        {"REDIS_URL": f"redis://127.0.0.1:{good}", "REDIS_TLS_CA_FILE": None},
    ]
    gateways = [site.replica(servers, f"tls-{number}", **case) for number, case in enumerate(cases)]
    said = site.checks(*cases)
    launch_all(gateways)
    logs = [log_of(gateway, "Redis connection failed") for gateway in gateways]
    symptom.assert_seen("\n".join(logs))
    symptom.assert_checked(said())
    symptom.try_by_hand(
        site.directory, **{**site.environment(), "REDIS_PORT": str(good), "REDIS_TLS_CA_FILE": str(authority.certificate)}
    )


@proves("Redis is out of memory")
def test_redis_is_out_of_memory(site: Site, symptom: Symptom) -> None:
    client = site.redis.client()
    session = put(client, record())
    with configured(site, maxmemory="1mb", maxmemory_policy="noeviction"):
        _, answer = site.log_in(site.gateway)
        # Who is logged in stays so.
        assert site.gateway.me(session) == 200
        symptom.assert_seen(shown(answer) + "\n" + log_of(site.gateway, "OOM"))
        symptom.assert_checked(site.check())
        symptom.try_by_hand(site.directory, **site.environment())


@proves("Redis can't write to its disk")
def test_redis_cannot_write_to_its_disk(site: Site, servers: Servers, symptom: Symptom) -> None:
    directives = {"appendonly": "no", "save": "3600 1", "enable-protected-configs": "yes"}
    redis = servers.add(RedisServer(site.directory / "full", name="full", **directives)).launch()
    gateway = site.replica(servers, "full-disk", REDIS_URL=redis.url).launch_ready()
    client = redis.client()
    put(client, record())
    # No program may write there.
    client.config_set("dir", "/proc")
    try:
        client.bgsave()
        eventually("saving fails", lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        answer = gateway.get("/auth/login")
        symptom.assert_seen(shown(answer) + "\n" + log_of(gateway, "MISCONF"))
        symptom.assert_checked(site.check(REDIS_URL=redis.url))
        symptom.try_by_hand(site.directory, **{**site.environment(), "REDIS_URL": redis.url})
    finally:
        client.config_set("dir", str(redis.directory))


@proves("Too many connections to Redis")
def test_too_many_connections(site: Site, servers: Servers, symptom: Symptom) -> None:
    redis = servers.add(RedisServer(site.directory / "crowded", name="crowded", maxclients="4")).launch()
    hold = []
    # As many as there is room for: that which found the server ready may still be there.
    with pytest.raises(redis_errors.ConnectionError):
        while True:
            client = redis.client()
            client.ping()
            hold.append(client)
    gateway = site.replica(servers, "crowded-out", REDIS_URL=redis.url).launch()
    log = log_of(gateway, "maxclients")
    hold.pop().close()
    hold.pop().close()
    assert gateway.stop() == 0
    symptom.assert_seen(log)
    symptom.assert_checked(site.check("--read-only", REDIS_URL=redis.url))
    for client in hold:
        client.close()
    symptom.try_by_hand(site.directory, **{**site.environment(), "REDIS_URL": redis.url})


@proves("Slow")
def test_slow(site: Site, symptom: Symptom) -> None:
    over = threading.Event()

    def hold_up() -> None:
        client = site.redis.client()
        while not over.wait(0.02):
            client.execute_command("DEBUG", "SLEEP", "0.25")

    thread = threading.Thread(target=hold_up)
    thread.start()
    try:
        eventually("a request is slow", lambda: site.gateway.get("/auth/me", new_id()).elapsed.total_seconds() > 0.1)
        symptom.assert_seen(site.gateway.log())
        symptom.assert_checked(site.check("--read-only"))
        symptom.try_by_hand(site.directory, **site.environment())
    finally:
        over.set()
        thread.join()


# Sessions


@proves("Everyone is logged out after a deploy")
def test_everyone_is_logged_out_after_a_deploy(site: Site, servers: Servers, symptom: Symptom) -> None:
    session = put(site.redis.client(), record())
    gateway = site.replica(servers, "deployed").launch_ready()
    assert gateway.me(session) == 200
    gateway.restart(REDIS_KEY_PREFIX="app:session:")
    symptom.assert_seen(shown(gateway.get("/auth/me", session)))
    gateway.restart(REDIS_KEY_PREFIX=None, REDIS_URL=site.redis.url.replace("/0", "/7"))
    assert gateway.me(session) == 401
    said = site.checks({"REDIS_KEY_PREFIX": "app:session:"}, {"REDIS_URL": site.redis.url.replace("/0", "/7")})
    symptom.assert_checked(said())
    symptom.try_by_hand(site.directory, **site.environment())


@proves("Sealed sessions are not opened after a change of keys")
def test_sealed_sessions_are_not_opened(site: Site, servers: Servers, symptom: Symptom) -> None:
    gateway = site.replica(servers, "sealing", SESSION_KEYS=new_key(site.directory)).launch_ready()
    http, _ = site.log_in(gateway)
    session = session_of(http)
    assert gateway.me(session) == 200
    key = new_key(site.directory)
    gateway.restart(SESSION_KEYS=key)
    answer = gateway.get("/auth/me", session)
    symptom.assert_seen(shown(answer) + "\n" + log_of(gateway, "which the keyring lacks"))
    symptom.assert_checked(site.check(SESSION_KEYS=key))
    symptom.try_by_hand(site.directory, **site.environment())


@proves("Replicas have different settings")
def test_replicas_have_different_settings(site: Site, servers: Servers, symptom: Symptom) -> None:
    redis = servers.add(RedisServer(site.directory / "shared", name="shared")).launch()
    one = site.replica(servers, "web-3", REDIS_URL=redis.url, SESSION_KEYS=(key := new_key(site.directory)))
    two = site.replica(
        servers, "web-4", REDIS_URL=redis.url, SESSION_KEYS=new_key(site.directory), SESSION_TIMEOUT="4h"
    )
    one.launch_ready()
    two.launch_ready()
    http, _ = site.log_in(one)
    statuses = [gateway.me(session_of(http)) for gateway in (one, two)]
    assert statuses == [200, 401]
    symptom.assert_seen(log_of(two, "which the keyring lacks"))

    def said() -> str | None:
        text = site.check(REDIS_URL=redis.url, SESSION_KEYS=key)
        return text if "2: web-3, web-4" in text else None

    symptom.assert_checked(eventually("both have announced themselves", said) or "")
    symptom.try_by_hand(site.directory, **{**site.environment(), "REDIS_URL": redis.url})


# Login


def whole_login(site: Site) -> tuple[requests.Session, requests.Response]:
    """A login at PUBLIC_URL, through whatever stands there."""
    http = requests.Session()
    start = begin_login(http, site.public_url)
    return http, finish_login(http, site.provider.sign_in(http, start.headers["Location"]))


@proves("The login goes round in circles")
def test_the_login_goes_round_in_circles(site: Site, servers: Servers, symptom: Symptom) -> None:
    # As a CDN does that passes cookies on for the paths alone that it was told of.
    site.proxy(servers, rules=("http-request del-header cookie unless { path_beg /auth/login /auth/callback }",))
    said = []
    for _ in range(2):
        http, answer = whole_login(site)
        assert answer.status_code == 303
        said += ["GET /auth/callback " + shown(answer), "GET /auth/me " + shown(
            http.get(site.public_url + "/auth/me", timeout=10)
        )]
    for _ in range(5):
        begin_login(http, site.public_url, return_to="/page")
    stopped = http.get(site.public_url + "/auth/login?return_to=/page", timeout=10, allow_redirects=False)
    said.append("GET /auth/login " + shown(stopped))
    log = log_of(site.gateway, "A session began") + log_of(site.gateway, "round in circles")
    symptom.assert_seen("\n".join(said) + "\n" + log)
    symptom.assert_checked(site.check())
    symptom.try_by_hand(site.directory, **site.environment())


@proves("This login can't be completed")
def test_this_login_cannot_be_completed(site: Site, servers: Servers, symptom: Symptom) -> None:
    site.proxy(servers, rules=("http-response del-header set-cookie",))
    _, answer = whole_login(site)
    symptom.assert_seen(shown(answer) + "\n" + log_of(site.gateway, "Refused a callback"))
    symptom.assert_checked(site.check())
    symptom.try_by_hand(site.directory, **site.environment())


@proves("The provider refuses the redirect URI")
def test_the_provider_refuses_the_redirect_uri(site: Site, servers: Servers, symptom: Symptom) -> None:
    other = f"http://localhost:{free_port()}"
    gateway = site.replica(servers, "moved", PUBLIC_URL=other).launch()
    http = requests.Session()
    location = begin_login(http, gateway.url).headers["Location"]
    # This provider has its users log in first, and complains then.
    with pytest.raises(AssertionError, match="400"):
        site.provider.sign_in(http, location)
    symptom.assert_seen(location)
    symptom.assert_checked(site.check(PUBLIC_URL=other))
    symptom.try_by_hand(site.directory, **site.environment())


@proves("The provider refuses the client")
def test_the_provider_refuses_the_client(site: Site, servers: Servers, symptom: Symptom) -> None:
    gateway = site.replica(servers, "refused-client", OIDC_CLIENT_SECRET="not-the-secret").launch_ready()
    _, answer = site.log_in(gateway)
    symptom.assert_seen(shown(answer) + "\n" + log_of(gateway, "A login failed"))
    symptom.assert_checked(site.check(OIDC_CLIENT_SECRET="not-the-secret"))
    symptom.try_by_hand(site.directory, **site.environment())


@proves("The provider can't be used")
def test_the_provider_cannot_be_used(site: Site, servers: Servers, symptom: Symptom) -> None:
    issuers = [f"http://127.0.0.1:{free_port()}/o", site.provider.issuer.replace("127.0.0.1", "localhost")]
    gateways = [site.replica(servers, f"provider-{number}", OIDC_ISSUER=it) for number, it in enumerate(issuers)]
    said = site.checks(*({"OIDC_ISSUER": issuer} for issuer in issuers))
    launch_all(gateways)
    seen = ""
    for gateway in gateways:
        eventually("it is ready", lambda gateway=gateway: gateway.status("/readyz") == 200)
        answer = gateway.get("/auth/login")
        seen += shown(answer) + "\n" + log_of(gateway, "The identity provider can't be used yet")
    symptom.assert_seen(seen)
    symptom.assert_checked(said())
    symptom.try_by_hand(site.directory, **site.environment())


@proves("Logins fail because a clock is off")
def test_a_clock_is_off(site: Site, servers: Servers, symptom: Symptom) -> None:
    ahead = Provider(DJANGO, site.directory / "ahead", site.public_url, clock_offset=300)
    servers.add(ahead).launch()
    gateway = site.replica(servers, "behind", **ahead.settings).launch_ready()
    _, answer = site.log_in(gateway, ahead)
    symptom.assert_seen(shown(answer) + "\n" + log_of(gateway, "A login failed"))
    symptom.assert_checked(site.check(**ahead.settings))
    symptom.try_by_hand(site.directory, **{**site.environment(), "OIDC_ISSUER": ahead.issuer})


# Requests


@proves("503 with Retry-After")
def test_503(site: Site, servers: Servers, symptom: Symptom) -> None:
    redis = servers.add(RedisServer(site.directory / "dying", name="dying")).launch()
    gateway = site.replica(servers, "bereft", REDIS_URL=redis.url).launch_ready()
    session = put(redis.client(), record())
    assert gateway.me(session) == 200
    redis.kill()
    said = site.checks({"REDIS_URL": redis.url})
    eventually("the loss is noticed", lambda: gateway.status("/readyz") == 503)
    answer = gateway.get("/auth/me", session)
    assert "Set-Cookie" not in answer.headers, "the user stays logged in"
    symptom.assert_seen(shown(answer) + "\n" + log_of(gateway, "The session store failed"))
    symptom.assert_checked(said())
    redis.launch()
    eventually("the user goes on", lambda: gateway.me(session) == 200)
    symptom.try_by_hand(site.directory, **site.environment())


@proves("502 or 504 from the upstream")
def test_502_and_504(site: Site, servers: Servers, symptom: Symptom) -> None:
    absent = f"http://127.0.0.1:{free_port()}"
    session = put(site.redis.client(), record())

    def call(gateway: Gateway) -> str:
        answer = gateway.get("/api/x", session, headers={"X-CSRF": "1"})
        return shown(answer) + "\n" + log_of(gateway, "The upstream failed")

    with API() as api:
        api.may_answer.clear()
        said = site.checks({"UPSTREAM_URL": absent}, {"UPSTREAM_URL": api.url})
        dead = site.replica(servers, "no-upstream", UPSTREAM_URL=absent).launch_ready()
        mute = site.replica(servers, "mute-upstream", UPSTREAM_URL=api.url, UPSTREAM_TIMEOUT="1s").launch_ready()
        symptom.assert_seen(call(dead) + "\n" + call(mute))
        symptom.assert_checked(said())
    symptom.try_by_hand(site.directory, **{**site.environment(), "UPSTREAM_URL": absent})


@proves("403 missing_csrf_header or cross_site_request")
def test_403(site: Site, servers: Servers, symptom: Symptom) -> None:
    session = put(site.redis.client(), record())
    with API() as api:
        gateway = site.replica(servers, "web-5", UPSTREAM_URL=api.url).launch_ready()
        site.proxy(servers, gateway, rules=("http-request del-header x-csrf",))
        seen = [
            get(site.public_url + "/api/x", session, headers={"X-CSRF": "1"}),
            gateway.get("/api/x", session, headers={"X-CSRF": "1", "Origin": "https://elsewhere.example"}),
        ]
        symptom.assert_seen("\n".join(map(shown, seen)))
        symptom.assert_checked(site.check(UPSTREAM_URL=api.url))
    symptom.try_by_hand(site.directory, **site.environment())
