"""An OpenID provider in the test's own process, for logins by the thousand: whoever comes is signed in at once, as the user whom
the test names. It checks neither client nor PKCE, and so proves nothing of a login."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT_ID = "cloakroom"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Login:
    """Who is signed in, in which session of the provider, and for which request."""

    user: str
    sid: str
    nonce: str


class QuickProvider(ThreadingHTTPServer):
    """Serves while it is entered, on a free port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.logins: dict[str, Login] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._serving = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> QuickProvider:
        self._serving.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self._serving.join()
        self.server_close()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a gateway that uses this provider."""
        return {"OIDC_ISSUER": self.issuer, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": "any"}

    def sign_in(self, authorization_url: str, user: str, sid: str | None = None) -> str:
        """Signs this user in; gives the address of the callback."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        code = secrets.token_urlsafe(16)
        self.logins[code] = Login(user, sid or secrets.token_urlsafe(12), query["nonce"])
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})

    def token(self, **claims: Any) -> str:
        """A token with these claims, by this issuer for our client."""
        now = int(time.time())
        head = {"alg": "RS256", "kid": "quick", "typ": claims.pop("typ", "JWT")}
        body = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **claims}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
        return signed + "." + base64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def logout_token(self, **claims: Any) -> str:
        """A logout token (Back-Channel Logout 2.4) with these claims: `sub`, `sid`, or both."""
        return self.token(
            typ="logout+jwt", jti=secrets.token_urlsafe(16), events={LOGOUT_EVENT: {}}, **claims)

    def keys(self) -> dict[str, Any]:
        numbers = self._key.public_key().public_numbers()
        return {"keys": [{
            "kty": "RSA", "kid": "quick", "alg": "RS256", "use": "sig", "n": base64url(numbers.n.to_bytes(256, "big")),
            "e": base64url(numbers.e.to_bytes(3, "big"))}]}

    def metadata(self) -> dict[str, Any]:
        places = {
            "authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys",
            "userinfo_endpoint": "/userinfo", "end_session_endpoint": "/logout"}
        return {"issuer": self.issuer, **{name: self.issuer + path for name, path in places.items()}}


class Handler(BaseHTTPRequestHandler):
    server: QuickProvider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/.well-known/openid-configuration":
            self._answer(self.server.metadata())
        elif self.path == "/keys":
            self._answer(self.server.keys())
        else:
            user = self.headers.get("Authorization", "").removeprefix("Bearer ").split(".")[0]
            self._answer({"sub": user, "name": user.title()})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        login = self.server.logins.pop(form["code"][0])
        self._answer({
            "token_type": "Bearer", "expires_in": 3600, "access_token": f"{login.user}.{secrets.token_urlsafe(12)}",
            "refresh_token": secrets.token_urlsafe(12),
            "id_token": self.server.token(sub=login.user, sid=login.sid, nonce=login.nonce)})

    def _answer(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
