"""Back-channel and front-channel logout with idpyoidc, a provider that we did not write."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import requests

from support.browser import BROWSERS, Browser
from support.forms import forms
from support.gateway import COOKIE, Gateway
from support.idpy import IS_INSTALLED, IdpyProvider
from support.login import log_in
from support.ports import free_port
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.skipif(
    not IS_INSTALLED, reason="this Python can't install idpyoidc (requirements-providers.txt)"
)


class LogoutProvider(IdpyProvider):
    script = "idpy_logout.py"


@dataclass
class Site:
    url: str
    provider: LogoutProvider
    redis: RedisServer
    replicas: list[Gateway]

    def statuses(self, session: str) -> list[int]:
        return [replica.me(session) for replica in self.replicas]

    def end_session_url(self, session: str, state: str = "x") -> str:
        """Where the user's browser goes to log out at the provider, without our knowing."""
        record = json.loads(self.redis.client().get("session:" + session))
        query = {
            "id_token_hint": record["tokens"]["id_token"], "post_logout_redirect_uri": self.url + "/", "state": state,
        }
        return f"{self.provider.issuer}/session?{urlencode(query)}"


def make_site(servers: Servers, directory: Path, channel: str) -> Site:
    port = free_port()
    url = f"http://localhost:{port}"
    redis = servers.add(RedisServer(directory / "redis")).launch()
    names = ("replica-1", "replica-2", "replica-3")
    ports = [port, free_port(), free_port()]
    # The provider's server calls a replica by an address of its own; browsers come by the public one.
    addresses = {"backchannel": f"http://127.0.0.1:{ports[1]}", "frontchannel": url}
    uri = f"{addresses[channel]}/auth/{channel}-logout"
    provider = servers.add(
        LogoutProvider(
            directory / "provider", url, client_secret="secret-of-the-client", **{f"{channel}_logout_uri": uri}
        )
    ).launch()
    replicas = [
        servers.add(
            Gateway(
                directory / name, name, number, PUBLIC_URL=url, REDIS_URL=redis.url,
                # Its logout tokens have no type.
                OIDC_LOGOUT_TOKEN_TYPES="lenient", **provider.settings,
            )
        ).launch_ready()
        for name, number in zip(names, ports)
    ]
    return Site(url, provider, redis, replicas)


def confirm(http: requests.Session, page: requests.Response) -> requests.Response:
    """Agrees on the provider's logout page; follows no redirect."""
    form = next(form for form in forms(page.text) if form.method == "post")
    data = {**form.fields, **dict(form.buttons)}
    return http.post(urljoin(page.url, form.action), data=data, allow_redirects=False, timeout=30)


@pytest.fixture(scope="module")
def back(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(module_servers, tmp_path_factory.mktemp("back"), "backchannel")


def test_r26_r27_a_logout_at_the_provider_ends_the_session_on_every_replica(back: Site) -> None:
    """R26, R27: by a real logout token with `sid`; another user's session goes on."""
    alice, bob = requests.Session(), requests.Session()
    session = log_in(alice, back.url, back.provider)  # type: ignore[arg-type]
    other = log_in(bob, back.url, back.provider, "bob")  # type: ignore[arg-type]
    assert json.loads(back.redis.client().get("session:" + session))["sid"]
    assert back.statuses(session) == back.statuses(other) == [200] * 3
    page = alice.get(back.end_session_url(session), timeout=30)
    assert back.statuses(session) == [200] * 3, "nothing has happened yet"
    done = confirm(alice, page)
    assert done.status_code == 303, done.text
    assert back.statuses(session) == [401] * 3, back.replicas[1].log_tail()
    assert back.statuses(other) == [200] * 3
    assert "reason=revoked_by_provider" in back.replicas[1].log()


def test_r25_rp_initiated_logout_and_back_with_our_state(back: Site) -> None:
    """R25, oidcc-client-test-rp-backchannel-rpinitlogout: the session is over here before the provider says so too."""
    http = requests.Session()
    session = log_in(http, back.url, back.provider)  # type: ignore[arg-type]
    away = http.get(back.url + "/auth/logout", allow_redirects=False, timeout=30)
    assert back.statuses(session) == [401] * 3
    done = confirm(http, http.get(away.headers["Location"], timeout=30))
    target = done.headers["Location"]
    sent = parse_qs(urlsplit(away.headers["Location"]).query)["state"]
    assert parse_qs(urlsplit(target).query)["state"] == sent
    assert "You are logged out." not in requests.get(target, timeout=30).text, "another browser's return says nothing"
    landing = http.get(target, timeout=30)
    assert landing.status_code == 200 and "You are logged out." in landing.text
    assert "You are logged out." not in http.get(target, timeout=30).text
    # The provider has told of it as well, of a session that was over: that is no error.
    assert " status=200" in next(
        line for line in reversed(back.replicas[1].log().splitlines()) if "path=/auth/backchannel-logout" in line
    )


@pytest.mark.browser
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium")
def test_r29_front_channel_logout_in_a_frame(servers: Servers, tmp_path: Path, artifacts: Path) -> None:
    """R29, oidcc-client-test-rp-frontchannel-rpinitlogout: in a real browser, which keeps our cookie from the frame."""
    site = make_site(servers, tmp_path, "frontchannel")
    browser = Browser(tmp_path / "browser", artifacts)
    servers.callback(browser.close)
    browser.open(site.url + "/auth/login")
    browser.type("username", "alice")
    browser.type("password", site.provider.users["alice"])
    browser.click("Sign in")
    browser.wait_for_text("You are logged in.")
    cookie = browser.driver.get_cookie(COOKIE)
    assert cookie
    session = cookie["value"]
    assert site.statuses(session) == [200] * 3
    browser.open(site.end_session_url(session))
    browser.click("Log out")
    browser.wait_for_text("Logged out")
    eventually("no replica knows the session", lambda: site.statuses(session) == [401] * 3)
    browser.keep("front-channel-logout")
    refused = [line for line in browser.console if "frame" in line.lower() or "Content Security Policy" in line]
    assert not refused
    browser.click("Continue")
    browser.wait_for_url(site.url + "/")
    browser.wait_for_text("Login with")
    # Nobody else may frame it.
    stranger = f"http://127.0.0.1:{site.replicas[1].port}/auth/frontchannel-logout?" + urlencode(
        {"iss": site.provider.issuer, "sid": "x"}
    )
    policy = requests.get(stranger, timeout=30).headers["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors {site.provider.issuer}")
