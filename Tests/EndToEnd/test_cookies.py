"""Cookies from hell: logged out, or 401, never 500."""

from __future__ import annotations

import socket

import pytest

from support.gateway import COOKIE, Gateway
from support.records import new_id, put, record
from support.redis_server import RedisServer
from support.servers import Servers


@pytest.fixture(scope="module")
def redis(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    return module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Gateway:
    return module_servers.add(Gateway(tmp_path_factory.mktemp("gateway"), REDIS_URL=redis.url)).launch()


def status_of(gateway: Gateway, path: str, *cookie_fields: bytes) -> int:
    """The status for a request with these Cookie fields, byte for byte: no client library corrects them."""
    lines = [b"GET " + path.encode() + b" HTTP/1.1", b"Host: localhost:%d" % gateway.port, b"Connection: close"]
    lines += [b"Cookie: " + field for field in cookie_fields]
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = b""
        while b"\r\n" not in answer:
            part = connection.recv(65536)
            assert part, f"connection closed after {answer!r}"
            answer += part
    return int(answer.split()[1])


NAME = COOKIE.encode()

COOKIES = {
    "unknown": NAME + b"=" + new_id().encode(),
    "empty": NAME + b"=",
    "no value": NAME,
    "short": NAME + b"=x",
    "spaces": NAME + b"=a b c",
    "quoted": NAME + b'="' + new_id().encode() + b'"',
    "an escaped NUL": NAME + b"=%00" + new_id().encode(),
    "escaped CR and LF": NAME + b"=a%0d%0aX-Injected:%201",
    "UTF-8": NAME + "=sessiön-ünknöwn-ünknöwn".encode(),
    "not UTF-8": NAME + b"=\xff\xfe\xfd" + b"a" * 20,
    "a Redis key": NAME + b"=session:" + new_id().encode(),
    "a pattern": NAME + b"=" + b"*" * 20,
    "a path": NAME + b"=../../../../etc/passwd",
    "5,000 bytes": NAME + b"=" + b"a" * 5000,
    "only separators": b";;; ; =; ==;",
    "500 other cookies": b"; ".join(b"c%d=v" % number for number in range(500)),
}


@pytest.mark.parametrize("cookie", COOKIES)
def test_r16_bad_cookies_are_no_session(gateway: Gateway, cookie: str) -> None:
    """R16: an ID that the server did not make opens nothing."""
    assert status_of(gateway, "/auth/me", COOKIES[cookie]) == 401
    assert status_of(gateway, "/", COOKIES[cookie]) == 200


def test_r16_two_cookies_of_the_name_are_refused(gateway: Gateway, redis: RedisServer) -> None:
    """R16: whoever can set one more cookie must not choose which session counts."""
    one, two = (put(redis.client(), record(sub)).encode() for sub in ("user-1", "user-2"))
    assert status_of(gateway, "/auth/me", NAME + b"=" + one) == 200
    assert status_of(gateway, "/auth/me", NAME + b"=" + one + b"; " + NAME + b"=" + two) == 401
    assert status_of(gateway, "/auth/me", NAME + b"=" + two, NAME + b"=" + one) == 401
    assert status_of(gateway, "/", NAME + b"=" + one + b"; " + NAME + b"=" + two) == 200


def test_r16_an_unknown_id_is_never_adopted(gateway: Gateway, redis: RedisServer) -> None:
    """R16: strict mode. Asking with an ID does not make it one."""
    unknown = new_id()
    for path in ("/", "/auth/me", "/auth/login"):
        gateway.get(path, unknown)
    assert redis.client().get("session:" + unknown) is None
    assert gateway.get("/auth/me", unknown).status_code == 401


def test_r44_no_cookie_is_json_and_no_redirect(gateway: Gateway) -> None:
    answer = gateway.get("/auth/me", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert isinstance(answer.json(), dict)


def test_the_gateway_survived_all_that(gateway: Gateway, redis: RedisServer) -> None:
    assert gateway.is_running
    session = put(redis.client(), record("user-9"))
    assert gateway.get("/auth/me", session).json()["sub"] == "user-9"
