from __future__ import annotations

from pathlib import Path

import requests

from support.gateway import binary
from support.ports import free_port
from support.processes import Server, bare_environment


class Demo(Server):
    """`cloakroom demo` on free ports."""

    def __init__(self, directory: Path, *options: str, **settings: str) -> None:
        directory.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        command = [binary(), "demo", "--port", str(self.port), *options]
        super().__init__("demo", command, directory, bare_environment(directory, **settings))

    def launch(self) -> Demo:
        self.start(self._answers, within=90)
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(self.url + "/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False
