"""Keys and certificates are read again while users are served: no request fails, and nobody is logged out."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Callable

import pytest
import requests

from support.certificates import Authority
from support.gateway import COOKIE, Gateway, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.long


class Load:
    """Users whose requests all need Redis, for as long as the block lasts."""

    def __init__(self, gateway: Gateway, sessions: list[str]) -> None:
        self.gateway = gateway
        self.sessions = sessions
        self.count = 0
        self.failures: list[str] = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(4)]

    def work(self, number: int) -> None:
        http = requests.Session()
        while not self.is_over.is_set():
            session = self.sessions[(self.count + number) % len(self.sessions)]
            try:
                answer = http.get(
                    self.gateway.url + "/auth/me", headers={"Cookie": f"{COOKIE}={session}"}, timeout=20
                )
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code}: {answer.text[:200]}")
            except requests.RequestException as error:
                self.failures.append(repr(error))
            self.count += 1

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        self.grow()
        return self

    def grow(self) -> None:
        start = self.count
        eventually("the load goes on", lambda: self.count > start + 100)

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join(30)


def replace(path: Path, text: str) -> None:
    """Puts another file in its place, as Kubernetes does it: never half of one."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.chmod(0o600)
    other.rename(path)


def by_file(gateway: Gateway) -> None:
    """The change of the file says it."""


def by_signal(gateway: Gateway) -> None:
    os.kill(gateway.pid, signal.SIGHUP)


def wait_for(gateway: Gateway, text: str, act: Callable[[], None]) -> None:
    """Does this, and waits until the log has one more line with the text."""
    before = gateway.log().count(text)
    act()
    eventually(f"the log has: {text}", lambda: gateway.log().count(text) > before, 20, gateway.log_tail)


@pytest.mark.parametrize("ask", [by_file, by_signal], ids=["file", "SIGHUP"])
def test_r54_keys_rotate_under_load(
    servers: Servers, tmp_path: Path, any_provider: Kind, ask: Callable[[Gateway], None]
) -> None:
    old, new = new_key(tmp_path), new_key(tmp_path)
    file = tmp_path / "keys"
    replace(file, old + "\n")
    port = free_port()
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    gateway = servers.add(
        Gateway(
            tmp_path / "gateway", port=port, REDIS_URL=redis.url, SESSION_KEYS_FILE=str(file),
            SESSION_NEAR_CACHE="off", **provider.settings,
        )
    ).launch_ready()
    sessions = [log_in(requests.Session(), gateway.url, provider) for _ in range(3)]
    with Load(gateway, sessions) as load:
        for keys in (f"{old},{new}", f"{new},{old}"):
            wait_for(gateway, "Session keys were read again", lambda keys=keys: (replace(file, keys), ask(gateway)))
            load.grow()
        sessions.append(log_in(requests.Session(), gateway.url, provider))
        load.grow()
        # Nonsense changes nothing, and is told without a word of what it is.
        wait_for(gateway, "could not be read again", lambda: (replace(file, "secret-nonsense"), ask(gateway)))
        load.grow()
        wait_for(gateway, "could not be read again", lambda: (replace(file, ""), ask(gateway)))
        load.grow()
    assert load.failures == []
    assert "secret-nonsense" not in gateway.log()
    # The last login was sealed with the new key alone.
    replace(file, new)
    wait_for(gateway, "Session keys were read again", lambda: by_signal(gateway))
    assert gateway.me(sessions[-1]) == 200
    assert gateway.me(sessions[0]) == 401


@pytest.mark.parametrize("ask", [by_file, by_signal], ids=["file", "SIGHUP"])
def test_r54_tls_to_redis_is_renewed_under_load(
    servers: Servers, tmp_path: Path, ask: Callable[[Gateway], None]
) -> None:
    first, second = Authority(tmp_path / "tls", "first"), Authority(tmp_path / "tls", "second")
    texts = {authority: authority.certificate.read_text() for authority in (first, second)}
    trusted_there, trusted_here = tmp_path / "server-ca.pem", tmp_path / "client-ca.pem"
    trusted_there.write_text(texts[first])
    replace(trusted_here, texts[first])
    server, client = first.sign("server"), first.sign("client")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    replace(certificate, client[0].read_text())
    replace(key, client[1].read_text())
    tls_port = free_port()
    redis = servers.add(
        RedisServer(
            tmp_path / "redis",
            **{
                "tls-port": str(tls_port), "tls-cert-file": str(server[0]), "tls-key-file": str(server[1]),
                "tls-ca-cert-file": str(trusted_there), "tls-auth-clients": "yes",
            },
        )
    ).launch()
    gateway = servers.add(
        Gateway(
            tmp_path / "gateway", REDIS_URL=f"rediss://127.0.0.1:{tls_port}/0", REDIS_TLS_CA_FILE=str(trusted_here),
            REDIS_TLS_CERT_FILE=str(certificate), REDIS_TLS_KEY_FILE=str(key), SESSION_NEAR_CACHE="off",
        )
    ).launch_ready()
    sessions = [put(redis.client(), record(f"user-{number}")) for number in range(3)]

    def renew(**files: str) -> None:
        for name, text in files.items():
            replace({"ca": trusted_here, "certificate": certificate, "key": key}[name], text)
        ask(gateway)

    def reconnect(load: Load) -> None:
        redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        load.grow()

    read_again = "Certificates for Redis were read again"
    with Load(gateway, sessions) as load:
        # Both authorities are trusted on both sides before anyone shows a certificate of the second.
        wait_for(gateway, read_again, lambda: renew(ca=texts[first] + texts[second]))
        trusted_there.write_text(texts[first] + texts[second])
        new_server, new_client = second.sign("server"), second.sign("client")
        redis.client().execute_command(
            "CONFIG", "SET", "tls-cert-file", str(new_server[0]), "tls-key-file", str(new_server[1]), "tls-ca-cert-file",
            str(trusted_there),
        )
        reconnect(load)
        wait_for(
            gateway, read_again,
            lambda: renew(certificate=new_client[0].read_text(), key=new_client[1].read_text()),
        )
        reconnect(load)
        wait_for(gateway, read_again, lambda: renew(ca=texts[second]))
        trusted_there.write_text(texts[second])
        redis.client().execute_command("CONFIG", "SET", "tls-ca-cert-file", str(trusted_there))
        reconnect(load)
        # Nonsense changes nothing: what was read before goes on.
        wait_for(gateway, "could not be read again", lambda: renew(certificate="-----BEGIN NONSENSE-----\n"))
        reconnect(load)
    assert load.failures == []
