"""Requests byte for byte, as no client library would send them, through the gateway to an API."""

from __future__ import annotations

import socket
from typing import Iterator

import pytest

from support.api import API
from support.gateway import COOKIE, Gateway
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers


@pytest.fixture(scope="module")
def api() -> Iterator[API]:
    with API() as api:
        yield api


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, api: API) -> Gateway:
    redis = module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), REDIS_URL=redis.url, UPSTREAM_URL=api.url)
    put(redis.client(), record("user-1"), SESSION)
    return module_servers.add(gateway).launch_ready()


SESSION = "a-session-of-the-raw-requests"


def send(gateway: Gateway, start: str, *fields: str, body: str = "") -> bytes:
    """The whole answer to one request on a connection of its own, until the gateway closes or says nothing more."""
    lines = [start, f"Cookie: {COOKIE}={SESSION}", "X-CSRF: 1", *fields]
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def status(answer: bytes) -> int:
    return int(answer.split()[1])


@pytest.mark.parametrize(
    ("target", "arrives_as"),
    [
        ("/api/a?b=c&d", None),
        ("/api/a%2Cb;c=d?e=%2F%20+", None),
        ("/api/?filter[name]=a%20b", "/api/?filter%5Bname%5D=a%20b"),
        ('/api/{a}?q="x|y"&z=%2F', "/api/%7Ba%7D?q=%22x%7Cy%22&z=%2F"),
        ("/api/?q=100%&r=%41", "/api/?q=100%25&r=%41"),
    ],
)
def test_r35_a_target_arrives_as_it_was_sent(gateway: Gateway, api: API, target: str, arrives_as: str | None) -> None:
    """R35: only what no URI may hold is escaped; what is escaped already stays as it is."""
    answer = send(gateway, f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close")
    assert status(answer) == 200, answer
    assert api.targets[-1] == (arrives_as or target)


BAD = {
    "Content-Length and Transfer-Encoding": ["Host: a", "Content-Length: 4", "Transfer-Encoding: chunked"],
    "Transfer-Encoding and Content-Length": ["Host: a", "Transfer-Encoding: chunked", "Content-Length: 4"],
    "two Content-Lengths": ["Host: a", "Content-Length: 4", "Content-Length: 5"],
    "a signed Content-Length": ["Host: a", "Content-Length: +4"],
    "a list of lengths": ["Host: a", "Content-Length: 4, 4"],
    "chunked is not last": ["Host: a", "Transfer-Encoding: chunked, identity"],
    "space before the colon": ["Host: a", "Transfer-Encoding : chunked"],
    "a folded field": ["Host: a", "X-A: b", " c: d"],
    "a bare LF in a field": ["Host: a", "X-A: b\nX-B: c\n"],
    "two Hosts": ["Host: a", "Host: b"],
    "no Host": [],
    "an empty Host": ["Host:"],
    "a Host with a path": ["Host: a/b"],
    "two equal Content-Lengths": ["Host: a", "Content-Length: 5", "Content-Length: 5"],
    "a bare CR in a field": ["Host: a", "X-A: b\rX-B: c"],
    "a NUL in a field": ["Host: a", "X-A: b\0c"],
    "a field without a name": ["Host: a", ": b"],
    "chunked twice": ["Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
} | {
    f"Transfer-Encoding: {coding!r}": ["Host: a", f"Transfer-Encoding: {coding}"]
    for coding in [
        "identity", "xchunked", ",chunked", "chunked,", "chunked;q=1", '"chunked"', "identity, chunked", "chun\tked",
        "gzip, chunked", "", "chunked\x0b",
    ]
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD.keys())
def test_r39_ambiguous_requests_are_refused(gateway: Gateway, api: API, fields: list[str]) -> None:
    """R39: what two servers could read in two ways is 400, and the connection ends, so that nothing hides behind it."""
    before = len(api.targets)
    answer = send(
        gateway, "POST /api/x HTTP/1.1", *fields, body="0\r\n\r\nGET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert status(answer) == 400, answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert len(api.targets) == before


CHUNKS = [
    "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-0\r\n\r\n", "0000000000000005\r\nhello\r\n0\r\n\r\n",
    "11111111111111111\r\nhello", "5\r\nhello0\r\n\r\n", "5\nhello\n0\n\n", "5 \r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nA b\r\n\r\n",
]


@pytest.mark.parametrize("chunks", CHUNKS)
def test_r39_chunks_that_servers_read_in_two_ways_are_refused(gateway: Gateway, api: API, chunks: str) -> None:
    before = len(api.targets)
    answer = send(
        gateway, "POST /api/x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked",
        body=chunks + "GET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    assert status(answer) == 400 and answer.count(b"HTTP/1.1 ") == 1, answer
    # Its head may have gone on; what hides behind it has not.
    assert all("smuggled" not in target for target in api.targets[before:])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "compress"])
def test_r49_a_coding_that_is_not_served_is_501(gateway: Gateway, api: API, coding: str) -> None:
    before = len(api.targets)
    answer = send(gateway, "POST /api/x HTTP/1.1", "Host: a", f"Transfer-Encoding: {coding}", body="0\r\n\r\n")
    assert status(answer) == 501 and answer.count(b"HTTP/1.1 ") == 1, answer
    assert len(api.targets) == before


@pytest.mark.parametrize(
    ("start", "fields"),
    [
        ("GET /api/x HTTP/1.1", ["Host: a", "Connection: Close"]),
        ("GET /api/x HTTP/1.1", ["Host: a", "Connection: x-y, CLOSE"]),
        ("GET /api/x HTTP/1.0", ["Host: a"]), ("GET /api/x HTTP/1.0", ["Host: a", "Connection: keep-alive"]),
        ("GET /healthz HTTP/1.0", []),
    ],
)
def test_r49_a_connection_that_is_to_end_does(gateway: Gateway, start: str, fields: list[str]) -> None:
    answer = send(gateway, start, *fields, body="GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status(answer) == 200 and answer.count(b"HTTP/1.1 ") == 1, answer
    assert b"\r\nconnection: close\r\n" in answer.lower() and b"chunked" not in answer.lower()


@pytest.mark.parametrize("target", ["*", "http://evil.example/api/../x", "evil.example:443", "//api/x", "/api/../x"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "CONNECT"])
def test_r35_other_forms_of_targets_reach_nothing(gateway: Gateway, api: API, method: str, target: str) -> None:
    before = len(api.targets)
    answer = send(gateway, f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close")
    assert status(answer) in (400, 403, 404, 405), answer
    assert len(api.targets) == before


def test_r16_no_cookie_hides_in_the_value_of_another(gateway: Gateway, api: API) -> None:
    """R16: U+037E looks like a semicolon, and equals one to some; to browsers it is part of a value."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        cookie = f"a=b\u037e{COOKIE}={SESSION}"
        connection.sendall(
            f"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = connection.recv(65536)
    assert status(answer) == 401, answer
