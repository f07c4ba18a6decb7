"""Canaille as a small OpenID provider in one process, for tests only.

    python canaille_provider.py SETTINGS_FILE

The settings file is JSON: port, directory, client_id, client_secret, redirect_uri, post_logout_uri,
users (name to password), access_token_lifetime (seconds). Listens on 127.0.0.1 and ends on SIGTERM.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import warnings
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

warnings.simplefilter("ignore")

settings = json.loads(Path(sys.argv[1]).read_text())
# Canaille reads a configuration file from the working directory if there is one.
os.chdir(settings["directory"])

import canaille  # noqa: E402
from canaille.app import models  # noqa: E402
from canaille.backends import Backend  # noqa: E402
from canaille.oidc import provider  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

# Canaille's access tokens are JWTs without `jti`: two for one user within one second are equal, which breaks a unique
# index and answers 500. Opaque ones are unique.
provider.generate_access_token = lambda client, grant_type, user, scope: secrets.token_urlsafe(32)

key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)

app = canaille.create_app(
    config={
        "SECRET_KEY": secrets.token_hex(32),
        "SERVER_NAME": f"127.0.0.1:{settings['port']}",
        "PREFERRED_URL_SCHEME": "http",
        "OAUTH2_TOKEN_EXPIRES_IN": {
            "authorization_code": settings["access_token_lifetime"],
            "refresh_token": settings["access_token_lifetime"],
        },
        # Its in-memory backend mixes up the codes of two logins under way.
        "CANAILLE_SQL": {
            "DATABASE_URI": f"sqlite:///{settings['directory']}/canaille.db",
            "PASSWORD_SCHEMES": "pbkdf2_sha512",
        },
        "CANAILLE": {
            "DATABASE": "sql",
            "CAPTCHA_ENABLED": False,
            "HIDE_INVALID_LOGINS": False,
            "ACL": {"DEFAULT": {"PERMISSIONS": ["edit_self", "use_oidc"]}},
        },
        "CANAILLE_OIDC": {"REQUIRE_NONCE": True, "ACTIVE_JWKS": [key.decode()]},
    }
)

with app.app_context():
    Backend.instance.install(app)
with app.app_context(), Backend.instance.session():
    for name, password in settings["users"].items():
        user = models.User(
            user_name=name,
            password=password,
            emails=[f"{name}@example.test"],
            given_name=name.title(),
            family_name="Test",
            formatted_name=f"{name.title()} Test",
        )
        Backend.instance.save(user)
    client = models.Client(
        client_id=settings["client_id"],
        client_secret=settings["client_secret"],
        client_name="Cloakroom",
        client_uri=f"http://127.0.0.1:{settings['port']}",
        redirect_uris=[settings["redirect_uri"]],
        post_logout_redirect_uris=[settings["post_logout_uri"]],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope=["openid", "profile", "email"],
        token_endpoint_auth_method="client_secret_basic",
    )
    Backend.instance.save(client)
    client.audience = [client]
    Backend.instance.save(client)


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


server = make_server("127.0.0.1", settings["port"], app, threaded=True, request_handler=Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
