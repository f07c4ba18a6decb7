"""Redis goes and comes back: 503 and a kept cookie, never "logged out", never "let in" (R42)."""

from __future__ import annotations

from pathlib import Path

from support.gateway import Gateway
from support.records import new_id, put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


def assert_unavailable(gateway: Gateway, session: str) -> None:
    """What a user meets while the store can't tell."""
    for path in ("/auth/me", "/"):
        answer = gateway.get(path, session)
        assert answer.status_code == 503, f"{path}: {answer.status_code} {answer.text[:300]}"
        assert int(answer.headers["Retry-After"]) > 0
        assert "Set-Cookie" not in answer.headers, "the cookie is to be kept"
    assert gateway.get("/healthz").status_code == 200, "liveness never asks Redis"


def assert_not_ready(gateway: Gateway) -> None:
    answer = gateway.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})


def test_r42_an_outage_logs_nobody_out(servers: Servers, tmp_path: Path) -> None:
    """R46: the log holds neither the session nor the password."""
    redis = servers.add(RedisServer(tmp_path / "redis", password="s3cret-of-redis")).launch()
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=redis.url)).launch()
    session = put(redis.client(), record("user-1"))
    assert gateway.get("/auth/me", session).json()["sub"] == "user-1"

    redis.kill()
    eventually("the gateway notices", lambda: gateway.status("/readyz") == 503)
    assert_unavailable(gateway, session)
    assert_unavailable(gateway, new_id())
    assert_not_ready(gateway)
    # Who has no cookie is known to have no session, whatever Redis would say.
    assert gateway.get("/auth/me").status_code == 401

    redis.launch()
    eventually("the gateway recovers by itself", lambda: gateway.status("/auth/me") == 401, within=30)
    eventually("the same session lives", lambda: gateway.get("/auth/me", session).status_code == 200, within=30)
    assert gateway.get("/auth/me", session).json()["sub"] == "user-1"
    assert gateway.is_running
    assert "s3cret-of-redis" not in gateway.log()
    assert session not in gateway.log()


def test_r42_r52_start_without_redis(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis", password="s3cret-of-redis"))
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=redis.url)).launch()
    assert_not_ready(gateway)
    assert_unavailable(gateway, new_id())
    assert "Redis connection successful" not in gateway.log()

    redis.launch()
    session = put(redis.client(), record("user-2"))
    eventually("the gateway recovers", lambda: gateway.get("/auth/me", session).status_code == 200, within=30)
    assert gateway.get("/auth/me", session).json()["sub"] == "user-2"
    eventually("the log says so", lambda: "Redis connection successful" in gateway.log())
    assert "Using RedisSessionStore (url=redis://" in gateway.log()
    assert f"127.0.0.1:{redis.port}/0)" in gateway.log()
    assert "s3cret-of-redis" not in gateway.log(), "the URL is logged without its password"
