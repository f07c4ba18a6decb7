"""What a test starts, ended in reverse order when it is over."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TypeVar

from .processes import Server

AnyServer = TypeVar("AnyServer", bound=Server)


class Servers(ExitStack):
    """Keeps servers, so that each is stopped whatever happens."""

    # Those that run now, of all tests: their logs go into the report of a failure.
    running: list[Server] = []

    def add(self, server: AnyServer) -> AnyServer:
        """Takes a server that is not started yet."""
        self.running.append(server)
        self.callback(self._end, server)
        return server

    def _end(self, server: Server) -> None:
        server.stop()
        self.running.remove(server)
