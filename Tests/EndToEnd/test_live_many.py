"""Two thousand event streams on one replica: what they take, and that each is told in time (R20, R50)."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import requests

from support.certificates import Authority
from support.events import EventStream, wait_for_all
from support.gateway import COOKIE, Gateway
from support.metadata import MetadataProvider
from support.namespaces import Namespaces, why_not
from support.ports import free_port
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.long

SESSIONS = 200
STREAMS_EACH = 10
COUNT = SESSIONS * STREAMS_EACH
MOST_KILOBYTES_EACH = 40


def resident(gateway: Gateway) -> float:
    """The memory that the process has, in kilobytes."""
    return gateway.resident_bytes / 1024


def processor_seconds(gateway: Gateway) -> float:
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def opened(gateway: Gateway, sessions: list[str], tls: ssl.SSLContext | None = None) -> list[EventStream]:
    streams = [EventStream(gateway, session, tls=tls) for session in sessions for _ in range(STREAMS_EACH)]
    wait_for_all(streams, "hello", within=30)
    return streams


def metric(management: int, name: str) -> int:
    text = requests.get(f"http://127.0.0.1:{management}/metrics", timeout=10).text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, f"no {name}"
    return int(float(found.group(1)))


def test_two_thousand_streams(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis", appendfsync="no")).launch()
    management = free_port()
    provider = servers.enter_context(MetadataProvider())
    gateway = servers.add(
        Gateway(
            tmp_path / "gateway", REDIS_URL=redis.url, MANAGEMENT_ADDRESS=f"127.0.0.1:{management}", **provider.settings)
    ).launch_ready()
    client = redis.client()
    sessions = [put(client, record(f"user-{number}")) for number in range(SESSIONS)]
    # What the process takes once, whoever comes, is there before the first measurement.
    warm = [EventStream(gateway, session) for session in sessions[:20]]
    wait_for_all(warm, "hello", within=20)
    for stream in warm:
        stream.close()
    for session in sessions:
        assert gateway.me(session) == 200
    eventually("none is left", lambda: metric(management, "cloakroom_event_streams") == 0)

    before = resident(gateway)
    streams = opened(gateway, sessions)
    assert metric(management, "cloakroom_event_streams") == COUNT
    each = (resident(gateway) - before) / COUNT
    used, begin = processor_seconds(gateway), time.monotonic()
    # Long enough for each stream to have shown a sign of life.
    eventually("each is alive", lambda: all_alive(streams), within=40)
    load = (processor_seconds(gateway) - used) / (time.monotonic() - begin)

    # One among them, by its own logout and by another's deletion.
    worst = 0.0
    for number, session in enumerate(sessions[:20]):
        mine = streams[number * STREAMS_EACH:(number + 1) * STREAMS_EACH]
        start = time.monotonic()
        if number % 2:
            assert gateway.get("/auth/logout", session).status_code == 303
        else:
            client.delete("session:" + session)
        ends = wait_for_all(mine, "logout", within=5)
        worst = max(worst, max(end.came for end in ends) - start)
    # All others at once.
    rest = streams[20 * STREAMS_EACH:]
    start = time.monotonic()
    client.delete(*("session:" + session for session in sessions[20:]))
    wait_for_all(rest, "logout", within=20)
    all_took = time.monotonic() - start
    eventually("none is left", lambda: metric(management, "cloakroom_event_streams") == 0)
    print(
        f"\n{COUNT} streams: {each:.1f} KB each, {load * 100:.1f} % of a core while silent, "
        f"one logout told in {worst * 1000:.1f} ms at most, {len(rest)} in {all_took * 1000:.0f} ms")
    assert each <= MOST_KILOBYTES_EACH
    assert worst <= 0.1
    # A second crowd takes the memory of the first.
    for stream in streams:
        stream.close()
    again = [put(client, record(f"again-{number}")) for number in range(SESSIONS)]
    streams = opened(gateway, again)
    assert (resident(gateway) - before) / COUNT <= MOST_KILOBYTES_EACH * 1.25
    for stream in streams:
        stream.close()


def all_alive(streams: list[EventStream]) -> bool:
    for stream in streams:
        if not stream.comments:
            stream.take(0.001)
        assert not stream.closed
    return all(stream.comments for stream in streams)


def test_two_thousand_streams_over_tls(servers: Servers, tmp_path: Path) -> None:
    """The gateway ends TLS itself, and each page has a connection of its own."""
    redis = servers.add(RedisServer(tmp_path / "redis", appendfsync="no")).launch()
    certificate, key = Authority(tmp_path, "authority").sign("server")
    gateway = Gateway(
        tmp_path / "gateway", REDIS_URL=redis.url, PUBLIC_URL="https://localhost", TLS_CERT_FILE=str(certificate),
        TLS_KEY_FILE=str(key))
    servers.add(gateway).start(lambda: "Listening on" in gateway.log())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sessions = [put(redis.client(), record(f"user-{number}")) for number in range(SESSIONS)]
    for stream in opened(gateway, sessions[:10], context):
        stream.close()
    before = resident(gateway)
    streams = opened(gateway, sessions, context)
    each = (resident(gateway) - before) / COUNT
    print(f"\n{COUNT} streams over TLS: {each:.1f} KB each")
    for stream in streams:
        stream.close()
    assert each <= MOST_KILOBYTES_EACH


REASON = why_not()


@pytest.mark.skipif(REASON is not None, reason=REASON or "")
def test_a_client_that_has_left_the_network_is_given_up(servers: Servers, tmp_path: Path) -> None:
    """R50: it has closed nothing. The first sign of life that is not acknowledged for SEND_TIMEOUT ends the connection."""
    with Namespaces("live") as net:
        redis = servers.add(RedisServer(tmp_path / "redis"))
        net.put(redis, "a")
        ask = ("redis-cli", "-p", str(redis.port))
        redis.start(lambda: "PONG" in net.run("a", *ask, "PING"))
        session = "a-session-of-a-telephone"
        net.run("a", *ask, "SET", f"session:{session}", json.dumps(record("telephone")), "EX", "3600")
        gateway = Gateway(
            tmp_path / "gateway", HOST="0.0.0.0", REDIS_URL=redis.url, SEND_TIMEOUT="2s", MANAGEMENT_ADDRESS="127.0.0.1:9000")
        net.put(gateway, "a")

        def shown() -> str:
            return net.run("a", "curl", "-s", "http://127.0.0.1:9000/metrics")

        servers.add(gateway).start(lambda: "cloakroom_event_streams" in shown())
        said = tmp_path / "said"
        with said.open("wb") as output:
            client = subprocess.Popen(
                ["ip", "netns", "exec", net.names["b"], "curl", "-sN", "-H", f"Cookie: {COOKIE}={session}",
                 f"http://{net.addresses['a']}:{gateway.port}/auth/events"], stdout=output)
            try:
                eventually("the stream is open", lambda: "event: hello" in said.read_text())
                assert "\ncloakroom_event_streams 1\n" in shown()
                net.pull_cable()
                eventually("it is given up", lambda: "\ncloakroom_event_streams 0\n" in shown(), within=40)
                assert client.poll() is None, "the client itself knows nothing"
            finally:
                client.kill()
                client.wait()
