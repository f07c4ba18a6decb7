"""Measures `cloakroom sessions` among many sessions: `scripts/bench sessions`.

Fills a Redis of its own with plain sessions of about 2.7 KB, five for each user, with their indexes, and calls the commands
as an operator does: the times are those of whole processes, start included. Then all of it goes through a pipe into an empty
Redis, and samples are compared byte by byte. Meanwhile a gateway on the first Redis, without its near cache, is asked for a
session 100 times a second.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

ISSUER = "https://id.example.com/realms/main"
LIFE = 8 * 3600


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Redis:
    """A server of our own, and one connection to it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.port = free_port()
        (directory / name).mkdir()
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", directory / name, "--save", "",
             "--appendonly", "no"], stdout=subprocess.DEVNULL)
        wait_for(self.port)
        self.connection = socket.create_connection(("127.0.0.1", self.port))
        self.replies = self.connection.makefile("rb")

    def ask(self, *parts: str | bytes) -> bytes | None:
        self.connection.sendall(command(*(part.encode() if isinstance(part, str) else part for part in parts)))
        line = self.replies.readline()
        if line[:1] != b"$":
            return line[1:].rstrip()
        size = int(line[1:])
        return None if size < 0 else self.replies.read(size + 2)[:-2]

    def send(self, commands: list[bytes], count: int) -> None:
        """Sends commands together whose replies are a line each."""
        writer = threading.Thread(target=lambda: self.connection.sendall(b"".join(commands)))
        writer.start()
        for _ in range(count):
            line = self.replies.readline()
            assert line[:1] in b"+:", line
        writer.join()


def session_id(number: int) -> str:
    return hashlib.sha1(b"session %d" % number).hexdigest()


def fill(redis: Redis, count: int) -> None:
    now = datetime.now(timezone.utc)
    times = [(now + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%S") for offset in (0, LIFE)]
    filler = random.Random(1)
    # Three tokens of the size that RS256 makes.
    tokens = [base64.urlsafe_b64encode(filler.randbytes(size)).decode().rstrip("=") for size in (900, 500, 450)]
    end = str((int(now.timestamp()) + LIFE) * 1000).encode()
    commands: list[bytes] = []
    for number in range(count):
        user = f"user-{number // 5}"
        record = json.dumps({
            "tokens": {"access_token": f"{number}.{tokens[0]}", "refresh_token": tokens[1], "id_token": tokens[2],
                       "expires_in": 300, "refresh_expires_in": 1800},
            "user_info": {"sub": user, "email": f"{user}@example.com", "name": "Ada Lovelace", "preferred_username": user},
            "created_at": times[0], "expires_at": times[1], "issuer": ISSUER,
            "client": {"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                       "address": "203.0.113.7"},
        }, separators=(",", ":")).encode()
        name = session_id(number).encode()
        hashed = base64.urlsafe_b64encode(hashlib.sha256(user.encode()).digest()[:16]).rstrip(b"=")
        index = b"session-index:user:" + hashed
        commands += [
            command(b"SET", b"session:" + name, record, b"PXAT", end), command(b"ZADD", index, end, name),
            command(b"PEXPIREAT", index, end),
        ]
        if len(commands) >= 6000 or number == count - 1:
            redis.send(commands, len(commands))
            commands = []


class Bench:
    def __init__(self, program: str, count: int) -> None:
        self.program, self.count = program, count
        self.directory = Path(tempfile.mkdtemp(prefix="cloakroom-sessions-"))
        self.children: list[subprocess.Popen[bytes]] = []
        self.old, self.new = self.redis("old"), self.redis("new")

    def redis(self, name: str) -> Redis:
        redis = Redis(self.directory, name)
        self.children.append(redis.process)
        return redis

    def environment(self, redis: Redis, **settings: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "OIDC_ISSUER": ISSUER, **settings}

    def run(self, *arguments: str) -> tuple[float, str]:
        start = time.monotonic()
        result = subprocess.run(
            [self.program, *arguments], env=self.environment(self.old), cwd=self.directory, check=True,
            capture_output=True, text=True)
        return time.monotonic() - start, result.stdout

    def median(self, what: str, *arguments: str, rounds: int = 15) -> None:
        times = [self.run(*arguments)[0] * 1000 for _ in range(rounds)]
        print(f"  {what:<34} median {statistics.median(times):8.1f} ms, longest {max(times):8.1f} ms", flush=True)

    def commands(self) -> None:
        self.median("the program alone (--version)", "--version")
        self.median("sessions list (50)", "sessions", "list", "--json")
        cursor = json.loads(self.run("sessions", "list", "--json")[1])["next"]
        self.median("sessions list --after", "sessions", "list", "--after", cursor, "--json")
        self.median("sessions list --user SUB", "sessions", "list", "--user", f"user-{self.count // 10}")
        self.median("sessions count", "sessions", "count")
        estimate = json.loads(self.run("sessions", "count", "--json")[1])["count"]
        print(f"  {'':<34} it says {estimate:,}, {100 * (estimate / self.count - 1):+.1f} %")
        for _ in range(3):
            elapsed, output = self.run("sessions", "count", "--exact")
            assert int(output) == self.count, output
            print(f"  {'sessions count --exact':<34} {elapsed:8.2f} s", flush=True)
        handle = hashlib.sha256(session_id(self.count // 2).encode()).hexdigest()[:24]
        print(f"  {'sessions show HANDLE':<34} {self.run('sessions', 'show', handle)[0]:8.2f} s", flush=True)

    def move(self) -> None:
        gateway_port = free_port()
        gateway = subprocess.Popen(
            [self.program, "serve"], cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.environment(
                self.old, PORT=str(gateway_port), REDIS_ENABLED="true", OIDC_CLIENT_ID="bench", SESSION_NEAR_CACHE="off",
                LOG_LEVEL="error"))
        self.children.append(gateway)
        wait_for(gateway_port)
        quiet = self.latencies(gateway_port, seconds=20)
        finished = threading.Event()
        during: list[float] = []
        asker = threading.Thread(target=lambda: during.extend(self.latencies(gateway_port, until=finished)))
        asker.start()
        start = time.monotonic()
        export = subprocess.Popen(
            [self.program, "sessions", "export"], env=self.environment(self.old), cwd=self.directory,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        result = subprocess.run(
            [self.program, "sessions", "import", "--json"], env=self.environment(self.new), cwd=self.directory,
            stdin=export.stdout, capture_output=True, text=True)
        elapsed = time.monotonic() - start
        finished.set()
        asker.join()
        assert export.wait() == 0 and result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["imported"] == self.count, result.stdout
        print(f"  {'sessions export | import':<34} {elapsed:8.1f} s, {self.count / elapsed:,.0f} sessions/s")
        for name, times in (("before", quiet), ("meanwhile", during)):
            times.sort()
            print(
                f"  {'  /auth/me ' + name:<34} median {times[len(times) // 2]:8.2f} ms, p99 {times[len(times) * 99 // 100]:8.2f} ms"
                f" ({len(times)} requests)", flush=True)
        for number in random.sample(range(self.count), min(2000, self.count)):
            key = "session:" + session_id(number)
            assert self.new.ask("GET", key) == self.old.ask("GET", key)
            index = self.index(number)
            assert self.new.ask("ZSCORE", index, session_id(number)) is not None, index
            assert abs(int(self.new.ask("PTTL", key) or 0) - int(self.old.ask("PTTL", key) or 0)) < 2000, key
        print("  2,000 of them compared: bytes the same, TTL within two seconds, in the user's index", flush=True)

    @staticmethod
    def index(number: int) -> str:
        user = hashlib.sha256(b"user-%d" % (number // 5)).digest()[:16]
        return "session-index:user:" + base64.urlsafe_b64encode(user).decode().rstrip("=")

    def export_alone(self) -> None:
        start = time.monotonic()
        subprocess.run(
            [self.program, "sessions", "export", "--output", self.directory / "sessions.jsonl"],
            env=self.environment(self.old), cwd=self.directory, check=True, stderr=subprocess.DEVNULL)
        elapsed = time.monotonic() - start
        print(f"  {'sessions export --output':<34} {elapsed:8.1f} s, {self.count / elapsed:,.0f} sessions/s", flush=True)
        self.new.ask("FLUSHALL")
        for what in ("into an empty Redis", "where all are there"):
            start = time.monotonic()
            subprocess.run(
                [self.program, "sessions", "import", self.directory / "sessions.jsonl"], env=self.environment(self.new),
                cwd=self.directory, check=True, stdout=subprocess.DEVNULL)
            elapsed = time.monotonic() - start
            print(f"  {'sessions import, ' + what:<34} {elapsed:8.1f} s, {self.count / elapsed:,.0f} sessions/s", flush=True)

    def latencies(self, port: int, seconds: float = 0, until: threading.Event | None = None) -> list[float]:
        """The milliseconds of requests, a hundred a second, each for another session."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        found: list[float] = []
        end = time.monotonic() + seconds
        picker = random.Random(2)
        due = time.monotonic()
        while not until.is_set() if until else time.monotonic() < end:
            session = session_id(picker.randrange(self.count))
            start = time.monotonic()
            connection.request("GET", "/auth/me", headers={"Cookie": f"cloakroom_session={session}"})
            response = connection.getresponse()
            response.read()
            found.append((time.monotonic() - start) * 1000)
            assert response.status == 200, response.status
            due = max(due + 0.01, time.monotonic() - 0.1)
            time.sleep(max(0, due - time.monotonic()))
        return found

    def close(self) -> None:
        for child in reversed(self.children):
            child.terminate()
            child.wait(30)
        shutil.rmtree(self.directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the program to measure")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many sessions (default: 1000000, about 7 GB)")
    options = parser.parse_args()
    bench = Bench(os.path.realpath(options.program), options.count)
    try:
        start = time.monotonic()
        fill(bench.old, options.count)
        print(f"{options.count:,} sessions, filled in {time.monotonic() - start:.0f} s", flush=True)
        bench.commands()
        bench.move()
        bench.export_alone()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
