"""Many requests at the same moment, and an API that remembers in which order which tokens came."""

from __future__ import annotations

import asyncio
from typing import Sequence

from .crowd import Background, read_message
from .gateway import COOKIE, Gateway


class TokenAPI(Background):
    """Answers each request with the token that it came with, over any number of connections."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []

    def __enter__(self) -> TokenAPI:
        super().__enter__()
        server = self.run(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                _, fields, _ = await read_message(reader)
                token = fields.get("authorization", "").removeprefix("Bearer ")
                self.tokens.append(token)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(token), token.encode()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Asker:
    """A client with a connection of its own."""

    def __init__(self, gateway: Gateway, session: str, path: str = "/api/x") -> None:
        self.gateway = gateway
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nCookie: {COOKIE}={session}\r\nX-CSRF: 1\r\n\r\n"
        ).encode()

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)

    def send(self) -> None:
        self._writer.write(self._request)

    async def receive(self, within: float = 60) -> tuple[int, str]:
        """The status and the body; status 0 and what happened if the connection ends before."""
        try:
            first, _, body = await asyncio.wait_for(read_message(self._reader), within)
            return int(first.split()[1]), body.decode()
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            return 0, repr(error)

    def close(self) -> None:
        """Hangs up, whatever was asked."""
        self._writer.close()


async def connect_all(askers: Sequence[Asker]) -> None:
    """All of them, so that none has to when its request is due."""
    for begin in range(0, len(askers), 50):
        await asyncio.gather(*[asker.connect() for asker in askers[begin : begin + 50]])


async def until(what: str, check: object, within: float = 20) -> None:
    """Waits for a condition while the event loop goes on."""
    assert callable(check)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not check():
        assert loop.time() < deadline, f"waited {within:g} s in vain: {what}"
        await asyncio.sleep(0.01)
