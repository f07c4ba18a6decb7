"""`Examples/NIOLogin`: the adapter of CloakroomHTTP to bare SwiftNIO logs a user in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests

from support.gateway import get
from support.login import begin_login, finish_login, log_in
from support.ports import free_port
from support.processes import Server, bare_environment
from support.providers import Kind, Provider
from support.servers import Servers

PROGRAM = os.environ.get("CLOAKROOM_NIO_LOGIN")

pytestmark = pytest.mark.skipif(not PROGRAM, reason="CLOAKROOM_NIO_LOGIN names no program; scripts/test builds it")


def test_a_user_logs_in_and_out(servers: Servers, tmp_path: Path, any_provider: Kind) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    provider = servers.add(Provider(any_provider, tmp_path / "provider", url)).launch()
    environment = bare_environment(tmp_path, PORT=str(port), **provider.settings)
    server = servers.add(Server("nio-login", [PROGRAM or ""], tmp_path, environment))

    def answers() -> bool:
        try:
            return get(url + "/").status_code == 303
        except requests.RequestException:
            return False

    server.start(answers)
    http = requests.Session()
    session = log_in(http, url, provider)
    greeting = http.get(url + "/", timeout=20)
    assert (greeting.status_code, greeting.text) == (200, "Hello, Alice Test\n")
    assert greeting.headers["X-Content-Type-Options"] == "nosniff"
    assert get(url + "/auth/me", session).json()["email"] == "alice@example.test"
    # A callback is good once, here too; the second leads to where the first has led, and does nothing else.
    again = provider.sign_in(http, begin_login(http, url).headers["Location"])
    assert finish_login(http, again).status_code == 303
    repeated = finish_login(http, again)
    assert (repeated.status_code, repeated.headers["Location"]) == (303, "/") and "Set-Cookie" not in repeated.headers
    assert get(url + "/auth/me", session).status_code == 401, "a login ends the session before it"

    end = http.get(url + "/auth/logout", headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False, timeout=20)
    assert end.status_code == 303 and end.headers["Location"].startswith(provider.issuer.removesuffix("/o"))
    assert http.get(url + "/", allow_redirects=False, timeout=20).headers["Location"] == "/auth/login"
