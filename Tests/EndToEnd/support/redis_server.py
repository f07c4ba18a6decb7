"""A redis-server of our own on a free port."""

from __future__ import annotations

from pathlib import Path

import redis

from .ports import free_port
from .processes import Server, bare_environment


class RedisServer(Server):
    """Keeps each write on disk before it answers, so that even kill -9 loses nothing."""

    def __init__(self, directory: Path, password: str | None = None, name: str = "redis", **directives: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.password = password
        configuration = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(directory),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": '""',
            # So that what is on disk can be searched.
            "rdbcompression": "no",
            "maxmemory-policy": "noeviction",
            **({"requirepass": password} if password else {}),
            **directives,
        }
        file = directory / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in configuration.items()))
        super().__init__(name, ["redis-server", file], directory, bare_environment(directory))

    @property
    def url(self) -> str:
        """The REDIS_URL of this server, password included."""
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, decode_responses=True, socket_timeout=5)

    def raw_client(self) -> redis.Redis:
        """The same for values that are no text, as sealed records are."""
        return redis.Redis(port=self.port, password=self.password, socket_timeout=5)

    def stored_bytes(self) -> bytes:
        """All that is on the server's disk: whoever steals that has this."""
        self.client().save()
        files = [file for file in self.directory.rglob("*") if file.suffix in (".rdb", ".aof")]
        assert files, "the server keeps nothing on disk"
        return b"".join(file.read_bytes() for file in files)

    def launch(self) -> RedisServer:
        self.start(self._answers)
        return self

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False
