"""The unit of deploy/systemd: systemd accepts it, it may do little, and the program runs under what it leaves."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from support import restricted
from support.gateway import PROJECT, binary, get, new_key
from support.login import log_in
from support.ports import free_port
from support.processes import Server, bare_environment
from support.providers import Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually

pytestmark = pytest.mark.deploy

FOLDER = PROJECT / "deploy" / "systemd"
UNIT = FOLDER / "cloakroom.service"
PROGRAM = "/usr/local/bin/cloakroom"
SETTINGS = "/etc/cloakroom/cloakroom.env"

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
needs_seccomp = pytest.mark.skipif(
    platform.machine() != "x86_64" or not restricted.HEADER.exists(),
    reason="the numbers of system calls are known for x86-64 with libc6-dev alone")


def directives(name: str) -> list[str]:
    """Each value of this directive, in the order of the file."""
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())


def environment(directory: Path, secret: str) -> dict[str, str]:
    """What systemd puts into the environment, with the credentials in a folder of the test's."""
    for credential in directives("LoadCredential"):
        name, path = credential.split(":")
        assert path == f"/etc/cloakroom/{name}"
        (directory / name).write_text(secret + "\n")
        (directory / name).chmod(0o400)
    return dict(line.replace("%d", str(directory)).split("=", 1) for line in directives("Environment"))


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with the path of the program under test, since systemd looks whether the program is there."""
    text = UNIT.read_text()
    assert f"ExecStart={PROGRAM} serve --env-file {SETTINGS}\n" in text
    file = tmp_path / "unit" / UNIT.name
    file.parent.mkdir()
    file.write_text(text.replace(f"ExecStart={PROGRAM}", f"ExecStart={binary()}"))
    return file


@needs_systemd
def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    result = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    # What it does not know it ignores, and only says so.
    assert unit.name not in result.stderr, result.stderr


@needs_systemd
def test_the_service_may_do_little(unit: Path) -> None:
    """At most 1.5 of 10, which is a service without any restriction. What is left is mostly the use of the network."""
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", unit], capture_output=True, text=True, timeout=60)
    if "unrecognized option" in result.stderr:
        pytest.skip("this systemd can't judge a file")
    assert result.returncode == 0, result.stdout + result.stderr


def test_signals_exit_codes_and_limits_are_those_of_the_program() -> None:
    assert directives("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert directives("RestartPreventExitStatus") == ["78"]
    assert directives("StartLimitIntervalSec") == ["0"]
    assert int(directives("TimeoutStopSec")[0]) >= 35
    assert int(directives("LimitNOFILE")[0]) > 2 * 10_000, "MAX_CONNECTIONS, and as many to the upstream"
    # It would hide /proc/stat, and with it process_start_time_seconds.
    assert directives("ProcSubset") == []


def test_the_settings_are_accepted(tmp_path: Path) -> None:
    """And hold no secret: those are credentials."""
    file = FOLDER / "cloakroom.env"
    names = [line.partition("=")[0] for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert not [name for name in names if re.search("SECRET|PASSWORD|KEYS", name)]
    assert ":" not in re.findall(r"(?m)^REDIS_URL=redis://(.*)@", file.read_text())
    result = subprocess.run(
        [binary(), "check", "--json", "--env-file", file], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env=bare_environment(tmp_path, **environment(tmp_path, "secret-of-the-client")))
    assert result.returncode in (0, 1, 69), result.stderr
    found = {line["name"]: line["status"] for line in json.loads(result.stdout)["checks"] if line["part"] == "settings"}
    assert found and set(found.values()) == {"ok"}, found
    assert "secret-of-the-client" not in result.stdout


@needs_systemd
@needs_seccomp
def test_the_program_runs_under_the_filter_of_the_unit(servers: Servers, tmp_path: Path, any_provider: Kind) -> None:
    """A user logs in while no other system call and no other socket can be had than the unit leaves; reload and stop work."""
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    port, management = free_port(), free_port()
    url = f"http://localhost:{port}"
    provider = servers.add(Provider(any_provider, tmp_path / "provider", url)).launch()
    settings = dict(
        line.split("=", 1) for line in (FOLDER / "cloakroom.env").read_text().splitlines() if line and line[0] != "#")
    settings |= {
        "PORT": str(port), "PUBLIC_URL": url, "REDIS_URL": redis.url, "MANAGEMENT_ADDRESS": f"127.0.0.1:{management}",
        "AUDIT_LOG": str(tmp_path / "audit.jsonl"), "LOG_FORMAT": "text",
        **{name: value for name, value in provider.settings.items() if name != "OIDC_CLIENT_SECRET"},
    }
    file = tmp_path / "cloakroom.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    keys = tmp_path / "session_keys"
    keys.write_text(new_key(tmp_path))
    keys.chmod(0o400)
    given = environment(tmp_path, provider.settings["OIDC_CLIENT_SECRET"]) | {"SESSION_KEYS_FILE": str(keys)}
    service = servers.add(Server(
        "service", [sys.executable, restricted.__file__, UNIT, binary(), "serve", "--env-file", file], tmp_path,
        bare_environment(tmp_path, **given)))

    def is_ready() -> bool:
        try:
            return requests.get(f"{url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    service.start(is_ready)
    # Mode 2: a filter is in force.
    assert re.search(r"(?m)^Seccomp:\s+2$", Path(f"/proc/{service.pid}/status").read_text())
    session = log_in(requests.Session(), url, provider)
    assert get(f"{url}/auth/me", session).status_code == 200 and redis.client().dbsize() > 0
    metrics = requests.get(f"http://127.0.0.1:{management}/metrics", timeout=10).text
    assert re.search(r"(?m)^process_start_time_seconds \d", metrics)
    assert '"event":"began"' in (tmp_path / "audit.jsonl").read_text()

    os.kill(service.pid, signal.SIGHUP)
    eventually("it reads its keys again", lambda: "Session keys were read again" in service.log(), details=service.log_tail)
    assert is_ready()
    assert service.stop() == 0, service.log_tail()
