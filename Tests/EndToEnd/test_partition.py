"""A network that splits: a primary and a minority of clients are cut off from the rest, which makes another the primary."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from support.gateway import COOKIE, Gateway
from support.namespaces import Namespaces, why_not
from support.ports import free_port
from support.processes import Server, bare_environment
from support.providers import Kind, Provider
from support.servers import Servers
from support.wait import eventually

REASON = why_not()
pytestmark = [pytest.mark.long, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

PRIMARY = "mymaster"


class RedisSide(Server):
    """A Redis server or a sentinel in one of two namespaces."""

    def __init__(self, net: Namespaces, side: str, port: int, directory: Path, settings: list[str], program: str) -> None:
        directory.mkdir(parents=True)
        self.net, self.side, self.port = net, side, port
        file = directory / "settings.conf"
        lines = [f"port {port}", "bind 0.0.0.0", "protected-mode no", f"dir {directory}", *settings]
        file.write_text("\n".join(lines) + "\n")
        super().__init__(f"{program}-{side}-{port}", [program, file], directory, bare_environment(directory))
        net.put(self, side)

    def cli(self, *arguments: str) -> list[str]:
        return self.net.run(self.side, "redis-cli", "-p", str(self.port), *arguments).split("\n")

    def launch(self) -> RedisSide:
        self.start(lambda: self.cli("PING")[0] == "PONG")
        return self


class Site:
    """A gateway in a namespace, and how users there get on."""

    def __init__(self, gateway: Gateway, port: int, public_url: str, provider: Provider) -> None:
        self.gateway, self.provider = gateway, provider
        self.url = f"http://127.0.0.1:{port}"
        self.host = urlsplit(public_url).netloc
        self.lock = threading.Lock()
        # What users were told: sessions that began, that ended, and logins that were refused; all with the time.
        self.begun: list[tuple[str, float]] = []
        self.ended: list[tuple[str, float]] = []
        self.refused = 0
        self.slowest_refusal = 0.0
        self.odd: list[str] = []

    def call(self, method: str, path: str, session: str | None = None, **options: object) -> requests.Response:
        headers = {"Host": self.host}
        if session:
            headers["Cookie"] = f"{COOKIE}={session}"
        return requests.request(
            method, self.url + path, headers=headers, timeout=20, allow_redirects=False, **options  # type: ignore[arg-type]
        )

    def me(self, session: str) -> int:
        return self.call("GET", "/auth/me", session).status_code

    def log_in(self) -> str | None:
        """A login; `None` when it was refused with 503."""
        http = requests.Session()
        start = time.monotonic()
        begin = http.get(self.url + "/auth/login", headers={"Host": self.host}, allow_redirects=False, timeout=20)
        if begin.status_code == 503:
            return self._refuse(start)
        assert begin.is_redirect, begin.status_code
        callback = self.provider.sign_in(http, begin.headers["Location"])
        parts = urlsplit(callback)
        start = time.monotonic()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies if cookie.name.startswith("cloak"))
        end = requests.get(
            f"{self.url}{parts.path}?{parts.query}", headers={"Host": self.host, "Cookie": cookies},
            allow_redirects=False, timeout=20,
        )
        if end.status_code == 503:
            return self._refuse(start)
        session = end.cookies.get(COOKIE)
        if not end.is_redirect or not session:
            # The login that began before the split is unknown to the new primary.
            with self.lock:
                (self.odd.append(f"login: {end.status_code}") if end.status_code != 400 else None)
            return None
        with self.lock:
            self.begun.append((session, time.monotonic()))
        return session

    def _refuse(self, start: float) -> None:
        with self.lock:
            self.refused += 1
            self.slowest_refusal = max(self.slowest_refusal, time.monotonic() - start)

    def log_out(self, session: str) -> bool:
        status = self.call("POST", "/auth/logout", session, data={}).status_code
        if status == 303:
            with self.lock:
                self.ended.append((session, time.monotonic()))
        elif status != 503:
            with self.lock:
                self.odd.append(f"logout: {status}")
        return status == 303


@pytest.mark.timeout(240)
def test_a_partition_is_told_truly_on_both_sides(tmp_path: Path, any_provider: Kind) -> None:
    """R55: what was acknowledged under `WAIT` is not lost, on either side; without, the primary that was cut off loses what
    it took, and `min-replicas-to-write` bounds for how long it takes any. What the majority acknowledges always stays, a
    logout above all."""

    def run(form: str) -> None:
        with Servers() as servers:
            check(servers, tmp_path / form, any_provider, form)

    # Side by side, as most of it is waiting for sentinels.
    with ThreadPoolExecutor() as pool:
        for result in [pool.submit(run, form) for form in ("plain", "bounded", "wait")]:
            result.result()


def check(servers: Servers, tmp_path: Path, any_provider: Kind, form: str) -> None:
    with Namespaces(form) as net:
        port = free_port()
        url = f"http://localhost:{port}"
        provider = servers.add(Provider(any_provider, tmp_path / "provider", url)).launch()
        common = ['save ""', "repl-diskless-sync-delay 0", "repl-timeout 5"]
        if form == "bounded":
            common += ["min-replicas-to-write 1", "min-replicas-max-lag 2"]
        follow = [f"replicaof {net.addresses['a']} 6379"]
        redis = [
            servers.add(RedisSide(net, "a", 6379, tmp_path / "r1", common, "redis-server")).launch(),
            servers.add(RedisSide(net, "b", 6379, tmp_path / "r2", common + follow, "redis-server")).launch(),
            servers.add(RedisSide(net, "b", 6380, tmp_path / "r3", common + follow, "redis-server")).launch(),
        ]

        def in_step(primary: RedisSide) -> bool:
            return sum("state=online" in line for line in primary.cli("INFO", "replication")) == 2

        eventually("the replicas are in step", lambda: in_step(redis[0]), within=30)
        watch = [
            f"sentinel monitor {PRIMARY} {net.addresses['a']} 6379 2",
            f"sentinel down-after-milliseconds {PRIMARY} 1000",
            f"sentinel failover-timeout {PRIMARY} 3000",
        ]
        sentinels = [
            servers.add(RedisSide(net, side, number, tmp_path / f"s{index}", watch, "redis-sentinel")).launch()
            for index, (side, number) in enumerate([("a", 26379), ("b", 26379), ("b", 26380)])
        ]
        eventually(
            "the sentinels know each other",
            lambda: all(
                "num-other-sentinels\n2\n" in "\n".join(sentinel.cli("SENTINEL", "MASTER", PRIMARY))
                for sentinel in sentinels
            ),
            within=30,
        )
        hosts = ",".join(f"{net.addresses[sentinel.side]}:{sentinel.port}" for sentinel in sentinels)
        sites: dict[str, Site] = {}
        for side in "ab":
            outer = port if side == "a" else free_port()
            gateway = servers.add(
                Gateway(
                    tmp_path / f"gateway-{side}", f"gateway-{side}", port, PUBLIC_URL=url,
                    REDIS_URL=f"redis+sentinel://{hosts}/{PRIMARY}/0",
                    REDIS_WAIT_REPLICAS="1" if form == "wait" else "0", **provider.settings,
                )
            )
            net.put(gateway, side)
            for relay in net.relays(side, provider.port, provider.port, into=False):
                servers.add(relay).launch()
            for relay in net.relays(side, port, outer, into=True):
                servers.add(relay).launch()
            gateway.url = f"http://127.0.0.1:{outer}"
            gateway.launch_ready()
            sites[side] = Site(gateway, outer, url, provider)
        a, b = sites["a"], sites["b"]

        before = [session for site in (a, b) for _ in range(4) if (session := site.log_in())]
        assert len(before) == 8
        for session in before:
            assert a.me(session) == b.me(session) == 200
        kept, ended_by_b, ended_by_a = before[:2], before[2:5], before[5:8]

        net.pull_cable()
        cut = time.monotonic()
        is_over = threading.Event()

        def work(site: Site) -> None:
            while not is_over.is_set():
                session = site.log_in()
                if session and site.me(session) not in (200, 503):
                    with site.lock:
                        site.odd.append("a session that was just begun is unknown")
                # A user who was refused comes back a moment later.
                is_over.wait(0.05)

        threads = [threading.Thread(target=work, args=(site,)) for site in (a, b) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            eventually("the majority makes another the primary and logs users in again", lambda: len(b.begun) > 4 + 20, within=40)
            for session in ended_by_b:
                eventually("a logout is acknowledged", lambda: b.log_out(session), within=10)
            acknowledged_by_a = [session for session in ended_by_a if a.log_out(session)]
            eventually("both sides have worked for a while", lambda: time.monotonic() - cut > 6, within=10)
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        net.plug_in_cable()

        def primary() -> RedisSide:
            return next(server for server in redis[1:] if server.cli("ROLE")[0] == "master")

        eventually("the old primary follows the new one", lambda: redis[0].cli("ROLE")[0] == "slave", within=60)
        eventually("all are in step", lambda: in_step(primary()), within=60)
        eventually("the minority's gateway serves again", lambda: a.gateway.status("/readyz") == 200, within=20)
        eventually("it has the new primary", lambda: a.me(b.begun[-1][0]) == 200, within=20)

        # What the majority has acknowledged holds, on both sides.
        by_b = [session for session, _ in b.begun[4:]]
        for site in (a, b):
            assert [site.me(session) for session in by_b] == [200] * len(by_b)
            assert [site.me(session) for session in kept] == [200] * len(kept)
            assert [site.me(session) for session in ended_by_b] == [401] * len(ended_by_b)
        by_a = [(session, told) for session, told in a.begun[4:]]
        lost = [told - cut for session, told in by_a if b.me(session) == 401]
        revived = [session for session in acknowledged_by_a if b.me(session) == 200]
        print(
            f"measured: {form}: the minority acknowledged {len(by_a)} logins, {len(lost)} lost, and "
            f"{len(acknowledged_by_a)} logouts, {len(revived)} undone; it refused {a.refused} (at most after "
            f"{a.slowest_refusal:.1f} s); the majority acknowledged {len(by_b)}, refused {b.refused}, lost 0"
        )
        assert not a.odd and not b.odd, (a.odd, b.odd)
        # A refusal is no hang: within the command's time limit, and WAIT's.
        assert a.slowest_refusal < 5 and b.slowest_refusal < 5
        match form:
            case "wait":
                assert not lost and not revived and not acknowledged_by_a
                assert a.refused > 0
            case "bounded":
                # The lag that Redis allows, and up to a second until it looks.
                assert all(age < 4 for age in lost), lost
                assert a.refused > 0
            case _:
                # Redis promises nothing here, and that is what docs/redis.md says.
                assert len(lost) == len(by_a) > 0
        # No session is there that nobody was given.
        live = len(by_b) + len(by_a) - len(lost) + len(kept) + sum(b.me(session) == 200 for session in ended_by_a)

        def stored() -> int:
            return sum(line.startswith("session:") for line in primary().cli("--scan", "--pattern", "session:*"))

        eventually(f"Redis holds the {live} sessions that users have", lambda: stored() == live, within=20)
