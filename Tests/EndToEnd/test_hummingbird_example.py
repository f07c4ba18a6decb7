"""`Examples/HummingbirdApp`: a Hummingbird app with a login of its own, driven in a browser and over HTTP."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

import pytest
import requests
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.browser import Browser
from support.forms import sign_in
from support.gateway import COOKIE, binary, get
from support.ports import free_port
from support.processes import Server, bare_environment
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

PROGRAM = os.environ.get("CLOAKROOM_HUMMINGBIRD_APP")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PROGRAM, reason="CLOAKROOM_HUMMINGBIRD_APP names no program; scripts/test builds it"),
]

ADA = "Ada Admin"
API = {"X-CSRF": "1"}


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


class DevProvider(Server):
    """`cloakroom demo provider` for an app at `app`."""

    def __init__(self, directory: Path, app: str, **options: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}"
        arguments = ["--issuer-port", str(self.port), "--app", app, "--callback", "/account/callback"]
        for name, value in options.items():
            arguments += [f"--{name.replace('_', '-')}", value]
        super().__init__(
            "dev-provider", [binary(), "demo", "provider", *arguments], directory, bare_environment(directory))

    def launch(self) -> DevProvider:
        self.start(lambda: answers(self.issuer + "/.well-known/openid-configuration"))
        return self


class Shop(Server):
    """One process of the example."""

    def __init__(self, directory: Path, issuer: str, port: int, public_url: str, name: str = "shop", **settings: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.url = f"http://localhost:{port}"
        environment = bare_environment(
            directory, PORT=str(port), PUBLIC_URL=public_url, OIDC_ISSUER=issuer, OIDC_CLIENT_ID="cloakroom", **settings)
        super().__init__(name, [PROGRAM or ""], directory, environment)

    def launch(self) -> Shop:
        self.start(lambda: answers(self.url + "/"))
        return self


def start(servers: Servers, directory: Path, replicas: int = 1, redis: RedisServer | None = None, **provider: str) -> list[Shop]:
    """A provider and an app of so many replicas; the first is where browsers go."""
    ports = [free_port() for _ in range(replicas)]
    public_url = f"http://localhost:{ports[0]}"
    issuer = servers.add(DevProvider(directory / "provider", public_url, **provider)).launch().issuer
    settings = {"REDIS_URL": redis.url} if redis else {}
    return [
        servers.add(Shop(directory / f"shop-{number}", issuer, port, public_url, f"shop-{number}", **settings)).launch()
        for number, port in enumerate(ports)
    ]


@pytest.fixture
def shop(servers: Servers, tmp_path: Path) -> Shop:
    return start(servers, tmp_path)[0]


@pytest.fixture
def browser(tmp_path: Path, artifacts: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "browser", artifacts)
    yield browser
    browser.close()


def log_in_with_browser(browser: Browser, shop: Shop, username: str = "admin") -> None:
    browser.open(shop.url + "/")
    browser.click("Log in")
    browser.type("username", username)
    browser.type("password", "test")
    browser.click("Sign in")
    browser.wait_for_url(shop.url + "/")
    browser.clickable("Log out")


def log_in(shop: Shop, username: str = "admin", path: str = "/") -> requests.Session:
    """A browser without JavaScript that has logged in."""
    http = requests.Session()
    begin = http.get(f"{shop.url}/account/login?return_to={quote(path, safe='')}", allow_redirects=False, timeout=20)
    assert begin.is_redirect, begin.text
    callback = sign_in(http, begin.headers["Location"], username, "test")
    # At the public URL, which may be that of another replica.
    assert "/account/callback?" in callback, callback
    end = http.get(callback, allow_redirects=False, timeout=20)
    assert end.headers["Location"] == path
    return http


def form(http: requests.Session, url: str, origin: str | None = None) -> requests.Response:
    """Sends an empty form as a page at `origin` does."""
    headers = {"Origin": origin or re.match(r"http://[^/]*", url)[0], "Accept": "text/html"}  # type: ignore[index]
    return http.post(url, headers=headers, allow_redirects=False, timeout=20)


def cart(http: requests.Session, shop: Shop) -> dict[str, int]:
    answer = http.get(shop.url + "/api/cart", headers=API, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def emulate(browser: Browser, scheme: str, width: int) -> None:
    """Shows pages light or dark, and this wide."""
    browser.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})


def keep_in_all_forms(browser: Browser, name: str) -> None:
    """Pictures light and dark, wide and narrow; nothing may stand out of a narrow page."""
    for scheme in ("light", "dark"):
        for width in (1200, 380):
            emulate(browser, scheme, width)
            overflow = browser.driver.execute_script(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} is {overflow} px too wide at {width}"
            browser.keep(f"hummingbird-{name}-{scheme}-{width}")
    emulate(browser, "light", 1200)


# MARK: In a browser


def test_a_cart_and_a_logout_everywhere(shop: Shop, browser: Browser, tmp_path: Path, artifacts: Path) -> None:
    """R13, R20: login, a cart in the session, the list of the user's sessions, and the end of all of them."""
    browser.open(shop.url + "/")
    keep_in_all_forms(browser, "landing")
    log_in_with_browser(browser, shop)
    assert ADA in browser.text
    cookie = browser.driver.get_cookie(COOKIE)
    assert cookie and cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"
    assert browser.driver.execute_script("return document.cookie") == "", "R13: scripts see no cookie of ours"

    # By the script, with the field that no other site can set.
    browser.driver.execute_script("window.stays = true")
    browser.click("Add winter coat")
    browser.wait_for_text("1 × Winter coat")
    browser.click("Add winter coat")
    browser.click("Add felt hat")
    browser.wait_for_text("1 × Felt hat")
    browser.wait_for_text("2 × Winter coat")
    assert browser.driver.execute_script("return window.stays"), "the page was not loaded anew"
    keep_in_all_forms(browser, "shop")
    browser.open(shop.url + "/")
    assert "2 × Winter coat" in browser.text and "1 × Felt hat" in browser.text

    # The same user elsewhere has a cart of their own, and appears in the list.
    other = Browser(tmp_path / "other", artifacts)
    try:
        log_in_with_browser(other, shop)
        assert "Nothing yet." in other.text
        browser.click("Your sessions")
        browser.wait_for_text("Where you are logged in")
        assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".session")) == 2
        assert "127.0.0.1" in browser.text
        keep_in_all_forms(browser, "sessions")
        browser.click("End it")
        eventually("one session is left", lambda: len(browser.driver.find_elements(By.CSS_SELECTOR, ".session")) == 1)
        other.open(shop.url + "/")
        other.clickable("Log in")
        assert ADA not in other.text

        # The provider still knows that browser.
        other.click("Log in")
        other.clickable("Log out")
        browser.click("Log out everywhere")
        browser.clickable("Log in")
        assert browser.url.startswith(shop.url + "/"), "back from the provider"
        other.open(shop.url + "/")
        other.clickable("Log in")
        assert ADA not in other.text
    finally:
        other.close()

    # The back button shows nothing of the user, and the provider has forgotten the login too.
    browser.driver.back()
    browser.driver.back()
    browser.driver.refresh()
    assert ADA not in browser.text
    browser.open(shop.url + "/")
    browser.click("Log in")
    browser.type("username", "user")
    assert not browser.url.startswith(shop.url)
    violations = [message for message in browser.console if "Content Security Policy" in message]
    assert violations == []


def test_keyboard_alone(shop: Shop, browser: Browser) -> None:
    """Login, a thing into the cart, and logout, without a mouse."""

    def press(*keys: str) -> None:
        ActionChains(browser.driver).send_keys(*keys).perform()

    def focus(text: str) -> None:
        for _ in range(30):
            press(Keys.TAB)
            element = browser.driver.switch_to.active_element
            if element.text.strip() == text:
                # Whoever has no mouse must see where they are.
                assert element.value_of_css_property("outline-style") == "solid", text
                return
        raise AssertionError(f"no way to {text!r} by Tab")

    browser.open(shop.url + "/")
    focus("Log in")
    press(Keys.ENTER)
    browser.type("username", "admin")
    press(Keys.TAB, "test", Keys.ENTER)
    browser.wait_for_url(shop.url + "/")
    browser.wait_for_text(ADA)
    focus("Add wool scarf")
    press(Keys.ENTER)
    browser.wait_for_text("1 × Wool scarf")
    browser.open(shop.url + "/")
    focus("Log out")
    press(Keys.ENTER)
    browser.clickable("Log in")


def test_pages_work_without_the_script(shop: Shop, browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    log_in_with_browser(browser, shop)
    browser.click("Add gloves")
    browser.wait_for_text("1 × Gloves")
    browser.click("Buy")
    browser.wait_for_text("Thank you, " + ADA)
    assert "€ 18" in browser.text
    keep_in_all_forms(browser, "receipt")
    receipt = browser.url
    browser.open(shop.url + "/")
    assert "Nothing yet." in browser.text, "what was bought is no longer in the cart"
    browser.click("Log out")
    browser.clickable("Log in")
    # The receipt is still there after a new login, and for nobody else.
    browser.open(receipt)
    browser.type("username", "admin")
    browser.type("password", "test")
    browser.click("Sign in")
    browser.wait_for_url(receipt)
    assert "€ 18" in browser.text
    assert log_in(shop, "user").get(receipt, timeout=20).status_code == 404


def test_another_site_can_do_nothing(shop: Shop, browser: Browser, tmp_path: Path) -> None:
    """R31, R33: a page of another origin (127.0.0.1, not localhost) sends the app's forms."""
    log_in_with_browser(browser, shop)
    targets = ["/cart/coat", "/receipts", "/account/logout", "/account/logout-everywhere", "/account/sessions"]
    forms = "".join(f'<form method="post" action="{shop.url}{path}"><button>{path}</button></form>' for path in targets)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(f"<!DOCTYPE html><html><body>{forms}</body></html>")
    port = free_port()
    with Servers() as others:
        site = others.add(
            Server(
                "other-site", ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", tmp_path / "site"],
                tmp_path, bare_environment(tmp_path)))
        site.start(lambda: answers(f"http://127.0.0.1:{port}/"))
        for path in targets:
            browser.open(f"http://127.0.0.1:{port}/")
            browser.click(path)
            eventually(f"{path} has answered", lambda: browser.url.startswith(shop.url))
            assert "Thank you" not in browser.text
            browser.open(shop.url + "/")
            assert ADA in browser.text and "Nothing yet." in browser.text, path


# MARK: Over HTTP


def test_what_is_asked_without_a_session(shop: Shop) -> None:
    """R44: pages lead to the login and back, the API says 401; neither tells anything."""
    page = {"Accept": "text/html"}
    answer = get(shop.url + "/receipts/1?x=y", headers=page)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/account/login?return_to=%2Freceipts%2F1%3Fx%3Dy"
    assert get(shop.url + "/api/cart", headers=API).status_code == 401
    assert get(shop.url + "/api/cart").status_code == 403, "R31: without the static field nobody is even asked"
    assert get(shop.url + "/account/me").status_code == 401
    for path in ("/auth/login", "/auth/logout", "/nothing"):
        answer = get(shop.url + path, headers=page)
        assert answer.status_code == 404
        assert "Not found" in answer.text and "Request ID" in answer.text
    for path in ("/", "/nothing", "/account/me"):
        headers = get(shop.url + path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
    http = log_in(shop, path="/receipts/1?x=y")
    assert http.get(shop.url + "/account/me", timeout=20).json()["name"] == ADA


def test_a_cart_on_two_replicas(servers: Servers, tmp_path: Path) -> None:
    """R20: sessions, carts and receipts are the same everywhere; one logout ends all at once, on the other replica too."""
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    one, two = start(servers, tmp_path, replicas=2, redis=redis)
    http = log_in(one)
    # A jar knows no ports, as browsers don't.
    for number in range(4):
        assert form(http, (one, two)[number % 2].url + "/cart/hat", one.url).status_code == 303
    assert cart(http, one) == cart(http, two) == {"hat": 4}
    answer = form(http, one.url + "/receipts")
    receipt = answer.headers["Location"]
    assert "€ 140" in http.get(two.url + receipt, timeout=20).text
    assert cart(http, two) == {}
    store = redis.client()
    keys = set(store.scan_iter("*"))
    assert len([key for key in keys if key.startswith("session:")]) == 1
    [persisted] = [key for key in keys if key.startswith("shop:")]
    assert 3000 < store.ttl(persisted) <= 3600
    assert json.loads(store.get(persisted))["items"] == {"hat": 4}
    assert log_in(two, "user").get(one.url + receipt, timeout=20).status_code == 404

    second = log_in(one)
    listed = second.get(two.url + "/account/sessions", headers=API, timeout=20).json()["sessions"]
    assert [entry["current"] for entry in listed].count(True) == 1 and len(listed) == 2
    assert set(listed[0]) == {"handle", "current", "began", "last_used", "ends", "device", "address", "provider"}
    end = form(second, one.url + "/account/logout-everywhere", one.url)
    assert end.status_code == 303
    began = time.monotonic()
    eventually("the other replica knows", lambda: get(two.url + "/account/me", http.cookies[COOKIE]).status_code == 401, 5)
    assert time.monotonic() - began < 1
    assert get(one.url + "/account/me", second.cookies.get(COOKIE) or "").status_code == 401

    # A Redis that is away: nobody is logged out, nobody is let in.
    third = log_in(one)
    redis.kill()
    for path in ("/", "/api/cart"):
        # This replica has not seen the session yet.
        answer = third.get(two.url + path, headers=API, allow_redirects=False, timeout=20)
        assert answer.status_code == 503 and answer.headers["Retry-After"], path
        assert "Set-Cookie" not in answer.headers, path
    redis.launch()
    eventually(
        "carts are back", lambda: third.get(two.url + "/api/cart", headers=API, timeout=20).status_code == 200)


def test_tokens_are_fresh(servers: Servers, tmp_path: Path) -> None:
    """R21: a handler that wants an access token always gets one that lasts, long after the first has ended."""
    [shop] = start(servers, tmp_path, token_lifetime="3")
    http = log_in(shop)
    seen: list[int] = []

    def outlived() -> bool:
        answer = http.get(shop.url + "/api/token", headers=API, timeout=20)
        assert answer.status_code == 200, answer.text
        token = answer.json()
        assert token["size"] > 20 and "token" not in token
        seen.append(token["secondsLeft"])
        assert seen[-1] >= 0, "a token that has ended"
        # It went down and up again, twice: two refreshes.
        return sum(after > before for before, after in zip(seen, seen[1:])) >= 2

    eventually("the token was refreshed twice", outlived, 30)
    assert http.get(shop.url + "/account/me", timeout=20).status_code == 200


def test_a_wrong_setting_is_said_in_a_line(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "", 1, "http://app.example")
    with pytest.raises(AssertionError):
        shop.start(lambda: False, 5)
    assert "PUBLIC_URL must be https://HOST" in shop.log()
