"""idpyoidc as a small OpenID provider in one process, for tests only.

    python idpy.py SETTINGS_FILE

The settings file is JSON: port, directory, client_id, redirect_uri, post_logout_uri, users (name to password),
access_token_lifetime (seconds), and of these what is wanted:

    client_secret      the client authenticates with it; without it by `private_key_jwt`
    client_jwks        the client's public keys, a JWK set
    client_jwks_uri    where the client's public keys are; asked whenever an assertion names a key that is not known yet
    require_par        refuse authorization requests that were not pushed (RFC 9126)
    signed_userinfo    answer UserInfo as a JWT that is signed so, such as RS256
    tls                {certificate, key, client_authority}: serve https; connections may show a certificate
    mtls               clients authenticate by their certificate (RFC 8705), at /mtls/token and /mtls/par

Listens on 127.0.0.1 and ends on SIGTERM. Each request to the token and the PAR endpoint is noted, without its secrets, in
the file `requests.jsonl` of the directory. Refresh tokens rotate.
"""

from __future__ import annotations

import json
import secrets
import signal
import ssl
import sys
import threading
import time
import traceback
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from cryptojwt.jws.jws import factory
from idpyoidc.message.oauth2 import ResponseMessage
from idpyoidc.message.oidc import AuthorizationRequest
from idpyoidc.server import Server
from idpyoidc.server.configure import OPConfiguration
from idpyoidc.server.user_authn.user import UserAuthnMethod
from idpyoidc.time_util import utc_time_sans_frac

REFRESH_TOKEN_LIFETIME = 1800
# What an authorization request may hold; the rest of a pushed one shows who the client is.
REQUEST_PARAMETERS = {
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
    "prompt", "max_age", "login_hint", "acr_values", "ui_locales",
}
SIGN_IN_PAGE = """<!doctype html><title>Sign in</title><h1>Sign in</h1>
<form method="post" action="/login"><input type="hidden" name="login" value="">
<input name="username"><input type="password" name="password"><input type="hidden" name="key" value="{key}">
<button type="submit">Sign in</button></form>"""
JWKS = {"key_defs": [{"type": "RSA", "use": ["sig"]}, {"type": "EC", "crv": "P-256", "use": ["sig"]}]}
OCTETS = {"key_defs": [{"type": "oct", "use": ["enc"], "kid": "enc"}, {"type": "oct", "use": ["sig"], "kid": "sig"}]}


class FormLogin(UserAuthnMethod):
    """Asks for name and password on a page, and remembers what for."""

    pending: dict[str, dict[str, Any]] = {}

    def __call__(self, **arguments: Any) -> str:
        key = secrets.token_urlsafe(16)
        self.pending[key] = arguments
        return SIGN_IN_PAGE.format(key=key)


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(f"{status} {error} {description}")
        self.status = status
        self.body = {"error": error, **({"error_description": description} if description else {})}


class Answer:
    """Status, body, media type, and more header fields."""

    def __init__(self, status: int, body: str = "", kind: str = "application/json", **fields: str) -> None:
        self.status = status
        self.body = body
        self.kind = kind
        self.fields = list(fields.items())

    @classmethod
    def json(cls, value: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(value))

    @classmethod
    def redirect(cls, location: str) -> Answer:
        return cls(303, kind="text/plain", Location=location)


class Request:
    """What a client or a browser sent."""

    def __init__(self, method: str, path: str, query: str, headers: dict[str, str], body: str, certificate: str | None):
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        # The subject of the connection's certificate, which the connection's end has checked.
        self.certificate = certificate

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body, keep_blank_values=True))

    @property
    def http_info(self) -> dict[str, Any]:
        cookies = SimpleCookie(self.headers.get("cookie", ""))
        return {
            "headers": self.headers,
            "cookie": [{"name": name, "value": morsel.value} for name, morsel in cookies.items()],
            "method": self.method,
            "url": self.path,
        }


class IdentityProvider:
    """The provider: a request goes in, an answer comes out. One at a time, as the library's state asks for it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.directory = Path(settings["directory"])
        self.client_id = settings["client_id"]
        self.origin = f"{'https' if settings.get('tls') else 'http'}://127.0.0.1:{settings['port']}"
        self.issuer = self.origin
        self.lock = threading.Lock()
        self.routes = {
            "/.well-known/openid-configuration": self.metadata,
            "/jwks.json": self.keys,
            "/authorization": self.authorize,
            "/login": self.log_in,
            "/par": self.push,
            "/token": self.token,
            "/userinfo": self.userinfo,
            "/mtls/par": self.push,
            "/mtls/token": self.token,
            "/mtls/userinfo": self.userinfo,
        }
        self.server = Server(OPConfiguration(self.configuration()), cwd=str(self.directory))
        self.context = self.server.context
        # RFC 9126 §2: issuer, token endpoint and its own address all name the PAR endpoint; RFC 7523bis: the issuer names the
        # token endpoint. The library knows each by its own address alone.
        for name in ("pushed_authorization", "token"):
            self.server.get_endpoint(name).allowed_targets = ["", "token", "pushed_authorization"]
        self.context.cdb[self.client_id] = self.client()
        if settings.get("client_jwks"):
            self.server.keyjar.import_jwks(settings["client_jwks"], self.client_id)
        if settings.get("client_secret"):
            self.server.keyjar.add_symmetric(self.client_id, settings["client_secret"])

    # What the library is told

    @property
    def methods(self) -> list[str]:
        """How the client authenticates."""
        if self.settings.get("mtls"):
            return ["public"]
        return ["client_secret_basic"] if self.settings.get("client_secret") else ["private_key_jwt"]

    def configuration(self) -> dict[str, Any]:
        lifetime = self.settings["access_token_lifetime"]
        server = "idpyoidc.server"
        token = f"{server}.token.jwt_token.JWTToken"
        return {
            "issuer": self.issuer,
            "httpc_params": {"verify": False, "timeout": 5},
            "key_conf": JWKS,
            "preference": {
                "subject_types_supported": ["public"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            },
            "token_handler_args": {
                "code": {"kwargs": {"lifetime": 60}},
                "token": {"class": token, "kwargs": {"lifetime": lifetime, "aud": [self.issuer]}},
                "refresh": {"class": token, "kwargs": {"lifetime": REFRESH_TOKEN_LIFETIME, "aud": [self.issuer]}},
                "id_token": {"class": f"{server}.token.id_token.IDToken", "kwargs": {"lifetime": lifetime}},
            },
            "authz": {
                "class": f"{server}.authz.AuthzHandling",
                "kwargs": {
                    "grant_config": {
                        "usage_rules": {
                            "authorization_code": {
                                "supports_minting": ["access_token", "refresh_token", "id_token"], "max_usage": 1,
                                "expires_in": 60,
                            },
                            "access_token": {"expires_in": lifetime},
                            "refresh_token": {
                                "supports_minting": ["access_token", "refresh_token", "id_token"],
                                "expires_in": REFRESH_TOKEN_LIFETIME,
                            },
                        },
                        "expires_in": 86400,
                    }
                },
            },
            "authentication": {"user": {"acr": "password", "class": FormLogin, "kwargs": {}}},
            "userinfo": {"class": f"{server}.user_info.UserInfo", "kwargs": {"db": self.people()}},
            "cookie_handler": {
                "class": f"{server}.cookie_handler.CookieHandler",
                "kwargs": {
                    "keys": OCTETS,
                    "name": {"session": "idpy", "register": "idpy_rp", "session_management": "idpy_sman"},
                },
            },
            "claims_interface": {"class": f"{server}.session.claims.ClaimsInterface", "kwargs": {}},
            "add_on": {
                "pkce": {
                    "function": f"{server}.oauth2.add_on.pkce.add_support",
                    "kwargs": {"essential": True, "code_challenge_methods": {"S256": None}},
                }
            },
            "endpoint": self.endpoints(),
        }

    def endpoints(self) -> dict[str, Any]:
        server = "idpyoidc.server"
        return {
            "provider_info": {
                "path": ".well-known/openid-configuration",
                "class": f"{server}.oidc.provider_config.ProviderConfiguration",
                "kwargs": {"client_authn_method": None},
            },
            "authorization": {
                "path": "authorization",
                "class": f"{server}.oidc.authorization.Authorization",
                "kwargs": {
                    "client_authn_method": None, "response_types_supported": ["code"],
                    "response_modes_supported": ["query"],
                },
            },
            "pushed_authorization": {
                "path": "par",
                "class": f"{server}.oauth2.pushed_authorization.PushedAuthorization",
                "kwargs": {"client_authn_method": self.methods, "ttl": 60},
            },
            "token": {
                "path": "token",
                "class": f"{server}.oidc.token.Token",
                "kwargs": {"client_authn_method": self.methods, "revoke_refresh_on_issue": True},
            },
            "userinfo": {
                "path": "userinfo",
                "class": f"{server}.oidc.userinfo.UserInfo",
                "kwargs": {"client_authn_method": ["bearer_header"]},
            },
        }

    def people(self) -> dict[str, dict[str, str]]:
        return {
            name: {
                "name": f"{name.title()} Test", "given_name": name.title(), "family_name": "Test",
                "email": f"{name}@example.test", "preferred_username": name,
            }
            for name in self.settings["users"]
        }

    def client(self) -> dict[str, Any]:
        client: dict[str, Any] = {
            "client_id": self.client_id,
            "redirect_uris": [(self.settings["redirect_uri"], {})],
            "post_logout_redirect_uri": [(self.settings["post_logout_uri"], {})],
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "allowed_scopes": ["openid", "profile", "email", "offline_access"],
            "id_token_signed_response_alg": "RS256",
        }
        if self.settings.get("client_secret"):
            client["client_secret"] = self.settings["client_secret"]
        if self.settings.get("signed_userinfo"):
            client["userinfo_signed_response_alg"] = self.settings["signed_userinfo"]
        return client

    # The addresses

    def respond(self, request: Request) -> Answer:
        route = self.routes.get(request.path)
        if route is None:
            return Answer(404, "not found", "text/plain")
        with self.lock:
            try:
                return route(request)
            except Refusal as refusal:
                return Answer.json(refusal.body, refusal.status)
            except Exception:  # noqa: BLE001: a client's mistake must not end the provider
                traceback.print_exc()
                return Answer.json({"error": "server_error"}, 500)

    def metadata(self, request: Request) -> Answer:
        par = {"pushed_authorization_request_endpoint": f"{self.origin}/par"}
        if self.settings.get("require_par"):
            par["require_pushed_authorization_requests"] = True
        method = "tls_client_auth" if self.settings.get("mtls") else self.methods[0]
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorization",
            "token_endpoint": f"{self.origin}/token",
            "userinfo_endpoint": f"{self.origin}/userinfo",
            "jwks_uri": f"{self.origin}/jwks.json",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [method],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
            "authorization_response_iss_parameter_supported": True,
            **par,
        }
        if self.settings.get("mtls"):
            document["mtls_endpoint_aliases"] = {
                "token_endpoint": f"{self.origin}/mtls/token",
                "pushed_authorization_request_endpoint": f"{self.origin}/mtls/par",
                "userinfo_endpoint": f"{self.origin}/mtls/userinfo",
            }
        return Answer.json(document)

    def keys(self, request: Request) -> Answer:
        return Answer.json(self.server.keyjar.export_jwks(issuer_id=""))

    def authorize(self, request: Request) -> Answer:
        parameters = dict(parse_qsl(request.query, keep_blank_values=True))
        uri = parameters.get("request_uri")
        if uri is not None:
            # The library wants what OpenID Connect requires in the query, beside the name of the pushed request; RFC 9126 §4
            # does not. All counts as it was pushed.
            pushed = self.context.par_db.pop(uri, None)
            if pushed is None or pushed["client_id"] != parameters.get("client_id"):
                raise Refusal(400, "invalid_request_uri")
            parameters = pushed
        elif self.settings.get("require_par"):
            raise Refusal(400, "invalid_request", "push it first")
        endpoint = self.server.get_endpoint("authorization")
        parsed = endpoint.parse_request(parameters, http_info=request.http_info)
        self.check(parsed)
        result = endpoint.process_request(parsed, http_info=request.http_info)
        if "http_response" in result:
            return Answer(200, result["http_response"], "text/html; charset=utf-8")
        return self.finish(endpoint, parsed, result)

    def log_in(self, request: Request) -> Answer:
        form = request.form
        login = FormLogin.pending.pop(form.get("key", ""), None)
        name = form.get("username", "")
        if login is None or self.settings["users"].get(name) != form.get("password"):
            raise Refusal(403, "access_denied")
        endpoint = self.server.get_endpoint("authorization")
        parsed = AuthorizationRequest().from_urlencoded(login["query"])
        method = self.context.authn_broker.get_method_by_id("user")
        session = endpoint.create_session(
            parsed, name, login["authn_class_ref"], utc_time_sans_frac(), method
        )
        return self.finish(endpoint, parsed, endpoint.authz_part2(request=parsed, session_id=session))

    def finish(self, endpoint: Any, parsed: Any, result: dict[str, Any]) -> Answer:
        """Sends the browser back to the client."""
        if "error" in result and "return_uri" not in result:
            self.check(result)
        info = endpoint.do_response(request=parsed, **result)
        answer = Answer.redirect(info["response"])
        for cookie in info.get("cookie", []):
            answer.fields.append(("Set-Cookie", f"{cookie['name']}={cookie['value']}; Path=/; HttpOnly; SameSite=Lax"))
        return answer

    def push(self, request: Request) -> Answer:
        self.authenticate(request)
        parsed = self.parse("pushed_authorization", request)
        for name in [name for name in parsed if name not in REQUEST_PARAMETERS]:
            del parsed[name]
        result = self.server.get_endpoint("pushed_authorization").process_request(parsed)
        self.check(result)
        uri = result["http_response"]["request_uri"]
        self.context.par_db[uri] = {
            name: value for name, value in request.form.items() if name in REQUEST_PARAMETERS
        } | {"client_id": self.client_id}
        return Answer.json(result["http_response"], 201)

    def token(self, request: Request) -> Answer:
        self.authenticate(request)
        parsed = self.parse("token", request)
        endpoint = self.server.get_endpoint("token")
        result = endpoint.process_request(parsed, http_info=request.http_info, issue_refresh=True)
        self.check(result)
        info = endpoint.do_response(request=parsed, **result)
        body = json.loads(info["response"])
        body["refresh_expires_in"] = REFRESH_TOKEN_LIFETIME
        return Answer.json(body)

    def userinfo(self, request: Request) -> Answer:
        endpoint = self.server.get_endpoint("userinfo")
        try:
            parsed = endpoint.parse_request({}, http_info=request.http_info)
        except Exception as error:
            raise Refusal(401, "invalid_token") from error
        self.check(parsed, 401)
        result = endpoint.process_request(parsed)
        self.check(result, 401)
        info = endpoint.do_response(request=parsed, **result)
        kind = dict(info["http_headers"])["Content-type"]
        return Answer(200, info["response"], kind)

    # The client

    def authenticate(self, request: Request) -> None:
        """What the library does not do: certificates, and keys that are new."""
        self.note(request)
        form = request.form
        if self.settings.get("mtls"):
            if not request.path.startswith("/mtls/") or request.certificate is None:
                raise Refusal(401, "invalid_client", "no certificate")
            if request.certificate != self.settings["mtls"]:
                raise Refusal(401, "invalid_client", "another certificate")
            return
        assertion = form.get("client_assertion")
        if assertion is None or not self.settings.get("client_jwks_uri"):
            return
        token = factory(assertion)
        kid = token.jwt.headers.get("kid") if token else None
        keyjar = self.server.keyjar
        if self.client_id in keyjar and kid in {key.kid for key in keyjar.get_issuer_keys(self.client_id)}:
            return
        jwks = requests.get(self.settings["client_jwks_uri"], timeout=5).json()
        # Only what is published counts.
        self.server.keyjar.load_keys(self.client_id, jwks=jwks, replace=True)

    def note(self, request: Request) -> None:
        """Writes down what a test may want to know of a request."""
        form = request.form
        noted: dict[str, Any] = {
            "path": request.path, "time": time.time(), "parameters": sorted(form), "client_id": form.get("client_id"),
            "grant_type": form.get("grant_type"), "authorization": request.headers.get("authorization", "").split(" ")[0],
            "certificate": request.certificate,
        }
        token = factory(form["client_assertion"]) if form.get("client_assertion") else None
        if token:
            noted["assertion"] = {"header": token.jwt.headers, "claims": token.jwt.payload()}
        with (self.directory / "requests.jsonl").open("a") as file:
            file.write(json.dumps(noted) + "\n")

    def parse(self, name: str, request: Request) -> Any:
        endpoint = self.server.get_endpoint(name)
        try:
            parsed = endpoint.parse_request(request.form, http_info=request.http_info)
        except Exception as error:  # noqa: BLE001: the library has a dozen kinds of them, and all say no
            print(f"refused at {name}: {type(error).__name__}: {error}", file=sys.stderr)
            raise Refusal(401, "invalid_client") from error
        self.check(parsed)
        return parsed

    @staticmethod
    def check(result: Any, status: int = 400) -> None:
        if isinstance(result, (ResponseMessage, dict)) and "error" in result:
            raise Refusal(status, str(result["error"]), str(result.get("error_description", "")))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: IdentityProvider

    def answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, 1 << 20)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, parts.query, headers, body, self.certificate())
        answer = self.provider.respond(request)
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        for name, value in answer.fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def certificate(self) -> str | None:
        """The common name of the certificate that the connection has shown."""
        if not isinstance(self.connection, ssl.SSLSocket):
            return None
        shown = self.connection.getpeercert() or {}
        return dict(pair[0] for pair in shown.get("subject", ())).get("commonName")

    def address_string(self) -> str:
        return self.client_address[0]


class TLSServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the connection's own thread: a slow handshake must not hold up the others.
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


def serve(provider: IdentityProvider) -> None:
    Handler.provider = provider
    server = TLSServer(("127.0.0.1", provider.settings["port"]), Handler)
    tls = provider.settings.get("tls")
    if tls:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(tls["certificate"], tls["key"])
        if tls.get("client_authority"):
            server.tls.load_verify_locations(tls["client_authority"])
            server.tls.verify_mode = ssl.CERT_OPTIONAL
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    serve(IdentityProvider(json.loads(Path(sys.argv[1]).read_text())))
