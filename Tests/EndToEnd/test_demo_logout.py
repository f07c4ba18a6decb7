"""`cloakroom demo`: its provider tells the gateway of a logout, so that the page is logged out too (R26)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import requests

from support.forms import forms, sign_in
from support.gateway import binary, get
from support.login import begin_login, finish_login, session_of
from support.ports import accepts, free_port
from support.processes import Server, bare_environment
from support.servers import Servers


def demo_port() -> int:
    """A port whose two neighbours are free too: provider and API go there."""
    while True:
        port = free_port()
        if not accepts(port + 1) and not accepts(port + 2):
            return port


def test_r26_a_logout_at_the_demos_provider_ends_the_session(servers: Servers, tmp_path: Path) -> None:
    port = demo_port()
    url, provider = f"http://localhost:{port}", f"http://localhost:{port + 1}"
    demo = servers.add(
        Server("demo", [binary(), "demo", "--port", str(port)], tmp_path, bare_environment(tmp_path))
    )

    def is_ready() -> bool:
        try:
            return (
                requests.get(url + "/readyz", timeout=5).status_code == 200
                and requests.get(provider + "/.well-known/openid-configuration", timeout=5).status_code == 200
            )
        except requests.RequestException:
            return False

    demo.start(is_ready)
    http = requests.Session()
    callback = sign_in(http, begin_login(http, url).headers["Location"], "admin", "test")
    assert finish_login(http, callback).is_redirect
    session = session_of(http)
    assert get(url + "/auth/me", session).status_code == 200

    # At the provider alone, in the browser that is signed in there.
    page = http.get(provider + "/end_session", timeout=30)
    form = next(form for form in forms(page.text) if form.method == "post")
    done = http.post(urljoin(page.url, form.action), data=form.fields, timeout=30)
    assert done.status_code == 200 and "Signed out" in done.text
    assert get(url + "/auth/me", session).status_code == 401, demo.log_tail()
