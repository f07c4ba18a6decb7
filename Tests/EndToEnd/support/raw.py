"""HTTP/1.1 on bare sockets: a client's side and an upstream's, for what no library would send."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

from .gateway import COOKIE, Gateway
from .records import put, record
from .redis_server import RedisServer
from .servers import Servers


def head(start: str, *fields: str, session: str) -> bytes:
    """A request's head, as the page of this session's user would send it."""
    lines = [start, "Host: localhost", f"Cookie: {COOKIE}={session}", "X-CSRF: 1", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(gateway: Gateway, timeout: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout)


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side closes in order; a reset is an error."""
    parts = []
    with connection:
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def rest_or_reset(connection: socket.socket) -> bytes:
    """What comes until the other side closes or resets."""
    parts = []
    with connection:
        try:
            while part := connection.recv(1 << 20):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """A head without its empty line, and what came with it; all that came if the other side closes before."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data, b""
        data += part
    first, more = data.split(b"\r\n\r\n", 1)
    return first, more


def exchange(gateway: Gateway, request: bytes) -> bytes:
    """Sends this on a connection of its own, and gives all that comes."""
    connection = connect(gateway)
    connection.sendall(request)
    return rest(connection)


def reset(connection: socket.socket) -> None:
    """Closes so that the other side gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class RawUpstream:
    """Serves each connection in a thread of its own, by `serve`."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.listener.close()


def gateway_before(
    upstream: RawUpstream, servers: Servers, directory: Path, *sessions: str, **settings: str
) -> Gateway:
    """A gateway with a Redis of its own, in which each of these sessions has a user of its own."""
    redis = servers.add(RedisServer(directory / "redis")).launch()
    gateway = Gateway(directory / "gateway", REDIS_URL=redis.url, UPSTREAM_URL=upstream.url, **settings)
    for number, session in enumerate(sessions):
        put(redis.client(), record(f"user-{number}"), session)
    return servers.add(gateway).launch_ready()
