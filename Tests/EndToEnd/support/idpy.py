"""idpyoidc as the provider: `private_key_jwt`, PAR, mutual TLS, UserInfo as a signed JWT."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import requests

from .forms import sign_in
from .ports import free_port
from .processes import Server, bare_environment
from .providers import SCRIPTS, USERS

IS_INSTALLED = importlib.util.find_spec("idpyoidc") is not None


class IdpyProvider(Server):
    """A running provider with one client, ours; `options` are those of providers/idpy.py."""

    script = "idpy.py"

    def __init__(
        self, directory: Path, public_url: str, access_token_lifetime: int = 300, authority: Path | None = None,
        **options: Any,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.issuer = f"{'https' if 'tls' in options else 'http'}://127.0.0.1:{self.port}"
        self.client_id = "cloakroom"
        self.users = dict(USERS)
        # Whom to trust when asking it.
        self.verify: str | bool = str(authority) if authority else True
        settings = {
            "port": self.port,
            "directory": str(directory),
            "client_id": self.client_id,
            "redirect_uri": public_url + "/auth/callback",
            "post_logout_uri": public_url + "/",
            "users": self.users,
            "access_token_lifetime": access_token_lifetime,
            **options,
        }
        file = directory / "provider.json"
        file.write_text(json.dumps(settings))
        self.client_secret = options.get("client_secret")
        super().__init__("idpyoidc", [sys.executable, SCRIPTS / self.script, file], directory, bare_environment(directory))

    def launch(self) -> IdpyProvider:
        self.start(self._answers, within=60)
        return self

    def _answers(self) -> bool:
        url = self.issuer + "/.well-known/openid-configuration"
        try:
            return requests.get(url, timeout=5, verify=self.verify).status_code == 200
        except requests.RequestException:
            return False

    @property
    def settings(self) -> dict[str, str | None]:
        """The settings of a gateway that uses this provider, but for what shows it who the client is."""
        return {
            "OIDC_ISSUER": self.issuer, "OIDC_CLIENT_ID": self.client_id, "OIDC_CLIENT_SECRET": self.client_secret,
        }

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What the token and the PAR endpoint were asked, in order."""
        file = self.directory / "requests.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def sign_in(self, http: requests.Session, authorization_url: str, username: str = "alice") -> str:
        """Signs the user in; gives the callback address, without going there."""
        # A variable of the environment would count for more than what is said here.
        http.trust_env, http.verify = False, self.verify
        return sign_in(http, authorization_url, username, self.users[username])
