"""Uploads that the upstream refuses early, and clients that hang up: only that exchange ends (R47, R48)."""

from __future__ import annotations

import os
import random
import socket
import statistics
import struct
import threading
import time
from typing import Iterator

import pytest

from support.gateway import Gateway
from support.raw import RawUpstream, connect, gateway_before, head, read_head, rest
from support.servers import Servers
from support.wait import eventually

SESSION = "a-session-of-the-uploads"
OTHER = "a-session-of-another-user"


class Upstream(RawUpstream):
    """Answers at the end of a request's head: 413 at /api/refuse, never at /api/hang, else 200. Counts connections."""

    def __init__(self) -> None:
        self.hanging = 0
        self.lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        head, _ = read_head(connection)
        if not head:
            return
        target = head.split()[1]
        if target == b"/api/hang":
            with self.lock:
                self.hanging += 1
            try:
                while connection.recv(65536):
                    pass
            finally:
                with self.lock:
                    self.hanging -= 1
            return
        status = b"413 Content Too Large" if target == b"/api/refuse" else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Gateway:
    return gateway_before(upstream, module_servers, tmp_path_factory.mktemp("uploads"), SESSION, OTHER)


def open_request(gateway: Gateway, start: str, *fields: str, body: bytes = b"") -> socket.socket:
    connection = connect(gateway, timeout=10)
    connection.sendall(head(start, *fields, session=SESSION) + body)
    return connection


@pytest.mark.parametrize("expect", [[], ["Expect: 100-continue"]], ids=["plain", "expect"])
def test_r47_an_upload_refused_early_gets_its_answer(gateway: Gateway, expect: list[str]) -> None:
    for _ in range(50):
        connection = open_request(
            gateway, "POST /api/refuse HTTP/1.1", "Content-Length: 100000", *expect, body=b"" if expect else b"abc"
        )
        answer = rest(connection)
        assert b" 413 " in answer and answer.endswith(b"done"), answer
    assert gateway.status("/healthz") == 200


@pytest.mark.parametrize(
    "request_", [("GET /api/hang HTTP/1.1",), ("POST /api/hang HTTP/1.1", "Content-Length: 100000")], ids=["get", "post"]
)
def test_r47_a_hang_up_ends_the_upstream_exchange(
    gateway: Gateway, upstream: Upstream, request_: tuple[str, ...]
) -> None:
    connections = [open_request(gateway, *request_, body=b"abc" if len(request_) > 1 else b"") for _ in range(50)]
    eventually("all reach the upstream", lambda: upstream.hanging == 50)
    for connection in connections:
        connection.close()
    eventually("all upstream exchanges end", lambda: upstream.hanging == 0, within=1)
    assert gateway.status("/healthz") == 200


UPGRADES = pytest.mark.parametrize(
    ("start", "fields", "status"),
    [
        ("GET /api/x HTTP/1.1", ["Connection: Upgrade", "Upgrade: websocket"], 200),
        ("CONNECT localhost:1 HTTP/1.1", [], 404),
    ],
    ids=["upgrade", "connect"],
)


@UPGRADES
@pytest.mark.parametrize("follows", [0, 1, 1 << 16])
def test_r48_an_upgrade_that_nobody_serves_gets_its_answer(
    gateway: Gateway, start: str, fields: list[str], status: int, follows: int
) -> None:
    answer = rest(open_request(gateway, start, *fields, body=bytes(follows)))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert answer.count(b"HTTP/1.1 ") == 1 and b"\r\nconnection: close\r\n" in answer.lower(), answer
    assert status != 200 or answer.endswith(b"\r\n\r\ndone"), answer


@UPGRADES
def test_r48_nothing_after_an_upgrade_is_kept(gateway: Gateway, start: str, fields: list[str], status: int) -> None:
    before = gateway.resident_bytes
    connection = open_request(gateway, start, *fields)
    try:
        for _ in range(64):
            connection.sendall(bytes(1 << 20))
    except OSError:
        pass
    assert gateway.resident_bytes - before < 8 << 20
    # Who sends that much may have been reset before the answer was read.
    try:
        answer = rest(connection)
        assert not answer or answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    except ConnectionError:
        pass
    assert gateway.status("/healthz") == 200


@pytest.mark.parametrize(
    "hello", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes.fromhex("160301020001")], ids=["h2", "tls"]
)
@pytest.mark.parametrize("follows", [0, 600])
def test_r48_what_is_no_http_1_is_refused_and_closed(gateway: Gateway, hello: bytes, follows: int) -> None:
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=5)
    started = time.monotonic()
    connection.sendall(hello + bytes(follows))
    answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"\r\nconnection: close\r\n" in answer.lower(), answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert time.monotonic() - started < 2


def test_r50_one_session_holds_a_part_of_the_places_only(gateway: Gateway, upstream: Upstream) -> None:
    connections = [open_request(gateway, "GET /api/hang HTTP/1.1") for _ in range(400)]
    eventually("it has its part of the places", lambda: upstream.hanging == 128)
    times = []
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as other:
        for _ in range(100):
            started = time.monotonic()
            other.sendall(head("GET /api/x HTTP/1.1", session=OTHER))
            assert other.recv(65536).startswith(b"HTTP/1.1 200 ")
            times.append(time.monotonic() - started)
    print(f"measured: another user's median {statistics.median(times) * 1000:.1f} ms, most {max(times) * 1000:.1f} ms")
    assert statistics.median(times) < 0.02 and max(times) < 1
    assert upstream.hanging <= 128
    for connection in connections:
        connection.close()
    eventually("all places are free", lambda: upstream.hanging == 0, within=1)
    assert gateway.get("/api/x", SESSION, headers={"X-CSRF": "1"}).status_code == 200


def test_r47_hostile_clients_harm_nobody_else(gateway: Gateway, upstream: Upstream) -> None:
    """Uploads refused early, stalled, and cut off at random bytes, while another user is served all the time."""
    seed = int(os.environ.get("CLOAKROOM_SEED", str(random.randrange(1 << 32))))
    print(f"CLOAKROOM_SEED={seed}")
    choice = random.Random(seed)
    done = threading.Event()
    times: list[float] = []
    failures: list[int] = []

    def other_user() -> None:
        while not done.is_set():
            started = time.monotonic()
            status = gateway.get("/api/x", OTHER, headers={"X-CSRF": "1"}).status_code
            times.append(time.monotonic() - started)
            if status != 200:
                failures.append(status)

    before = gateway.resident_bytes
    witness = threading.Thread(target=other_user)
    witness.start()
    try:
        stalled = [
            open_request(gateway, "POST /api/hang HTTP/1.1", "Content-Length: 100000", body=b"abc") for _ in range(50)
        ]
        for _ in range(200):
            answer = rest(open_request(gateway, "POST /api/refuse HTTP/1.1", "Content-Length: 100000", body=b"abc"))
            assert b" 413 " in answer, answer
        for _ in range(50):
            fields = ["Content-Length: 100000", "Expect: 100-continue"]
            assert b" 413 " in rest(open_request(gateway, "POST /api/refuse HTTP/1.1", *fields))
        request = head("POST /api/hang HTTP/1.1", "Content-Length: 2000", session=SESSION) + bytes(2000)
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
                connection.sendall(request[: choice.randrange(1, len(request))])
                if choice.random() < 0.5:
                    # A reset rather than an orderly end.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for connection in stalled:
            connection.close()
        eventually("all places are free", lambda: upstream.hanging == 0, within=1)
    finally:
        done.set()
        witness.join()
    assert not failures and len(times) > 20
    assert max(times) < 1, "another user's requests are answered under 1 s"
    assert gateway.resident_bytes - before < 16 << 20
