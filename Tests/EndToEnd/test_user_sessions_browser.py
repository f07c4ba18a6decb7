"""The page of a user's own sessions in a real browser: light and dark, narrow and wide, by the keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.browser import Browser
from support.demo import Demo
from support.forms import sign_in
from support.gateway import COOKIE, PROJECT, get
from support.login import begin_login, finish_login, session_of
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.browser

LOGIN = "Login with Keycloak"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def browser(tmp_path: Path, artifacts: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "browser", artifacts)
    yield browser
    browser.close()


def log_in(browser: Browser, demo: Demo) -> None:
    browser.open(demo.url + "/")
    browser.click(LOGIN)
    browser.type("username", "admin")
    browser.type("password", "test")
    browser.click("Sign in")
    browser.clickable("Logout")


def log_in_elsewhere(demo: Demo, agent: str) -> str:
    """The same user on another device; gives its session."""
    http = requests.Session()
    http.headers["User-Agent"] = agent
    callback = sign_in(http, begin_login(http, demo.url).headers["Location"], "admin", "test")
    assert finish_login(http, callback).is_redirect
    return session_of(http)


def status(demo: Demo, session: str) -> int:
    return get(demo.url + "/auth/me", session).status_code


def look(browser: Browser, name: str) -> None:
    """Keeps pictures: light and dark, narrow and wide. Nothing is cut off at any width."""
    for scheme in ("light", "dark"):
        browser.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for width_name, width in (("narrow", 360), ("wide", 1400)):
            browser.driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False})
            overflow = browser.driver.execute_script(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} is {overflow} pixels too wide at {width}"
            browser.keep(f"{name}-{scheme}-{width_name}")
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def focused(browser: Browser) -> str:
    """What the keyboard is on: the name that a screen reader would say."""
    return browser.driver.execute_script(
        "const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent.trim();")


def tab_to(browser: Browser, name: str) -> None:
    for _ in range(30):
        if focused(browser).startswith(name):
            outline = browser.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", f"one can't see that {name} has the focus"
            return
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    raise AssertionError(f"the keyboard does not get to {name}")


def entries(browser: Browser) -> list[str]:
    # At one go: an element that is held while the page gives way to the next is an error.
    return browser.driver.execute_script(
        "return [...document.querySelectorAll('.sessions li')].map((item) => item.innerText);")


def test_r20_the_page_of_sessions(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """R20: every button works with a mouse, none needs a script, and the page looks right."""
    demo = servers.add(Demo(tmp_path / "demo", SESSION_IDLE_TIMEOUT="1h")).launch()
    log_in(browser, demo)
    phone = log_in_elsewhere(demo, IPHONE)
    tool = log_in_elsewhere(demo, "curl/8.5.0")
    strange = log_in_elsewhere(demo, "<b>x</b>" * 50)
    browser.click("Your sessions")
    browser.wait_for_url(demo.url + "/auth/sessions")
    shown = entries(browser)
    assert len(shown) == 4
    assert "This session" in shown[0] and "Chrome on Linux" in shown[0] and "127.0.0.1" in shown[0]
    assert not any("This session" in text for text in shown[1:])
    assert any("Safari on iPhone" in text for text in shown) and any("curl" in text for text in shown)
    assert any("Unknown browser" in text for text in shown)
    look(browser, "sessions")

    browser.driver.find_element(By.CSS_SELECTOR, "[aria-label^='End: Safari on iPhone']").click()
    eventually("the phone's is gone", lambda: len(entries(browser)) == 3)
    assert browser.url == demo.url + "/auth/sessions"
    assert (status(demo, phone), status(demo, tool)) == (401, 200)
    browser.click("End all others")
    eventually("it is alone", lambda: len(entries(browser)) == 1)
    assert (status(demo, tool), status(demo, strange)) == (401, 401)
    assert not browser.has("End all others")

    another = log_in_elsewhere(demo, "curl/8.5.0")
    browser.click("Log out everywhere")
    browser.clickable(LOGIN)
    assert browser.url.startswith(demo.url + "/")
    assert status(demo, another) == 401 and browser.driver.get_cookie(COOKIE) is None
    # The provider forgot the user too.
    browser.click(LOGIN)
    browser.type("username", "user")
    violations = [message for message in browser.console if "Content Security Policy" in message]
    assert violations == []


def test_the_page_by_the_keyboard_alone(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """Every button can be reached and pressed by keys, and one sees where one is."""
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    log_in(browser, demo)
    phone, tool = log_in_elsewhere(demo, IPHONE), log_in_elsewhere(demo, "curl/8.5.0")
    tab_to(browser, "Your sessions")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait_for_url(demo.url + "/auth/sessions")
    tab_to(browser, "End: Safari on iPhone")
    browser.keep("sessions-keyboard")
    browser.driver.switch_to.active_element.send_keys(Keys.SPACE)
    eventually("the phone's is gone", lambda: len(entries(browser)) == 2)
    tab_to(browser, "End all others")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    eventually("it is alone", lambda: len(entries(browser)) == 1)
    assert (status(demo, phone), status(demo, tool)) == (401, 401)
    tab_to(browser, "Back to the start page")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.clickable("Logout")
    browser.open(demo.url + "/auth/sessions")
    tab_to(browser, "Log out everywhere")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.clickable(LOGIN)


def test_a_page_uses_the_routes_as_the_guide_says(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """The example of docs/user-sessions.md, in a page of the app."""
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    log_in(browser, demo)
    phone = log_in_elsewhere(demo, IPHONE)
    guide = (PROJECT / "docs" / "user-sessions.md").read_text()
    [example] = re.findall(r"^```js\n(.*?)^```$", guide, re.M | re.S)
    first = example.splitlines()[0]
    listed = browser.driver.execute_async_script(
        f"const done = arguments[0]; {first} api('/auth/sessions').then(done);")["sessions"]
    assert [sorted(entry) for entry in listed] == [
        ["address", "began", "current", "device", "ends", "handle", "last_used", "provider"]] * 2
    assert all(f'"{name}": ' in example for name in listed[0])
    other = next(entry["handle"] for entry in listed if not entry["current"])
    replaced = example.replace("0f3c…\", \"DELETE\"", f"{other}\", \"DELETE\"")
    assert other in replaced
    browser.driver.execute_script(f"window.result = (async () => {{ {replaced} }})();")
    # The provider was given no token, so it asks; then it ends its session too, and sends the browser back.
    browser.click("Sign out")
    browser.clickable(LOGIN)
    assert status(demo, phone) == 401 and browser.driver.get_cookie(COOKIE) is None


def test_a_browser_that_was_ended_is_told_why_once(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    log_in(browser, demo)
    other = log_in_elsewhere(demo, IPHONE)
    answer = requests.delete(
        demo.url + "/auth/sessions", headers={"X-CSRF": "1", "Cookie": f"{COOKIE}={other}"}, timeout=20)
    assert answer.json() == {"ended": 1}
    browser.open(demo.url + "/")
    browser.wait_for_text("this session was ended from another of your sessions")
    look(browser, "ended")
    browser.open(demo.url + "/")
    browser.clickable(LOGIN)
    assert "was ended" not in browser.text


def test_r14_a_login_loop_ends_in_a_page(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """R14: a page that always wants a login, at a provider that asks nothing."""
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    log_in(browser, demo)
    # Each login succeeds at once, and leads to a page that begins another.
    for _ in range(8):
        browser.open(demo.url + "/auth/login?return_to=/auth/me")
        if "round in circles" in browser.text:
            break
    else:
        raise AssertionError("nothing stopped it")
    browser.keep("login-loop")
    assert browser.driver.find_element(By.TAG_NAME, "h1").text == "The login goes round in circles"
    eventually(
        "it works again after a while",
        lambda: browser.click("Log in") or "round in circles" not in browser.text, within=15)


def test_r3_a_second_tab_whose_login_fails_leads_on(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """R3: two tabs wait at the provider; one completes, the other's callback fails, and leads to where that tab wanted to go."""
    demo = servers.add(Demo(tmp_path / "demo")).launch()
    browser.open(demo.url + "/auth/login?return_to=/auth/sessions")
    browser.clickable("Sign in")
    state = parse_qs(urlsplit(browser.url).query)["state"][0]
    failed = f"{demo.url}/auth/callback?error=access_denied&state={quote(state)}"
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    log_in(browser, demo)
    browser.driver.close()
    browser.driver.switch_to.window(first)
    browser.open(failed)
    browser.wait_for_url(demo.url + "/auth/sessions")
    assert len(entries(browser)) == 1
    # The same address in another browser is an error, which says nothing of the provider's words.
    answer = requests.get(failed, cookies={"cloakroom_login": "A" * 43}, timeout=20, allow_redirects=False)
    assert answer.status_code == 400 and "access_denied" not in answer.text
