"""Server-sent events of `/auth/events`, as a page's EventSource reads them."""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Iterable

from .gateway import COOKIE, Gateway


@dataclass
class Event:
    name: str
    data: dict[str, Any]
    # On the monotonic clock.
    came: float


class EventStream:
    """One stream over HTTP/1.1. `closed` is when the gateway ended it."""

    def __init__(
        self, gateway: Gateway, session: str, *fields: str, version: str = "1.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
        cookie = COOKIE
        if tls:
            self.socket = tls.wrap_socket(self.socket)
            cookie = f"__Host-{COOKIE}"
        lines = [f"GET /auth/events HTTP/{version}", "Host: localhost", f"Cookie: {cookie}={session}", *fields]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.head = ""
        self.events: list[Event] = []
        self.comments = 0
        self.closed: float | None = None
        self._bytes = b""
        self._text = ""

    @property
    def status(self) -> int:
        """The answer's status; waits for it."""
        while not self.head:
            self.take(20)
            assert self.head or not self.closed, "closed without an answer"
        return int(self.head.split()[1])

    def take(self, within: float) -> None:
        """Takes what comes next, if anything does in time."""
        self.socket.settimeout(max(0.001, within))
        try:
            data = self.socket.recv(65536)
            # What is decrypted already wakes nobody who waits for the socket.
            while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                data += self.socket.recv(65536)
        except TimeoutError:
            return
        except ConnectionResetError:
            data = b""
        self.came(data)

    def came(self, data: bytes) -> None:
        now = time.monotonic()
        if not data:
            self.closed = now
            return
        self._bytes += data
        if not self.head:
            if b"\r\n\r\n" not in self._bytes:
                return
            head, self._bytes = self._bytes.split(b"\r\n\r\n", 1)
            self.head = head.decode()
        if "chunked" in self.head.lower():
            while b"\r\n" in self._bytes:
                size, rest = self._bytes.split(b"\r\n", 1)
                length = int(size, 16)
                if len(rest) < length + 2:
                    break
                self._text += rest[:length].decode()
                self._bytes = rest[length + 2:]
        else:
            self._text += self._bytes.decode()
            self._bytes = b""
        while "\n\n" in self._text:
            block, self._text = self._text.split("\n\n", 1)
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields:
                self.events.append(Event(fields["event"], json.loads(fields["data"]), now))
            else:
                self.comments += 1

    def wait_for(self, name: str, within: float = 20) -> Event:
        """The first event of this name that is not taken yet; those before it are dropped."""
        end = time.monotonic() + within
        while True:
            while self.events:
                event = self.events.pop(0)
                if event.name == name:
                    return event
            assert not self.closed, f"the stream ended without {name!r}"
            assert time.monotonic() < end, f"no {name!r} within {within:g} s"
            self.take(end - time.monotonic())

    def wait_for_end(self, within: float = 20) -> None:
        end = time.monotonic() + within
        while not self.closed:
            assert time.monotonic() < end, f"still open after {within:g} s"
            self.take(end - time.monotonic())

    def close(self) -> None:
        self.socket.close()


def wait_for_all(streams: Iterable[EventStream], name: str, within: float) -> list[Event]:
    """The next event of this name of each stream, read as it comes."""
    missing = {stream for stream in streams}
    found: dict[EventStream, Event] = {}
    end = time.monotonic() + within
    with selectors.DefaultSelector() as selector:
        for stream in missing:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
        while missing:
            left = end - time.monotonic()
            assert left > 0, f"{len(missing)} streams without {name!r} after {within:g} s"
            for key, _ in selector.select(left):
                stream = key.data
                stream.take(1)
                match = [event for event in stream.events if event.name == name]
                if match:
                    found[stream] = match[0]
                    stream.events.clear()
                assert match or not stream.closed, f"a stream ended without {name!r}"
                if match:
                    selector.unregister(stream.socket)
                    missing.discard(stream)
    return list(found.values())
