"""An OpenID provider within the test, which says and signs whatever the test wants, right or wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

EVENT = "http://schemas.openid.net/event/backchannel-logout"
CLIENT_ID = "cloakroom"
CLIENT_SECRET = "client-secret-of-the-tests"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key pair that signs with RS256 or ES256."""

    def __init__(self, name: str, algorithm: str = "ES256") -> None:
        self.name = name
        self.algorithm = algorithm
        self.pair: Any = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
        )

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.pair.public_key().public_numbers()
        common = {"kid": self.name, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS256":
            return {**common, "kty": "RSA", "n": base64url(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
        x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {**common, "kty": "EC", "crv": "P-256", "x": x, "y": y}

    def signature(self, data: bytes) -> bytes:
        if self.algorithm == "RS256":
            return self.pair.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.pair.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def encoded(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A JWT. Members whose value is `None` are left out."""
    parts = [{name: value for name, value in part.items() if value is not None} for part in (header, claims)]
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{base64url(sign(text.encode()))}"


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


class ScriptedProvider(ThreadingHTTPServer):
    """Serves while it is entered, on a free port. Whoever begins a login is logged in as `subject` in the session `sid`.

    The token endpoint answers once `may_answer` is set, which it is from the start; `asked` tells that it was asked.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, access_token_lifetime: int = 300) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.lifetime = access_token_lifetime
        self.key = Key("key-1")
        self.subject = "alice"
        self.sid: str | None = "session-1"
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.codes: dict[str, dict[str, Any]] = {}
        # What the refresh tokens that are good stand for.
        self.grants: dict[str, dict[str, Any]] = {}
        self._serving = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> ScriptedProvider:
        self._serving.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.may_answer.set()
        self.shutdown()
        self._serving.join()
        self.server_close()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a gateway that uses this provider."""
        return {"OIDC_ISSUER": self.issuer, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET}

    def sign_in(self, http: requests.Session, authorization_url: str, username: str = "alice") -> str:
        """What the browser brings back; like the other providers' method."""
        self.subject = username
        query = dict(parse_qsl(urlsplit(authorization_url).query))
        code = secrets.token_urlsafe(24)
        self.codes[code] = {
            "nonce": query["nonce"], "challenge": query["code_challenge"], "sub": username, "sid": self.sid
        }
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"], "iss": self.issuer})

    def logout_token(
        self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> str:
        """A logout token for `sid`, as the standard has it but for what is changed; `None` takes a member away."""
        now = int(time.time())
        right = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": secrets.token_urlsafe(16),
            "sub": self.subject, "sid": self.sid, "events": {EVENT: {}},
        }
        head = {"typ": "logout+jwt", "alg": self.key.algorithm, "kid": self.key.name}
        return encoded({**head, **(header or {})}, {**right, **(claims or {})}, sign or self.key.signature)

    # What the client asks

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            **{
                name: f"{self.issuer}/{path}"
                for name, path in {
                    "authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo",
                    "jwks_uri": "jwks", "end_session_endpoint": "logout",
                }.items()
            },
        }

    def tokens(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.set()
        self.may_answer.wait(60)
        if form.get("grant_type") == "authorization_code":
            login = self.codes.pop(form.get("code", ""), None)
            verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if login is None or base64url(verifier) != login["challenge"]:
                return 400, {"error": "invalid_grant"}
        else:
            login = self.grants.pop(form.get("refresh_token", ""), None)
            if login is None:
                return 400, {"error": "invalid_grant"}
        refresh = secrets.token_urlsafe(24)
        self.grants[refresh] = {**login, "nonce": None}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "sub": login["sub"],
            "sid": login["sid"], "nonce": login["nonce"],
        }
        return 200, {
            "access_token": f"{login['sub']}.{secrets.token_urlsafe(16)}", "token_type": "Bearer",
            "expires_in": self.lifetime, "refresh_token": refresh, "refresh_expires_in": 1800,
            "id_token": encoded({"alg": self.key.algorithm, "kid": self.key.name}, claims, self.key.signature),
        }


class Handler(BaseHTTPRequestHandler):
    server: ScriptedProvider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/.well-known/openid-configuration":
            self._answer(200, self.server.metadata())
        elif path == "/jwks":
            self._answer(200, {"keys": [self.server.key.jwk]})
        elif path == "/userinfo":
            self._answer(200, {"sub": self.headers.get("Authorization", "").removeprefix("Bearer ").split(".")[0]})
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        if urlsplit(self.path).path == "/token":
            self._answer(*self.server.tokens(dict(parse_qsl(body))))
        else:
            self._answer(404, {})

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return self.client_address[0]

    def log_message(self, *_: object) -> None:
        pass
