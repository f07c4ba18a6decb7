"""Exchanges that break on either side: what is incomplete never looks complete, and nothing is taken for another request."""

from __future__ import annotations

import hashlib
import random
import socket
import struct
import threading
import time
from typing import Iterator

import pytest

from support.gateway import COOKIE, Gateway
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers

SESSION = "a-session-of-the-broken-exchanges"
OTHER = "a-session-of-another-user"
SIZE = 100_000_000


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data, b""
        data += part
    head, rest = data.split(b"\r\n\r\n", 1)
    return head, rest


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Upstream:
    """Does to each request what its path names. Remembers the request lines that it has read."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.seen: list[bytes] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            head, body = read_head(connection)
            if not head:
                return
            line = head.split(b"\r\n")[0]
            self.seen.append(line)
            getattr(self, line.split()[1].decode().removeprefix("/api/").replace("-", "_"))(connection, head, body)
        except OSError:
            pass
        finally:
            connection.close()

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

    def close(self) -> None:
        self.listener.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Gateway:
    redis = module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), REDIS_URL=redis.url, UPSTREAM_URL=upstream.url)
    put(redis.client(), record("user-1"), SESSION)
    put(redis.client(), record("user-2"), OTHER)
    return module_servers.add(gateway).launch_ready()


def head(start: str, *fields: str) -> bytes:
    lines = [start, "Host: localhost", f"Cookie: {COOKIE}={SESSION}", "X-CSRF: 1", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    """What comes until the gateway closes or resets."""
    answer = bytearray()
    with connection:
        try:
            while part := connection.recv(1 << 20):
                answer += part
        except ConnectionResetError:
            pass
    return bytes(answer)


def memory(gateway: Gateway) -> int:
    with open(f"/proc/{gateway.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize("path", ["short-length", "short-length-reset", "short-chunks", "short-chunks-reset"])
def test_r49_an_incomplete_response_never_looks_complete(gateway: Gateway, path: str) -> None:
    for _ in range(20):
        connection = connect(gateway)
        connection.sendall(head(f"GET /api/{path} HTTP/1.1"))
        answer = rest(connection)
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
def test_r49_an_upstream_that_goes_without_an_answer_is_a_502(gateway: Gateway, method: str, path: str) -> None:
    for _ in range(20):
        connection = connect(gateway)
        fields = ["Connection: close"] + (["Content-Length: 4"] if method == "POST" else [])
        connection.sendall(head(f"{method} /api/{path} HTTP/1.1", *fields) + (b"body" if method == "POST" else b""))
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 502 "), answer
    assert gateway.get("/api/ok", OTHER, headers={"X-CSRF": "1"}).status_code == 200


def test_r48_the_rest_of_an_upload_that_was_answered_is_no_request(gateway: Gateway, upstream: Upstream) -> None:
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
        answer = rest(connection)
        # The second request is answered after the whole body, or not at all.
        assert answer.count(b"HTTP/1.1 ") <= 1 and b" 40" not in answer.split(b"\r\n")[0], answer
    assert not any(b"smuggled" in line for line in upstream.seen)


def test_r36_large_bodies_arrive_byte_for_byte_and_are_not_kept(gateway: Gateway) -> None:
    body = random.Random(3).randbytes(SIZE)
    before = memory(gateway)
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, memory(gateway))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        connection = connect(gateway)
        connection.sendall(head("POST /api/sum HTTP/1.1", f"Content-Length: {SIZE}", "Connection: close"))
        connection.sendall(body)
        answer = rest(connection)
        assert answer.endswith(hashlib.sha256(body).hexdigest().encode()), answer[:200]
        connection = connect(gateway)
        connection.sendall(head("GET /api/bytes HTTP/1.1", "Connection: close"))
        answer = rest(connection)
        assert answer.split(b"\r\n\r\n", 1)[1] == random.Random(7).randbytes(SIZE)
    finally:
        done.set()
        watcher.join()
    # Buffers in use, and what the allocator keeps of them; half of the body would be a copy of it.
    print(f"measured: {(peak - before) >> 20} MiB more")
    assert peak - before < SIZE // 2, f"{(peak - before) >> 20} MiB more"
