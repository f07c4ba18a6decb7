"""A provider that sends what it should not, over real sockets."""

from __future__ import annotations

import gzip
import json
import threading
import time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric import ec

from .jwt import jwk_of, sign

Reply = Callable[["Handler"], None]


class HostileProvider(ThreadingHTTPServer):
    """Serves while it is entered. It answers as a good provider but at the paths in `replies`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []
        # The requests that were pushed: the place of each is its name, and its code.
        self.pushed: list[dict[str, str]] = []
        self.has_ended = threading.Event()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._serving = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> HostileProvider:
        self._serving.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.has_ended.set()
        self.shutdown()
        self._serving.join()
        self.server_close()

    @property
    def keys(self) -> list[dict[str, str]]:
        return [jwk_of(self.key, "good")]

    def good(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        if path == "/par":
            self.pushed.append(form)
            return {"request_uri": f"urn:example:{len(self.pushed) - 1}", "expires_in": 60}
        now = int(time.time())
        nonce = self.pushed[int(form["code"])]["nonce"] if path == "/token" else ""
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer, "authorization_endpoint": self.issuer + "/authorize",
                "token_endpoint": self.issuer + "/token", "jwks_uri": self.issuer + "/jwks",
                "userinfo_endpoint": self.issuer + "/userinfo",
                "pushed_authorization_request_endpoint": self.issuer + "/par",
            },
            "/jwks": {"keys": self.keys},
            "/token": {
                "access_token": "access", "token_type": "Bearer", "expires_in": 300,
                "id_token": sign(self.key, "good", {
                    "iss": self.issuer, "aud": "cloakroom", "sub": "alice", "nonce": nonce, "iat": now,
                    "exp": now + 300,
                }),
            },
            "/userinfo": {"sub": "alice", "name": "Alice"},
        }[path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HostileProvider

    def answer(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))
        self.server.asked.append(self.path)
        reply = self.server.replies.get(self.path)
        try:
            if reply:
                reply(self)
            else:
                good = self.server.good(self.path, form)
                self.send(json.dumps(good).encode(), 201 if self.path == "/par" else 200)
        except OSError:
            # Whoever asked has seen enough.
            self.close_connection = True

    do_GET = do_POST = answer

    def send(self, body: bytes, status: int = 200, **fields: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **fields}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def hang(handler: Handler) -> None:
    """Takes the request, and never answers."""
    handler.server.has_ended.wait(120)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """A byte now and then: never silent, never done."""
    handler.send_response(200)
    # Less than anybody refuses unread.
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    while not handler.server.has_ended.wait(0.2):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def flood(handler: Handler) -> None:
    """10 MB of a JSON text."""
    handler.send(b'{"issuer":"' + b"a" * (10 << 20) + b'"}')


@lru_cache
def _bomb() -> bytes:
    return gzip.compress(b'{"issuer":"' + b"0" * (64 << 20) + b'"}')


def gzip_bomb(handler: Handler) -> None:
    """64 MiB of zeros in 64 KB, though nobody said that gzip would be read."""
    handler.send(_bomb(), Content_Encoding="gzip")


def deep(handler: Handler) -> None:
    """A hundred thousand arrays in one another."""
    handler.send(b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def redirect(handler: Handler) -> None:
    """To itself, for ever."""
    handler.send(b"", 302, Location=handler.server.issuer + handler.path)


def many_keys(handler: Handler) -> None:
    """Ten thousand keys that all look good."""
    key = handler.server.keys[0]
    handler.send(json.dumps({"keys": [{**key, "kid": f"key-{number}"} for number in range(10_000)]}).encode())


def many_small_keys(handler: Handler) -> None:
    """Ten thousand keys in few bytes, after the good one."""
    handler.send(json.dumps({"keys": handler.server.keys + [{"kty": "oct"}] * 10_000}).encode())
