"""`cloakroom serve` as the tests run it."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from pathlib import Path

import requests

from .ports import free_port
from .processes import Server, bare_environment

PROJECT = Path(__file__).resolve().parents[3]
COOKIE = "cloakroom_session"
REPLICA_HEADER = "X-Cloakroom-Replica"


@lru_cache(maxsize=None)
def binary() -> Path:
    """The program under test: CLOAKROOM_BIN, else what `swift build` made."""
    chosen = os.environ.get("CLOAKROOM_BIN")
    if chosen:
        path = Path(chosen).resolve()
    else:
        shown = subprocess.run(
            ["swift", "build", "--show-bin-path"], cwd=PROJECT, capture_output=True, text=True, check=True
        )
        path = Path(shown.stdout.strip()) / "cloakroom"
    assert os.access(path, os.X_OK), f"no program at {path}: run `swift build --product cloakroom` or set CLOAKROOM_BIN"
    return path


def run_program(directory: Path, *arguments: str, **settings: str | None) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end, with the settings of a complete gateway but for what is changed."""
    return subprocess.run(
        [binary(), *arguments], cwd=directory, env=gateway_environment(directory, **settings),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )


def new_key(directory: Path) -> str:
    """A fresh key for SESSION_KEYS."""
    result = run_program(directory, "keys", "generate")
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def gateway_environment(directory: Path, **settings: str | None) -> dict[str, str]:
    """The settings of a gateway that is complete but for what a test changes. `None` takes a setting away."""
    defaults = {
        "HOST": "127.0.0.1",
        "REDIS_ENABLED": "true",
        # Nobody listens on port 1 of the loopback address.
        "OIDC_ISSUER": "http://127.0.0.1:1",
        "OIDC_CLIENT_ID": "cloakroom",
        "OIDC_CLIENT_SECRET": "client-secret-of-the-tests",
        # Far from UTC: the times in Redis must be UTC all the same.
        "TZ": "Asia/Kolkata",
    }
    merged = {**defaults, **settings}
    return bare_environment(directory, **{name: value for name, value in merged.items() if value is not None})


class Gateway(Server):
    """One replica."""

    def __init__(
        self,
        directory: Path,
        name: str = "cloakroom",
        port: int | None = None,
        program: Path | None = None,
        **settings: str | None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        settings = {
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            "CLOAKROOM_REPLICA_NAME": name,
            **settings,
        }
        super().__init__(name, [program or binary(), "serve"], directory, gateway_environment(directory, **settings))

    def launch(self) -> Gateway:
        """Starts the program; returns when it answers, be it ready or not."""
        self.start(lambda: self.status("/healthz") == 200)
        return self

    def launch_ready(self) -> Gateway:
        """Starts the program; returns when it is ready for users."""
        self.start(lambda: self.status("/readyz") == 200)
        return self

    def restart(self, **settings: str | None) -> Gateway:
        """Stops the program as a deploy does, and starts it with these settings changed; `None` takes one away."""
        assert self.stop() == 0, self.log_tail()
        for name, value in settings.items():
            if value is None:
                self.environment.pop(name, None)
            else:
                self.environment[name] = value
        return self.launch_ready()

    def me(self, session: str) -> int:
        """What `/auth/me` answers the user of this session: 200 or 401."""
        return self.get("/auth/me", session).status_code

    def status(self, path: str) -> int | None:
        """The status that this path answers with, `None` if nothing answers."""
        try:
            return self.get(path).status_code
        except requests.RequestException:
            return None

    def get(self, path: str, session: str | None = None, **options: object) -> requests.Response:
        """A GET without a cookie jar, as the user of `session` if given."""
        return get(self.url + path, session, **options)


def get(url: str, session: str | None = None, **options: object) -> requests.Response:
    """A GET that follows no redirect, with this session's cookie if given."""
    headers = dict(options.pop("headers", {}))  # type: ignore[call-overload]
    if session is not None:
        headers["Cookie"] = f"{COOKIE}={session}"
    return requests.get(url, headers=headers, timeout=20, allow_redirects=False, **options)  # type: ignore[arg-type]
