"""What strangers begin at login costs nobody else anything, and a callback is good once (R3, R4, R50, R53)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from support.gateway import Gateway, get
from support.login import begin_login, finish_login, log_in
from support.ports import free_port
from support.providers import DJANGO, Provider
from support.raw import connect
from support.records import stored_keys
from support.redis_server import RedisServer
from support.servers import Servers

pytestmark = pytest.mark.skipif(not DJANGO.is_installed, reason="needs the provider whose log counts token requests")

FLOOD = 12_000
IN_ONE_GO = 100
TABS = 50


class Site:
    """Two replicas on one Redis."""

    def __init__(self, servers: Servers, directory: Path) -> None:
        self.redis = servers.add(RedisServer(directory / "redis")).launch()
        port = free_port()
        self.url = f"http://localhost:{port}"
        self.provider = servers.add(Provider(DJANGO, directory / "provider", self.url)).launch()
        self.replicas = [
            servers.add(
                Gateway(
                    directory / name, name, number, PUBLIC_URL=self.url, REDIS_URL=self.redis.url,
                    LOG_LEVEL="warning", **self.provider.settings,
                )
            ).launch_ready()
            for name, number in (("first", port), ("second", None))
        ]

    def token_requests(self) -> int:
        return self.provider.log().count("POST /o/token/")

    def callback_url(self, http: requests.Session, return_to: str = "/") -> str:
        location = begin_login(http, self.url, return_to=return_to).headers["Location"]
        return self.provider.sign_in(http, location)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    with Servers() as servers:
        yield Site(servers, tmp_path_factory.mktemp("flood"))


def flood(gateway: Gateway, request: bytes, count: int) -> list[bytes]:
    """Sends this, whose answer has no body, over and over on one connection; gives the statuses."""
    statuses = []
    with connect(gateway) as connection:
        for _ in range(count // IN_ONE_GO):
            connection.sendall(request * IN_ONE_GO)
            answers = b""
            while answers.count(b"\r\n\r\n") < IN_ONE_GO:
                part = connection.recv(1 << 20)
                assert part, answers[-300:]
                answers += part
            statuses += [line.split()[1] for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return statuses


def test_r53_logins_that_a_stranger_begins_keep_nobody_out_and_leave_no_key(site: Site) -> None:
    before = stored_keys(site.redis.client())
    request = f"HEAD /auth/login HTTP/1.1\r\nHost: localhost:{site.replicas[0].port}\r\n\r\n".encode()
    statuses = flood(site.replicas[0], request, FLOOD)
    assert len(statuses) == FLOOD and set(statuses) == {b"303"}
    assert stored_keys(site.redis.client()) == before
    log_in(requests.Session(), site.url, site.provider)


def test_r53_callbacks_that_a_stranger_makes_up_leave_no_key(site: Site) -> None:
    """With a login of the stranger's own each time, so that the provider is asked, and refuses the code."""
    before = stored_keys(site.redis.client())

    def invent(_: int) -> int:
        http = requests.Session()
        query = urlsplit(begin_login(http, site.url).headers["Location"]).query
        state = next(part for part in query.split("&") if part.startswith("state="))
        return finish_login(http, f"{site.url}/auth/callback?code=invented&{state}").status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = set(pool.map(invent, range(40)))
    assert statuses <= {400, 502}, statuses
    assert stored_keys(site.redis.client()) == before


def test_r4_fifty_tabs_complete_and_share_one_small_cookie(site: Site) -> None:
    http = requests.Session()
    urls = [site.callback_url(http, f"/tab/{number}") for number in range(TABS)]
    ours = {cookie.name: len(cookie.value or "") for cookie in http.cookies if cookie.name.startswith("cloakroom")}
    # The other one remembers the logins of the last seconds; it has a bound of its own.
    assert ours.pop("cloakroom_logins", 0) < 300
    assert ours.keys() == {"cloakroom_login"} and ours["cloakroom_login"] < 100
    for number, url in enumerate(urls):
        answer = finish_login(http, url)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/tab/{number}")


def test_r3_a_callback_that_was_completed_never_is_again_on_any_replica(site: Site) -> None:
    http = requests.Session()
    url = site.callback_url(http)
    binding = {"Cookie": f"cloakroom_login={http.cookies['cloakroom_login']}"}
    assert finish_login(http, url).status_code == 303
    sessions, asked = len(stored_keys(site.redis.client())), site.token_requests()
    other = url.replace(site.url, site.replicas[1].url, 1)

    def again(number: int) -> int:
        return get(other if number % 2 else url, headers=binding).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(again, range(100))) == {400}
    assert (len(stored_keys(site.redis.client())), site.token_requests()) == (sessions, asked)


def test_r3_of_many_callbacks_at_once_one_completes(site: Site) -> None:
    for _ in range(5):
        http = requests.Session()
        url = site.callback_url(http)
        binding = {"Cookie": f"cloakroom_login={http.cookies['cloakroom_login']}"}
        asked = site.token_requests()
        other = url.replace(site.url, site.replicas[1].url, 1)
        with ThreadPoolExecutor(16) as pool:
            statuses = list(
                pool.map(lambda n: get(other if n % 2 else url, headers=binding).status_code, range(16))
            )
        assert sorted(statuses) == [303] + [400] * 15
        assert site.token_requests() == asked + 1
