"""Many logged-in users who keep asking, and an API that says whom it was asked for: an answer that fails, or is another
user's, is kept with its time."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Coroutine

from .gateway import COOKIE, REPLICA_HEADER

Answer = tuple[int, dict[str, str], bytes]


async def read_message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """The first line, fields and body of a request or a response that says how long it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if ": " in line)}
    if "chunked" in fields.get("transfer-encoding", ""):
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return first, fields, body
    return first, fields, await reader.readexactly(int(fields.get("content-length", "0")))


class Background:
    """An event loop in a thread of its own while it is entered."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        async def cancel_all() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, body: Coroutine[Any, Any, Any], within: float = 60) -> Any:
        return asyncio.run_coroutine_threadsafe(body, self.loop).result(within)


class NamingAPI(Background):
    """Answers with the user whose token came, and with the body that came; 401 if the token is too old.

    The tokens are those of the provider in `django_provider.py`, which may take a while from making one to sending it.
    """

    LEEWAY = 4

    def __init__(self, token_lifetime: int) -> None:
        super().__init__()
        self.token_lifetime = token_lifetime
        # For each user, the tokens that came: one more for each refresh.
        self.tokens: dict[str, set[str]] = {}

    def __enter__(self) -> NamingAPI:
        super().__enter__()
        server = self.run(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                _, fields, body = await read_message(reader)
                token = fields.get("authorization", "").removeprefix("Bearer ")
                user, issued, _ = token.split(".", 2)
                self.tokens.setdefault(user, set()).add(token)
                is_good = time.time() < int(issued) + self.token_lifetime + self.LEEWAY
                answer = json.dumps({"user": user, "body": body.decode()}).encode()
                status = "200 OK" if is_good else "401 Unauthorized"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def refreshes(self, user: str) -> int:
        """How often the user's token was replaced, as far as the API saw."""
        return max(0, len(self.tokens.get(user, ())) - 1)


@dataclass
class Failure:
    """A request that was not answered as it should have been."""

    at: float
    stage: str
    user: str
    request: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:7.2f} s  {self.stage}: {self.user}  {self.request}  {self.what}"


@dataclass
class Stage:
    """What the crowd saw from one point in time to the next."""

    name: str
    begin: float
    statuses: Counter[int] = field(default_factory=Counter)
    replicas: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        times = sorted(self.times) or [0.0]
        median, late = times[len(times) // 2], times[len(times) * 99 // 100]
        replicas = ", ".join(f"{name} {count}" for name, count in sorted(self.replicas.items()))
        return (
            f"{self.begin:7.2f} s  {self.name}: {len(self.times)} requests ({replicas}); "
            f"median {median * 1000:.0f} ms, p99 {late * 1000:.0f} ms, longest {times[-1] * 1000:.0f} ms"
        )


class Crowd(Background):
    """Users who each ask again and again, over a connection that each keeps."""

    def __init__(self, port: int, interval: float) -> None:
        super().__init__()
        self.port = port
        # How long a user pauses between two requests, on average.
        self.interval = interval
        self.start = time.monotonic()
        self.failures: list[Failure] = []
        self.answered: Counter[str] = Counter()
        self.stages: list[Stage] = []
        self.sessions: dict[str, str] = {}

    def now(self) -> float:
        return time.monotonic() - self.start

    def enter(self, stage: str) -> None:
        """What comes from now on belongs to this stage."""
        self.stages.append(Stage(stage, self.now()))

    def add(self, user: str, session: str) -> None:
        """A user who has just logged in begins to ask."""
        self.sessions[user] = session
        asyncio.run_coroutine_threadsafe(self._use(user, session), self.loop)

    def report(self) -> str:
        """All that happened, for whoever reads the test's output."""
        lines = [str(stage) for stage in self.stages]
        lines.append(f"{len(self.failures)} requests failed, of {len({failure.user for failure in self.failures})} users")
        lines += [str(failure) for failure in self.failures[:50]]
        return "\n".join(lines)

    async def _use(self, user: str, session: str) -> None:
        connection = None
        choice = random.Random(user)
        number = 0
        while True:
            await asyncio.sleep(self.interval * (0.5 + choice.random()))
            number += 1
            method, path, body = choice.choice(
                [("GET", "/api/x", ""), ("GET", "/auth/me", ""), ("POST", "/api/x", f"{user} {number}")])
            stage, at, started = self.stages[-1], self.now(), time.monotonic()
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                status, fields, answer = await asyncio.wait_for(self._ask(*connection, session, method, path, body), 60)
                problem = self._problem(user, path, body, status, fields, answer)
                stage.statuses[status] += 1
                stage.replicas[fields.get(REPLICA_HEADER.lower(), "none")] += 1
                if fields.get("connection", "").lower() == "close":
                    connection[1].close()
                    connection = None
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                problem = f"{type(error).__name__} {error}"
                if connection is not None:
                    connection[1].close()
                connection = None
            # One that was sent in a stage counts there, also when its answer comes in the next.
            stage.times.append(time.monotonic() - started)
            self.answered[user] += 1
            if problem:
                self.failures.append(Failure(at, stage.name, user, f"{method} {path}", problem))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: str, method: str, path: str, body: str
    ) -> Answer:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nCookie: {COOKIE}={session}\r\nX-CSRF: 1\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        first, fields, answer = await read_message(reader)
        return int(first.split()[1]), fields, answer

    def _problem(
        self, user: str, path: str, body: str, status: int, fields: dict[str, str], answer: bytes
    ) -> str | None:
        """What is wrong with an answer."""
        if status != 200:
            return f"status {status} from {fields.get(REPLICA_HEADER.lower(), 'haproxy')}: {answer[:100]!r}"
        seen = json.loads(answer)
        if path == "/auth/me":
            return None if seen.get("preferred_username") == user else f"another user's: {seen}"
        return None if seen == {"user": user, "body": body} else f"another user's, or another request's: {seen}"
