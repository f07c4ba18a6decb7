"""Where a login leads, judged by a real browser: hundreds of hostile addresses (Tests/Corpora/return-addresses.txt)."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests

from support.browser import Browser
from support.gateway import PROJECT, Gateway
from support.servers import Servers

pytestmark = pytest.mark.browser

CASES = [
    tuple(line.split(" "))
    for line in (PROJECT / "Tests" / "Corpora" / "return-addresses.txt").read_text().splitlines()
    if not line.startswith("#")
]
# A request line has a limit, and this is about other things.
LONGEST = 4000


@pytest.fixture
def browser(tmp_path: Path, artifacts: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "browser", artifacts)
    yield browser
    browser.close()


def accepted(gateway: Gateway, encoded: str) -> str:
    """The path that the gateway would return to. It says so to a browser that came by another name of this machine."""
    answer = requests.get(
        f"http://127.0.0.1:{gateway.port}/auth/login?return_to={encoded}", allow_redirects=False, timeout=20)
    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]
    assert location.startswith(gateway.url + "/auth/login?return_to="), location
    return parse_qs(urlsplit(location).query, keep_blank_values=True)["return_to"][0]


def test_r11_no_address_leads_to_another_site(servers: Servers, tmp_path: Path, browser: Browser) -> None:
    """R11: what the gateway accepts is of its own origin to the browser too, and nothing good is lost."""
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_ENABLED="false")).launch()
    cases = [(kind, encoded) for kind, encoded in CASES if len(encoded) < LONGEST]
    assert sum(kind == "foreign" for kind, _ in cases) > 400
    paths = [accepted(gateway, encoded) for _, encoded in cases]
    for (kind, encoded), path in zip(cases, paths):
        assert path == (unquote(encoded) if kind == "local" else "/"), encoded
    browser.open(gateway.url + "/")
    origins = browser.driver.execute_script(
        "return arguments[0].map((path) => new URL(path, location.href).origin);", paths)
    for path, origin in zip(paths, origins):
        assert origin == gateway.url, f"{path} leads to {origin}"
    # The table is worth something: without the gateway, the browser would go elsewhere.
    raw = [unquote(encoded) for kind, encoded in cases if kind == "foreign"]
    elsewhere = browser.driver.execute_script(
        """return arguments[0].filter((text) => {
             try { return new URL(text, location.href).origin !== location.origin; } catch { return true; }
           }).length;""",
        raw)
    assert elsewhere > 200
