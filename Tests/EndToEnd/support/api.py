"""An API behind the gateway that remembers what it was asked."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class API(ThreadingHTTPServer):
    """Serves while it is entered, on a free port. Answers once `may_answer` is set, which it is from the start."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        # The request targets, byte for byte as they came.
        self.targets: list[str] = []
        # The bearer tokens that came.
        self.tokens: list[str] = []
        self._serving = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> API:
        self._serving.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.may_answer.set()
        self.shutdown()
        self._serving.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: API

    def do_GET(self) -> None:
        self.server.targets.append(self.path)
        self.server.tokens.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.server.asked.set()
        self.server.may_answer.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass
