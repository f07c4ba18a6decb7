"""Sessions that a Python program wrote, accepted by the gateway."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from support.gateway import Gateway
from support.records import new_id, put, record, utc
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


@pytest.fixture(scope="module")
def redis(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    return module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Gateway:
    return module_servers.add(Gateway(tmp_path_factory.mktemp("gateway"), REDIS_URL=redis.url)).launch()


def _with(path: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(session: dict[str, Any]) -> dict[str, Any]:
        target = session
        *parents, last = path.split(".")
        for parent in parents:
            target = target[parent]
        target[last] = value
        return session

    return change


def _without(path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(session: dict[str, Any]) -> dict[str, Any]:
        target = session
        *parents, last = path.split(".")
        for parent in parents:
            target = target[parent]
        del target[last]
        return session

    return change


# 19 hours ahead of the same moment in UTC would be wrong by far; 14:00 is the largest offset on Earth.
OFFSET = "+14:00"

VARIANTS = {
    "as Cloakroom writes it": lambda session: session,
    "times with microseconds": _with("expires_at", utc(3600) + ".123456"),
    "times with milliseconds and Z": _with("expires_at", utc(3600) + ".123Z"),
    "times with Z": _with("created_at", utc() + "Z"),
    "times with +00:00": _with("expires_at", utc(3600) + "+00:00"),
    "times with another offset": _with("expires_at", utc(14 * 3600 + 3600) + OFFSET),
    "an unknown member": _with("app_data", {"cart": [1, 2.5, None, True, "ü"]}),
    "an unknown member of tokens": _with("tokens.scope", "openid profile"),
    "an unknown claim": _with("user_info.realm_access", {"roles": ["admin"]}),
    "no ID token": _without("tokens.id_token"),
    "null for what is not there": _with("tokens.refresh_token", None),
    "refresh_expires_in 0": _with("tokens.refresh_expires_in", 0),
    "a user with nothing but sub and name": _with("user_info", {"sub": "user-1", "name": "Ada Lovelace"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_session_written_by_python_is_accepted(gateway: Gateway, redis: RedisServer, variant: str) -> None:
    session = put(redis.client(), VARIANTS[variant](record("user-1", "Ada Lovelace")))
    answer = gateway.get("/auth/me", session)
    assert answer.status_code == 200, answer.text
    assert answer.json()["sub"] == "user-1"
    assert answer.json()["name"] == "Ada Lovelace"


@pytest.mark.parametrize(
    "session",
    [
        "123e4567-e89b-12d3-a456-426614174000",
        "0123456789abcdef0123456789abcdef",
        new_id(),
    ],
    ids=["UUID", "hex", "ours"],
)
def test_ids_of_other_programs_are_accepted(gateway: Gateway, redis: RedisServer, session: str) -> None:
    put(redis.client(), record("user-2"), session)
    assert gateway.get("/auth/me", session).json()["sub"] == "user-2"


def test_reading_changes_nothing(gateway: Gateway, redis: RedisServer) -> None:
    client = redis.client()
    text = json.dumps(record(extra={"kept": "as it is"}), indent=1)
    session = put(client, text, ttl=1000)
    assert gateway.get("/auth/me", session).status_code == 200
    assert client.get("session:" + session) == text
    assert 900 < client.ttl("session:" + session) <= 1000


def test_r43_authenticated_answers_hold_no_token_and_are_not_stored(gateway: Gateway, redis: RedisServer) -> None:
    session = put(redis.client(), record("user-3"))
    for path in ("/auth/me", "/"):
        answer = gateway.get(path, session)
        assert answer.status_code == 200
        text = answer.text + repr(answer.headers)
        for secret in ("access-token-of", "refresh-token-of", "id-token-of", session):
            assert secret not in text, f"{path} shows {secret}"
        assert "no-store" in answer.headers["Cache-Control"]


def test_r18_the_record_s_own_end_counts(gateway: Gateway, redis: RedisServer) -> None:
    """R18: a session whose expires_at is over is over, though its key still lives."""
    session = put(redis.client(), record(created_at=utc(-7200), expires_at=utc(-10)))
    assert gateway.get("/auth/me", session).status_code == 401


def test_r20_a_deleted_key_ends_the_session_at_once(gateway: Gateway, redis: RedisServer) -> None:
    """R20: what another program deletes is gone as soon as Redis has told of it, near cache or not."""
    client = redis.client()
    session = put(client, record())
    assert gateway.get("/auth/me", session).status_code == 200
    client.delete("session:" + session)
    eventually("it is refused", lambda: gateway.get("/auth/me", session).status_code == 401, within=1)


def test_log_names_the_store(gateway: Gateway, redis: RedisServer) -> None:
    assert f"Using RedisSessionStore (url=redis://127.0.0.1:{redis.port}/0)" in gateway.log()
    assert "Redis connection successful" in gateway.log()
