"""A client of HTTP/2 over TLS that can do what no library would."""

from __future__ import annotations

import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events

from .gateway import COOKIE, Gateway


class Client:
    """One connection; `requests` are its answers by stream: status, fields, body, and how the stream ended."""

    def __init__(self, gateway: Gateway, *, validates: bool = True) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port), timeout=20))
        assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                validate_outbound_headers=validates, normalize_outbound_headers=validates, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.is_closed = False
        self.has_goodbye = False
        self.send()

    def send(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def request(
        self, path: str, *fields: tuple[str, str], session: str | None = None, method: str = "GET",
        body: bytes | None = None, ends: bool = True, authority: str = "localhost",
        pseudo: list[tuple[str, str]] | None = None,
    ) -> int:
        stream = self.h2.get_next_available_stream_id()
        start = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
        headers = [*(start if pseudo is None else pseudo), ("x-csrf", "1")]
        if session:
            headers.append(("cookie", f"__Host-{COOKIE}={session}"))
        self.h2.send_headers(stream, [*headers, *fields], end_stream=body is None and ends)
        self.answers[stream] = Answer()
        if body is not None:
            self.h2.send_data(stream, body, end_stream=ends)
        self.send()
        return stream

    def receive(self, until: float = 20) -> None:
        """Takes what comes next."""
        self.socket.settimeout(until)
        data = self.socket.recv(65536)
        if not data:
            self.is_closed = True
            return
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                answer = self.answers[event.stream_id]
                answer.fields = dict(event.headers)
                answer.status = int(answer.fields[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id].body += event.data
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answers[event.stream_id].is_whole = True
            elif isinstance(event, h2.events.StreamReset):
                self.answers[event.stream_id].reset = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.has_goodbye = True
        self.send()

    def answer(self, stream: int, within: float = 20) -> "Answer":
        """The whole answer on this stream."""
        end = time.monotonic() + within
        answer = self.answers[stream]
        while not answer.is_whole and answer.reset is None and not self.is_closed:
            assert time.monotonic() < end, "no answer in time"
            self.receive(end - time.monotonic())
        return answer

    def close(self) -> None:
        self.socket.close()


class Answer:
    def __init__(self) -> None:
        self.status: int | None = None
        self.fields: dict[str, str] = {}
        self.body = b""
        self.is_whole = False
        self.reset: int | None = None
