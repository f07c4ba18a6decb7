"""django-oauth-toolkit as a small OpenID provider in one process, for tests only.

    python django_provider.py SETTINGS_FILE

The settings file is JSON: port, directory, client_id, client_secret, redirect_uri, post_logout_uri,
users (name to password), access_token_lifetime (seconds), clock_offset (by how many seconds its clock is ahead; 0 by
default), token_delay (the seconds before a token call is decided, and before it is answered; 0 by default), reuse_period (for
how many seconds a refresh token that was used brings the same tokens again; 0 by default). Listens on 127.0.0.1 and ends on
SIGTERM. Refresh tokens rotate, and one that is replayed later ends its family. Of each token call it prints `token call came`
and then `token call decided for NAME`, with the user who gets tokens, or `nobody`. An access token says whose it is and since
when, `NAME.SECONDS.RANDOM`, so that an API can check both; claims and
`refresh_expires_in` are those that Keycloak sends.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socketserver
import sys
import threading
import time
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SIGN_IN_PAGE = """<!doctype html><title>Sign in</title><h1>Sign in</h1>
<form method="post">{% csrf_token %}{{ form.as_p }}
<input type="hidden" name="next" value="{{ next }}"><button type="submit">Sign in</button></form>"""

settings = json.loads(Path(sys.argv[1]).read_text())
directory = Path(settings["directory"])
issuer = f"http://127.0.0.1:{settings['port']}/o"
key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
# It may be started again: users, grants and sessions are as they were, the signing key is new.
(directory / "registration").mkdir(exist_ok=True)
(directory / "registration" / "login.html").write_text(SIGN_IN_PAGE)
# What dates answers and ID tokens.
real_time = time.time
time.time = lambda: real_time() + settings.get("clock_offset", 0)
# Plain http is fine on the loopback address.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
REFRESH_TOKEN_LIFETIME = 1800

import django  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402

django_settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="__main__",
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(directory / "provider.sqlite3"),
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
            },
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "DIRS": [str(directory)],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                ]
            },
        }
    ],
    # Quick is enough for passwords that stand in the tests.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    LOGIN_URL="/login/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SESSION_COOKIE_NAME="provider_session",
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": key.decode(),
        "OIDC_ISS_ENDPOINT": issuer,
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False,
        "SCOPES": {"openid": "OpenID", "profile": "Profile", "email": "E-mail"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": settings["access_token_lifetime"],
        "ID_TOKEN_EXPIRE_SECONDS": settings["access_token_lifetime"],
        "REFRESH_TOKEN_EXPIRE_SECONDS": REFRESH_TOKEN_LIFETIME,
        "ACCESS_TOKEN_GENERATOR": "__main__.new_access_token",
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": settings.get("reuse_period", 0),
        "PKCE_REQUIRED": True,
        "REQUEST_APPROVAL_PROMPT": "auto",
        "OAUTH2_VALIDATOR_CLASS": "__main__.Validator",
    },
)
django.setup()

from django.contrib.auth import get_user_model, views  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402


class Validator(OAuth2Validator):
    """Adds who the user is to ID token and UserInfo, and answers requests that must show no page (`prompt=none`)."""

    oidc_claim_scope = None

    def validate_silent_login(self, request):
        return request.user is not None and request.user.is_authenticated

    def get_additional_claims(self, request):
        user = request.user
        return {
            "name": user.get_full_name(), "given_name": user.first_name, "family_name": user.last_name,
            "email": user.email, "preferred_username": user.username,
        }

    def save_bearer_token(self, token, request, *args, **kwargs):
        made = token["access_token"]
        super().save_bearer_token(token, request, *args, **kwargs)
        if token["access_token"] != made:
            # The tokens of the first use. The ID token was made for another access token, and says so in at_hash.
            token.pop("id_token", None)
        token["refresh_expires_in"] = REFRESH_TOKEN_LIFETIME


def new_access_token(request, refresh_token=False):
    return f"{request.user.username}.{int(time.time())}.{secrets.token_urlsafe(24)}"


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("login/", views.LoginView.as_view()),
]

call_command("migrate", verbosity=0)
if not get_application_model().objects.exists():
    for name, password in settings["users"].items():
        get_user_model().objects.create_user(
            name, f"{name}@example.test", password, first_name=name.title(), last_name="Test"
        )
    get_application_model().objects.create(
        client_id=settings["client_id"],
        client_secret=settings["client_secret"],
        name="Cloakroom",
        client_type="confidential",
        skip_authorization=True,
        authorization_grant_type="authorization-code",
        redirect_uris=settings["redirect_uri"],
        post_logout_redirect_uris=settings["post_logout_uri"],
        algorithm="RS256",
    )


application = get_wsgi_application()
before, after = settings.get("token_delay", (0, 0))


def slow_application(environ, start_response):
    if environ["PATH_INFO"] != "/o/token/":
        return application(environ, start_response)
    print("token call came", flush=True)
    time.sleep(before)
    response = application(environ, start_response)
    token = json.loads(response.content).get("access_token", "nobody.") if response.status_code == 200 else "nobody."
    print("token call decided for", token.split(".")[0], flush=True)
    time.sleep(after)
    return response


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def address_string(self) -> str:
        # Without asking the resolver for a name.
        return self.client_address[0]


server = ThreadingServer(("127.0.0.1", settings["port"]), Handler)
server.set_app(slow_application)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
