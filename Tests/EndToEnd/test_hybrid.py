"""SESSION_STORE=hybrid: from one Redis to another, with nobody logged out and no logout undone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from support.gateway import Gateway, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


@dataclass
class Move:
    old: RedisServer
    new: RedisServer
    provider: Provider
    # Replicas from before and while the move is under way.
    before: Gateway
    hybrid: Gateway


@pytest.fixture(params=["plain", "sealed"])
def move(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path, any_provider: Kind) -> Move:
    port = free_port()
    url = f"http://localhost:{port}"
    old = servers.add(RedisServer(tmp_path / "old", name="old")).launch()
    new = servers.add(RedisServer(tmp_path / "new", name="new")).launch()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", url)).launch()
    # To another form on the way, where the new one is sealed.
    keys: dict[str, str] = {}
    if request.param == "sealed":
        keys = {"SESSION_KEYS": new_key(tmp_path), "REDIS_SECONDARY_SEAL": "false"}
    before = servers.add(
        Gateway(tmp_path / "before", "before", PUBLIC_URL=url, REDIS_URL=old.url, **provider.settings)
    ).launch_ready()
    hybrid = servers.add(
        Gateway(
            tmp_path / "hybrid", "hybrid", port, SESSION_STORE="hybrid", REDIS_URL=new.url,
            REDIS_SECONDARY_URL=old.url, **keys, **provider.settings,
        )
    ).launch_ready()
    return Move(old, new, provider, before, hybrid)


def test_sessions_move_and_logouts_stay(move: Move) -> None:
    sessions = [put(move.old.client(), record(f"user-{number}")) for number in range(3)]
    used, ended, unused = sessions
    for session in sessions:
        assert move.before.me(session) == 200

    # Used once, a session is in both.
    assert move.hybrid.get("/auth/me", used).json()["sub"] == "user-0"
    eventually("it is copied", lambda: len(list(move.new.raw_client().scan_iter("session:*"))) == 1)

    # A new one is known to the old replicas too.
    http = requests.Session()
    fresh = log_in(http, move.hybrid.url, move.provider)
    assert move.before.me(fresh) == 200

    # A logout counts on both sides, also of one that has not moved yet.
    answer = move.hybrid.get("/auth/logout", ended)
    assert answer.status_code in (302, 303)
    for gateway in (move.hybrid, move.before):
        assert gateway.me(ended) == 401

    # The old one goes away: what has moved is there.
    move.old.kill()
    assert move.hybrid.me(used) == 200
    assert move.hybrid.me(fresh) == 200
    # Whether the old one has it nobody can tell now: not let in, and not told that it is over either (R42).
    assert move.hybrid.me(ended) in (401, 503)

    move.old.launch()
    move.hybrid.restart(SESSION_STORE=None, REDIS_SECONDARY_URL=None, REDIS_SECONDARY_SEAL=None)
    assert move.hybrid.me(used) == 200
    assert move.hybrid.me(fresh) == 200
    assert move.hybrid.me(ended) == 401
    assert move.hybrid.me(unused) == 401, "only what was used has moved"


def test_there_and_back_with_all_replicas_at_once(move: Move) -> None:
    """As docs/migration.md says: no replica that knows one Redis alone serves beside a hybrid one."""
    before, hybrid = move.before, move.hybrid
    used, unused, ended = (put(move.old.client(), record(f"user-{number}")) for number in range(3))
    assert before.me(used) == 200
    assert before.stop() == 0
    assert (hybrid.me(used), hybrid.me(ended)) == (200, 200), "both are copied"
    fresh = log_in(requests.Session(), hybrid.url, move.provider)
    assert hybrid.get("/auth/logout", ended).is_redirect

    # Back to the old one alone.
    assert hybrid.stop() == 0
    before.launch_ready()
    assert [before.me(session) for session in (used, unused, fresh)] == [200, 200, 200]
    assert before.me(ended) == 401, "a logout meanwhile counts"
    assert before.stop() == 0

    # And there again, to the end. The logout counts there too, although the old one alone was in use in between.
    hybrid.launch_ready()
    assert [hybrid.me(session) for session in (used, unused, fresh)] == [200, 200, 200]
    assert hybrid.me(ended) == 401
    hybrid.restart(SESSION_STORE=None, REDIS_SECONDARY_URL=None, REDIS_SECONDARY_SEAL=None)
    move.old.kill()
    assert [hybrid.me(session) for session in (used, unused, fresh)] == [200, 200, 200]
    assert hybrid.me(ended) == 401


def test_the_log_names_both_and_no_password(move: Move) -> None:
    assert "Using HybridSessionStore (primary=redis://" in move.hybrid.log()
    assert f"127.0.0.1:{move.old.port}" in move.hybrid.log()
