"""The gateway among hostile clients and an upstream that fails at random, for as long as CLOAKROOM_SOAK says (R47-R50).

Each answer names the request and the user that it is for: an answer that is another's, or a part of one that looks whole,
would show. Short in every run; `scripts/soak` runs it for ten minutes.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from support.gateway import Gateway
from support.raw import RawUpstream, connect, head, read_head, reset
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

SECONDS = float(os.environ.get("CLOAKROOM_SOAK", "10"))
SEED = int(os.environ.get("CLOAKROOM_SEED", str(random.randrange(1 << 32))))
USERS = 18
HOSTILE = 2


def body_of(token: str, number: str, size: int) -> bytes:
    """What the upstream answers to this request of this user."""
    name = hashlib.sha256(f"{token} {number}".encode()).hexdigest().encode()
    return (name * (size // len(name) + 1))[: max(size, len(name))]


class Upstream(RawUpstream):
    """Answers /api/NUMBER/SIZE so that the answer can be checked, unless it does one of many other things."""

    def __init__(self) -> None:
        self.choice = random.Random(SEED)
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        while True:
            first, rest = read_head(connection)
            if not first:
                return
            fields = dict(line.split(b": ", 1) for line in first.split(b"\r\n")[1:])
            left = int(fields.get(b"Content-Length", b"0")) - len(rest)
            fate = self.choice.random()
            if fate < 0.02:
                return reset(connection)
            if fate < 0.03:
                return
            if fate < 0.04:
                time.sleep(0.3)
            if fate >= 0.06:
                while left > 0:
                    part = connection.recv(65536)
                    if not part:
                        return
                    left -= len(part)
            _, _, number, size = first.split()[1].decode().split("/")
            token = fields[b"Authorization"].decode().removeprefix("Bearer ")
            body = body_of(token, number, int(size))
            if self.choice.random() < 0.5:
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            else:
                half = len(body) // 2
                answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
                    b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:])) + b"0\r\n\r\n"
            if fate < 0.05:
                connection.sendall(answer[: self.choice.randrange(len(answer))])
                return
            connection.sendall(answer)
            if left > 0:
                # Answered early: what is left of the upload makes the connection useless.
                return


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


class Honest(threading.Thread):
    """A user whose requests are checked one by one."""

    def __init__(self, gateway: Gateway, number: int, token: str, done: threading.Event) -> None:
        super().__init__()
        self.gateway, self.number, self.token, self.done = gateway, number, token, done
        self.choice = random.Random(SEED + number)
        self.good = self.failed = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        count = 0
        while not self.done.is_set():
            with connect(self.gateway) as connection:
                for _ in range(self.choice.randrange(1, 30)):
                    count += 1
                    if not self.ask(connection, f"{self.number}-{count}"):
                        break

    def ask(self, connection: socket.socket, name: str) -> bool:
        """- Returns: whether the connection goes on."""
        size = self.choice.choice([64, 200, 5000, 100_000])
        upload = self.choice.choice([0, 0, 0, 10, 50_000])
        fields = [f"Content-Length: {upload}"] if upload else []
        method = "POST" if upload else "GET"
        try:
            connection.sendall(
                head(f"{method} /api/{name}/{size} HTTP/1.1", *fields, session=session_of(self.number)) + bytes(upload))
            answer = read_answer(connection)
        except OSError:
            self.failed += 1
            return False
        if answer is None:
            self.failed += 1
            return False
        status, body, goes_on = answer
        if status == 200:
            if body == body_of(self.token, name, size):
                self.good += 1
            else:
                self.wrong.append(f"{name}: {body[:80]!r}")
        elif status in (502, 504):
            self.failed += 1
        else:
            self.wrong.append(f"{name}: status {status}")
        return goes_on


def read_answer(connection: socket.socket) -> tuple[int, bytes, bool] | None:
    """Status, body, and whether the connection goes on; `None` for one that was cut off."""
    first, data = read_head(connection)
    lines = first.lower().split(b"\r\n")
    if not lines[0].startswith(b"http/1.1 "):
        return None
    fields = dict(line.split(b": ", 1) for line in lines[1:])

    def more() -> bool:
        nonlocal data
        part = connection.recv(65536)
        data += part
        return bool(part)

    if b"content-length" in fields:
        length = int(fields[b"content-length"])
        while len(data) < length:
            if not more():
                return None
        body = data[:length]
    else:
        body = b""
        while True:
            while b"\r\n" not in data:
                if not more():
                    return None
            line, data = data.split(b"\r\n", 1)
            size = int(line, 16)
            while len(data) < size + 2:
                if not more():
                    return None
            body, data = body + data[:size], data[size + 2 :]
            if size == 0:
                break
    return int(lines[0].split()[1]), body, fields.get(b"connection") != b"close"


class Hostile(threading.Thread):
    """Does one rude thing after another."""

    def __init__(self, gateway: Gateway, number: int, done: threading.Event) -> None:
        super().__init__()
        self.gateway, self.done = gateway, done
        self.choice = random.Random(SEED + 1000 + number)
        self.session = session_of(number)

    def run(self) -> None:
        acts: list[Callable[[socket.socket], None]] = [
            self.cut_off, self.reset_at_once, self.garbage, self.pipeline, self.not_reading, self.half_body, self.upgrade]
        while not self.done.is_set():
            try:
                with connect(self.gateway, timeout=2) as connection:
                    self.choice.choice(acts)(connection)
            except OSError:
                pass

    def request(self) -> bytes:
        method, fields, body = self.choice.choice([
            ("GET", [], b""), ("POST", ["Content-Length: 3000"], bytes(3000)),
            ("POST", ["Transfer-Encoding: chunked"], b"400\r\n" + bytes(0x400) + b"\r\n0\r\n\r\n"),
            ("POST", ["Content-Length: 3000", "Expect: 100-continue"], bytes(3000)),
        ])
        return head(f"{method} /api/x/{self.choice.choice([64, 100_000])} HTTP/1.1", *fields, session=self.session) + body

    def cut_off(self, connection: socket.socket) -> None:
        request = self.request()
        connection.sendall(request[: self.choice.randrange(len(request))])

    def reset_at_once(self, connection: socket.socket) -> None:
        self.cut_off(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def garbage(self, connection: socket.socket) -> None:
        request = bytearray(self.request())
        for _ in range(self.choice.randrange(1, 4)):
            request[self.choice.randrange(len(request))] = self.choice.randrange(256)
        connection.sendall(bytes(request))
        connection.recv(65536)

    def pipeline(self, connection: socket.socket) -> None:
        connection.sendall(b"".join(self.request() for _ in range(20)))
        for _ in range(self.choice.randrange(5)):
            connection.recv(65536)

    def not_reading(self, connection: socket.socket) -> None:
        connection.sendall(head("GET /api/x/5000000 HTTP/1.1", session=self.session))
        self.done.wait(self.choice.random())

    def half_body(self, connection: socket.socket) -> None:
        connection.sendall(head("POST /api/x/64 HTTP/1.1", "Content-Length: 100000", session=self.session) + bytes(100))
        self.done.wait(self.choice.random() / 2)

    def upgrade(self, connection: socket.socket) -> None:
        connection.sendall(head("GET /api/x/64 HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c", session=self.session))
        connection.sendall(bytes(100_000))


def session_of(number: int) -> str:
    return f"a-session-of-the-soak-{number:04}"


def descriptors(gateway: Gateway) -> int:
    return len(os.listdir(f"/proc/{gateway.pid}/fd"))


@pytest.mark.timeout(SECONDS + 120)
def test_r47_a_soak_among_hostile_clients(servers: Servers, tmp_path: Path, upstream: Upstream) -> None:
    print(f"CLOAKROOM_SEED={SEED}")
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    tokens = []
    for number in range(USERS + HOSTILE):
        stored = record(f"user-{number}")
        tokens.append(stored["tokens"]["access_token"])
        put(redis.client(), stored, session_of(number))
    gateway = servers.add(
        Gateway(tmp_path / "gateway", REDIS_URL=redis.url, UPSTREAM_URL=upstream.url, LOG_LEVEL="error")).launch_ready()
    done = threading.Event()
    honest = [Honest(gateway, number, tokens[number], done) for number in range(USERS)]
    hostile = [Hostile(gateway, USERS + number, done) for number in range(HOSTILE)]
    before = descriptors(gateway)
    for thread in [*honest, *hostile]:
        thread.start()
    # What it needs to be at full speed is not what it leaks.
    done.wait(min(SECONDS / 3, 60))
    warm = gateway.resident_bytes
    done.wait(SECONDS)
    done.set()
    for thread in [*honest, *hostile]:
        thread.join(30)
    wrong = [line for user in honest for line in user.wrong]
    good, failed = sum(user.good for user in honest), sum(user.failed for user in honest)
    print(f"measured: {good} good, {failed} failed as the upstream did, {(gateway.resident_bytes - warm) >> 10} KiB more")
    assert not wrong, wrong[:5]
    assert good > 100 and failed < good
    assert gateway.resident_bytes - warm < 16 << 20
    eventually("all descriptors are back", lambda: descriptors(gateway) <= before + 4, within=20)
    assert gateway.status("/healthz") == 200
