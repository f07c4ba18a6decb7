"""haproxy while sessions move between the memory of replicas and Redis: who goes where is one map, changed while it runs."""

from __future__ import annotations

import csv
import socket
from pathlib import Path
from typing import Mapping

from .ports import accepts, free_port
from .processes import Server, bare_environment
from .wait import eventually

CONFIGURATION = """\
global
    log stdout format raw local0
    maxconn 8000
    # Its commands decide who goes where.
    stats socket ipv4@127.0.0.1:{admin} level admin

defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    # On a machine that is busy, a late answer is no sign of death.
    timeout check 5s
    retries 3

frontend web
    bind 127.0.0.1:{port}
    # The number of the in-memory replica that has the session, or has begun the login; 0 if none has.
    http-request set-var(txn.home) int(0)
    http-request set-var(txn.home) req.cook(cloakroom_session),table_server_id(memory)
    http-request set-var(txn.home) req.cook(cloakroom_login),table_server_id(memory) if {{ var(txn.home) -m int 0 }}
    # From that number to `memory`, `redis` or `gate`.
    use_backend %[var(txn.home),map({map},memory)]

# Each session stays with the replica that has it. One that none has yet goes where its hash says, so that two requests at
# once do not end up at two replicas. No other replica can help when one is away: it is tried again, and again.
backend memory
    balance hash req.cook(cloakroom_session)
    stick-table type string len 64 size 1m expire 9h
    stick on req.cook(cloakroom_session)
    stick match req.cook(cloakroom_login)
    stick store-response res.cook(cloakroom_session)
    stick store-response res.cook(cloakroom_login)
    retries 60
{memory}

# Any replica may answer.
backend redis
    balance roundrobin
    option redispatch 1
    retry-on conn-failure empty-response
    http-request disable-l7-retry if !METH_GET
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 500ms fall 2 rise 1
{redis}

# Where requests wait: the frontend behind it refuses connections while it is disabled, and each request is tried again every
# second, for a minute at most. Enabled, it sends them where the map says by then.
backend gate
    retries 60
    http-reuse never
    server gate 127.0.0.1:{gate}

frontend gate_opened
    bind 127.0.0.1:{gate}
    default_backend once_more

backend once_more
    http-reuse never
    server web 127.0.0.1:{port}
"""


class MovingProxy(Server):
    """`memory` and `redis` are the ports of replicas, which need not run yet."""

    def __init__(self, directory: Path, memory: list[int], redis: list[int], port: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._admin = free_port()
        self._map = directory / "route.map"
        self._map.write_text("".join(f"{number} memory\n" for number in range(len(memory) + 1)))
        file = directory / "haproxy.cfg"
        file.write_text(
            CONFIGURATION.format(
                port=port, admin=self._admin, gate=free_port(), map=self._map,
                memory=self._servers("memory", memory), redis=self._servers("redis", redis)))
        environment = bare_environment(directory)
        environment["PATH"] += ":/usr/sbin"
        super().__init__("haproxy", ["/usr/bin/env", "haproxy", "-db", "-f", file], directory, environment)

    @staticmethod
    def _servers(name: str, ports: list[int]) -> str:
        return "\n".join(f"    server {name}{number} 127.0.0.1:{port}" for number, port in enumerate(ports, start=1))

    def launch(self) -> MovingProxy:
        self.start(lambda: accepts(self.port))
        return self

    def command(self, text: str) -> str:
        """Runs a command of the runtime API."""
        with socket.create_connection(("127.0.0.1", self._admin), timeout=10) as connection:
            connection.sendall(text.encode() + b"\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode().strip()

    def route(self, homes: Mapping[int, str]) -> None:
        """Sends those who are at home in these in-memory replicas (0: in none) to a backend."""
        for home, backend in homes.items():
            self._expect_silence(f"set map {self._map} {home} {backend}")

    def close_gate(self) -> None:
        """Who is sent to `gate` waits."""
        self._expect_silence("disable frontend gate_opened")

    def open_gate(self) -> None:
        """Who waits goes on, and is routed anew."""
        self._expect_silence("enable frontend gate_opened")

    def _expect_silence(self, command: str) -> None:
        answer = self.command(command)
        assert answer == "", f"{command}: {answer}"

    def statistics(self) -> dict[str, dict[str, str]]:
        """What `show stat` has, by BACKEND/SERVER."""
        rows = csv.DictReader(self.command("show stat").removeprefix("# ").splitlines())
        return {f"{row['pxname']}/{row['svname']}": row for row in rows}

    def wait_until_up(self, server: str) -> None:
        eventually(f"haproxy uses {server}", lambda: self.statistics()[server]["status"] == "UP")

    def wait_until_idle(self, server: str) -> None:
        """Until no request is under way there."""
        eventually(f"no request is under way at {server}", lambda: self.statistics()[server]["scur"] == "0", within=30)
