"""OpenID providers that we did not write, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

import requests

from .forms import sign_in
from .ports import free_port
from .processes import Server, bare_environment

SCRIPTS = Path(__file__).resolve().parents[1] / "providers"
USERS = {"alice": "alice-password-1", "bob": "bob-password-2"}


@dataclass(frozen=True)
class Kind:
    """One of the programs that can play the provider."""

    name: str
    module: str
    script: str
    issuer_path: str
    client_secret: str

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


# RFC 6749 §2.3.1 wants name and secret form-urlencoded before they go into the Basic header (R10). Canaille does not
# decode them, so only the other one gets a secret that shows it.
DJANGO = Kind("django-oauth-toolkit", "oauth2_provider", "django_provider.py", "/o", "a secret: with / and + and %41")
CANAILLE = Kind("Canaille", "canaille", "canaille_provider.py", "", "plain-secret-of-the-client-0123456789")
KINDS = [DJANGO, CANAILLE]


class Provider(Server):
    """A running provider with one client, ours, and these users (name to password)."""

    def __init__(
        self, kind: Kind, directory: Path, public_url: str, access_token_lifetime: int = 300,
        users: Mapping[str, str] = USERS, clock_offset: int = 0, token_delay: tuple[float, float] = (0, 0),
        reuse_period: int = 0,
    ) -> None:
        """`token_delay`: the seconds that a token call takes before it is decided, and before it is answered.
        `reuse_period`: for how many seconds a refresh token that was used may be used again, for the same tokens."""
        directory.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self.users = dict(users)
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}{kind.issuer_path}"
        self.client_id = "cloakroom"
        self.client_secret = kind.client_secret
        settings = directory / "provider.json"
        settings.write_text(
            json.dumps(
                {
                    "port": self.port,
                    "directory": str(directory),
                    "client_id": self.client_id,
                    "client_secret": self.client_secret,
                    "redirect_uri": public_url + "/auth/callback",
                    "post_logout_uri": public_url + "/",
                    "users": self.users,
                    "access_token_lifetime": access_token_lifetime,
                    "clock_offset": clock_offset,
                    "token_delay": token_delay,
                    "reuse_period": reuse_period,
                }
            )
        )
        super().__init__(
            kind.name, [sys.executable, SCRIPTS / kind.script, settings], directory, bare_environment(directory)
        )

    def launch(self) -> Provider:
        self.start(self._answers, within=120)
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(self.issuer + "/.well-known/openid-configuration", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a gateway that uses this provider."""
        return {
            "OIDC_ISSUER": self.issuer,
            "OIDC_CLIENT_ID": self.client_id,
            "OIDC_CLIENT_SECRET": self.client_secret,
        }

    def sign_in(self, http: requests.Session, authorization_url: str, username: str = "alice") -> str:
        """Signs the user in; gives the callback address, without going there."""
        return sign_in(http, authorization_url, username, self.users[username])
