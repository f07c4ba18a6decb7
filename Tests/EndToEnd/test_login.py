"""Login, UserInfo and logout with OpenID providers that we did not write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from support.gateway import COOKIE, Gateway, get
from support.login import begin_login, finish_login, log_in, session_of
from support.ports import free_port
from support.providers import KINDS, Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers


@dataclass
class Site:
    gateway: Gateway
    provider: Provider
    redis: RedisServer

    @property
    def url(self) -> str:
        return self.gateway.url

    def sessions(self) -> set[str]:
        return set(self.redis.client().scan_iter("session:*"))


@pytest.fixture(scope="module", params=KINDS, ids=[kind.name for kind in KINDS])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    kind: Kind = request.param
    if not kind.is_installed:
        pytest.skip(f"{kind.name} can't be installed on this Python (requirements-providers.txt)")
    directory = tmp_path_factory.mktemp("site")
    with Servers() as servers:
        redis = servers.add(RedisServer(directory / "redis")).launch()
        port = free_port()
        provider = servers.add(Provider(kind, directory / "provider", f"http://localhost:{port}")).launch()
        gateway = servers.add(
            Gateway(directory / "gateway", port=port, REDIS_URL=redis.url, LOG_LEVEL="trace", **provider.settings)
        )
        yield Site(gateway.launch_ready(), provider, redis)


def me(http: requests.Session, site: Site) -> requests.Response:
    return http.get(site.url + "/auth/me", timeout=30)


def test_login_shows_who_the_provider_says(site: Site) -> None:
    """R10: both providers authenticate the client, one of them by a secret that has to be encoded."""
    http = requests.Session()
    log_in(http, site.url, site.provider)
    answer = me(http, site)
    assert answer.status_code == 200
    user = answer.json()
    assert user["name"] == "Alice Test"
    assert user["email"] == "alice@example.test"
    assert user["sub"]
    page = http.get(site.url + "/", timeout=30)
    assert page.status_code == 200
    assert "Alice Test" in page.text


def test_two_users_are_two(site: Site) -> None:
    alice, bob = requests.Session(), requests.Session()
    log_in(alice, site.url, site.provider, "alice")
    log_in(bob, site.url, site.provider, "bob")
    assert me(alice, site).json()["email"] == "alice@example.test"
    assert me(bob, site).json()["email"] == "bob@example.test"


def test_r1_r2_r3_authorization_request(site: Site) -> None:
    """R1, R2, R3: code flow with openid, PKCE S256, and nothing used twice."""
    queries = []
    for _ in range(2):
        location = begin_login(requests.Session(), site.url).headers["Location"]
        assert location.startswith(site.provider.issuer.removesuffix("/o"))
        queries.append({name: values[0] for name, values in parse_qs(urlsplit(location).query).items()})
    for query in queries:
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        assert len(query["code_challenge"]) == 43
        assert query["redirect_uri"] == site.url + "/auth/callback"
        assert min(len(query["state"]), len(query["nonce"])) >= 22
        assert site.provider.client_secret not in query.values()
    for name in ("state", "nonce", "code_challenge"):
        assert queries[0][name] != queries[1][name]


def test_r3_callback_in_another_browser_makes_no_session(site: Site) -> None:
    """R3: a login that someone else began is not ours."""
    attacker, victim = requests.Session(), requests.Session()
    callback_url = site.provider.sign_in(attacker, begin_login(attacker, site.url).headers["Location"])
    before = site.sessions()
    answer = finish_login(victim, callback_url)
    assert 400 <= answer.status_code < 500
    assert COOKIE not in victim.cookies
    assert site.sessions() == before


def test_r3_callback_twice_makes_one_session(site: Site) -> None:
    """R3: state is used up by the first callback."""
    http = requests.Session()
    callback_url = site.provider.sign_in(http, begin_login(http, site.url).headers["Location"])
    assert finish_login(http, callback_url).is_redirect
    before = site.sessions()
    session = session_of(http)
    again = finish_login(http, callback_url)
    # This browser is logged in, so it gets to where it wanted; nothing else happens.
    assert (again.status_code, again.headers["Location"]) == (303, "/")
    assert "Set-Cookie" not in again.headers
    assert site.sessions() == before
    # The session that the first one made is untouched.
    assert get(site.url + "/auth/me", session).status_code == 200


def test_r4_two_tabs_both_log_in(site: Site) -> None:
    """R4: a second login does not break the first that is under way."""
    http = requests.Session()
    first, second = begin_login(http, site.url), begin_login(http, site.url)
    for start in (first, second):
        callback_url = site.provider.sign_in(http, start.headers["Location"])
        assert finish_login(http, callback_url).is_redirect
        assert me(http, site).status_code == 200


def test_r11_return_address(site: Site) -> None:
    """R11: a local path is honoured, any other address is not."""
    for wish, place in [
        ("/auth/me?x=1", "/auth/me?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/%0d%0aX-Injected:1", None),
    ]:
        http = requests.Session()
        start = begin_login(http, site.url, return_to=wish)
        answer = finish_login(http, site.provider.sign_in(http, start.headers["Location"]))
        target = answer.headers["Location"].removeprefix(site.url)
        assert target.startswith("/") and not target.startswith(("//", "/\\")), f"{wish} leads to {target}"
        assert "X-Injected" not in answer.headers
        if place:
            assert target == place


def test_r12_each_login_gets_a_new_session_and_ends_the_old(site: Site) -> None:
    """R12: whatever the browser had before."""
    http = requests.Session()
    first = log_in(http, site.url, site.provider)
    second = log_in(http, site.url, site.provider)
    assert first != second
    assert get(site.url + "/auth/me", first).status_code == 401
    assert get(site.url + "/auth/me", second).status_code == 200


def test_r12_an_id_that_was_there_before_the_login_is_not_used(site: Site) -> None:
    """R12, R16: no session fixation."""
    http = requests.Session()
    planted = "planted-by-an-attacker-0123456789"
    # The name under which a Python jar keeps the host "localhost".
    http.cookies.set(COOKIE, planted, domain="localhost.local", path="/")
    start = begin_login(http, site.url)
    assert planted in start.request.headers["Cookie"]
    answer = finish_login(http, site.provider.sign_in(http, start.headers["Location"]))
    assert answer.is_redirect
    assert planted in answer.request.headers["Cookie"]
    assert session_of(http) != planted
    assert get(site.url + "/auth/me", planted).status_code == 401


def test_r13_r15_cookie_attributes(site: Site) -> None:
    """R13, R15, R17, R43: plain http at localhost is the one place for a cookie without the prefix."""
    http = requests.Session()
    answer = finish_login(http, site.provider.sign_in(http, begin_login(http, site.url).headers["Location"]))
    fields = [field for field in answer.raw.headers.getlist("Set-Cookie") if field.startswith(COOKIE + "=")]
    assert len(fields) == 1
    pair, *attributes = [part.strip() for part in fields[0].split(";")]
    lower = [attribute.lower() for attribute in attributes]
    assert "httponly" in lower
    assert "path=/" in lower
    assert "samesite=lax" in lower
    assert not any(attribute.startswith("domain") for attribute in lower)
    assert len(pair) <= 4096
    assert len(pair.split("=", 1)[1]) == 43, "256 bits"
    assert "no-store" in answer.headers["Cache-Control"]


def test_r25_logout_ends_both_sessions(site: Site) -> None:
    """R25: ours first, then the provider's, and back to the landing page."""
    http = requests.Session()
    session = log_in(http, site.url, site.provider)
    answer = http.get(site.url + "/auth/logout", allow_redirects=False, timeout=30)
    assert answer.status_code in (302, 303)
    assert COOKIE not in http.cookies
    assert get(site.url + "/auth/me", session).status_code == 401

    target = answer.headers["Location"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    assert query["client_id"] == site.provider.client_id
    assert query["id_token_hint"]
    assert query["post_logout_redirect_uri"].startswith(site.url)

    landing = http.get(target, timeout=30)
    assert landing.status_code == 200
    assert landing.url.startswith(site.url)
    assert "Login with Keycloak" in landing.text
    # The provider forgot the user too: the next login asks for the password again.
    page = http.get(begin_login(http, site.url).headers["Location"], timeout=30)
    assert page.url.startswith("http://127.0.0.1:")
    assert "<form" in page.text


def test_logout_without_a_session_is_no_error(site: Site) -> None:
    answer = requests.get(site.url + "/auth/logout", timeout=30)
    assert answer.status_code == 200
    assert "Login with Keycloak" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?code=nonsense",
        "?code=nonsense&state=nonsense",
        "?code=a&code=b&state=c",
        "?error=access_denied&error_description=<script>alert(1)</script>&state=nonsense",
        "?state=" + "x" * 5000,
        "?code=%00%0d%0a&state=%ff",
    ],
)
def test_r45_nonsense_at_the_callback(site: Site, query: str) -> None:
    """R3, R43, R45: an error page, which does not repeat what it was told."""
    before = site.sessions()
    answer = get(site.url + "/auth/callback" + query)
    assert 400 <= answer.status_code < 500
    assert "<script>alert" not in answer.text
    assert COOKIE not in answer.cookies
    assert site.sessions() == before
    assert "no-store" in answer.headers["Cache-Control"]


def test_r46_the_log_holds_no_secret(site: Site) -> None:
    """R46: not even at level trace."""
    http = requests.Session()
    start = begin_login(http, site.url)
    callback_url = site.provider.sign_in(http, start.headers["Location"])
    finish_login(http, callback_url)
    session = session_of(http)
    record = site.redis.client().get("session:" + session)
    assert record
    query = parse_qs(urlsplit(callback_url).query)
    authorization = parse_qs(urlsplit(start.headers["Location"]).query)
    me(http, site)
    http.get(site.url + "/auth/logout", allow_redirects=False, timeout=30)

    tokens = json.loads(record)["tokens"]
    secrets = {
        "session ID": session,
        "code": query["code"][0],
        "state": query["state"][0],
        "nonce": authorization["nonce"][0],
        "access token": tokens["access_token"],
        "refresh token": tokens["refresh_token"],
        "ID token": tokens["id_token"],
        "client secret": site.provider.client_secret,
    }
    log = site.gateway.log()
    assert log
    shown = [name for name, secret in secrets.items() if secret in log]
    assert shown == []
