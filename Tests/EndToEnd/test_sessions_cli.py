"""`cloakroom sessions …`, `health` and `completion`: the operator's command line."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pickle
import pty
import re
import resource
import signal
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from support.gateway import Gateway, binary, gateway_environment, new_key, run_program
from support.login import log_in
from support.ports import free_port
from support.providers import Kind, Provider
from support.records import handle, new_id, put, record, stored_keys
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.long

ISSUER = "http://127.0.0.1:1"


@pytest.fixture
def store(servers: Servers, tmp_path: Path) -> RedisServer:
    return servers.add(RedisServer(tmp_path / "redis")).launch()


class Commands:
    """Runs `cloakroom sessions` on one Redis."""

    def __init__(self, directory: Path, url: str, **settings: str | None) -> None:
        self.directory = directory
        self.settings: dict[str, str | None] = {"REDIS_URL": url, "OIDC_CLIENT_ID": None, **settings}

    def run(self, *arguments: str, expected: int = 0, text: str | None = None) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [binary(), "sessions", *arguments], cwd=self.directory, input=text or "", capture_output=True, text=True,
            timeout=60, env=gateway_environment(self.directory, **self.settings))
        assert result.returncode == expected, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def json(self, *arguments: str, expected: int = 0) -> dict[str, Any]:
        return json.loads(self.run(*arguments, "--json", expected=expected).stdout)

    def handles(self) -> list[str]:
        return sorted(session["handle"] for session in self.json("list", "--limit", "1000")["sessions"])


def fill(client: redis.Redis, count: int, **changes: Any) -> list[str]:
    return [put(client, record(f"user-{number}", **changes)) for number in range(count)]


def test_sessions_are_listed_shown_counted_and_ended(store: RedisServer, tmp_path: Path) -> None:
    commands = Commands(tmp_path, store.url)
    ids = fill(store.client(), 30)
    listed = commands.json("list", "--limit", "1000")
    assert listed["next"] is None and len(listed["sessions"]) == 30
    first = listed["sessions"][0]
    assert set(first) == {
        "handle", "sub", "name", "issuer", "provider_session", "created_at", "expires_at", "last_seen_at", "user_agent",
        "address"}
    table = commands.run("list").stdout.splitlines()
    assert table[0].split()[:2] == ["HANDLE", "USER"] and len(table) > 10
    assert commands.json("count", "--exact") == {"count": 30, "is_exact": True}
    assert commands.json("count") == {"count": 30, "is_exact": True}

    shown = commands.json("show", first["handle"])
    assert shown["form"] == "plain" and shown["bytes"] > 100 and 3_500 < shown["ttl_seconds"] <= 3_600
    assert shown["tokens"]["access_token"] is True
    everything = commands.run("list", "--json").stdout + commands.run("show", first["handle"]).stdout + "".join(table)
    for secret in [*ids, "access-token-of", "refresh-token-of", "id-token-of"]:
        assert secret not in everything
    revealed = commands.json("show", first["handle"], "--show-secrets")
    assert revealed["key"].removeprefix("session:") in ids
    assert json.loads(revealed["record"])["user_info"]["sub"] == first["sub"]

    assert commands.json("revoke", first["handle"], "--yes") == {"ended": 1}
    assert commands.json("count", "--exact")["count"] == 29
    assert "there is no session" in commands.run("revoke", first["handle"], "--yes", expected=1).stderr
    assert "there is no session" in commands.run("show", first["handle"], expected=1).stderr
    assert "give --yes" in commands.run("revoke", "--all", expected=64).stderr
    assert commands.json("revoke", "--all", "--yes")["ended"] == 29
    assert not stored_keys(store.client())


def test_r20_a_live_replica_drops_what_an_operator_ends(
    servers: Servers, store: RedisServer, tmp_path: Path, any_provider: Kind
) -> None:
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    gateway = servers.add(
        Gateway(
            tmp_path / "gateway", port=port, REDIS_URL=store.url, SESSION_KEYS=new_key(tmp_path),
            AUDIT_LOG=str(tmp_path / "audit.jsonl"), **provider.settings)
    ).launch_ready()
    commands = Commands(tmp_path, store.url, OIDC_ISSUER=provider.issuer, SESSION_KEYS=gateway.environment["SESSION_KEYS"])
    watch = subprocess.Popen(
        [binary(), "sessions", "watch", "--json"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=gateway_environment(tmp_path, **commands.settings))
    try:
        eventually("it watches", lambda: any("B" in client["flags"] for client in store.client().client_list()))
        sessions = [log_in(requests.Session(), gateway.url, provider) for _ in range(3)]
        assert gateway.me(sessions[0]) == 200
        [first, *_] = commands.json("list")["sessions"]
        assert first["address"] == "127.0.0.1" and first["issuer"] == provider.issuer
        assert commands.json("show", first["handle"])["form"] == "sealed"
        assert commands.json("count", "--user", first["sub"])["count"] == 3
        assert commands.json("count", "--user", first["name"])["count"] == 3
        assert commands.json("revoke", "--user", first["sub"], "--yes") == {"ended": 3}
        for session in sessions:
            eventually("it is over", lambda: gateway.me(session) == 401, within=1)
        events: list[dict[str, str]] = []
        while sum(event["event"] == "ended" for event in events) < 3:
            events.append(json.loads(watch.stdout.readline()))  # type: ignore[union-attr]
        assert sum(event["event"] == "began" for event in events) == 3
        # Not SIGINT, which who runs in the background of a shell does not get.
        watch.terminate()
        assert watch.wait(10) is not None
    finally:
        watch.kill()
        watch.wait()
    # The replica has heard of it, and knows why.
    assert '"reason":"revoked_by_operator"' in eventually(
        "the audit has it", lambda: text if '"ended"' in (text := (tmp_path / "audit.jsonl").read_text()) else None)


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_export_and_import_lose_nothing(
    servers: Servers, store: RedisServer, tmp_path: Path, sealed: bool, any_provider: Kind
) -> None:
    settings: dict[str, str] = {"SESSION_COMPRESSION": "gzip", "SESSION_COMPRESSION_THRESHOLD": "0"}
    if sealed:
        settings["SESSION_KEYS"] = new_key(tmp_path)
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    gateway = servers.add(
        Gateway(tmp_path / "gateway", port=port, REDIS_URL=store.url, **settings, **provider.settings)
    ).launch_ready()
    session = log_in(requests.Session(), gateway.url, provider)
    other = servers.add(RedisServer(tmp_path / "other")).launch()
    old = Commands(tmp_path, store.url, OIDC_ISSUER=provider.issuer, **settings)
    new = Commands(tmp_path, other.url, OIDC_ISSUER=provider.issuer, **settings)
    if not sealed:
        fill(store.client(), 500)
    exported = old.run("export").stdout
    assert exported.count("\n") == (503 if not sealed else 3)
    assert ("access_token" not in exported) and (session not in exported or not sealed)
    assert new.run("import", text=exported).stdout.startswith(f"Imported {501 if not sealed else 1}.")
    assert new.handles() == old.handles()
    before, after = store.raw_client(), other.raw_client()
    for key in before.scan_iter("session:*"):
        assert after.get(key) == before.get(key)
        assert abs(after.pttl(key) - before.pttl(key)) < 1500
    # The user's own list too.
    [mine] = [entry for entry in new.json("list", "--limit", "1000")["sessions"] if entry["issuer"] == provider.issuer and
              entry["address"] == "127.0.0.1"]
    assert [entry["handle"] for entry in new.json("list", "--user", mine["sub"])["sessions"]] == [mine["handle"]]
    assert gateway.restart(REDIS_URL=other.url).me(session) == 200
    # Once more: nothing is written twice.
    again = json.loads(new.run("import", "--json", text=exported).stdout)
    assert (again["imported"], again["already_there"]) == (0, 501 if not sealed else 1)
    # What an import that was cut short has left out is made good: the lists.
    other.client().delete(*other.client().scan_iter("session-index:*"))
    assert json.loads(new.run("import", "--json", text=exported).stdout)["imported"] == 0
    assert [entry["handle"] for entry in new.json("list", "--user", mine["sub"])["sessions"]] == [mine["handle"]]


def test_an_import_says_what_is_wrong_with_a_file(store: RedisServer, tmp_path: Path) -> None:
    fill(store.client(), 3)
    commands = Commands(tmp_path, store.url)
    [head, *lines] = commands.run("export").stdout.splitlines()
    store.client().flushall()
    garbage = json.dumps({"name": new_id(), "record": "YQ", "ends_at": 4102444800000})
    for text, code, message in [
        ("", 1, "the file is empty"),
        ("nonsense\n", 1, "line 1: this is neither an export"),
        ("{}\n", 1, "line 1: this is neither an export"),
        (head.replace(":1,", ":99,") + "\n", 1, "of version 99"),
        ("\n".join([head, lines[0], lines[1][:50]]), 1, "line 3 was skipped"),
        ("\n".join([head, lines[1]]) + "\n", 1, "the file ends too early"),
        ("\n".join([head, '{"name":"a b","record":"YQ","ends_at":1}', lines[2], lines[-1]]) + "\n", 1, "no session can have it"),
        ("x" * (9 << 20), 1, "longer than"),
        ("\n".join([head, "x" * (9 << 20), lines[1], lines[-1]]), 1, "line 2 was skipped: it is longer than"),
        ("\n".join([head, garbage, lines[2], lines[-1]]), 1, "line 2 was skipped: not JSON"),
    ]:
        assert message in commands.run("import", text=text, expected=code).stderr
    # What could be read was taken.
    assert commands.json("count", "--exact")["count"] == 3
    assert "can't read" in commands.run("import", "/nowhere", expected=1).stderr
    # Their time over, they are not brought back.
    past = lines[0].replace('"ends_at":', '"ends_at":1,"was":')
    store.client().flushall()
    assert json.loads(commands.run("import", "--json", text="\n".join([head, past, lines[-1]])).stdout)["ended"] == 1


def test_a_redis_that_dies_midway_is_told_of(servers: Servers, tmp_path: Path) -> None:
    store = servers.add(RedisServer(tmp_path / "redis")).launch()
    with store.client().pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.set(f"session:{new_id()}", json.dumps(record(f"user-{number}")), ex=3600)
        pipeline.execute()
    export = subprocess.Popen(
        [binary(), "sessions", "export"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=gateway_environment(tmp_path, REDIS_URL=store.url))
    # It can't go on while nobody reads, so Redis dies in the middle.
    head = export.stdout.readline()  # type: ignore[union-attr]
    assert b"cloakroom_sessions" in head
    assert export.stdout.readline().startswith(b'{"name":')  # type: ignore[union-attr]
    store.kill()
    rest, errors = export.communicate(timeout=30)
    assert export.returncode == 69
    assert re.search(rb"stopped after \d+ sessions: .*; go on with: cloakroom sessions export --after \S+ >> FILE", errors), errors
    assert b'{"sessions":' not in rest
    # Without a server at all.
    result = Commands(tmp_path, store.url).run("count", expected=69)
    assert result.stderr.startswith("cloakroom: ")


def test_names_and_user_agents_are_shown_and_not_executed(store: RedisServer, tmp_path: Path) -> None:
    evil = "\x1b[2J\x07\u202eevil\n\u009b31m"
    session = record("user-1", client={"user_agent": evil, "address": evil})
    session["user_info"]["preferred_username"] = evil
    put(store.client(), session)
    commands = Commands(tmp_path, store.url)
    table = commands.run("list").stdout
    shown = commands.run("show", commands.handles()[0]).stdout
    for text in (table, shown):
        assert "\\u{1b}[2J" in text
        assert not any(character in text for character in "\x1b\x07\u202e\u009b")
    assert len(table.splitlines()) == 2
    # JSON goes to terminals as well, and means the same all the while.
    text = commands.run("list", "--json").stdout
    assert not any(character in text for character in "\x1b\x07\u202e\u009b")
    assert json.loads(text)["sessions"][0]["user_agent"] == evil


def test_a_table_fits_the_terminal(store: RedisServer, tmp_path: Path) -> None:
    session = record("user-1")
    session["user_info"]["preferred_username"] = "n" * 300
    put(store.client(), session)
    commands = Commands(tmp_path, store.url)
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [binary(), "sessions", "list"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=secondary, stderr=subprocess.DEVNULL,
        env=gateway_environment(tmp_path, **commands.settings))
    os.close(secondary)
    output = b""
    try:
        while part := os.read(primary, 4096):
            output += part
    except OSError:
        # So a terminal tells that the program has ended.
        pass
    assert process.wait(20) == 0
    lines = output.decode().splitlines()
    assert len(lines) == 2 and max(len(line) for line in lines) <= 80 and "…" in lines[1]


def test_a_closed_pipe_ends_it(store: RedisServer, tmp_path: Path) -> None:
    fill(store.client(), 2000)
    process = subprocess.Popen(
        [binary(), "sessions", "export"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=gateway_environment(tmp_path, REDIS_URL=store.url))
    process.stdout.readline()  # type: ignore[union-attr]
    process.stdout.close()  # type: ignore[union-attr]
    assert process.wait(20) in (141, -signal.SIGPIPE)
    assert process.stderr.read() == b""  # type: ignore[union-attr]


def test_sessions_of_a_cluster(servers: Servers, tmp_path: Path) -> None:
    cluster = RedisCluster(servers, tmp_path / "cluster").launch()
    commands = Commands(tmp_path, cluster.url)
    client = cluster.client()
    for number in range(60):
        client.set(f"session:{new_id()}", json.dumps(record(f"user-{number}")), ex=3600)
    assert commands.json("count", "--exact")["count"] == 60
    assert commands.json("count")["count"] == 60
    exported = commands.run("export").stdout
    handles = commands.handles()
    assert len(handles) == 60
    assert commands.json("revoke", "--all", "--yes")["ended"] == 60
    assert commands.run("import", text=exported).stdout.startswith("Imported 60.")
    assert commands.handles() == handles


def test_users_are_found_without_the_provider_s_settings(store: RedisServer, tmp_path: Path) -> None:
    put(store.client(), record("user-1", issuer="https://one.example"))
    put(store.client(), record("user-1", issuer="https://two.example"))
    put(store.client(), record("user-2", issuer="https://one.example"))
    commands = Commands(tmp_path, store.url, OIDC_ISSUER=None)
    assert commands.json("count", "--user", "user-1")["count"] == 2
    assert commands.json("count", "--user", "user-1", "--issuer", "https://two.example")["count"] == 1
    # Two users have that name: none is ended by mistake.
    assert "names 2 users" in commands.run("revoke", "--user", "user-1", "--yes", expected=1).stderr
    assert commands.json("revoke", "--user", "user-1", "--issuer", "https://one.example", "--yes") == {"ended": 1}
    assert commands.json("count", "--exact")["count"] == 2
    # Lists of users are made by the gateways' issuer, so an import must know it.
    [head, *lines] = commands.run("export").stdout.splitlines()
    assert json.loads(head).get("default_issuer") is None
    text = "\n".join([head, *lines])
    assert "OIDC_ISSUER is missing" in commands.run("import", text=text, expected=78).stderr
    known = json.dumps({**json.loads(head), "default_issuer": "https://one.example"})
    assert json.loads(commands.run("import", "--json", text="\n".join([known, *lines])).stdout)["already_there"] == 2


def test_what_ends_in_a_hybrid_store_ends_in_both(servers: Servers, store: RedisServer, tmp_path: Path) -> None:
    old = servers.add(RedisServer(tmp_path / "old")).launch()
    session = put(store.client(), record("user-1"))
    put(old.client(), record("user-1"), session=session)
    only_old = put(old.client(), record("user-2"))
    commands = Commands(tmp_path, store.url, SESSION_STORE="hybrid", REDIS_SECONDARY_URL=old.url)
    assert commands.json("revoke", handle(session), handle(only_old), "--yes") == {"ended": 2}
    assert not stored_keys(store.client()) and not stored_keys(old.client())


def test_what_an_operator_ends_is_in_the_audit(store: RedisServer, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    commands = Commands(tmp_path, store.url, AUDIT_LOG=str(audit), SUDO_USER="ada")
    fill(store.client(), 5, issuer=ISSUER)
    one = commands.handles()[0]
    commands.json("revoke", one, "--yes")
    other = next(entry for entry in commands.json("list")["sessions"])
    commands.json("revoke", "--user", other["sub"], "--yes")
    commands.json("revoke", "--all", "--yes")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["event"], line["reason"], line["operator"]) for line in lines] == [
        ("ended", "revoked_by_operator", "ada"), ("ended", "revoked_by_operator", "ada"),
        ("ended_all", "revoked_by_operator", "ada")]
    assert lines[0]["session"] == one
    assert (lines[1]["session"], lines[1]["user"], lines[1]["issuer"]) == (other["handle"], other["sub"], ISSUER)
    assert lines[2]["count"] == 3
    assert audit.stat().st_mode & 0o777 == 0o600

    fill(store.client(), 1)
    refused = Commands(tmp_path, store.url, AUDIT_LOG=str(tmp_path / "none" / "audit.jsonl"))
    assert "AUDIT_LOG" in refused.run("revoke", "--all", "--yes", expected=78).stderr
    assert commands.json("count")["count"] == 1


def test_a_file_is_its_owner_s_alone_and_no_file_is_overwritten(store: RedisServer, tmp_path: Path) -> None:
    fill(store.client(), 5)
    commands = Commands(tmp_path, store.url)
    file = tmp_path / "sessions.jsonl"
    commands.run("export", "--output", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "File exists" in commands.run("export", "--output", str(file), expected=1).stderr
    assert commands.run("import", str(file)).stdout == "Imported 0; 5 were there.\n"
    # A line that was cut off when an export was, and what came after it.
    whole = file.read_text().splitlines()
    file.write_text("\n".join([*whole[:3], whole[3][:40]]))
    cursor = f"127.0.0.1:{store.port}/0"
    commands.run("export", "--after", cursor, "--output", str(file))
    store.client().flushall()
    result = commands.run("import", str(file), expected=1)
    assert "line 4 was skipped" in result.stderr and result.stdout.startswith("Imported 5; 2 were there")


def test_an_import_that_was_cut_short_goes_on(servers: Servers, tmp_path: Path) -> None:
    store = servers.add(RedisServer(tmp_path / "redis", maxmemory="2500kb")).launch()
    commands = Commands(tmp_path, store.url)
    end = 4102444800000
    lines = [json.dumps({"cloakroom_sessions": 1, "key_prefix": "session:", "default_issuer": ISSUER})]
    for number in range(2500):
        text = json.dumps(record(f"user-{number}", expires_at="2099-01-01T00:00:00")).encode()
        lines.append(json.dumps({
            "name": new_id(), "record": base64.urlsafe_b64encode(text).decode().rstrip("="), "ends_at": end}))
    text = "\n".join([*lines, '{"sessions":2500}'])
    stopped = commands.run("import", text=text, expected=1).stderr
    found = re.search(r"stopped after (\d+) sessions: .*OOM.*; go on with: cloakroom sessions import --from-line (\d+)", stopped)
    assert found, stopped
    assert 0 < int(found[2]) <= int(found[1]) + 2 + 4 * 100
    store.client().config_set("maxmemory", "100mb")
    rest = json.loads(commands.run("import", "--from-line", found[2], "--json", text=text).stdout)
    assert rest["imported"] > 0 and rest["skipped_lines"] == 0
    assert commands.json("count", "--exact")["count"] == 2500
    assert commands.json("count", "--user", "user-0")["count"] == commands.json("count", "--user", "user-2499")["count"] == 1


def test_sealed_sessions_do_not_move_to_another_prefix(
    servers: Servers, store: RedisServer, tmp_path: Path, any_provider: Kind
) -> None:
    port = free_port()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", f"http://localhost:{port}")).launch()
    key = new_key(tmp_path)
    gateway = servers.add(
        Gateway(tmp_path / "gateway", port=port, REDIS_URL=store.url, SESSION_KEYS=key, **provider.settings)).launch_ready()
    session = log_in(requests.Session(), gateway.url, provider)
    exported = Commands(tmp_path, store.url, SESSION_KEYS=key).run("export").stdout
    # What the gateways have as their issuer shows in the lists.
    assert json.loads(exported.splitlines()[0])["default_issuer"] == ISSUER
    exported = Commands(tmp_path, store.url, SESSION_KEYS=key, OIDC_ISSUER=None).run("export").stdout
    assert json.loads(exported.splitlines()[0])["default_issuer"] == provider.issuer
    other = Commands(tmp_path, store.url, SESSION_KEYS=key, REDIS_KEY_PREFIX="other:")
    result = json.loads(other.run("import", "--json", text=exported).stdout)
    assert result["imported"] == 0 and result["skipped"] == {"sealed under another REDIS_KEY_PREFIX": 1}
    shown = Commands(tmp_path, store.url, SESSION_KEYS=key).run("show", handle(session), "--show-secrets")
    assert "user's cookie" in shown.stdout and session not in shown.stdout and "Secrets follow" in shown.stderr


def test_sessions_of_other_programs_are_taken_as_far_as_they_map(servers: Servers, store: RedisServer, tmp_path: Path) -> None:
    """connect-redis, Flask-Session and Spring Session; what was passed over is counted by its reason."""
    grant = json.dumps({"access_token": "a1", "refresh_token": "r1", "expires_in": 300})
    connect, flask, spring = new_id(), new_id(), "550e8400-e29b-41d4-a716-446655440000"
    entries = [
        {"key": f"sess:{connect}", "ttl": 3600,
         "value": json.dumps({"cookie": {"originalMaxAge": None}, "keycloak-token": grant, "user": {"sub": "u1"}})},
        {"key": f"session:{flask}", "pttl": 3_600_000,
         # MessagePack: {"access_token": "a2", "userinfo": {"sub": "u2"}}
         "value_base64": "gqxhY2Nlc3NfdG9rZW6iYTKodXNlcmluZm+Bo3N1YqJ1Mg=="},
        {"key": f"spring:session:sessions:{spring}", "ttl": 1800, "hash": {
            "creationTime": "1764226800000",
            "sessionAttr:CLIENTS": json.dumps({"keycloak": {"accessToken": {"tokenValue": "a3"}}}),
            "sessionAttr:USER": json.dumps({"sub": "u3"})}},
        {"key": f"spring:session:sessions:expires:{spring}", "value": ""},
        {"key": "session:" + new_id(), "value_base64": base64.b64encode(pickle.dumps({"a": 1})).decode()},
        {"key": "sess:" + new_id(), "value": '{"cookie":{}}'},
        {"key": "sess:" + new_id(), "value": '{"cookie":{}}'},
    ]
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    commands = Commands(tmp_path, store.url)
    trial = commands.run("import", "--dry-run", text=text).stdout
    assert trial.startswith("Would import 3; 4 were passed over.") and "2, no tokens in it" in trial
    assert store.client().dbsize() == 0
    result = json.loads(commands.run("import", "--json", text=text).stdout)
    assert result["imported"] == 3 and sum(result["skipped"].values()) == 4
    assert {reason: count for reason, count in result["skipped"].items() if "pickled" in reason or "tokens" in reason} == {
        "pickled by Python, which is never read": 1, "no tokens in it: nobody is logged in": 2}
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=store.url)).launch_ready()
    for session, sub in [(connect, "u1"), (flask, "u2"), (spring, "u3")]:
        assert gateway.get("/auth/me", session).json()["sub"] == sub
        assert commands.json("count", "--user", sub)["count"] == 1
        assert 1700 < store.client().ttl(f"session:{session}") <= 3600
    # Once more: none is changed.
    assert json.loads(commands.run("import", "--json", text=text).stdout)["already_there"] == 3


def test_garbage_is_told_from_a_file_at_once(store: RedisServer, tmp_path: Path) -> None:
    """A gigabyte of it is read no further than one line may be long."""
    with open("/dev/zero", "rb") as garbage:
        result = subprocess.run(
            [binary(), "sessions", "import"], cwd=tmp_path, stdin=garbage, capture_output=True, text=True, timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
            env=gateway_environment(tmp_path, REDIS_URL=store.url))
    assert result.returncode == 1 and "line 1" in result.stderr and "longer than" in result.stderr


def test_wrong_arguments_and_settings(tmp_path: Path) -> None:
    commands = Commands(tmp_path, "redis://127.0.0.1:1", REDIS_URL=None, REDIS_ENABLED="false")
    assert "REDIS_URL is missing" in commands.run("list", expected=78).stderr
    assert "is no handle" in commands.run("show", "nonsense", expected=64).stderr
    assert "--limit is 1 to 10000" in commands.run("list", "--limit", "0", expected=64).stderr
    assert "give handles" in commands.run("revoke", expected=64).stderr


def test_health_asks_the_process_beside_it(servers: Servers, store: RedisServer, tmp_path: Path) -> None:
    gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=store.url)).launch_ready()

    def health(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_program(tmp_path, "health", *arguments, PORT=str(gateway.port), OIDC_CLIENT_ID=None, **settings)

    ready = health()
    assert (ready.returncode, ready.stderr) == (0, "") and '"ready"' in ready.stdout and ready.stdout.count("\n") == 1
    assert json.loads(health("--json").stdout)["ok"] is True
    os.kill(store.pid, signal.SIGSTOP)
    eventually("it is not ready", lambda: health().returncode == 1)
    assert health("--live").returncode == 0
    os.kill(store.pid, signal.SIGCONT)
    gateway.stop()
    gone = health()
    assert gone.returncode == 1 and "no answer: Connection refused" in gone.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tmp_path: Path, shell: str) -> None:
    result = run_program(tmp_path, "completion", shell)
    assert result.returncode == 0 and "revoke" in result.stdout
    if shell != "bash":
        return
    script = tmp_path / "completion.bash"
    script.write_text(result.stdout + '''
COMP_WORDS=(cloakroom sessions re) COMP_CWORD=2 COMP_LINE="cloakroom sessions re" COMP_POINT=21 COMP_TYPE=9
_cloakroom cloakroom re sessions
echo "${COMPREPLY[@]}"
''')
    completed = subprocess.run(["bash", script], capture_output=True, text=True, timeout=30)
    assert completed.stdout.split() == ["revoke"], completed.stderr
