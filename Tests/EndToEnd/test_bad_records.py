"""Values in Redis that are no session: absent for that user, harmless to all others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.gateway import Gateway
from support.records import handle, new_id, put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


@pytest.fixture(scope="module")
def redis(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    return module_servers.add(RedisServer(tmp_path_factory.mktemp("redis"))).launch()


@pytest.fixture(scope="module")
def gateway(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Gateway:
    return module_servers.add(Gateway(tmp_path_factory.mktemp("gateway"), REDIS_URL=redis.url)).launch()


def changed(**changes: Any) -> str:
    return json.dumps(record(**changes))


WHOLE = json.dumps(record())

VALUES: dict[str, str | bytes] = {
    "empty": "",
    "truncated": WHOLE[: len(WHOLE) // 2],
    "text after the end": WHOLE + "}",
    "an array": json.dumps([record()]),
    "a string": '"session"',
    "null": "null",
    "not JSON": "<html>",
    "not UTF-8": WHOLE.encode().replace(b"Ada", b"\xff\xfe\xfd"),
    "an empty object": "{}",
    "tokens of the wrong type": changed(tokens="abc"),
    "tokens missing": json.dumps({name: value for name, value in record().items() if name != "tokens"}),
    "access_token a number": changed(tokens={"access_token": 1, "expires_in": 300}),
    "user_info an array": changed(user_info=["user-1"]),
    "created_at a number": changed(created_at=1700000000),
    "expires_at no time": changed(expires_at="tomorrow"),
    "expires_at on a day that is none": changed(expires_at="2099-02-30T10:30:00"),
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "10 MB": changed(padding="x" * 10_000_000),
}


@pytest.mark.parametrize("value", VALUES)
def test_a_bad_record_is_no_session(gateway: Gateway, redis: RedisServer, value: str) -> None:
    """R46: the log names it by its handle, once."""
    client = redis.client()
    good = put(client, record("user-good"))
    bad = put(client, VALUES[value])
    size = client.strlen("session:" + bad)

    for _ in range(3):
        assert gateway.get("/auth/me", bad).status_code == 401
    assert gateway.get("/", bad).status_code == 200
    # Somebody may still want to look at it.
    assert client.strlen("session:" + bad) == size
    assert client.ttl("session:" + bad) > 0
    assert gateway.get("/auth/me", good).json()["sub"] == "user-good"

    eventually("the log names it", lambda: handle(bad) in gateway.log(), details=gateway.log_tail)
    lines = [line for line in gateway.log().splitlines() if handle(bad) in line]
    assert len(lines) == 1, f"logged {len(lines)} times: {lines}"
    assert len(lines[0]) < 2000
    assert bad not in gateway.log(), "no session ID"
    assert "access-token-of" not in gateway.log(), "no token"


def test_a_key_of_another_type_is_no_session(gateway: Gateway, redis: RedisServer) -> None:
    client = redis.client()
    session = new_id()
    client.hset("session:" + session, mapping={"a": "b"})
    client.expire("session:" + session, 600)
    assert gateway.get("/auth/me", session).status_code == 401
    assert client.type("session:" + session) == "hash"
    good = put(client, record("user-good"))
    assert gateway.get("/auth/me", good).json()["sub"] == "user-good"
