"""What is left on a connection to the upstream is never another exchange's: no upload's rest, no surplus answer."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator

import pytest

from support.gateway import Gateway
from support.raw import RawUpstream, connect, exchange, gateway_before, head, reset, rest
from support.servers import Servers
from support.wait import eventually

SESSION = "a-session-of-the-upstream-connections"
OTHER = "a-session-of-another-user"
STOLEN = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"

# Each is complete before what is too much, and comes with it in one piece.
ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "early": b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\ndone",
    "after-length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + STOLEN,
    "after-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + STOLEN,
    "after-204": b"HTTP/1.1 204 No Content\r\n\r\n" + STOLEN,
    "after-304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n" + STOLEN,
    "after-head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + STOLEN,
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
    b"Set-Cookie: cloakroom_session=x\r\nConnection: a\r\nA: b\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "unasked-101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + STOLEN,
}


class Upstream(RawUpstream):
    """Keeps connections open, and answers a request at the end of its head: what follows is the next request to it."""

    def __init__(self) -> None:
        # The bytes of each connection.
        self.received: list[bytes] = []
        self.ended = 0
        self.lock = threading.Lock()
        self.may_reset = threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        with self.lock:
            number = len(self.received)
            self.received.append(b"")
        data = b""

        def read() -> bytes:
            part = connection.recv(65536)
            self.received[number] += part
            return part

        while True:
            while b"\r\n\r\n" not in data:
                part = read()
                if not part:
                    return
                data += part
            first, data = data.split(b"\r\n\r\n", 1)
            name = first.split()[1].decode().removeprefix("/api/")
            if name == "read":
                while read():
                    pass
                self.ended += 1
                return
            if name == "reset":
                while b"part" not in data:
                    data += read()
                self.may_reset.wait(20)
                return reset(connection)
            connection.sendall(ANSWERS[name])


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.may_reset.set()
    upstream.close()


@pytest.fixture
def gateway(servers: Servers, tmp_path: Path, upstream: Upstream) -> Gateway:
    # Few connections to the upstream, so that each is used again at once.
    return gateway_before(
        upstream, servers, tmp_path, SESSION, OTHER, UPSTREAM_MAX_CONCURRENT="2", UPSTREAM_MAX_CONCURRENT_PER_SESSION="1"
    )


def ask(gateway: Gateway, session: str = OTHER) -> bytes:
    return exchange(gateway, head("GET /api/ok HTTP/1.1", "Connection: close", session=session))


@pytest.mark.parametrize(
    ("field", "part"),
    [("Content-Length: 100000", b"part"), ("Transfer-Encoding: chunked", b"4\r\npart\r\n")],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("goes_on", [True, False], ids=["client-sends-on", "client-waits"])
def test_r47_a_reset_in_an_upload_is_a_502_and_ends_the_connection(
    gateway: Gateway, upstream: Upstream, field: str, part: bytes, goes_on: bool
) -> None:
    connection = connect(gateway)
    connection.sendall(head("POST /api/reset HTTP/1.1", field, session=SESSION) + part)
    eventually("the upstream has a part of the body", lambda: b"part" in b"".join(upstream.received))
    upstream.may_reset.set()
    if goes_on:
        for _ in range(100):
            connection.sendall(part)
    answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 502 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1 and b"connection: close" in answer.lower(), answer
    for session in (SESSION, OTHER):
        assert ask(gateway, session).endswith(b"ok"), "its place is free"


@pytest.mark.parametrize("cut", [0, 1, 40])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_r47_a_connection_with_half_an_upload_serves_nobody_else(
    gateway: Gateway, upstream: Upstream, is_chunked: bool, cut: int
) -> None:
    """An upstream that waits for the rest of the body would take another user's request for it."""
    body = b"GET /api/stolen HTTP/1.1\r\nX-Stolen: " + bytes(1000)
    if is_chunked:
        field, sent = "Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (cut, body[:cut]) if cut else b""
    else:
        field, sent = f"Content-Length: {len(body)}", body[:cut]
    for _ in range(5):
        answer = exchange(gateway, head("POST /api/early HTTP/1.1", field, session=SESSION) + sent)
        assert answer.startswith(b"HTTP/1.1 413 ") and answer.endswith(b"done"), answer
        for _ in range(3):
            assert ask(gateway).endswith(b"ok")
    # Requests before the upload are no matter.
    uploads = [data.split(b"POST /api/early", 1)[1] for data in upstream.received if b"POST /api/early" in data]
    assert len(uploads) == 5 and not any(b"/api/" in data.replace(body[:cut], b"") for data in uploads), uploads
    assert not any(data.endswith(b"0\r\n\r\n") for data in uploads), "what was cut off does not look whole"


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["closed", "reset"])
def test_r47_an_upload_that_is_cut_off_does_not_look_whole(
    gateway: Gateway, upstream: Upstream, leave: Callable[[socket.socket], None]
) -> None:
    """Only the last chunk says that a chunked body is complete."""
    for number in range(20):
        connection = connect(gateway)
        connection.sendall(
            head("POST /api/read HTTP/1.1", "Transfer-Encoding: chunked", session=SESSION) + b"4\r\npart\r\n"
        )
        eventually(
            "the upstream has a part", lambda number=number: sum(b"part" in data for data in upstream.received) > number
        )
        leave(connection)
        eventually("the exchange is over", lambda number=number: upstream.ended > number, within=1)
    uploads = [data for data in upstream.received if b"part" in data]
    assert len(uploads) == 20 and not any(data.endswith(b"0\r\n\r\n") for data in uploads), uploads
    assert ask(gateway, SESSION).endswith(b"ok")


@pytest.mark.parametrize(
    "path", ["after-length", "after-chunks", "after-204", "after-304", "after-head", "unasked-101"]
)
def test_r47_a_surplus_answer_of_the_upstream_is_nobody_s(gateway: Gateway, path: str) -> None:
    """Not of the one whose request brought it, and not of others that want the same connection meanwhile."""
    done = threading.Event()

    def others() -> list[bytes]:
        answers = []
        while not done.is_set():
            answers.append(ask(gateway))
        return answers

    method = "HEAD" if path == "after-head" else "GET"
    with ThreadPoolExecutor(2) as pool:
        witnesses = [pool.submit(others) for _ in range(2)]
        try:
            for _ in range(50):
                request = head(f"{method} /api/{path} HTTP/1.1", "Connection: close", session=SESSION)
                answer = exchange(gateway, request)
                assert answer.startswith(b"HTTP/1.1 ") and b"stolen" not in answer, answer
        finally:
            done.set()
        answers = [answer for witness in witnesses for answer in witness.result()]
    # A request that meets the connection as it ends is a 502.
    served = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 502 ")]
    assert len(served) > 20 and all(answer.endswith(b"\r\n\r\nok") for answer in served), served
    assert ask(gateway, SESSION).endswith(b"ok")


def test_an_interim_response_of_the_upstream_is_passed_on_and_is_not_the_answer(gateway: Gateway) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    for _ in range(5):
        answer = exchange(gateway, head("GET /api/hints HTTP/1.1", "Connection: close", session=SESSION))
        assert answer.startswith(hints + b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nok"), answer
    # HTTP/1.0 does not know them (RFC 9110 §15.2).
    answer = exchange(gateway, head("GET /api/hints HTTP/1.0", session=SESSION))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nok"), answer
