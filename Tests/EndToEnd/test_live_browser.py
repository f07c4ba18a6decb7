"""`/auth/client.js` in a real browser: two tabs, one stream, and what they are told."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Iterator

import pytest
import requests

from support.browser import Browser
from support.events import EventStream
from support.gateway import COOKIE, Gateway
from support.metadata import MetadataProvider
from support.ports import free_port
from support.records import put, record, utc
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.browser

# What a page does, as far as it can be seen: the script is the gateway's own, taken as a page takes it.
WATCH = """
const done = arguments[0];
window.seen = [];
import("/auth/client.js").then((module) => {
  for (const type of ["expiring", "refreshed", "logout"]) {
    module.on(type, (detail) => { window.seen.push([type, detail]); });
  }
  done(module.default === window.cloakroom && Object.keys(module).sort().join());
}, (error) => done(String(error)));
"""
# The waits of a page that gets no stream, made short.
IMPATIENT = "const slow = window.setTimeout; window.setTimeout = (body, time) => slow(body, Math.min(time ?? 0, 300));"


class Echo(BaseHTTPRequestHandler):
    """An API that says what field came, and refuses at /api/refuse."""

    def do_GET(self) -> None:
        body = (self.headers.get("X-App") or "none").encode()
        self.send_response(401 if self.path == "/api/refuse" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def redis(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    return module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()


@pytest.fixture(scope="module")
def management() -> int:
    return free_port()


@pytest.fixture(scope="module")
def gateway(
    module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, redis: RedisServer, management: int
) -> Iterator[Gateway]:
    api = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = Thread(target=api.serve_forever)
    thread.start()
    provider = module_servers.enter_context(MetadataProvider())
    gateway = Gateway(
        tmp_path_factory.mktemp("gateway"), REDIS_URL=redis.url, UPSTREAM_URL=f"http://127.0.0.1:{api.server_port}",
        MANAGEMENT_ADDRESS=f"127.0.0.1:{management}", EVENTS_MAX_PER_SESSION="1", **provider.settings)
    yield module_servers.add(gateway).launch_ready()
    api.shutdown()
    thread.join()
    api.server_close()


@pytest.fixture
def browser(tmp_path: Path, artifacts: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "browser", artifacts)
    browser.driver.set_script_timeout(20)
    yield browser
    browser.close()


def log_in(browser: Browser, gateway: Gateway, session: str) -> None:
    browser.open(gateway.url + "/")
    browser.driver.add_cookie({"name": COOKIE, "value": session, "httpOnly": True, "sameSite": "Lax", "path": "/"})
    browser.open(gateway.url + "/")


def watch(browser: Browser, first: str = "") -> None:
    names = browser.driver.execute_async_script(first + WATCH)
    assert names == "default,fetch,login,logout,on,user", names


def seen(browser: Browser) -> list[list[Any]]:
    return browser.driver.execute_script("return window.seen")


def run(browser: Browser, body: str) -> Any:
    """The value of an expression with `await` in it."""
    return browser.driver.execute_async_script(
        f"const done = arguments[0]; (async () => {body})().then(done, (error) => done(String(error)));")


def stream_count(management: int) -> int:
    text = requests.get(f"http://127.0.0.1:{management}/metrics", timeout=10).text
    found = re.search(r"^cloakroom_event_streams (\d+)", text, re.MULTILINE)
    assert found
    return int(found.group(1))


def test_two_tabs_share_a_stream_and_both_learn_of_a_logout(
    browser: Browser, gateway: Gateway, redis: RedisServer, management: int
) -> None:
    """A logout by another program; then one by a third tab, which the other two are told of. R20."""
    for way in ("deleted", "third tab"):
        session = put(redis.client(), record("two-tabs"))
        log_in(browser, gateway, session)
        one = browser.driver.current_window_handle
        watch(browser)
        eventually("the stream is open", lambda: stream_count(management) == 1)
        browser.driver.switch_to.new_window("tab")
        two = browser.driver.current_window_handle
        browser.open(gateway.url + "/")
        watch(browser)
        assert run(browser, "window.cloakroom.user()")["sub"] == "two-tabs"
        assert stream_count(management) == 1, "EVENTS_MAX_PER_SESSION is 1 here: a second would have been refused"
        opened = [one, two]
        if way == "deleted":
            redis.client().delete("session:" + session)
            reason = "elsewhere"
        else:
            browser.driver.switch_to.new_window("tab")
            opened.append(browser.driver.current_window_handle)
            browser.open(gateway.url + "/")
            browser.driver.execute_async_script(
                "const done = arguments[0]; import('/auth/client.js').then((module) => { done(); module.logout(); });")
            browser.wait_for_text("Login with")
            reason = "logout"
        for tab in (one, two):
            browser.driver.switch_to.window(tab)
            eventually(
                "the tab is told", lambda: seen(browser) == [["logout", {"reason": reason}]],
                details=lambda: str(seen(browser)))
        eventually("the stream has ended", lambda: stream_count(management) == 0)
        for tab in opened[1:]:
            browser.driver.switch_to.window(tab)
            browser.driver.close()
        browser.driver.switch_to.window(one)


def test_the_second_tab_takes_over_when_the_first_is_closed(
    browser: Browser, gateway: Gateway, redis: RedisServer, management: int
) -> None:
    session = put(redis.client(), record("takes-over"))
    log_in(browser, gateway, session)
    one = browser.driver.current_window_handle
    watch(browser)
    eventually("the stream is open", lambda: stream_count(management) == 1)
    browser.driver.switch_to.new_window("tab")
    two = browser.driver.current_window_handle
    browser.open(gateway.url + "/")
    watch(browser)
    browser.driver.switch_to.window(one)
    browser.driver.close()
    browser.driver.switch_to.window(two)
    eventually("the other has a stream", lambda: stream_count(management) == 1)
    redis.client().delete("session:" + session)
    # In between there is no stream for a moment; what happens then is found out when the next one opens.
    eventually("it is told", lambda: [type for type, _ in seen(browser)] == ["logout"])


def test_a_page_is_warned_and_may_ask_who_the_user_is(browser: Browser, gateway: Gateway, redis: RedisServer) -> None:
    session = put(redis.client(), record("warned", created_at=utc(-3600), expires_at=utc(100)), ttl=100)
    log_in(browser, gateway, session)
    watch(browser)
    eventually("the page is warned", lambda: [type for type, _ in seen(browser)] == ["expiring"])
    detail = seen(browser)[0][1]
    assert detail["limit"] == "absolute" and 60 <= detail["expires_in"] <= 100
    user = run(browser, "cloakroom.user()")
    assert user["sub"] == "warned" and "session" not in user
    assert [type for type, _ in seen(browser)] == ["expiring"], "once"


def test_fetch_adds_the_field_and_notices_a_logout(browser: Browser, gateway: Gateway, redis: RedisServer) -> None:
    """R31: without the field the gateway refuses."""
    session = put(redis.client(), record("fetches"))
    log_in(browser, gateway, session)
    watch(browser)
    assert run(browser, "(await fetch('/api/x')).status") == 403
    get = "{ const r = await cloakroom.fetch('/api/x', {headers: {'X-App': 'mine'}}); return [r.status, await r.text()]; }"
    assert run(browser, get) == [200, "mine"]
    post = "{ const r = await cloakroom.fetch(new Request('/api/x', {method: 'POST', body: 'a'})); return r.status; }"
    assert run(browser, post) == 200
    # The API's own 401 is no logout.
    assert run(browser, "(await cloakroom.fetch('/api/refuse')).status") == 401
    assert run(browser, "cloakroom.user()")["sub"] == "fetches" and seen(browser) == []
    assert run(browser, "{ try { cloakroom.on('nonsense', () => {}); } catch (e) { return e.name; } }") == "TypeError"
    redis.client().delete("session:" + session)
    eventually("the page is told", lambda: [type for type, _ in seen(browser)] == ["logout"])
    assert run(browser, "cloakroom.user()") is None
    assert len(seen(browser)) == 1, "once"


def test_a_page_that_gets_no_stream_asks_now_and_then(browser: Browser, gateway: Gateway, redis: RedisServer) -> None:
    session = put(redis.client(), record("no-stream"))
    taken = EventStream(gateway, session)
    assert taken.status == 200, "the only place that the session has"
    log_in(browser, gateway, session)
    watch(browser, IMPATIENT)
    assert run(browser, "cloakroom.user()")["sub"] == "no-stream"
    redis.client().delete("session:" + session)
    taken.wait_for("logout")
    eventually("the page has found out", lambda: seen(browser) == [["logout", {"reason": "elsewhere"}]])


def test_without_a_session_a_page_opens_no_stream(browser: Browser, gateway: Gateway, management: int) -> None:
    browser.open(gateway.url + "/")
    watch(browser)
    assert run(browser, "cloakroom.user()") is None
    assert stream_count(management) == 0 and seen(browser) == []
    browser.driver.execute_script("cloakroom.login('/somewhere?a=b')")
    eventually("it leads to the provider", lambda: "/authorize?" in browser.url)
    eventually("it is in the log", lambda: "route=/auth/login" in gateway.log(), 10, gateway.log_tail)
