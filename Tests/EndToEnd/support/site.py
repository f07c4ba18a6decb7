"""A site that things go wrong at: Redis, provider, gateway, and whatever stands before them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import requests

from .gateway import Gateway, run_program
from .haproxy import HAProxy
from .login import begin_login, finish_login
from .providers import Provider
from .redis_server import RedisServer
from .servers import Servers
from .wait import eventually


@dataclass
class Site:
    """A Redis, a provider, and a gateway that is reached at `public_url`, where each test puts the proxy that it needs."""

    redis: RedisServer
    provider: Provider
    gateway: Gateway
    public_port: int
    directory: Path

    @property
    def public_url(self) -> str:
        return f"http://localhost:{self.public_port}"

    def settings(self, **changes: str | None) -> dict[str, str | None]:
        base = {"REDIS_URL": self.redis.url, "PUBLIC_URL": self.public_url, **self.provider.settings}
        return {**base, **changes}

    def checks(self, *cases: dict[str, str | None]) -> Callable[[], str]:
        """The same for each of these changes, side by side, as most of the time is spent waiting; gives what waits for it."""
        pool = ThreadPoolExecutor()
        said = [pool.submit(self.check, "--read-only", **case) for case in cases]
        pool.shutdown(wait=False)
        return lambda: "".join(one.result() for one in said)

    def check(self, *arguments: str, **changes: str | None) -> str:
        """What `cloakroom check` says, with the settings of the gateway but for what is changed."""
        result = run_program(self.directory, "check", *arguments, **self.settings(**changes))
        assert result.returncode in (0, 1), result.stdout + result.stderr
        return result.stdout

    def replica(self, servers: Servers, name: str, **changes: str | None) -> Gateway:
        return servers.add(Gateway(self.directory / name, name=name, **self.settings(**changes)))

    def proxy(self, servers: Servers, *replicas: Gateway, rules: tuple[str, ...] = ()) -> HAProxy:
        ports = [replica.port for replica in replicas or (self.gateway,)]
        return servers.add(HAProxy(self.directory / "haproxy", ports, self.public_port, rules)).launch()

    def environment(self) -> dict[str, str]:
        """What the commands of the guide find in their environment."""
        return {
            "REDIS_URL": self.redis.url, "PUBLIC_URL": self.public_url, "OIDC_ISSUER": self.provider.issuer,
            "UPSTREAM_URL": "http://127.0.0.1:1", "LOG": str(self.gateway.log_file),
            "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.redis.port),
        }

    def log_in(self, gateway: Gateway, provider: Provider | None = None) -> tuple[requests.Session, requests.Response]:
        """A login straight at this gateway, whatever PUBLIC_URL is; gives the browser, and the answer to its end."""
        http = requests.Session()
        start = begin_login(http, gateway.url)
        callback = (provider or self.provider).sign_in(http, start.headers["Location"])
        return http, finish_login(http, callback.replace(self.public_url, gateway.url))


@contextmanager
def configured(site: Site, **directives: str) -> Iterator[None]:
    """Changes settings of the running Redis for a while."""
    client = site.redis.client()
    names = [name.replace("_", "-") for name in directives]
    before = {name: client.config_get(name)[name] for name in names}
    for name, value in zip(names, directives.values()):
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


def shown(answer: requests.Response) -> str:
    """An answer as the guide writes it."""
    retry = answer.headers.get("Retry-After")
    return f"HTTP {answer.status_code}{' Retry-After: ' + retry if retry else ''} {answer.text}"


def launch_all(gateways: list[Gateway]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda gateway: gateway.launch(), gateways))


def log_of(gateway: Gateway, words: str) -> str:
    eventually(f"the log says {words}", lambda: words in gateway.log(), details=gateway.log_tail)
    return gateway.log()
