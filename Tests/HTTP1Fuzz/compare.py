"""Sends the same bytes to the gateway and to nginx, haproxy, apache2 and h2o: `scripts/fuzz compare`.

Where one of them sees another number of requests than the gateway does, the gateway must refuse: else one client's bytes could
become another's request between two servers that read them in two ways. Inputs are the fuzzer's corpus and requests that
are put together at random from parts that servers are known to differ on.

    compare.py PROGRAM [--count N] [--seed N]        PROGRAM: a build of cloakroom
"""

from __future__ import annotations

import argparse
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "CloakroomHTTP1Tests" / "Corpus"
# What servers answer to what they do not take for a request.
REFUSALS = {400, 408, 411, 413, 414, 417, 431, 501, 505}
STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d) ")


@dataclass
class Seen:
    """How many requests were answered, and whether the connection can go on after them."""

    requests: int
    goes_on: bool


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Servers:
    def __init__(self, program: str, directory: Path) -> None:
        self.directory = directory
        self.children: list[subprocess.Popen[bytes]] = []
        self.ports: dict[str, int] = {}
        (directory / "www").mkdir()
        (directory / "www" / "index.html").write_text("ok")
        directory.chmod(0o755)
        self.cloakroom(program)
        for name in ("nginx", "haproxy", "apache2", "h2o"):
            found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
            if not found:
                sys.exit(f"{name} is not installed (Debian: nginx haproxy apache2 h2o)")
            getattr(self, name)(found)
        for name, port in self.ports.items():
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        sys.exit(f"{name} does not listen")
                    time.sleep(0.05)

    def run(self, name: str, *command: object, **environment: str) -> None:
        log = open(self.directory / f"{name}.log", "wb")
        self.children.append(subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, env=os.environ | environment))

    def port(self, name: str) -> int:
        self.ports[name] = free_port()
        return self.ports[name]

    def cloakroom(self, program: str) -> None:
        port = self.port("cloakroom")
        self.run(
            "cloakroom", program, "serve", PORT=str(port), OIDC_ISSUER="http://127.0.0.1:9", OIDC_CLIENT_ID="x",
            LOG_LEVEL="error")

    def nginx(self, found: str) -> None:
        # Whole requests alone reach the second server, so that nothing is answered before its end.
        port, behind, home = self.port("nginx"), free_port(), self.directory / "nginx"
        home.mkdir()
        (home / "nginx.conf").write_text(
            f"user root; daemon off; pid {home}/pid; error_log {home}/error.log;\nevents {{ worker_connections 2000; }}\n"
            f"http {{ access_log off; client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};\n"
            f"uwsgi_temp_path {home}; scgi_temp_path {home}; keepalive_requests 100000;\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}\n"
            f'server {{ listen 127.0.0.1:{behind}; location / {{ return 200 "ok"; }} }} }}\n')
        self.run("nginx", found, "-c", home / "nginx.conf", "-p", home)

    def haproxy(self, found: str) -> None:
        port, file = self.port("haproxy"), self.directory / "haproxy.cfg"
        file.write_text(
            "defaults\n mode http\n option http-buffer-request\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n"
            f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\n"
            f"backend b\n server s 127.0.0.1:{self.ports['nginx']}\n")
        self.run("haproxy", found, "-f", file)

    def apache2(self, found: str) -> None:
        port, home = self.port("apache2"), self.directory / "apache2"
        home.mkdir()
        modules = "/usr/lib/apache2/modules"
        (home / "apache2.conf").write_text(
            f"LoadModule mpm_event_module {modules}/mod_mpm_event.so\nLoadModule authz_core_module {modules}/mod_authz_core.so\n"
            f"LoadModule dir_module {modules}/mod_dir.so\nServerRoot {home}\nPidFile {home}/pid\nListen 127.0.0.1:{port}\n"
            f"ServerName localhost\nErrorLog {home}/error.log\nDocumentRoot {self.directory}/www\nFallbackResource /index.html\n"
            "MaxKeepAliveRequests 0\n")
        self.run("apache2", found, "-D", "FOREGROUND", "-f", home / "apache2.conf")

    def h2o(self, found: str) -> None:
        port, file = self.port("h2o"), self.directory / "h2o.conf"
        file.write_text(
            f"listen:\n  host: 127.0.0.1\n  port: {port}\nhosts:\n  default:\n    paths:\n      /:\n"
            f"        file.dir: {self.directory}/www\nuser: root\n")
        self.run("h2o", found, "-c", file)

    def close(self) -> None:
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def ask(port: int, data: bytes) -> Seen:
    """What a server makes of these bytes, to which the caller may have added a request that shows whether it goes on."""
    received, goes_on = b"", True
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(data)
            # Servers answer within a millisecond; silence means that they wait for more.
            while select.select([connection], [], [], 0.15)[0]:
                part = connection.recv(65536)
                if not part:
                    goes_on = False
                    break
                received += part
        except OSError:
            goes_on = False
    statuses = [int(status) for status in STATUS.findall(received)]
    refused = any(status in REFUSALS for status in statuses)
    return Seen(sum(status >= 200 and status not in REFUSALS for status in statuses), goes_on and not refused)


PARTS = {
    "start": [
        "GET / HTTP/1.1", "POST / HTTP/1.1", "PUT /a HTTP/1.1", "GET / HTTP/1.0", "POST / HTTP/1.0", "HEAD / HTTP/1.1",
        "DELETE / HTTP/1.1", "OPTIONS * HTTP/1.1", "GET http://a/ HTTP/1.1", "GET  / HTTP/1.1", "GET /\tx HTTP/1.1",
        "GET / HTTP/1.2", "GET / http/1.1", "get / HTTP/1.1", "GET /", "\r\nGET / HTTP/1.1", "GET /?a=b HTTP/1.1",
    ],
    "host": ["Host: a"] * 12 + ["", "Host:", "Host: a\r\nHost: a", "host:a", "Host : a", "Host: a b", "Host: a, b"],
    "length": [""] * 6 + [
        "Content-Length: 0", "Content-Length: 5", "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5",
        "Content-Length: +5", "Content-Length: 0x5", "Content-Length: 5 5", "Content-Length: -5", "Content-Length:",
        "Content-Length: 05", "Content-Length:\t5", "Content-Length : 5", "Content_Length: 5",
        "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 99999999999999999999", " Content-Length: 5",
        "X: y\r\n Content-Length: 5", "Content-Length: 5\x0b", "X: y\nContent-Length: 5", "Content-Length: 5;a",
    ],
    "coding": [""] * 6 + [
        "Transfer-Encoding: chunked", "Transfer-Encoding: CHUNKED", "Transfer-Encoding: identity", "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked;q=1", 'Transfer-Encoding: "chunked"', "Transfer-Encoding:\tchunked", "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer_Encoding: chunked",
        "Transfer-Encoding:", "Transfer-Encoding: chun\tked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding: chunked,",
    ],
    "other": [""] * 8 + [
        "Connection: close", "Connection: keep-alive", "Connection: Transfer-Encoding", "Connection: Content-Length",
        "Expect: 100-continue", "Upgrade: x\r\nConnection: upgrade", "X: \x00", "X: \x7f", "X\x80: y", "X: \xff", ": x", "X",
        "X: a\r\n b", "TE: trailers", "Trailer: x", "X: a\nY: b", "Keep-Alive: 1", "HTTP2-Settings: a\r\nUpgrade: h2c",
    ],
    "body": [""] * 4 + [
        "hello", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n", "+5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "05\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "5\r\nhello\r\n0\r\nX y\r\n\r\n", "0\r\n", "5\r\nhel",
        "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n", "5;\r\nhello\r\n0\r\n\r\n", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "\r\nhello\r\n0\r\n\r\n",
        "-0\r\n\r\n", "0;\n\r\n", "5\r\nhelloXX0\r\n\r\n",
    ],
    "end": ["\r\n"] * 12 + ["\n", "\r", ""],
}


FRAMINGS = [
    ("GET / HTTP/1.1", "", "", ""), ("POST / HTTP/1.1", "Content-Length: 5", "", "hello"),
    ("PUT /a HTTP/1.1", "", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), ("DELETE / HTTP/1.1", "Content-Length: 0", "", ""),
]


def composed(choice: random.Random) -> bytes:
    """One request, or two on end, of which parts may be exchanged for others, and bytes for any."""
    text = ""
    for _ in range(choice.choice([1, 1, 2])):
        parts = dict(zip(("start", "length", "coding", "body"), choice.choice(FRAMINGS)))
        parts |= {"host": "Host: a", "other": "", "end": "\r\n"}
        for name in choice.sample(list(PARTS), choice.choice([0, 1, 1, 2, 3])):
            parts[name] = choice.choice(PARTS[name])
        lines = [parts[name] for name in ("host", "length", "coding", "other") if parts[name]]
        choice.shuffle(lines)
        text += "".join(line + "\r\n" for line in (parts["start"], *lines)) + parts["end"] + parts["body"]
    data = bytearray(text.encode("latin-1"))
    for _ in range(choice.choice([0, 0, 0, 1, 2])):
        data[choice.randrange(len(data))] = choice.choice([0, 9, 10, 11, 13, 32, 44, 58, 59, 48, 53, 127, 128, 255])
    return bytes(data)


PROBE = b"GET /probe HTTP/1.1\r\nHost: a\r\n\r\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    choice = random.Random(arguments.seed)
    corpus = [file.read_bytes() for file in sorted(CORPUS.iterdir())]
    inputs = corpus + [composed(choice) for _ in range(arguments.count)]
    print(f"{len(corpus)} inputs of the corpus, {arguments.count} composed ones, seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        servers = Servers(arguments.program, Path(directory))
        try:
            with ThreadPoolExecutor(48) as pool:
                results = {
                    name: list(pool.map(lambda data, port=port: ask(port, data + PROBE), inputs))
                    for name, port in servers.ports.items()
                }
        finally:
            servers.close()
    taken = sum(seen.goes_on and seen.requests > 0 for seen in results["cloakroom"])
    print(f"the gateway takes {taken} of them whole, and closes after or refuses the others")
    wrong = 0
    for name, seen in results.items():
        if name == "cloakroom":
            continue
        refuses = differs = 0
        for data, ours, theirs in zip(inputs, results["cloakroom"], seen):
            if not ours.goes_on or theirs.requests == ours.requests:
                continue
            # Who refuses or closes reads nothing more.
            if theirs.requests < ours.requests and not theirs.goes_on:
                refuses += 1
                continue
            differs += 1
            print(f"{name} sees {theirs.requests} requests, the gateway {ours.requests}: {data!r}")
        wrong += differs
        print(f"{name}: {differs} read otherwise, {refuses} more refused")
    sys.exit(1 if wrong else 0)


main()
