"""What a person does: `cloakroom demo`, a browser, admin / test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import pytest
import requests

from support.browser import Browser
from support.demo import Demo
from support.gateway import COOKIE, REPLICA_HEADER
from support.servers import Servers

pytestmark = pytest.mark.browser

LOGIN = "Login with Keycloak"
LOGOUT = "Logout"
CALL_API = "Call the sample API"


@pytest.fixture
def browser(tmp_path: Path, artifacts: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "browser", artifacts)
    yield browser
    browser.close()


def me(browser: Browser, url: str) -> dict[str, str]:
    """Who the browser is logged in as."""
    browser.open(url + "/auth/me")
    return json.loads(browser.text)


def log_in(browser: Browser, demo: Demo, name: str, username: str = "admin") -> None:
    browser.open(demo.url + "/")
    browser.keep(f"{name}-1-landing")
    browser.click(LOGIN)
    browser.type("username", username)
    browser.keep(f"{name}-2-sign-in")
    browser.type("password", "test")
    browser.click("Sign in")
    browser.wait_for_url(demo.url + "/")
    browser.clickable(LOGOUT)
    browser.keep(f"{name}-3-user")


def walk_through(browser: Browser, demo: Demo, name: str) -> None:
    log_in(browser, demo, name)
    user_page = browser.text
    # The button's script calls the API through the gateway, which puts the access token on.
    browser.click(CALL_API)
    browser.wait_for_text('"username": "admin"')
    browser.keep(f"{name}-3-user-and-api")
    user = me(browser, demo.url)
    assert user["preferred_username"] == "admin"
    assert user["name"] in user_page
    assert user["email"] in user_page

    cookie = browser.driver.get_cookie(COOKIE)
    assert cookie, "at localhost the cookie has no prefix"
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"
    assert cookie["value"] not in browser.driver.page_source
    assert browser.driver.execute_script("return document.cookie") == "", "scripts see no cookie of ours"

    browser.open(demo.url + "/auth/callback?code=nonsense&state=nonsense")
    browser.keep(f"{name}-4-error")
    assert "nonsense" not in browser.text
    assert me(browser, demo.url)["sub"] == user["sub"], "a bad callback ends no session"

    browser.open(demo.url + "/")
    browser.click(LOGOUT)
    browser.clickable(LOGIN)
    browser.keep(f"{name}-5-logged-out")
    assert browser.url.startswith(demo.url)
    assert user["name"] not in browser.text
    assert browser.driver.get_cookie(COOKIE) is None
    assert "sub" not in me(browser, demo.url)

    # The provider forgot the login too, so it asks again.
    browser.open(demo.url + "/")
    browser.click(LOGIN)
    browser.type("username", "user")
    assert not browser.url.startswith(demo.url)

    violations = [message for message in browser.console if "Content Security Policy" in message]
    assert violations == []


def test_demo(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """R13: at localhost the cookie has no prefix, and scripts see none of ours."""
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    walk_through(browser, demo, "demo")


def test_demo_with_replicas(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    demo = servers.add(Demo(tmp_path / "demo", "--replicas", "3")).launch()
    walk_through(browser, demo, "replicas")

    log_in(browser, demo, "replicas-again", "user")
    session = browser.driver.get_cookie(COOKIE)
    assert session
    seen = set()
    for _ in range(9):
        answer = requests.get(demo.url + "/auth/me", cookies={COOKIE: session["value"]}, timeout=20)
        assert answer.status_code == 200
        assert answer.json()["preferred_username"] == "user"
        seen.add(answer.headers[REPLICA_HEADER])
    assert len(seen) == 3
    # The page shows which replica answered.
    pages = set()
    for _ in range(3):
        browser.open(demo.url + "/")
        pages |= {name for name in seen if name in browser.text}
    assert pages == seen


def test_wrong_password(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    browser.open(demo.url + "/")
    browser.click(LOGIN)
    browser.type("username", "admin")
    browser.type("password", "wrong")
    browser.click("Sign in")
    browser.clickable("Sign in")
    browser.keep("demo-wrong-password")
    assert not browser.url.startswith(demo.url)
    assert "error" in me(browser, demo.url)


def test_demo_ends_with_all_that_it_started(servers: Servers, tmp_path: Path) -> None:
    demo = servers.add(Demo(tmp_path / "demo", "--replicas", "2")).launch()
    group = demo.pid
    assert demo.stop() == 0
    assert not Path(f"/proc/{group}").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(demo.url + "/healthz", timeout=5)
