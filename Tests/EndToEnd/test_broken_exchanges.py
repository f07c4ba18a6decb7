"""Exchanges that break on either side: what is incomplete never looks complete, and nothing is taken for another request."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from typing import Iterator

import pytest

from support import raw
from support.gateway import Gateway
from support.raw import RawUpstream, connect, gateway_before, read_head, reset, rest_or_reset
from support.servers import Servers

SESSION = "a-session-of-the-broken-exchanges"
OTHER = "a-session-of-another-user"
SIZE = 100_000_000


class Upstream(RawUpstream):
    """Does to each request what its path names. Remembers the request lines that it has read."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        head, body = read_head(connection)
        if not head:
            return
        line = head.split(b"\r\n")[0]
        self.seen.append(line)
        getattr(self, line.split()[1].decode().removeprefix("/api/").replace("-", "_"))(connection, head, body)

    def short_length(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(100))

    def short_length_reset(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        self.short_length(connection, head, body)
        time.sleep(0.05)
        reset(connection)

    def short_chunks(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + bytes(100) + b"\r\n")

    def short_chunks_reset(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        self.short_chunks(connection, head, body)
        time.sleep(0.05)
        reset(connection)

    def reset_at_once(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        reset(connection)

    def nothing(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.close()

    def early(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        """Answers while the request's body is under way, and takes the rest of it."""
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\ndone")
        while connection.recv(65536):
            pass

    def ok(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    def sum(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        """The hash of the body, which comes with a length."""
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        digest = hashlib.sha256(body)
        left = length - len(body)
        while left > 0:
            part = connection.recv(min(left, 1 << 20))
            if not part:
                return
            digest.update(part)
            left -= len(part)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\nConnection: close\r\n\r\n" + digest.hexdigest().encode())

    def bytes(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n".encode())
        connection.sendall(random.Random(7).randbytes(SIZE))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Gateway:
    return gateway_before(upstream, module_servers, tmp_path_factory.mktemp("broken"), SESSION, OTHER)


def head(start: str, *fields: str) -> bytes:
    return raw.head(start, *fields, session=SESSION)


@pytest.mark.parametrize("path", ["short-length", "short-length-reset", "short-chunks", "short-chunks-reset"])
def test_r47_an_incomplete_response_never_looks_complete(gateway: Gateway, path: str) -> None:
    for _ in range(20):
        connection = connect(gateway)
        connection.sendall(head(f"GET /api/{path} HTTP/1.1"))
        answer = rest_or_reset(connection)
        if b" 502 " in answer.split(b"\r\n")[0]:
            continue
        fields, body = answer.split(b"\r\n\r\n", 1)
        assert b" 200 " in fields.split(b"\r\n")[0], answer
        # Cut off before its end, which the client can see: too few bytes, or no last chunk.
        if b"content-length: 1000" in fields.lower():
            assert len(body) < 1000
        else:
            assert b"transfer-encoding: chunked" in fields.lower() and not body.endswith(b"0\r\n\r\n")
    assert gateway.get("/api/ok", OTHER, headers={"X-CSRF": "1"}).status_code == 200


@pytest.mark.parametrize("path", ["reset-at-once", "nothing"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_r40_r47_an_upstream_that_goes_without_an_answer_is_a_502(
    gateway: Gateway, upstream: Upstream, method: str, path: str
) -> None:
    """What may have been carried out is not sent again."""
    line = f"{method} /api/{path} HTTP/1.1".encode()
    before = upstream.seen.count(line)
    for _ in range(20):
        connection = connect(gateway)
        fields = ["Connection: close"] + (["Content-Length: 4"] if method == "POST" else [])
        connection.sendall(head(f"{method} /api/{path} HTTP/1.1", *fields) + (b"body" if method == "POST" else b""))
        answer = rest_or_reset(connection)
        assert answer.startswith(b"HTTP/1.1 502 "), answer
    assert method == "GET" or upstream.seen.count(line) == before + 20
    assert gateway.get("/api/ok", OTHER, headers={"X-CSRF": "1"}).status_code == 200


def test_r47_the_rest_of_an_upload_that_was_answered_is_no_request(gateway: Gateway, upstream: Upstream) -> None:
    """After an early answer the connection may go on or end, but the body's bytes are never read as requests."""
    smuggled = head("GET /api/smuggled HTTP/1.1")
    for cut in (0, 1, 3, len(smuggled)):
        connection = connect(gateway)
        body = smuggled * 50
        connection.sendall(head("POST /api/early HTTP/1.1", f"Content-Length: {len(body)}") + body[:cut])
        first = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 413 "), first
        try:
            connection.sendall(body[cut:] + head("GET /api/ok HTTP/1.1", "Connection: close"))
        except OSError:
            pass
        answer = rest_or_reset(connection)
        # The second request is answered after the whole body, or not at all.
        assert answer.count(b"HTTP/1.1 ") <= 1 and b" 40" not in answer.split(b"\r\n")[0], answer
    assert not any(b"smuggled" in line for line in upstream.seen)


def test_r40_large_bodies_arrive_byte_for_byte_and_are_not_kept(gateway: Gateway) -> None:
    body = random.Random(3).randbytes(SIZE)
    before = gateway.resident_bytes
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, gateway.resident_bytes)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        connection = connect(gateway)
        connection.sendall(head("POST /api/sum HTTP/1.1", f"Content-Length: {SIZE}", "Connection: close"))
        connection.sendall(body)
        answer = rest_or_reset(connection)
        assert answer.endswith(hashlib.sha256(body).hexdigest().encode()), answer[:200]
        connection = connect(gateway)
        connection.sendall(head("GET /api/bytes HTTP/1.1", "Connection: close"))
        answer = rest_or_reset(connection)
        assert answer.split(b"\r\n\r\n", 1)[1] == random.Random(7).randbytes(SIZE)
    finally:
        done.set()
        watcher.join()
    # Buffers in use, and what the allocator keeps of them; half of the body would be a copy of it.
    print(f"measured: {(peak - before) >> 20} MiB more")
    assert peak - before < SIZE // 2, f"{(peak - before) >> 20} MiB more"
