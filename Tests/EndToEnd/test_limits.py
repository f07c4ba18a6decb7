"""What one client may hold, fill or block: each limit ends it with the answer that the docs name, and harms nobody (R50)."""

from __future__ import annotations

import select
import socket
import threading
import time
from pathlib import Path
from typing import Iterator

import pytest

from support.gateway import Gateway
from support.raw import RawUpstream, connect, gateway_before, head, read_head, rest, rest_or_reset
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

SESSION = "a-session-of-the-limits"
OTHER = "a-session-of-another-user"
SIZE = 64 << 20


class Upstream(RawUpstream):
    """Sends without end at /api/flood, reads without end at /api/read, stops half-way at /api/pause, else answers."""

    def __init__(self) -> None:
        self.busy = 0
        self.lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        first, _ = read_head(connection)
        if not first:
            return
        with self.lock:
            self.busy += 1
        try:
            self.answer(connection, first.split()[1])
        finally:
            with self.lock:
                self.busy -= 1

    def answer(self, connection: socket.socket, target: bytes) -> None:
        if target == b"/api/flood":
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n".encode())
            for _ in range(SIZE >> 16):
                connection.sendall(bytes(1 << 16))
        elif target == b"/api/pause":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            while connection.recv(65536):
                pass
        elif target.startswith(b"/api/size/"):
            size = int(target.rsplit(b"/", 1)[1])
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size))
        elif target == b"/api/read":
            while connection.recv(65536):
                pass
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Gateway:
    return gateway_before(
        upstream, module_servers, tmp_path_factory.mktemp("limits"), SESSION, OTHER,
        KEEP_ALIVE_TIMEOUT="2s", KEEP_ALIVE_MAX_REQUESTS="3", REQUEST_HEADER_MAX_BYTES="8K",
        REQUEST_HEADER_TIMEOUT="2s", REQUEST_BODY_MAX_BYTES="100K", REQUEST_BODY_TIMEOUT="2s",
        REQUEST_BODY_MIN_RATE="1000", SEND_TIMEOUT="4s", UPSTREAM_RESPONSE_TIMEOUT="2s", UPSTREAM_TIMEOUT="60s",
        MAX_CONNECTIONS="50",
    )


@pytest.fixture(scope="module")
def patient(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Gateway:
    """One that takes any number of requests on a connection, and waits for clients that read slowly."""
    return gateway_before(upstream, module_servers, tmp_path_factory.mktemp("patient"), SESSION, OTHER)


@pytest.fixture(autouse=True)
def nothing_is_left(gateway: Gateway, upstream: Upstream) -> Iterator[None]:
    """After each test, another user is served as before, and the upstream has nothing to do."""
    yield
    eventually("another user is served", lambda: gateway.get("/api/x", OTHER, headers={"X-CSRF": "1"}).status_code == 200)
    eventually("the upstream is free", lambda: upstream.busy == 0, within=1)


def is_refused(answer: bytes, status: int, error: str) -> bool:
    return (
        answer.startswith(f"HTTP/1.1 {status} ".encode())
        and answer.count(b"HTTP/1.1 ") == 1
        and b"connection: close\r\n" in answer.lower()
        and f'\r\n\r\n{{"error":"{error}",'.encode() in answer
    )


def took(started: float, seconds: float) -> bool:
    return seconds - 0.5 < time.monotonic() - started < seconds + 3


class Drip(threading.Thread):
    """Sends byte after byte until the other side has had enough."""

    def __init__(self, connection: socket.socket, data: bytes) -> None:
        super().__init__(daemon=True)
        self.connection, self.data = connection, data
        self.start()

    def run(self) -> None:
        try:
            for byte in self.data:
                self.connection.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass


@pytest.mark.parametrize("drips", [False, True])
def test_r50_a_slow_head_is_408(gateway: Gateway, drips: bool) -> None:
    started = time.monotonic()
    connection = connect(gateway)
    request = head("GET /api/x HTTP/1.1", *[f"X-{number}: y" for number in range(20)], session=SESSION)
    if drips:
        Drip(connection, request)
    else:
        connection.sendall(request[:-1])
    assert is_refused(rest(connection), 408, "request_timeout")
    assert took(started, 2)


def test_r50_a_connection_on_which_nothing_comes_is_closed(gateway: Gateway) -> None:
    started = time.monotonic()
    assert rest(connect(gateway)) == b""
    assert took(started, 2)


@pytest.mark.parametrize("path", ["/api/read", "/auth/logout"])
@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("field", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_r50_a_slow_body_is_408(gateway: Gateway, path: str, drips: bool, field: str) -> None:
    started = time.monotonic()
    connection = connect(gateway)
    connection.sendall(head(f"POST {path} HTTP/1.1", field, session=SESSION) + b"400\r\nsome")
    if drips:
        Drip(connection, b"of it, and more." * 30)
    assert is_refused(rest(connection), 408, "request_timeout")
    assert took(started, 2)


@pytest.mark.parametrize("path", ["/api/read", "/auth/logout"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_r50_a_body_beyond_the_limit_is_413(gateway: Gateway, path: str, is_chunked: bool) -> None:
    connection = connect(gateway)
    field = "Transfer-Encoding: chunked" if is_chunked else "Content-Length: 200000"
    body = b"".join(b"8000\r\n" + bytes(0x8000) + b"\r\n" for _ in range(6)) if is_chunked else bytes(200_000)
    connection.sendall(head(f"POST {path} HTTP/1.1", field, session=SESSION) + body)
    assert is_refused(rest_or_reset(connection), 413, "body_too_large")


def test_r50_a_head_beyond_the_limit_is_431(gateway: Gateway) -> None:
    connection = connect(gateway)
    connection.sendall(head("GET /api/x HTTP/1.1", "X-Long: " + "x" * 9000, session=SESSION))
    assert is_refused(rest_or_reset(connection), 431, "bad_request")


def test_r50_an_idle_connection_is_closed_and_its_requests_are_counted(gateway: Gateway) -> None:
    connection = connect(gateway)
    for _ in range(2):
        connection.sendall(head("GET /healthz HTTP/1.1", session=SESSION))
        assert b"connection: close" not in connection.recv(65536).lower()
    started = time.monotonic()
    assert rest(connection) == b""
    assert took(started, 2)
    connection = connect(gateway)
    connection.sendall(head("GET /healthz HTTP/1.1", session=SESSION) * 4)
    answer = rest(connection)
    assert answer.count(b"HTTP/1.1 200") == 3 and answer.lower().count(b"connection: close") == 1


def test_r50_a_client_that_does_not_read_frees_the_upstream(gateway: Gateway, upstream: Upstream) -> None:
    before = gateway.resident_bytes
    started = time.monotonic()
    connections = []
    for _ in range(10):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(head("GET /api/flood HTTP/1.1", session=SESSION))
        connections.append(connection)
    eventually("all are at the upstream", lambda: upstream.busy == 10)
    eventually("the upstream is free", lambda: upstream.busy == 0, within=20)
    assert time.monotonic() - started > 1.5
    assert gateway.resident_bytes - before < 32 << 20
    for connection in connections:
        connection.close()


def test_r20_a_session_that_ends_while_its_request_waits_for_a_place_is_refused(
    servers: Servers, tmp_path: Path, upstream: Upstream
) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    put(redis.client(), record("user"), SESSION)
    gateway = servers.add(
        Gateway(
            tmp_path / "gateway", REDIS_URL=redis.url, UPSTREAM_URL=upstream.url, UPSTREAM_MAX_CONCURRENT_PER_SESSION="1")
    ).launch_ready()
    first = connect(gateway)
    first.sendall(head("GET /api/pause HTTP/1.1", session=SESSION))
    read_head(first)
    others = [connect(gateway) for _ in range(5)]
    for other in others:
        other.sendall(head("GET /api/x HTTP/1.1", session=SESSION))
    # As many may wait as are served: one.
    refused: list[socket.socket] = []
    while len(refused) < 4:
        ready, _, _ = select.select([other for other in others if other not in refused], [], [], 20)
        assert ready and all(read_head(other)[0].startswith(b"HTTP/1.1 503 ") for other in ready)
        refused += ready
    redis.client().delete("session:" + SESSION)
    eventually("the session has ended", lambda: gateway.get("/auth/me", SESSION).status_code == 401, within=1)
    first.close()
    [waiting] = [other for other in others if other not in refused]
    assert read_head(waiting)[0].startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/healthz", "/api/x", "/auth/me"])
def test_r50_answers_to_requests_sent_ahead_do_not_pile_up(patient: Gateway, path: str) -> None:
    """Each answer is ten times as large as its request: a client that takes none gets no more of them.

    While it sends, others are answered: they wait for a few of its requests at most.
    """
    before = patient.resident_bytes
    requests = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 2000
    with connect(patient) as connection:
        connection.settimeout(1)
        sent, peak = 0, 0
        waits: list[float] = []
        try:
            while sent < 64 << 20:
                sent += connection.send(requests)
                peak = max(peak, patient.resident_bytes)
                started = time.monotonic()
                assert patient.status("/healthz") == 200
                waits.append(time.monotonic() - started)
        except (TimeoutError, OSError):
            pass
        assert max(peak, patient.resident_bytes) - before < 16 << 20
    assert sent < 32 << 20, "it was held up"
    # Two may have had to wait for the processor.
    assert sorted(waits)[-3] < 0.1, [round(wait, 3) for wait in waits[:20]]


def test_a_client_that_reads_late_gets_the_last_response_of_its_connection_whole(gateway: Gateway) -> None:
    """Whatever of it still waits to be written when the upstream is done: the connection ends after it."""
    connections = []
    for size in range(100_000, 3_100_000, 100_000):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(head(f"GET /api/size/{size} HTTP/1.1", "Connection: close", session=SESSION))
        connections.append((connection, size))
    # Longer than a connection lingers that has nothing more to say.
    time.sleep(2)
    for connection, size in connections:
        assert len(rest(connection).split(b"\r\n\r\n", 1)[1]) == size


def test_r50_a_response_that_stands_still_is_cut_off(gateway: Gateway) -> None:
    started = time.monotonic()
    connection = connect(gateway)
    connection.sendall(head("GET /api/pause HTTP/1.1", session=SESSION))
    answer = rest_or_reset(connection)
    assert answer.endswith(b"\r\n\r\nhalf") and b"content-length: 10\r\n" in answer.lower()
    assert took(started, 2)


def test_r50_more_connections_than_may_be_are_closed_and_idle_ones_make_room(gateway: Gateway) -> None:
    connections = [connect(gateway) for _ in range(60)]
    closed = 0
    for connection in connections[50:]:
        connection.settimeout(1)
        try:
            closed += connection.recv(1) == b""
        except (TimeoutError, ConnectionResetError):
            closed += 1
    assert closed >= 9
    # Nothing comes on the others; in the end there is room.
    eventually("there is room again", lambda: gateway.status("/healthz") == 200, within=10)
    for connection in connections:
        connection.close()
