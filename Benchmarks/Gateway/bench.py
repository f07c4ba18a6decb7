"""Measures the gateway beside nginx, in interleaved rounds on one machine: `scripts/bench gateway`.

All stand before the same upstream, an nginx of two workers. Beside the gateway:

  plain   nginx as a plain proxy: it knows no session, and is the floor
  lua     nginx with Lua that GETs the session from Redis for each request, decodes it, and sets Authorization
  hello   Hummingbird that answers a constant
  hummingbird   a proxy of Hummingbird and AsyncHTTPClient that knows no session

Figures are requests a second, the slowest hundredth in milliseconds, and the microseconds of processor time that the
measured program used for a request, as user + system: the last swing least on a shared machine. Quote ratios and medians.
"""

from __future__ import annotations

import argparse
import base64
import collections
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

SESSION = "a-session-of-the-benchmark-0000000000000000000"
COOKIE = f"cloakroom_session={SESSION}"
SECURE_COOKIE = f"__Host-{COOKIE}"
TICKS = os.sysconf("SC_CLK_TCK")


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


def processes_of(root: int) -> list[int]:
    """A process and its children."""
    found = [root]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == root:
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def cpu_of(root: int) -> tuple[float, float]:
    """The seconds of processor time that a process and its children have used: user, system."""
    user = system = 0
    for pid in processes_of(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    return user / TICKS, system / TICKS


def resident_of(root: int) -> int:
    return sum(
        int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024 for pid in processes_of(root)
    )


class Bench:
    def __init__(self, directory: Path, binaries: list[tuple[str, str]], peer: str | None) -> None:
        self.directory = directory
        self.children: list[subprocess.Popen[bytes]] = []
        self.redis_port, self.upstream_port = free_port(), free_port()
        self.targets: dict[str, tuple[int, int]] = {}
        self.run("redis-server", "--port", self.redis_port, "--bind", "127.0.0.1", "--save", "", "--dir", directory)
        wait_for(self.redis_port)
        self.store_session()
        self.nginx("upstream", self.upstream_port, self.upstream_server(), "reuseport")
        self.target_nginx("plain", self.plain_server)
        self.target_nginx("lua", self.lua_server)
        if peer:
            port = free_port()
            child = self.run(peer, port, f"http://127.0.0.1:{self.upstream_port}")
            wait_for(port)
            self.targets["hello"] = self.targets["hummingbird"] = (port, child.pid)
        for name, binary in binaries:
            self.target_gateway(name, binary)
        for name, binary in binaries[:1]:
            self.target_gateway(f"{name}, near cache off", binary, SESSION_NEAR_CACHE="off")
        self.tls_targets(binaries)

    def run(self, *command: object, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        log = open(self.directory / f"log-{len(self.children)}", "wb")
        child = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, env=environment)
        self.children.append(child)
        return child

    def store_session(self) -> None:
        claims = base64.urlsafe_b64encode(json.dumps({"sub": "user", "exp": int(time.time()) + 36_000}).encode())
        token = f"eyJhbGciOiJSUzI1NiJ9.{claims.decode().rstrip('=')}." + "s" * 600
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 28_800))
        record = {
            "tokens": {"access_token": token, "refresh_token": "r" * 600, "id_token": token, "expires_in": 36_000},
            "user_info": {"sub": "user", "email": "jane@example.com", "name": "Jane Doe"},
            "created_at": now, "expires_at": end,
        }
        subprocess.run(
            ["redis-cli", "-p", str(self.redis_port), "-x", "SET", f"session:{SESSION}"],
            input=json.dumps(record).encode(), check=True, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["redis-cli", "-p", str(self.redis_port), "EXPIRE", f"session:{SESSION}", "28800"], check=True,
            stdout=subprocess.DEVNULL)

    # --- nginx ---

    def nginx(self, name: str, port: int, server: str, listen: str = "") -> subprocess.Popen[bytes]:
        home = self.directory / re.sub(r"\W+", "-", name)
        home.mkdir()
        modules = Path("/usr/share/nginx/modules")
        load = "".join(
            f"load_module {modules / module};\n" for module in ("ndk_http_module.so", "ngx_http_lua_module.so")
            if name in ("lua", "upstream") and (modules / module).exists())
        (home / "nginx.conf").write_text(
            f"{load}user root; worker_processes 2; daemon off; pid {home}/pid; error_log {home}/error.log;\n"
            "events { worker_connections 20000; }\n"
            f"http {{ access_log off; client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};\n"
            f"uwsgi_temp_path {home}; scgi_temp_path {home}; keepalive_requests 1000000000;\n"
            f"upstream api {{ server 127.0.0.1:{self.upstream_port}; keepalive 512; keepalive_requests 1000000000; }}\n"
            f"server {{ listen 127.0.0.1:{port} {listen} backlog=4096; {server} }} }}\n")
        child = self.run(shutil.which("nginx") or "/usr/sbin/nginx", "-c", home / "nginx.conf", "-p", home)
        wait_for(port)
        return child

    def upstream_server(self) -> str:
        (self.directory / "large").write_bytes(b"x" * 65_536)
        with open(self.directory / "gibibyte", "wb") as file:
            file.truncate(1 << 30)
        return (
            'location = /api/small { default_type application/json; return 200 "' + "x" * 210 + '"; }\n'
            "location = /api/upload { content_by_lua_block { local sock, count = ngx.req.socket(), 0\n"
            'while true do local data, _, rest = sock:receive(65536); count = count + #(data or rest or "")\n'
            "if not data then break end end ngx.print(count) } }\n"
            f"location = /api/gibibyte {{ alias {self.directory}/gibibyte; sendfile on; }}\n"
            f"location = /api/large {{ alias {self.directory}/large; sendfile on; }} client_max_body_size 0;")

    plain_server = 'location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; }'

    @property
    def lua_server(self) -> str:
        session = (
            "local id = ngx.var.cookie_cloakroom_session; if not id then return ngx.exit(401) end\n"
            f'local sock = ngx.socket.tcp(); local ok = sock:connect("127.0.0.1", {self.redis_port})\n'
            "if not ok then return ngx.exit(503) end\n"
            'local key = "session:" .. id\n'
            'sock:send("*2\\r\\n$3\\r\\nGET\\r\\n$" .. #key .. "\\r\\n" .. key .. "\\r\\n")\n'
            'local line = sock:receive("*l"); local length = line and tonumber(line:sub(2))\n'
            "if not length or length < 0 then return ngx.exit(401) end\n"
            "local data = sock:receive(length); sock:receive(2); sock:setkeepalive(60000, 200)\n"
            'local session = require("cjson").decode(data)\n')
        return (
            f"location = /auth/me {{ default_type application/json; content_by_lua_block {{ {session}"
            'ngx.print(require("cjson").encode(session.user_info)) } }\n'
            f'location / {{ set $token ""; access_by_lua_block {{ {session} ngx.var.token = session.tokens.access_token }}\n'
            'proxy_set_header Authorization "Bearer $token"; proxy_set_header Cookie ""; ' + self.plain_server[13:])

    def target_nginx(self, name: str, server: str, listen: str = "") -> None:
        port = free_port()
        self.targets[name] = (port, self.nginx(name, port, server, listen).pid)

    def tls_targets(self, binaries: list[tuple[str, str]]) -> None:
        key, certificate = self.directory / "key.pem", self.directory / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        self.target_nginx(
            "plain over HTTP/2", f"ssl_certificate {certificate}; ssl_certificate_key {key}; {self.plain_server}",
            "ssl http2")
        for name, binary in binaries:
            self.target_gateway(
                f"{name} over HTTP/2", binary, scheme="https", TLS_CERT_FILE=str(certificate), TLS_KEY_FILE=str(key))

    # --- the gateway ---

    def target_gateway(self, name: str, binary: str, scheme: str = "http", **settings: str) -> None:
        port = free_port()
        environment = os.environ | {
            "PORT": str(port), "PUBLIC_URL": f"{scheme}://localhost:{port}", "REDIS_ENABLED": "true",
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0", "OIDC_ISSUER": "http://127.0.0.1:9",
            "OIDC_CLIENT_ID": "bench", "UPSTREAM_URL": f"http://127.0.0.1:{self.upstream_port}",
            "UPSTREAM_MAX_CONCURRENT": "10000", "UPSTREAM_MAX_CONCURRENT_PER_SESSION": "10000",
        } | settings
        self.targets[name] = (port, self.run(binary, "serve", environment=environment).pid)
        wait_for(port)

    # --- measuring ---

    def measure(self, name: str, path: str, connections: int, seconds: int) -> tuple[float, float, float, float]:
        port, pid = self.targets[name]
        before = cpu_of(pid)
        output = subprocess.run(
            ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Cookie: {COOKIE}", "-H", "X-CSRF: 1",
             f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
        after = cpu_of(pid)
        if "Non-2xx" in output or "Socket errors" in output:
            sys.exit(f"{name}: {output}")
        count = int(re.search(r"(\d+) requests in", output)[1])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
        slow = float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
        return rate, slow, *[(b - a) / count * 1e6 for a, b in zip(before, after)]

    def measure_http2(
        self, name: str, path: str, connections: int, seconds: int, streams: int
    ) -> tuple[float, float, float, float]:
        port, pid = self.targets[name]
        before = cpu_of(pid)
        output = subprocess.run(
            ["h2load", "-t2", f"-c{connections}", f"-m{streams}", f"-D{seconds}", "-H", f"Cookie: {SECURE_COOKIE}",
             "-H", "X-CSRF: 1", f"https://localhost:{port}{path}"], capture_output=True, text=True, check=True).stdout
        after = cpu_of(pid)
        count = int(re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", output)[1])
        rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", output)[1])
        return rate, float("nan"), *[(b - a) / count * 1e6 for a, b in zip(before, after)]

    def table(
        self, title: str, path: str, connections: int, names: list[str], rounds: int, seconds: int, streams: int = 0
    ) -> None:
        results: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                results[name].append(
                    self.measure_http2(name, path, connections, seconds, streams) if streams
                    else self.measure(name, "/hello" if name == "hello" else path, connections, seconds))
        print(f"\n{title}: {connections} connections, {rounds} rounds of {seconds} s, medians")
        base = statistics.median(row[0] for row in results[names[0]])
        for name in names:
            rate, slow, user, system = (statistics.median(column) for column in zip(*results[name]))
            print(
                f"  {name:<28} {rate:9,.0f}/s  {rate / base:5.2f} x {names[0]}   p99 {slow:7.2f} ms"
                f"   CPU {user:5.1f} + {system:4.1f} us", flush=True)

    def idle(self, name: str, count: int) -> None:
        """What a connection costs that has had one answer and waits for the next request."""
        port, pid = self.targets[name]
        before, connections = resident_of(pid), []
        request = f"GET /api/small HTTP/1.1\r\nHost: a\r\nCookie: {COOKIE}\r\nX-CSRF: 1\r\n\r\n".encode()
        for number in range(count):
            # One address has no more ports than this to one port.
            connection = socket.socket()
            connection.bind((f"127.0.1.{1 + number // 5000}", 0))
            connection.connect(("127.0.0.1", port))
            connection.sendall(request)
            connections.append(connection)
        for connection in connections:
            connection.settimeout(20)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200"), name
        time.sleep(1)
        held = resident_of(pid) - before
        print(f"  {name:<28} {held / count / 1024:6.1f} KiB for each of {count:,} idle connections", flush=True)
        for connection in connections:
            connection.close()

    def gibibyte(self, name: str) -> None:
        """How much more memory one large body takes, each way."""
        port, pid = self.targets[name]
        for what, arguments in [
            ("up", ["-T", str(self.directory / "gibibyte"), "-X", "POST", f"http://127.0.0.1:{port}/api/upload"]),
            ("down", [f"http://127.0.0.1:{port}/api/gibibyte"]),
        ]:
            before = peak = resident_of(pid)
            started = time.monotonic()
            curl = subprocess.Popen(
                ["curl", "-sf", "-o", "/dev/null", "-w", "%{size_upload} %{size_download}", "-H", f"Cookie: {COOKIE}",
                 "-H", "X-CSRF: 1", "-H", "Expect:", *arguments], stdout=subprocess.PIPE, text=True)
            while curl.poll() is None:
                peak = max(peak, resident_of(pid))
                time.sleep(0.01)
            moved = max(int(size) for size in curl.stdout.read().split())  # type: ignore[union-attr]
            print(
                f"  {name:<28} {moved / (1 << 20):,.0f} MiB {what}: {(peak - before) / (1 << 20):.1f} MiB more,"
                f" {moved / (1 << 20) / (time.monotonic() - started):,.0f} MiB/s", flush=True)

    def million(self, name: str) -> None:
        """Whether memory grows with the requests."""
        port, pid = self.targets[name]
        held = []
        for _ in range(10):
            subprocess.run(
                ["wrk", "-t2", "-c64", "-d4s", "-H", f"Cookie: {COOKIE}", "-H", "X-CSRF: 1",
                 f"http://127.0.0.1:{port}/api/small"], capture_output=True, check=True)
            held.append(resident_of(pid) / (1 << 20))
        print(f"  {name:<28} resident after each of 10 x 4 s: {' '.join(f'{size:.1f}' for size in held)} MiB", flush=True)

    def profile(self, name: str, output: str | Path, measure: Callable[[], object]) -> None:
        """Runs one measurement under `perf record`, for `perf report`."""
        perf = subprocess.Popen(
            ["perf", "record", "-q", "-g", "-F", "999", "-p", ",".join(map(str, processes_of(self.targets[name][1]))),
             "-o", output], stdout=subprocess.DEVNULL)
        try:
            measure()
        finally:
            perf.send_signal(signal.SIGINT)
            perf.wait(30)

    def hot_functions(self, name: str, binary: str) -> list[str]:
        """The sections of the functions that requests of all kinds use, the most used first."""
        tls = f"{name} over HTTP/2"
        counts: collections.Counter[str] = collections.Counter()
        for target, measure in [
            (name, lambda: self.measure(name, "/api/small", 64, 6)),
            (name, lambda: self.measure(name, "/api/small", 1, 6)),
            (name, lambda: self.measure(name, "/auth/me", 64, 6)),
            (f"{name}, near cache off", lambda: self.measure(f"{name}, near cache off", "/api/small", 64, 6)),
            (tls, lambda: self.measure_http2(tls, "/api/small", 64, 6, 1)),
            (tls, lambda: self.measure_http2(tls, "/api/small", 8, 6, 16)),
        ]:
            data = self.directory / "perf.data"
            self.profile(target, data, measure)
            frames = subprocess.run(
                ["perf", "script", "-i", data, "-F", "ip,sym,dso"], capture_output=True, text=True, check=True).stdout
            for line in frames.splitlines():
                words = line.split()
                if len(words) == 3 and words[2] == f"({os.path.realpath(binary)})":
                    counts[words[1]] += 1
        # What was seen once may be chance.
        return [f".text.{symbol}" for symbol, count in counts.most_common() if count > 1 and symbol != "[unknown]"]

    def close(self) -> None:
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", help="a part of: small, one, many, large, me, http2, idle, million, gibibyte")
    parser.add_argument("--peer", metavar="PROGRAM", help="cloakroom-bench-peer, to stand beside it")
    parser.add_argument("--profile", metavar="FILE", help="run one measurement of the first program under perf instead")
    parser.add_argument("--order", metavar="FILE", help="write which functions requests use, for scripts/release, instead")
    parser.add_argument("binaries", nargs="+", help="NAME=PROGRAM")
    arguments = parser.parse_args()
    for program in ("nginx", "wrk", "h2load", "redis-server", "openssl"):
        if not shutil.which(program) and not Path(f"/usr/sbin/{program}").exists():
            sys.exit(f"{program} is not installed (Debian: nginx libnginx-mod-http-lua lua-cjson wrk nghttp2-client redis-server)")
    binaries = [tuple(text.split("=", 1)) for text in arguments.binaries]
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), binaries, arguments.peer)  # type: ignore[arg-type]
        try:
            ours = [name for name, _ in binaries]
            if arguments.profile:
                return bench.profile(
                    ours[0], arguments.profile, lambda: bench.measure(ours[0], "/api/small", 64, 4))
            if arguments.order:
                sections = bench.hot_functions(*binaries[0])
                Path(arguments.order).write_text("".join(f"{section}\n" for section in sections))
                return
            peers = ["hummingbird"] if arguments.peer else []
            everyone = ["plain", "lua", *ours, f"{ours[0]}, near cache off", *peers]
            tables = [
                ("small", "210 bytes", "/api/small", 64, everyone),
                ("one", "210 bytes, one at a time", "/api/small", 1, ["plain", "lua", *ours]),
                ("many", "210 bytes, many connections", "/api/small", 512, ["plain", "lua", *ours]),
                ("large", "64 KiB", "/api/large", 64, ["plain", "lua", *ours]),
                ("me", "/auth/me", "/auth/me", 64, (["hello"] if peers else []) + ["lua", *ours, everyone[2 + len(ours)]]),
            ]
            def wanted(key: str) -> bool:
                return not arguments.only or key in arguments.only.split(",")

            for key, title, path, connections, names in tables:
                if wanted(key):
                    bench.table(title, path, connections, names, arguments.rounds, arguments.seconds)
            if wanted("http2"):
                for connections, streams in (64, 1), (8, 16):
                    bench.table(
                        f"210 bytes over TLS and HTTP/2, {streams} at once on each connection", "/api/small", connections,
                        ["plain over HTTP/2", *(f"{name} over HTTP/2" for name in ours)], arguments.rounds,
                        arguments.seconds, streams)
            if wanted("idle"):
                print("\nMemory")
                for name in ["plain", *ours]:
                    bench.idle(name, 9000)
            for key, measure in ("million", bench.million), ("gibibyte", bench.gibibyte):
                if wanted(key):
                    for name in ours:
                        measure(name)
        finally:
            bench.close()


main()
