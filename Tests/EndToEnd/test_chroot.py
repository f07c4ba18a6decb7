"""The program as it is shipped, in an empty root that is read-only, as an unprivileged user, with the environment of each
overlay, on Redis as that overlay has it.

There is no container engine in the tests; this is what one would do of it. `CLOAKROOM_RELEASE` names the program that
`scripts/release -Xlinker --strip-all` has built: `scripts/soak` does so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from support.certificates import Authority
from support.gateway import Gateway, gateway_environment
from support.login import log_in
from support.ports import free_port
from support.processes import Server, bare_environment
from support.providers import Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually
from test_overlays import OVERLAYS, environment, rendered

RELEASE = os.environ.get("CLOAKROOM_RELEASE")
pytestmark = [
    pytest.mark.deploy, pytest.mark.long,
    pytest.mark.skipif(not RELEASE, reason="CLOAKROOM_RELEASE names no program as it is shipped"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may change the root"),
]

# What the image's base has beside libc, by deploy/Dockerfile.
ALLOWED = re.compile(r"(linux-vdso|ld-linux-[a-z0-9_-]+|lib(c|m|z|gcc_s|stdc\+\+))\.so")
PASSWORD = "change-me-redis-password"


def make_root(directory: Path, files: list[Path]) -> Path:
    """A root with the program, the libraries that it needs, and these files; nothing else."""
    root = directory / "root"
    for folder in ("usr/local/bin", "etc", "proc", "dev"):
        (root / folder).mkdir(parents=True)
    shutil.copy(RELEASE, root / "usr/local/bin/cloakroom")
    for line in subprocess.run(["ldd", RELEASE], capture_output=True, text=True, check=True).stdout.splitlines():
        assert ALLOWED.search(line), f"the image has no such library: {line}"
        if match := re.search(r"(/\S+)", line):
            target = root / match[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(match[1], target)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for file in files:
        target = root / str(file).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        target.chmod(0o444)
    return root


def jailed(root: Path, command: str) -> list[str]:
    """Runs the program there. It needs /proc, where Swift reads the arguments."""
    script = (
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t proc -o ro proc "$0/proc" && '
        'exec chroot --userspec=65532:65532 --groups="" "$0" /usr/local/bin/cloakroom "$1"')
    return ["unshare", "--mount", "sh", "-c", script, str(root), command]


class Jailed(Gateway):
    """The program in a root of its own that nothing can be written to."""

    def __init__(self, directory: Path, root: Path, port: int, **settings: str) -> None:
        super().__init__(directory, port=port, **settings)
        self.arguments = jailed(root, "serve")


class Sentinel(Server):
    def __init__(self, directory: Path, primary: int) -> None:
        directory.mkdir(parents=True)
        self.port = free_port()
        file = directory / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\nrequirepass {PASSWORD}\n"
            f"sentinel monitor mymaster 127.0.0.1 {primary} 1\nsentinel auth-pass mymaster {PASSWORD}\n"
            "sentinel down-after-milliseconds mymaster 5000\n")
        super().__init__("sentinel", ["redis-sentinel", file], directory, bare_environment(directory))


def online(server: RedisServer) -> int:
    """How many replicas follow it, and are up to date."""
    info = server.client().info("replication")
    return sum(value["state"] == "online" for name, value in info.items() if re.fullmatch(r"slave\d+", name))


def redis_of(overlay: str, servers: Servers, directory: Path) -> tuple[dict[str, str], list[Path]]:
    """Starts Redis as the overlay has it; gives the settings that differ by its address, and files that the program reads."""
    if overlay == "redis-standalone":
        redis = servers.add(RedisServer(directory / "redis", password=PASSWORD)).launch()
        return {"redis:6379": f"127.0.0.1:{redis.port}"}, []
    if overlay == "redis-managed":
        authority = Authority(directory / "ca", "authority")
        certificate, key = authority.sign("redis")
        port = free_port()
        redis = RedisServer(
            directory / "redis", **{
                "port": "0", "tls-port": str(port), "tls-cert-file": str(certificate), "tls-key-file": str(key),
                "tls-auth-clients": "no", "tls-ca-cert-file": str(authority.certificate),
                # As docs/redis.md says.
                "user": f"default off\nuser cloakroom on >{PASSWORD} ~session* +@read +@write +@scripting +@transaction "
                        "+@connection +wait -@dangerous +info",
            })
        servers.add(redis).start(lambda: b"PONG" in subprocess.run(
            ["redis-cli", "--tls", "--cacert", str(authority.certificate), "-p", str(port), "--user", "cloakroom", "--pass",
             PASSWORD, "ping"], capture_output=True).stdout)
        return {"redis.example.com:6379": f"127.0.0.1:{port}", "REDIS_TLS_CA_FILE": str(authority.certificate)}, [
            authority.certificate]
    common = {"masterauth": PASSWORD, "password": PASSWORD}
    if overlay == "redis-sentinel":
        primary = servers.add(RedisServer(directory / "primary", **common)).launch()
        replica = servers.add(
            RedisServer(directory / "replica", name="replica", replicaof=f"127.0.0.1 {primary.port}", **common)).launch()
        assert replica.port
        eventually("the replica follows", lambda: online(primary) == 1)
        sentinel = servers.add(Sentinel(directory / "sentinel", primary.port))
        sentinel.start(lambda: b"mymaster" in subprocess.run(
            ["redis-cli", "-p", str(sentinel.port), "-a", PASSWORD, "--no-auth-warning", "sentinel", "masters"],
            capture_output=True).stdout)
        return {"redis:26379": f"127.0.0.1:{sentinel.port}"}, []
    nodes = [
        servers.add(
            RedisServer(
                directory / f"node-{number}", name=f"node-{number}", **common,
                **{"cluster-enabled": "yes", "cluster-port": str(free_port())})).launch()
        for number in range(6)
    ]
    subprocess.run(
        ["redis-cli", "-a", PASSWORD, "--no-auth-warning", "--cluster", "create",
         *(f"127.0.0.1:{node.port}" for node in nodes), "--cluster-replicas", "1", "--cluster-yes"],
        check=True, capture_output=True, timeout=60)
    eventually("each primary has its replica", lambda: sum(online(node) for node in nodes) == 3, within=30)
    return {"redis-redis-cluster:6379": f"127.0.0.1:{nodes[0].port}"}, []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_login_on_each_overlay(servers: Servers, tmp_path: Path, overlay: str, any_provider: Kind) -> None:
    changes, files = redis_of(overlay, servers, tmp_path)
    port, management = free_port(), free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    settings = environment(rendered(overlay))
    for old, new in changes.items():
        if old.isupper():
            settings[old] = new
        else:
            assert old in settings["REDIS_URL"]
            settings["REDIS_URL"] = settings["REDIS_URL"].replace(old, new)
    settings |= {
        "PORT": str(port), "PUBLIC_URL": f"http://localhost:{port}", "MANAGEMENT_ADDRESS": f":{management}", **provider.settings}
    root = make_root(tmp_path, files)
    gateway = servers.add(Jailed(tmp_path / "gateway", root, port, **settings)).launch_ready()
    assert Path(f"/proc/{gateway.pid}/root").resolve() == root.resolve()
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    assert re.search(r"^Uid:\s+65532\s+65532\s+65532\s+65532$", status, re.M)
    session = log_in(requests.Session(), gateway.url, provider)
    assert gateway.me(session) == 200
    assert requests.get(f"http://127.0.0.1:{management}/metrics", timeout=10).status_code == 200
    # As the image's health check asks, in the same root.
    health = subprocess.run(
        jailed(root, "health"), capture_output=True, text=True, env=gateway_environment(tmp_path, **settings), timeout=30)
    assert health.returncode == 0, health.stdout + health.stderr
    gateway.get("/auth/logout", session)
    assert gateway.me(session) == 401
    assert gateway.stop() == 0
