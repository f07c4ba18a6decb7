"""`cloakroom check`: what counts, what is wrong, and what to do about it."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from support.api import API
from support.certificates import Authority
from support.forms import sign_in
from support.gateway import PROJECT, Gateway, new_key, run_program
from support.login import begin_login, finish_login, session_of
from support.ports import accepts, free_port
from support.providers import USERS, Kind, Provider
from support.records import new_id, put, record, stored_keys
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.long

Report = dict[str, Any]

# Nothing listens there: what these tests are about is not what browsers see.
PUBLIC_URL = f"http://localhost:{free_port()}"


def check(directory: Path, expected: int, *arguments: str, **settings: str | None) -> Report:
    settings.setdefault("PUBLIC_URL", PUBLIC_URL)
    start = time.monotonic()
    result = run_program(directory, "check", "--json", *arguments, **settings)
    assert time.monotonic() - start < 15, "it is to be done within 15 seconds, whatever does not answer"
    assert result.returncode == expected, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
    report = json.loads(result.stdout)
    assert report["ok"] == (expected == 0)
    assert report.keys() == {"ok", "settings", "checks"}
    for line in report["checks"]:
        assert line.keys() - {"remedy"} == {"part", "name", "status", "detail"}
        assert line["name"] in NAMES[line["part"]] or line["part"] == "settings", line
        assert line["status"] in ("ok", "warn", "fail", "unknown")
        assert line.get("remedy") if line["status"] in ("warn", "fail") and line["part"] != "settings" else True, line
    names = [(line["part"], line["name"]) for line in report["checks"] if line["part"] != "settings"]
    assert len(names) == len(set(names)), "each is there once"
    return report


def documented() -> dict[str, set[str]]:
    """The names of the lines by their parts, as docs/troubleshooting.md has them."""
    table = (PROJECT / "docs/troubleshooting.md").read_text().split("## What check --json prints")[1]
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \|$", table, re.M)
    return {
        part: set(re.findall("`([^`]+)`", names)) for parts, names in rows for part in re.findall("`([^`]+)`", parts)
    }


NAMES = documented()


@pytest.fixture(scope="module")
def oidc(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind) -> dict[str, str]:
    """The settings of a provider that runs, and knows the redirect URI that belongs to PUBLIC_URL."""
    provider = Provider(any_provider, tmp_path_factory.mktemp("provider"), PUBLIC_URL)
    return module_servers.add(provider).launch().settings


def statuses(report: Report, part: str = "redis") -> dict[str, str]:
    return {line["name"]: line["status"] for line in report["checks"] if line["part"] == part}


def line(report: Report, name: str, part: str | None = None) -> dict[str, str]:
    return next(line for line in report["checks"] if line["name"] == name and part in (None, line["part"]))


@pytest.fixture
def redis(servers: Servers, tmp_path: Path) -> RedisServer:
    return servers.add(RedisServer(tmp_path / "redis")).launch()


def test_a_healthy_server_passes(redis: RedisServer, tmp_path: Path, oidc: dict[str, str]) -> None:
    put(redis.client(), record())
    report = check(tmp_path, 0, REDIS_URL=redis.url, **oidc)
    found = statuses(report)
    # How fast a busy machine is, is no matter of this test.
    assert set(found.pop(name) for name in ("latency", "slowlog")) <= {"ok", "warn"}
    assert set(found.values()) == {"ok"}, found
    assert set(found) == {
        "reachable", "version", "role", "writes", "eviction", "evicted", "memory", "capacity", "persistence", "saving",
        "lifetimes", "forms", "keyspace", "replicas", "replication", "clients", "clock", "tracking",
    }
    assert statuses(report, "identity-provider") == dict.fromkeys(
        ("discovery", "clock", "keys", "client", "redirect-uri"), "ok"
    )
    # It leaves nothing behind.
    assert len(list(redis.client().scan_iter())) == 1


def test_read_only_writes_nothing(redis: RedisServer, tmp_path: Path, oidc: dict[str, str]) -> None:
    report = check(tmp_path, 0, "--read-only", REDIS_URL=redis.url, **oidc)
    assert line(report, "writes")["status"] == "unknown"
    calls = redis.client().info("commandstats")
    assert not {"cmdstat_set", "cmdstat_getdel", "cmdstat_evalsha", "cmdstat_eval"} & set(calls), calls


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


def test_a_password_is_needed_and_never_shown(servers: Servers, tmp_path: Path, oidc: dict[str, str]) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis", password="top-secret-word")).launch()
    assert "fail" not in statuses(check(tmp_path, 0, REDIS_URL=redis.url, **oidc)).values()
    wrong = redis.url.replace("top-secret-word", "wrong-secret-word")
    for url, secret in ((redis.url, "top-secret-word"), (wrong, "wrong-secret-word")):
        result = run_program(
            tmp_path, "check", "--security", REDIS_URL=url, OIDC_CLIENT_SECRET="client-secret-word",
            OIDC_ISSUER=oidc["OIDC_ISSUER"], PUBLIC_URL=PUBLIC_URL,
        )
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


def test_what_the_user_may_not_ask_is_unknown_and_no_failure(
    redis: RedisServer, tmp_path: Path, oidc: dict[str, str]
) -> None:
    """Managed services forbid CONFIG, some forbid INFO."""
    redis.client().acl_setuser(
        "app", enabled=True, passwords=["+p"], keys=["*"], channels=["*"],
        categories=["+@all", "-@dangerous"],
    )
    url = f"redis://app:p@127.0.0.1:{redis.port}/0"
    # It fails for the default user, who needs no password, alone.
    report = check(tmp_path, 1, "--security", REDIS_URL=url, **oidc)
    assert [line["name"] for line in report["checks"] if line["status"] == "fail"] == ["redis-auth"]
    found = statuses(report)
    assert found["version"] == found["eviction"] == found["slowlog"] == "unknown"
    assert "not permitted" in line(report, "eviction")["detail"]
    assert found["writes"] == found["forms"] == found["clock"] == "ok"
    assert statuses(report, "security")["redis-bind"] == "unknown"


def test_the_clock_is_compared_without_the_right_to_ask_for_the_time(redis: RedisServer, tmp_path: Path) -> None:
    redis.client().acl_setuser(
        "app", enabled=True, passwords=["+p"], keys=["session*"],
        categories=["+@read", "+@write", "+@scripting", "+@transaction", "+@connection"],
    )
    report = check(tmp_path, 1, REDIS_URL=f"redis://app:p@127.0.0.1:{redis.port}/0")
    assert line(report, "clock", "redis")["status"] == "ok"
    assert list(redis.client().scan_iter()) == []


def test_a_wrong_setting_is_one_failed_line(tmp_path: Path) -> None:
    report = check(tmp_path, 78, REDIS_URL="redis://:top-secret-word@host:x")
    only, = report["checks"]
    assert (only["part"], only["name"], only["status"]) == ("settings", "REDIS_URL", "fail")
    assert "top-secret-word" not in json.dumps(report)


def test_settings_are_shown_as_they_count(redis: RedisServer, tmp_path: Path, oidc: dict[str, str]) -> None:
    key = new_key(tmp_path)
    report = check(tmp_path, 0, REDIS_URL=redis.url, **oidc, SESSION_KEYS=key, SESSION_IDLE_TIMEOUT="30m")
    settings = report["settings"]
    assert settings["SESSION_IDLE_TIMEOUT"] == {"value": "30m", "is_default": False, "source": "environment"}
    assert settings["REDIS_KEY_PREFIX"] == {"value": "session:", "is_default": True, "source": None}
    assert settings["SESSION_SEAL"]["value"] == "true"
    assert key not in json.dumps(report)


def test_plain_sessions_beside_sealed_ones_are_a_warning(
    redis: RedisServer, tmp_path: Path, oidc: dict[str, str]
) -> None:
    settings = {"REDIS_URL": redis.url, "SESSION_KEYS": new_key(tmp_path), **oidc}
    assert line(check(tmp_path, 0, **settings), "plain")["status"] == "warn"
    assert line(check(tmp_path, 0, SESSION_PLAIN="refuse", **settings), "plain")["status"] == "ok"


def test_sessions_in_memory_are_a_warning(tmp_path: Path, oidc: dict[str, str]) -> None:
    report = check(tmp_path, 0, REDIS_ENABLED="false", **oidc)
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
    assert "not configured well" not in gateway.log()


def test_whatever_hangs_the_command_does_not(tmp_path: Path) -> None:
    """Everything takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        url = f"http://localhost:{silent.getsockname()[1]}"
        report = check(
            tmp_path, 1, "--security", REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}", OIDC_ISSUER=url,
            UPSTREAM_URL=url, PUBLIC_URL=url,
        )
    assert statuses(report) == {"reachable": "fail"}
    assert "hangs" in line(report, "reachable", "redis")["remedy"]
    assert line(report, "discovery")["status"] == "fail" and "too long" in line(report, "discovery")["detail"]
    assert line(report, "reachable", "upstream")["status"] == "fail"
    assert line(report, "reachable", "public-url")["status"] == "unknown"


def test_a_redis_that_stops_in_the_middle_is_given_up(servers: Servers, tmp_path: Path) -> None:
    """The first commands are answered, then nothing is."""
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    # Its 30th SCAN step, or any other command after the round trips, never comes back: writes are held up.
    redis.client().client_pause(60_000, all=False)
    report = check(tmp_path, 1, REDIS_URL=redis.url)
    assert line(report, "writes")["status"] == "fail" or line(report, "reachable", "redis")["status"] == "fail"


def test_sessions_elsewhere_on_the_server_are_found(redis: RedisServer, tmp_path: Path, oidc: dict[str, str]) -> None:
    client = redis.client()
    client.set("shop:session:0123456789abcdef", json.dumps(record()), ex=60)
    client.set("cache:0123456789abcdef", json.dumps({"a": 1}), ex=60)
    report = check(tmp_path, 0, REDIS_URL=redis.url, **oidc)
    found = line(report, "keyspace")
    assert found["status"] == "warn" and "shop:session: (1)" in found["detail"] and "cache" not in found["detail"]
    assert "0123456789abcdef" not in json.dumps(report), "a plain session's name is a secret"
    client.select(3)
    put(client, record())
    found = line(check(tmp_path, 0, REDIS_URL=redis.url, **oidc), "keyspace")
    assert found["status"] == "warn" and "database 3 (at least 1)" in found["detail"]


def test_what_other_programs_write_under_the_prefix_is_told(
    redis: RedisServer, tmp_path: Path, oidc: dict[str, str]
) -> None:
    put(redis.client(), record())
    put(redis.client(), "no session at all")
    redis.client().hset("session:" + new_id(), "field", "value")
    found = line(check(tmp_path, 0, REDIS_URL=redis.url, **oidc), "forms")
    assert found["status"] == "warn" and found["detail"].startswith("2 of 3 values")


def test_commands_that_were_slow_are_told_without_their_arguments(
    servers: Servers, tmp_path: Path, oidc: dict[str, str]
) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis", **{"enable-debug-command": "yes"})).launch()
    redis.client().execute_command("DEBUG", "SLEEP", "0.2")
    found = line(check(tmp_path, 0, REDIS_URL=redis.url, **oidc), "slowlog")
    assert found["status"] == "warn" and "DEBUG with 2" in found["detail"] and "0.2" not in found["detail"].split("with")[0]


def test_replicas_announce_themselves_for_as_long_as_they_run(
    redis: RedisServer, servers: Servers, tmp_path: Path
) -> None:
    key = new_key(tmp_path)
    gateway = servers.add(
        Gateway(tmp_path / "gateway", name="web-1", REDIS_URL=redis.url, SESSION_KEYS=key)
    ).launch_ready()
    client = redis.client()

    def announced() -> list[str]:
        return [name for name in client.scan_iter("session-replica:*") if not name.endswith(":index")]

    name, = eventually("it is announced", announced, details=gateway.log_tail)
    assert 0 < client.ttl(name) <= 60 and client.ttl("session-replica:index") > 0
    value = client.get(name)
    assert json.loads(value)["replica"] == "web-1" and json.loads(value)["settings"]["SESSION_TIMEOUT"] == "8h"
    assert "client-secret-of-the-tests" not in value and key not in value
    assert line(check(tmp_path, 1, REDIS_URL=redis.url, SESSION_KEYS=key), "announced")["detail"] == "1: web-1"
    assert gateway.stop() == 0
    assert announced() == []


def test_replicas_that_differ_are_named(redis: RedisServer, servers: Servers, tmp_path: Path) -> None:
    keys = [new_key(tmp_path) for _ in range(2)]
    public = {"PUBLIC_URL": PUBLIC_URL}
    for name, settings in {
        "web-1": {"REDIS_URL": redis.url, "SESSION_KEYS": keys[0]},
        "web-2": {"REDIS_URL": redis.url, "SESSION_KEYS": keys[1], "SESSION_TIMEOUT": "4h"},
        "web-3": {"REDIS_URL": redis.url, "REDIS_ENABLED": "false"},
        "web-4": {"REDIS_URL": redis.url.replace("/0", "/5")},
        "web-5": {"REDIS_URL": redis.url, "REDIS_KEY_PREFIX": "shop:session:"},
    }.items():
        servers.add(Gateway(tmp_path / name, name=name, **public, **settings)).launch()

    def replicas() -> dict[str, dict[str, str]]:
        report = check(tmp_path, 1, REDIS_URL=redis.url, SESSION_KEYS=keys[0])
        return {line["name"]: line for line in report["checks"] if line["part"] == "replicas"}

    found = eventually("all have announced themselves", lambda: (
        (lines := replicas())["announced"]["detail"] == "3: web-1, web-2, web-3"
        and lines["place"]["detail"].count("web-") == 2 and lines
    ))
    assert {name for name, line in found.items() if line["status"] == "fail"} == {"store", "keys", "place"}
    assert "web-3 keeps sessions in memory" in found["store"]["detail"]
    assert "web-2 seals with" in found["keys"]["detail"] and "web-1 can't open" in found["keys"]["detail"]
    assert "web-4 in database 5 under session:" in found["place"]["detail"]
    assert "web-5 in database 0 under shop:session:" in found["place"]["detail"]
    assert found["settings"]["status"] == "warn" and "SESSION_TIMEOUT: 4h (web-2)" in found["settings"]["detail"]
    assert found["version"]["status"] == found["clock"]["status"] == "ok"


def test_a_session_is_tried_at_the_public_url_and_leaves_nothing_behind(
    redis: RedisServer, servers: Servers, tmp_path: Path, oidc: dict[str, str], any_provider: Kind
) -> None:
    with API() as api:
        settings = {"REDIS_URL": redis.url, "UPSTREAM_URL": api.url, "SESSION_KEYS": new_key(tmp_path), **oidc}
        gateway = servers.add(Gateway(tmp_path / "gateway", name="web-1", **settings)).launch_ready()
        report = check(tmp_path, 1, PUBLIC_URL=gateway.url, **settings)
    assert statuses(report, "public-url") == dict.fromkeys(("cookies", "reachable", "login", "csrf", "session"), "ok")
    assert statuses(report, "replicas")["missing"] == "ok" and statuses(report, "upstream") == {"reachable": "ok"}
    # The provider does not know this gateway's address, which is another than PUBLIC_URL.
    assert statuses(report, "identity-provider")["redirect-uri"] == "fail"
    assert gateway.url + "/auth/callback" in line(report, "redirect-uri")["remedy"]
    assert stored_keys(redis.client()) == set()


def test_a_cluster_is_looked_at_node_by_node(servers: Servers, tmp_path: Path, oidc: dict[str, str]) -> None:
    cluster = RedisCluster(servers, tmp_path).launch()
    client = cluster.client()
    for _ in range(20):
        client.set("session:" + new_id(), json.dumps(record()), ex=600)
    gateway = servers.add(Gateway(tmp_path / "gateway", name="web-1", REDIS_URL=cluster.url)).launch_ready()
    eventually("it is announced", lambda: client.zcard("session-replica:index"), details=gateway.log_tail)
    cluster.nodes[2].client().config_set("maxmemory-policy", "allkeys-lru")
    report = check(tmp_path, 1, "--security", REDIS_URL=cluster.url, **oidc)
    found = statuses(report)
    assert {name for name, status in found.items() if status == "fail"} == {"eviction"}
    assert line(report, "eviction")["detail"].startswith(f"127.0.0.1:{cluster.nodes[2].port}: ")
    assert found["cluster"] == "ok" and line(report, "announced")["detail"] == "1: web-1"


def test_behind_sentinels_the_primary_is_looked_at(servers: Servers, tmp_path: Path, oidc: dict[str, str]) -> None:
    primary = servers.add(RedisServer(tmp_path / "primary", name="primary")).launch()
    replica = RedisServer(tmp_path / "replica", name="replica", replicaof=f"127.0.0.1 {primary.port}")
    servers.add(replica).launch()
    sentinel = RedisServer(tmp_path / "sentinel", name="sentinel")
    (tmp_path / "sentinel" / "redis.conf").write_text(
        f"bind 127.0.0.1\nport {sentinel.port}\ndir {tmp_path / 'sentinel'}\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
    )
    sentinel.arguments.append("--sentinel")
    servers.add(sentinel).launch()
    client = primary.client()
    eventually("the replica is in step", lambda: client.info("replication").get("slave0", {}).get("state") == "online")
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0"
    report = check(tmp_path, 0, REDIS_URL=url, REDIS_WAIT_REPLICAS="1", **oidc)
    found = statuses(report)
    assert found["role"] == found["replicas"] == found["replication"] == "ok"
    assert line(report, "replication")["detail"].startswith("1 replica, at most")
    replica.kill()
    eventually("the replica is missed", lambda: client.info("replication")["connected_slaves"] == 0)
    assert statuses(check(tmp_path, 1, REDIS_URL=url, REDIS_WAIT_REPLICAS="1", **oidc))["replicas"] == "fail"
    # A replica that is named as if it were the primary.
    replica.launch()
    direct = f"redis://127.0.0.1:{replica.port}/0"
    assert statuses(check(tmp_path, 1, REDIS_URL=direct, **oidc))["role"] == "fail"


def test_the_security_checklist(redis: RedisServer, tmp_path: Path, oidc: dict[str, str]) -> None:
    # As it comes: no password, secrets in the environment, plain http.
    report = check(tmp_path, 1, "--security", REDIS_URL=redis.url, **oidc)
    found = statuses(report, "security")
    assert found["redis-auth"] == "fail"
    warned = {name for name, status in found.items() if status == "warn"}
    assert {"secrets", "at-rest", "public-url", "cookies", "redis-user", "redis-commands"} <= warned
    for entry in report["checks"]:
        if entry["status"] == "unknown":
            assert "from here" in entry["detail"] or "not" in entry["detail"], entry
    assert "security" not in {line["part"] for line in check(tmp_path, 0, REDIS_URL=redis.url, **oidc)["checks"]}


def test_the_security_checklist_is_fine_where_all_is_done(
    servers: Servers, tmp_path: Path, oidc: dict[str, str]
) -> None:
    authority = Authority(tmp_path / "ca", "authority")
    certificate, key = authority.sign("redis")
    redis = RedisServer(tmp_path / "redis")
    config = tmp_path / "redis" / "redis.conf"
    config.write_text(
        config.read_text().replace(f"port {redis.port}\n", "port 0\n")
        + f"tls-port {redis.port}\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-auth-clients no\n"
        + f"tls-ca-cert-file {authority.certificate}\nuser default off\n"
        # As docs/redis.md says, without what is dangerous.
        + "user cloakroom on >p ~session* +@read +@write +@scripting +@transaction +@connection +wait -@dangerous +info\n"
    )
    servers.add(redis).start(lambda: accepts(redis.port))
    files = {}
    for name, value in {
        "REDIS_URL": f"rediss://cloakroom:p@127.0.0.1:{redis.port}/0", "SESSION_KEYS": new_key(tmp_path),
        "OIDC_CLIENT_SECRET": oidc["OIDC_CLIENT_SECRET"],
    }.items():
        file = tmp_path / name
        file.write_text(value + "\n")
        file.chmod(0o400)
        files[name + "_FILE"] = str(file)
    report = check(
        tmp_path, 1, "--security", OIDC_CLIENT_SECRET=None, OIDC_ISSUER=oidc["OIDC_ISSUER"], SESSION_PLAIN="refuse",
        PUBLIC_URL="https://app.example.test", REDIS_TLS_CA_FILE=str(authority.certificate), AUDIT_LOG="stdout",
        MANAGEMENT_ADDRESS="127.0.0.1:9090", **files,
    )
    assert "fail" not in statuses(report).values(), statuses(report)
    found = statuses(report, "security")
    # What only the network's owner can know.
    unknown = {name for name, status in found.items() if status == "unknown"}
    assert unknown == {"redis-firewall", "redis-bind", "redis-plain-port", "redis-slowlog"}, found
    assert set(found.values()) == {"ok", "unknown"}, found
    assert line(report, "secrets")["detail"].startswith("each is in a file of its own")


def test_files_of_secrets_that_all_may_read_are_told(redis: RedisServer, tmp_path: Path, oidc: dict[str, str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text(oidc["OIDC_CLIENT_SECRET"])
    secret.chmod(0o444)
    settings = {**oidc, "OIDC_CLIENT_SECRET": None, "OIDC_CLIENT_SECRET_FILE": str(secret)}
    report = check(tmp_path, 1, "--security", REDIS_URL=redis.url, **settings)
    assert line(report, "file")["status"] == "warn"
    assert line(report, "file-modes")["status"] == "fail"
    flags = run_program(tmp_path, "check", "--json", "--security", "--redis-url", "redis://:top-secret-word@127.0.0.1:1")
    assert "top-secret-word" not in flags.stdout
    assert line(json.loads(flags.stdout), "secrets")["status"] == "fail"


def test_the_permissions_of_the_docs_are_enough_and_not_too_much(
    redis: RedisServer, servers: Servers, tmp_path: Path, oidc: dict[str, str], any_provider: Kind
) -> None:
    command, = re.findall(r"^ACL SETUSER .*$", (PROJECT / "docs/redis.md").read_text(), re.M)
    assert redis.client().execute_command(*command.replace("PASSWORD", "p").split()) == "OK"
    settings = {"REDIS_URL": f"redis://cloakroom:p@127.0.0.1:{redis.port}/0", "PUBLIC_URL": PUBLIC_URL, **oidc}
    gateway = servers.add(Gateway(tmp_path / "gateway", SESSION_MAX_PER_USER="1", **settings)).launch_ready()
    sessions = []
    for _ in range(2):
        http = requests.Session()
        location = begin_login(http, gateway.url).headers["Location"]
        callback = sign_in(http, location, "alice", USERS["alice"])
        assert finish_login(http, callback.replace(PUBLIC_URL, gateway.url)).is_redirect, gateway.log_tail()
        sessions.append(session_of(http))
    assert [gateway.me(session) for session in sessions] == [401, 200]
    assert gateway.get("/auth/logout", sessions[1], headers={"Sec-Fetch-Site": "same-origin"}).is_redirect
    assert gateway.me(sessions[1]) == 401
    assert "NOPERM" not in gateway.log() and "ERROR" not in gateway.log(), gateway.log_tail()
    report = check(tmp_path, 1, "--security", **settings)
    assert {line["name"] for line in report["checks"] if line["status"] == "fail"} == {"redis-auth"}
    found = statuses(report)
    assert found["writes"] == found["tracking"] == found["clock"] == found["eviction"] == "ok"
    assert statuses(report, "security")["redis-commands"] == statuses(report, "security")["redis-user"] == "ok"
