"""A login, as a browser without JavaScript would do it."""

from __future__ import annotations

import requests

from .gateway import COOKIE
from .providers import Provider


def begin_login(http: requests.Session, url: str, **parameters: str) -> requests.Response:
    """GET /auth/login; gives the redirect to the provider."""
    response = http.get(url + "/auth/login", params=parameters, allow_redirects=False, timeout=30)
    assert response.is_redirect, f"{response.status_code}: {response.text[:500]}"
    return response


def finish_login(http: requests.Session, callback_url: str) -> requests.Response:
    """GET /auth/callback; gives the gateway's answer, whatever it is."""
    return http.get(callback_url, allow_redirects=False, timeout=30)


def log_in(http: requests.Session, url: str, provider: Provider, username: str = "alice", **parameters: str) -> str:
    """The whole login; gives the new session's ID."""
    start = begin_login(http, url, **parameters)
    callback_url = provider.sign_in(http, start.headers["Location"], username)
    assert callback_url.startswith(url + "/auth/callback?"), callback_url
    response = finish_login(http, callback_url)
    assert response.is_redirect, f"{response.status_code}: {response.text[:500]}"
    return session_of(http)


def session_of(http: requests.Session) -> str:
    """The session ID in this jar."""
    session = http.cookies.get(COOKIE)
    assert session, f"no session cookie, only {list(http.cookies.keys())}"
    return session
