"""A provider of which there is only the metadata: enough for logouts, which then end here."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class MetadataProvider(ThreadingHTTPServer):
    """Serves while it is entered, on a free port."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self._serving = Thread(target=self.serve_forever)

    @property
    def settings(self) -> dict[str, str]:
        return {"OIDC_ISSUER": self.issuer}

    def __enter__(self) -> MetadataProvider:
        self._serving.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self._serving.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: MetadataProvider

    def do_GET(self) -> None:
        issuer = self.server.issuer
        document: dict[str, Any] = {"keys": []}
        if self.path == "/.well-known/openid-configuration":
            document = {
                "issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
                "jwks_uri": issuer + "/keys", "response_types_supported": ["code"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
