"""idpyoidc as in idpy.py, with its logout: RP-initiated, and over the back or the front channel.

    python idpy_logout.py SETTINGS_FILE

Two more settings, of which one is wanted: `backchannel_logout_uri`, `frontchannel_logout_uri`. The logout page asks the user
once; then the library sends its logout token, or the page shows its frames.
"""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from idpy import Answer, IdentityProvider, Refusal, Request, serve
from idpyoidc.message.oidc.session import EndSessionRequest

CONFIRM_PAGE = """<!doctype html><title>Log out?</title><h1>Log out?</h1>
<form method="post" action="/rp_logout"><input type="hidden" name="sjwt" value="{token}">
<button type="submit" name="logout" value="accept">Log out</button></form>"""
FRAMES_PAGE = """<!doctype html><title>Logged out</title><h1>Logged out</h1>{frames}
<p><a href="{target}">Continue</a></p>"""


class LogoutProvider(IdentityProvider):
    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.routes |= {"/session": self.end_session, "/verify_logout": self.confirm}

    def endpoints(self) -> dict[str, Any]:
        return super().endpoints() | {
            "session": {
                "path": "session",
                "class": "idpyoidc.server.oidc.session.Session",
                "kwargs": {
                    "client_authn_method": None, "logout_verify_url": f"{self.origin}/verify_logout",
                    "post_logout_uri_path": "post_logout", "signing_alg": "RS256",
                    "frontchannel_logout_supported": True, "frontchannel_logout_session_supported": True,
                    "backchannel_logout_supported": True, "backchannel_logout_session_supported": True,
                },
            },
        }

    def client(self) -> dict[str, Any]:
        client = super().client()
        for channel in ("backchannel", "frontchannel"):
            uri = self.settings.get(f"{channel}_logout_uri")
            if uri:
                client |= {f"{channel}_logout_uri": uri, f"{channel}_logout_session_required": True}
        return client

    def metadata(self, request: Request) -> Answer:
        document = json.loads(super().metadata(request).body)
        return Answer.json(document | {"end_session_endpoint": f"{self.origin}/session"})

    def respond(self, request: Request) -> Answer:
        # Not one at a time: while it tells a client of a logout, that client may ask for keys.
        return self.log_out(request) if request.path == "/rp_logout" else super().respond(request)

    def end_session(self, request: Request) -> Answer:
        endpoint = self.server.get_endpoint("session")
        parameters = dict(parse_qsl(request.query, keep_blank_values=True))
        # The library's own reading of the request wants a client that shows who it is, which a browser can't.
        parsed = EndSessionRequest(**parameters)
        if not parsed.verify(keyjar=self.server.keyjar, sigalg=""):
            raise Refusal(400, "invalid_request")
        return Answer.redirect(endpoint.process_request(parsed, http_info=request.http_info)["redirect_location"])

    def confirm(self, request: Request) -> Answer:
        token = dict(parse_qsl(request.query))["sjwt"]
        return Answer(200, CONFIRM_PAGE.format(token=html.escape(token)), "text/html; charset=utf-8")

    def log_out(self, request: Request) -> Answer:
        endpoint = self.server.get_endpoint("session")
        info = endpoint.unpack_signed_jwt(request.form["sjwt"])
        frames = list(endpoint.do_verified_logout(alla=True, **info))
        if not frames:
            return Answer.redirect(info["redirect_uri"])
        # The library opens each frame and does not close it.
        text = FRAMES_PAGE.format(
            frames="".join(f"{frame}</iframe>" for frame in frames), target=html.escape(info["redirect_uri"])
        )
        return Answer(200, text, "text/html; charset=utf-8")


if __name__ == "__main__":
    serve(LogoutProvider(json.loads(Path(sys.argv[1]).read_text())))
