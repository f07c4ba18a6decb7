"""Exchanges that stand still until the deadline: each ends with its answer, and nobody else notices (R47, R50).

It begins with the first test here and ends with the last.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Iterator

import pytest

from support.gateway import Gateway
from support.raw import RawUpstream, connect, exchange, gateway_before, head, read_head, rest
from support.servers import Servers
from support.wait import eventually

SESSION = "a-session-of-the-stalls"
OTHER = "a-session-of-another-user"
# How long the upstream may take until its response begins, in seconds.
DEADLINE = 15


class Upstream(RawUpstream):
    """Reads and says nothing at /api/hang; else answers."""

    def __init__(self) -> None:
        self.hanging = 0
        self.lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        head, _ = read_head(connection)
        if not head:
            return
        if head.split()[1] != b"/api/hang":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            return
        with self.lock:
            self.hanging += 1
        try:
            while connection.recv(65536):
                pass
        finally:
            with self.lock:
                self.hanging -= 1


# What the client sends at once, and whether it goes on byte by byte.
STALLS = {
    "get": (head("GET /api/hang HTTP/1.1", "Connection: close", session=SESSION), False),
    "upload": (head("POST /api/hang HTTP/1.1", "Content-Length: 100000", session=SESSION) + b"abc", False),
    "chunks": (head("POST /api/hang HTTP/1.1", "Transfer-Encoding: chunked", session=SESSION) + b"64\r\nabc", False),
    "drip": (head("POST /api/hang HTTP/1.1", "Content-Length: 100000", session=SESSION) + b"abc", True),
}


class Stalls:
    """One exchange of each kind; together they have all places of their session."""

    def __init__(self, gateway: Gateway, upstream: Upstream, pool: ThreadPoolExecutor) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.outcomes: dict[str, Future[tuple[bytes, float]]] = {
            name: pool.submit(self.run, *stall) for name, stall in STALLS.items()
        }
        eventually("all are at the upstream", lambda: upstream.hanging == len(STALLS))

    def run(self, request: bytes, drips: bool) -> tuple[bytes, float]:
        """What the client got, and after how many seconds."""
        connection = connect(self.gateway, timeout=2 * DEADLINE)
        started = time.monotonic()
        connection.sendall(request)
        if drips:
            connection.settimeout(1)
            while time.monotonic() - started < 2 * DEADLINE:
                try:
                    connection.sendall(b"x")
                    first = connection.recv(65536)
                except TimeoutError:
                    continue
                connection.settimeout(20)
                return first + rest(connection), time.monotonic() - started
        return rest(connection), time.monotonic() - started


@pytest.fixture(scope="session")
def stalls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stalls]:
    upstream = Upstream()
    with Servers() as servers, ThreadPoolExecutor(len(STALLS)) as pool:
        gateway = gateway_before(
            upstream, servers, tmp_path_factory.mktemp("stalls"), SESSION, OTHER,
            UPSTREAM_MAX_CONCURRENT_PER_SESSION=str(len(STALLS)), UPSTREAM_TIMEOUT=f"{DEADLINE}s",
        )
        try:
            yield Stalls(gateway, upstream, pool)
        finally:
            # Ends what still stalls; the pool waits for it.
            gateway.kill()
            upstream.close()


def ask(gateway: Gateway, session: str) -> bytes:
    return exchange(gateway, head("GET /api/ok HTTP/1.1", "Connection: close", session=session))


def test_r50_others_are_served_while_exchanges_stall(stalls: Stalls) -> None:
    for _ in range(20):
        started = time.monotonic()
        assert ask(stalls.gateway, OTHER).endswith(b"ok")
        assert time.monotonic() - started < 1
    # The session that has no place left waits for one in vain.
    answer = ask(stalls.gateway, SESSION)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in answer.lower(), answer


def test_r47_a_stalled_exchange_ends_at_the_deadline(stalls: Stalls) -> None:
    for name, outcome in stalls.outcomes.items():
        answer, seconds = outcome.result(timeout=1.5 * DEADLINE)
        assert answer.startswith(b"HTTP/1.1 504 ") and b'\r\n\r\n{"error":"upstream_timeout",' in answer, (name, answer)
        # A body that did not come whole leaves nothing to read the next request from.
        assert name == "get" or b"connection: close" in answer.lower(), (name, answer)
        assert DEADLINE - 1 < seconds < DEADLINE + 5, name
    eventually("no exchange is left at the upstream", lambda: stalls.upstream.hanging == 0, within=1)
    for session in (SESSION, OTHER):
        assert ask(stalls.gateway, session).endswith(b"ok")
