"""`cloakroom check`: what counts, what is wrong, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.gateway import Gateway, new_key, run_program
from support.ports import free_port
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.long

Report = dict[str, Any]


def check(directory: Path, expected: int, **settings: str | None) -> Report:
    result = run_program(directory, "check", "--json", **settings)
    assert result.returncode == expected, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
    report = json.loads(result.stdout)
    assert report["ok"] == (expected == 0)
    for line in report["checks"]:
        assert line["status"] in ("ok", "warn", "fail", "unknown", "skipped")
        assert line["remedy"] if line["status"] in ("warn", "fail") and line["part"] != "settings" else True
    return report


def statuses(report: Report, part: str = "redis") -> dict[str, str]:
    return {line["name"]: line["status"] for line in report["checks"] if line["part"] == part}


def line(report: Report, name: str) -> dict[str, str]:
    return next(line for line in report["checks"] if line["name"] == name)


@pytest.fixture
def redis(servers: Servers, tmp_path: Path) -> RedisServer:
    return servers.add(RedisServer(tmp_path / "redis")).launch()


def test_a_healthy_server_passes(redis: RedisServer, tmp_path: Path) -> None:
    put(redis.client(), record())
    report = check(tmp_path, 0, REDIS_URL=redis.url)
    found = statuses(report)
    assert set(found.values()) == {"ok"}, found
    assert {"reachable", "version", "role", "writes", "eviction", "memory", "persistence", "lifetimes", "replicas",
            "tracking"} <= set(found)
    assert line(report, "discovery")["status"] == "skipped"
    # It leaves nothing behind.
    assert len([key for key in redis.client().scan_iter() if "health" not in key]) == 1


def test_an_evicting_server_fails_and_is_told_what_to_do(servers: Servers, tmp_path: Path) -> None:
    directives = {"maxmemory": "50mb", "maxmemory-policy": "allkeys-lru", "appendonly": "no"}
    redis = servers.add(RedisServer(tmp_path / "redis", **directives)).launch()
    redis.client().set("session:without-an-end", json.dumps(record()))
    report = check(tmp_path, 1, REDIS_URL=redis.url)
    found = statuses(report)
    assert found["eviction"] == "fail"
    assert found["persistence"] == "warn"
    assert found["lifetimes"] == "warn"
    assert "noeviction" in line(report, "eviction")["remedy"]
    assert "1 of 1" in line(report, "lifetimes")["detail"]


def test_too_few_replicas_fail(redis: RedisServer, tmp_path: Path) -> None:
    report = check(tmp_path, 1, REDIS_URL=redis.url, REDIS_WAIT_REPLICAS="1")
    assert statuses(report)["replicas"] == "fail"


def test_a_password_is_needed_and_never_shown(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis", password="top-secret-word")).launch()
    assert set(statuses(check(tmp_path, 0, REDIS_URL=redis.url)).values()) == {"ok"}
    wrong = redis.url.replace("top-secret-word", "wrong-secret-word")
    for url, secret in ((redis.url, "top-secret-word"), (wrong, "wrong-secret-word")):
        result = run_program(tmp_path, "check", REDIS_URL=url, OIDC_CLIENT_SECRET="client-secret-word")
        assert secret not in result.stdout + result.stderr
        assert "client-secret-word" not in result.stdout + result.stderr
        assert f"redis://:***@127.0.0.1:{redis.port}/0" in result.stdout
    without = f"redis://127.0.0.1:{redis.port}/0"
    for url in (wrong, without):
        report = check(tmp_path, 1, REDIS_URL=url)
        assert statuses(report) == {"reachable": "fail"}
        assert "password" in line(report, "reachable")["detail"] + line(report, "reachable")["remedy"]


def test_an_absent_server_fails(tmp_path: Path) -> None:
    report = check(tmp_path, 1, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert statuses(report) == {"reachable": "fail"}
    assert line(report, "reachable")["remedy"]


def test_what_the_user_may_not_ask_is_unknown_and_no_failure(redis: RedisServer, tmp_path: Path) -> None:
    """Managed services forbid CONFIG, some forbid INFO."""
    redis.client().acl_setuser(
        "app", enabled=True, passwords=["+p"], keys=["*"], channels=["*"],
        categories=["+@all", "-@dangerous"],
    )
    url = f"redis://app:p@127.0.0.1:{redis.port}/0"
    report = check(tmp_path, 0, REDIS_URL=url)
    found = statuses(report)
    assert found["version"] == found["eviction"] == "unknown"
    assert "not permitted" in line(report, "eviction")["detail"]
    assert found["writes"] == "ok"


def test_a_wrong_setting_is_one_failed_line(tmp_path: Path) -> None:
    report = check(tmp_path, 78, REDIS_URL="redis://:top-secret-word@host:x")
    only, = report["checks"]
    assert (only["part"], only["name"], only["status"]) == ("settings", "REDIS_URL", "fail")
    assert "top-secret-word" not in json.dumps(report)


def test_settings_are_shown_as_they_count(redis: RedisServer, tmp_path: Path) -> None:
    key = new_key(tmp_path)
    report = check(tmp_path, 0, REDIS_URL=redis.url, SESSION_KEYS=key, SESSION_IDLE_TIMEOUT="30m")
    settings = report["settings"]
    assert settings["SESSION_IDLE_TIMEOUT"] == {"value": "30m", "is_default": False, "source": "environment"}
    assert settings["REDIS_KEY_PREFIX"] == {"value": "session:", "is_default": True, "source": None}
    assert settings["SESSION_SEAL"]["value"] == "true"
    assert key not in json.dumps(report)


def test_plain_sessions_beside_sealed_ones_are_a_warning(redis: RedisServer, tmp_path: Path) -> None:
    settings = {"REDIS_URL": redis.url, "SESSION_KEYS": new_key(tmp_path)}
    assert line(check(tmp_path, 0, **settings), "plain")["status"] == "warn"
    assert line(check(tmp_path, 0, SESSION_PLAIN="refuse", **settings), "plain")["status"] == "ok"


def test_sessions_in_memory_are_a_warning(tmp_path: Path) -> None:
    report = check(tmp_path, 0, REDIS_ENABLED="false")
    assert line(report, "kind")["status"] == "warn"
    assert statuses(report) == {}


def test_the_log_warns_once_of_what_endangers_sessions(servers: Servers, tmp_path: Path) -> None:
    directives = {"maxmemory": "50mb", "maxmemory-policy": "allkeys-lru", "appendonly": "no"}
    redis = servers.add(RedisServer(tmp_path / "redis", **directives)).launch()
    redis.client().set("session:without-an-end", json.dumps(record()))
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=redis.url)).launch_ready()

    def warned(name: str) -> list[str]:
        return [line for line in gateway.log().splitlines() if "WARNING" in line and f"check={name}" in line]

    for name in ("eviction", "persistence", "lifetimes"):
        eventually(f"the log warns of {name}", lambda name=name: warned(name), details=gateway.log_tail)
        assert len(warned(name)) == 1


def test_a_healthy_server_is_no_reason_to_warn(redis: RedisServer, servers: Servers, tmp_path: Path) -> None:
    client = redis.client()
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=redis.url)).launch_ready()
    # SCAN is the last thing that is looked at.
    eventually("the look is over", lambda: client.info("commandstats").get("cmdstat_scan"), details=gateway.log_tail)
    assert "not set up well" not in gateway.log()
