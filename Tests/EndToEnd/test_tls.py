"""TLS and HTTP/2 on the port: the same answers, the same limits, and no client that harms another (R50, R53)."""

from __future__ import annotations

import hashlib
import random
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import Iterator

import pytest
import requests
import urllib3

from support.certificates import Authority
from support.gateway import COOKIE, Gateway, run_program
from support.http2 import Client
from support.raw import RawUpstream, read_head, rest_or_reset
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

SESSION = "a-session-over-tls"
OTHER = "a-session-of-another-user"
urllib3.disable_warnings()


class Upstream(RawUpstream):
    """Echoes what it got, and the hash of its body; hangs at /api/hang; sends 8 MiB at /api/large."""

    def __init__(self) -> None:
        self.busy = 0
        self.heads: list[bytes] = []
        self.lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        while True:
            head, body = read_head(connection)
            if not head:
                return
            self.heads.append(head)
            with self.lock:
                self.busy += 1
            try:
                if not self.answer(connection, head, body):
                    return
            finally:
                with self.lock:
                    self.busy -= 1

    def answer(self, connection: socket.socket, head: bytes, body: bytes) -> bool:
        target = head.split()[1]
        if target == b"/api/hang":
            while connection.recv(65536):
                pass
            return False
        if target == b"/api/large":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n" + bytes(8 << 20))
            return True
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        left = int(fields.get(b"content-length", b"0"))
        if fields.get(b"transfer-encoding") == b"chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += connection.recv(65536)
        while len(body) < left:
            body += connection.recv(65536)
        answer = hashlib.sha256(body).hexdigest().encode() if left else body
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Up: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
        return True


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def gateway(
    module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, authority: Authority
) -> Gateway:
    directory = tmp_path_factory.mktemp("gateway")
    redis = module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()
    certificate, key = authority.sign("first")
    gateway = Gateway(
        directory, REDIS_URL=redis.url, UPSTREAM_URL=upstream.url, PUBLIC_URL="https://localhost",
        TLS_CERT_FILE=str(certificate), TLS_KEY_FILE=str(key), REQUEST_HEADER_TIMEOUT="2s", SEND_TIMEOUT="2s",
    )
    gateway.url = f"https://localhost:{gateway.port}"
    for number, session in enumerate((SESSION, OTHER)):
        put(redis.client(), record(f"user-{number}"), session)
    module_servers.add(gateway).start(lambda: serves(gateway))
    return gateway


def serves(gateway: Gateway) -> bool:
    try:
        return get(gateway, "/readyz").status_code == 200
    except requests.RequestException:
        return False


def get(gateway: Gateway, path: str, session: str | None = None) -> requests.Response:
    """Over HTTP/1.1."""
    cookies = {f"__Host-{COOKIE}": session} if session else {}
    return requests.get(gateway.url + path, cookies=cookies, headers={"X-CSRF": "1"}, verify=False, timeout=20)


@pytest.fixture(autouse=True)
def nothing_is_left(gateway: Gateway, upstream: Upstream) -> Iterator[None]:
    yield
    started = time.monotonic()
    assert get(gateway, "/api/x", OTHER).status_code == 200 and time.monotonic() - started < 1
    eventually("the upstream is free", lambda: upstream.busy == 0, within=1)


def test_http_1_and_http_2_get_the_same_answers(gateway: Gateway, upstream: Upstream) -> None:
    client = Client(gateway)
    for path, session in [("/healthz", None), ("/api/x", None), ("/api/x", SESSION), ("/auth/me", SESSION), ("/no", None)]:
        one = get(gateway, path, session)
        two = client.answer(client.request(path, session=session))
        assert two.status == one.status_code, path
        if path != "/no":
            assert two.body == one.content
        changing = {"date", "connection", "transfer-encoding"}
        fields = {name.lower(): value for name, value in one.headers.items() if name.lower() not in changing}
        assert {name: value for name, value in two.fields.items() if name not in changing | {":status"}}.keys() == fields.keys()
    head = upstream.heads[-1]
    assert head.startswith(b"GET /api/x HTTP/1.1\r\nHost: 127.0.0.1:") and b"Authorization: Bearer " in head
    assert b"x-csrf" not in head.lower() and COOKIE.encode() not in head


def test_fields_and_bodies_pass_both_ways(gateway: Gateway, upstream: Upstream) -> None:
    client = Client(gateway)
    body = random.Random(5).randbytes(3_000_000)
    stream = client.request("/api/x?q=%20", ("x-app", "1"), ("cookie", "other=1"), ("te", "trailers"),
        ("content-length", str(len(body))), session=SESSION, method="POST", body=b"", ends=False)
    sent = 0
    while sent < len(body):
        window = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size, len(body) - sent)
        if window == 0:
            client.receive()
            continue
        client.h2.send_data(stream, body[sent : sent + window], end_stream=sent + window == len(body))
        client.send()
        sent += window
    answer = client.answer(stream)
    assert answer.status == 200 and answer.body == hashlib.sha256(body).hexdigest().encode()
    assert answer.fields["x-up"] == "1" and answer.fields["cache-control"] == "no-store"
    head = upstream.heads[-1].lower()
    assert b"post /api/x?q=%20 http/1.1" in head and b"x-app: 1" in head and b"cookie: other=1\r\n" in head
    # Without a length, it goes on in chunks.
    answer = client.answer(client.request("/api/x", session=SESSION, method="PUT", body=b"hello"))
    assert answer.status == 200 and answer.body.endswith(b"0\r\n\r\n")
    large = client.answer(client.request("/api/large", session=SESSION))
    assert large.is_whole and large.body == bytes(8 << 20)


def test_a_hundred_requests_at_once_on_one_connection(gateway: Gateway) -> None:
    client = Client(gateway)
    for _ in range(5):
        streams = [client.request("/api/x", session=SESSION) for _ in range(100)]
        assert all(client.answer(stream).status == 200 for stream in streams)


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ([("connection", "close")], "localhost"), ([("transfer-encoding", "chunked")], "localhost"),
        ([("x-a", "b\r\nx-smuggled: 1")], "localhost"), ([("x-a", "b\nc")], "localhost"), ([("x-a", "b\0")], "localhost"),
        ([("x a", "b")], "localhost"), ([("host", "other")], "localhost"), ([], "user@host"), ([], "a b"),
        ([("X-Upper", "b")], "localhost"), ([("content-length", "5")], "localhost"), ([(":path", "/api/y")], "localhost"),
        ([("te", "gzip")], "localhost"), ([("", "b")], "localhost"), ([("content-length", "0"), ("content-length", "0")], "localhost"),
    ],
)
def test_r39_r49_what_can_be_read_in_two_ways_reaches_nothing(
    gateway: Gateway, upstream: Upstream, fields: list[tuple[str, str]], host: str
) -> None:
    before = len(upstream.heads)
    client = Client(gateway, validates=False)
    answer = client.answer(client.request("/api/x", *fields, session=SESSION, authority=host))
    assert answer.status == 400 or answer.reset is not None or client.is_closed
    assert len(upstream.heads) == before


METHOD, SCHEME, AUTHORITY, PATH = (":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/api/x")


@pytest.mark.parametrize(
    "pseudo",
    [
        [METHOD, AUTHORITY, PATH], [SCHEME, AUTHORITY, PATH], [METHOD, SCHEME, AUTHORITY], [METHOD, SCHEME, PATH],
        [METHOD, SCHEME, AUTHORITY, PATH, PATH], [METHOD, METHOD, SCHEME, AUTHORITY, PATH],
        [METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH], [METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")],
        [METHOD, SCHEME, AUTHORITY, (":path", "")], [METHOD, SCHEME, AUTHORITY, (":path", "/api/x HTTP/1.1\r\nA: b")],
        [METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")], [],
    ],
)
def test_r49_pseudo_header_fields_that_are_missing_twice_or_unknown_reach_nothing(
    gateway: Gateway, upstream: Upstream, pseudo: list[tuple[str, str]]
) -> None:
    before = len(upstream.heads)
    client = Client(gateway, validates=False)
    answer = client.answer(client.request("", session=SESSION, pseudo=pseudo))
    assert answer.status == 400 or answer.reset is not None or client.is_closed
    assert len(upstream.heads) == before
    # Another connection serves.
    good = Client(gateway)
    assert good.answer(good.request("/api/x", session=SESSION)).status == 200


def test_r47_a_reset_and_a_hang_up_free_the_upstream(gateway: Gateway, upstream: Upstream) -> None:
    client = Client(gateway)
    streams = [client.request("/api/hang", session=SESSION) for _ in range(50)]
    eventually("all are at the upstream", lambda: upstream.busy == 50)
    for stream in streams[:25]:
        client.h2.reset_stream(stream)
    client.send()
    eventually("half of them are not", lambda: upstream.busy == 25, within=1)
    client.close()
    eventually("none is", lambda: upstream.busy == 0, within=1)


def test_r50_rapid_resets_end_the_connection_and_nobody_elses(gateway: Gateway, upstream: Upstream) -> None:
    client = Client(gateway)
    try:
        for _ in range(2000):
            client.h2.reset_stream(client.request("/api/hang", session=SESSION))
            client.send()
        while not client.is_closed:
            client.receive()
    except (OSError, ssl.SSLError):
        pass
    assert len([head for head in upstream.heads if b"/api/hang" in head.split(b"\r\n")[0]]) < 1500


@pytest.mark.parametrize("frame", ["settings", "ping", "continuation", "empty-data"])
def test_r50_floods_of_frames_end_the_connection(gateway: Gateway, frame: str) -> None:
    client = Client(gateway)
    before = gateway.resident_bytes
    data = {
        "settings": struct.pack(">I", 6)[1:] + b"\x04\x00" + bytes(4) + struct.pack(">HI", 4, 65535),
        "ping": struct.pack(">I", 8)[1:] + b"\x06\x00" + bytes(4) + bytes(8),
        "continuation": struct.pack(">I", 16384)[1:] + b"\x09\x00" + struct.pack(">I", 1) + bytes(16384),
        "empty-data": bytes(3) + b"\x00\x00" + struct.pack(">I", 1),
    }[frame]
    if frame == "continuation":
        client.socket.sendall(struct.pack(">I", 1)[1:] + b"\x01\x00" + struct.pack(">I", 1) + b"\x82")
    elif frame == "empty-data":
        client.request("/auth/logout", method="POST", ends=False)
    with pytest.raises((OSError, ssl.SSLError)):
        for _ in range(200_000):
            client.socket.sendall(data)
    assert gateway.resident_bytes - before < 32 << 20


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("path", ["/healthz", "/api/x", "/auth/me"])
def test_r50_many_small_requests_at_once_let_others_have_their_turn(gateway: Gateway, path: str, reads: bool) -> None:
    """Thousands of them fit into one read: more at once than there may be are refused, and end the connection."""
    block = b"\x82\x87\x04" + bytes([len(path)]) + path.encode() + b"\x01\x01a"
    head = struct.pack(">I", len(block))[1:] + b"\x01\x05"
    waits: list[float] = []
    ends = time.monotonic() + 3

    def attack() -> None:
        while time.monotonic() < ends:
            client = Client(gateway)
            reader = threading.Thread(target=drain, args=(client.socket,)) if reads else None
            if reader:
                reader.start()
            client.socket.settimeout(1)
            stream = 1
            try:
                while time.monotonic() < ends:
                    client.socket.sendall(
                        b"".join(head + struct.pack(">I", number) + block for number in range(stream, stream + 3000, 2)))
                    stream += 3000
            except (OSError, ssl.SSLError):
                pass
            client.close()
            if reader:
                reader.join()

    attacker = threading.Thread(target=attack)
    attacker.start()
    other = Client(gateway)
    while time.monotonic() < ends:
        started = time.monotonic()
        assert other.answer(other.request("/healthz")).status == 200
        waits.append(time.monotonic() - started)
    attacker.join()
    # Two may have had to wait for the processor. A hundred requests take this program a tenth of a second as tests build it.
    assert sorted(waits)[-3] < 0.5, [round(wait, 3) for wait in sorted(waits)[-20:]]


def drain(connection: ssl.SSLSocket) -> None:
    try:
        while connection.recv(65536):
            pass
    except (OSError, ssl.SSLError, ValueError):
        pass


def test_r50_a_client_that_opens_no_window_frees_the_upstream(gateway: Gateway, upstream: Upstream) -> None:
    client = Client(gateway)
    for _ in range(10):
        client.request("/api/large", session=SESSION)
    eventually("the upstream is busy", lambda: upstream.busy > 0)
    eventually("the upstream is free", lambda: upstream.busy == 0, within=20)
    client.close()


def test_r50_a_handshake_that_is_not_ended_and_plain_http_are_closed(gateway: Gateway) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(bytes.fromhex("160301"))
        assert connection.recv(1) == b""
    assert time.monotonic() - started < 6
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" not in rest_or_reset(connection)


def test_old_versions_are_refused(gateway: Gateway) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)), socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        context.wrap_socket(connection)


def test_r54_a_new_certificate_is_used_without_a_request_that_fails(gateway: Gateway, authority: Authority) -> None:
    def served() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", gateway.port)).encode()

    certificate_file, key_file = (Path(gateway.environment[name]) for name in ("TLS_CERT_FILE", "TLS_KEY_FILE"))
    first = served()
    done, failures = threading.Event(), []

    def load() -> None:
        while not done.is_set():
            try:
                if get(gateway, "/api/x", OTHER).status_code != 200:
                    failures.append("status")
            except requests.RequestException as error:
                failures.append(str(error))

    witness = threading.Thread(target=load)
    witness.start()
    try:
        # Nonsense first: what was read before stays in use.
        good = certificate_file.read_bytes()
        certificate_file.write_text("no certificate")
        eventually("it says so", lambda: "could not be read again" in gateway.log(), within=10)
        assert served() == first
        certificate, key = authority.sign("second")
        key_file.write_bytes(key.read_bytes())
        certificate_file.write_bytes(certificate.read_bytes())
        eventually("the new one is served", lambda: served() != first, within=10)
        assert good != certificate_file.read_bytes()
    finally:
        done.set()
        witness.join()
    assert not failures


def test_a_certificate_without_its_key_stops_the_program(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign("third")
    _, other = authority.sign("fourth")
    for settings, word in [
        ({"TLS_CERT_FILE": str(certificate)}, "TLS_KEY_FILE"), ({"TLS_KEY_FILE": str(key)}, "TLS_CERT_FILE"),
        ({"TLS_CERT_FILE": str(certificate), "TLS_KEY_FILE": str(other)}, "TLS_CERT_FILE"),
    ]:
        result = run_program(tmp_path, "serve", REDIS_ENABLED="false", **settings)
        assert result.returncode == 78 and word in result.stderr, result.stderr
