"""Just enough of a browser to get through an OpenID provider's pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

USER_FIELDS = ("username", "login")


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get").lower()))
            self._open = True
        elif self._open and tag in ("input", "button"):
            kind = attributes.get("type", "submit" if tag == "button" else "text").lower()
            name, value = attributes.get("name", ""), attributes.get("value", "")
            if kind in ("submit", "image"):
                self.forms[-1].buttons.append((name, value))
            elif name and (kind not in ("checkbox", "radio") or "checked" in attributes):
                self.forms[-1].fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False


def forms(page: str) -> list[Form]:
    parser = _Forms()
    parser.feed(page)
    return parser.forms


def sign_in(http: requests.Session, authorization_url: str, username: str, password: str) -> str:
    """Goes from the authorization request through the provider's pages: name, password, consent.

    Gives the address to which the provider sends the browser back; does not go there.
    """
    home = urlsplit(authorization_url).netloc
    response = http.get(authorization_url, allow_redirects=False, timeout=30)
    for _ in range(12):
        if response.is_redirect:
            target = urljoin(response.url, response.headers["Location"])
            if urlsplit(target).netloc != home:
                return target
            response = http.get(target, allow_redirects=False, timeout=30)
            continue
        assert response.status_code == 200, f"{response.status_code} at {response.url}: {response.text[:500]}"
        form = next((form for form in forms(response.text) if form.method == "post"), None)
        assert form, f"no form at {response.url}: {response.text[:500]}"
        data = dict(form.fields)
        for name in USER_FIELDS:
            if name in data:
                data[name] = username
        if "password" in data:
            data["password"] = password
        # On a consent page, the button that agrees; else the only one.
        named = [button for button in form.buttons if button[0]]
        agreeing = [button for button in named if button[1] in ("accept", "Authorize")] or named[:1]
        data.update(agreeing)
        response = http.post(
            urljoin(response.url, form.action), data=data, allow_redirects=False, timeout=30,
            headers={"Referer": response.url},
        )
    raise AssertionError(f"the provider never sent the browser back; last page {response.url}")
