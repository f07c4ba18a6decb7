"""haproxy before the replicas: round robin, no stickiness."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from .ports import accepts, free_port
from .processes import Server, bare_environment

CONFIGURATION = """\
global
    log stdout format raw local0

defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    # A replica that can't be connected to, or that dies before its first byte, costs another attempt elsewhere.
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response

frontend web
    bind 127.0.0.1:{port}
{rules}
    http-request disable-l7-retry if !METH_GET
    default_backend replicas

backend replicas
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 200ms fall 1 rise 1
{servers}
"""


class HAProxy(Server):
    def __init__(
        self, directory: Path, ports: Sequence[int], port: int | None = None, rules: Sequence[str] = ()
    ) -> None:
        """`rules` are further lines of the frontend: what a proxy does to requests that it had better not do."""
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        servers = "\n".join(f"    server replica{number} 127.0.0.1:{to}" for number, to in enumerate(ports, start=1))
        file = directory / "haproxy.cfg"
        lines = "\n".join(f"    {rule}" for rule in rules)
        file.write_text(CONFIGURATION.format(port=self.port, rules=lines, servers=servers))
        # In the foreground; as root it lives in /usr/sbin, which a user's PATH may lack.
        environment = bare_environment(directory)
        environment["PATH"] += ":/usr/sbin"
        super().__init__("haproxy", ["/usr/bin/env", "haproxy", "-db", "-f", file], directory, environment)

    def launch(self) -> HAProxy:
        self.start(lambda: accepts(self.port))
        return self
