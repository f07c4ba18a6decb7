"""Wrong settings: one line that names the setting, exit code 78, no secret shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.gateway import PROJECT, binary, gateway_environment, run_program
from support.ports import free_port

# EX_CONFIG of sysexits.h.
CONFIGURATION_ERROR = 78
# EX_UNAVAILABLE.
CANNOT_LISTEN = 69

WRONG = [
    ("PORT", "eight"),
    ("PORT", "70000"),
    ("PORT", "-1"),
    ("PUBLIC_URL", "localhost"),
    ("PUBLIC_URL", "ftp://localhost:8020"),
    ("REDIS_ENABLED", "maybe"),
    ("REDIS_URL", "http://127.0.0.1:6379"),
    ("REDIS_URL", "redis://"),
    ("REDIS_URL", "redis://127.0.0.1:99999/0"),
    ("REDIS_URL", "redis://127.0.0.1:6379/first"),
    ("SESSION_TIMEOUT", "a while"),
    ("SESSION_TIMEOUT", "-8h"),
    ("SESSION_TIMEOUT", "0"),
    ("SESSION_IDLE_TIMEOUT", "soon"),
    ("SESSION_STORE", "postgres"),
    # REDIS_ENABLED is true here.
    ("SESSION_STORE", "memory"),
    ("SESSION_MAX_PER_USER", "many"),
    ("SESSION_SEAL", "false"),
    ("SESSION_COMPRESSION", "zip"),
    ("SESSION_NEAR_CACHE", "sometimes"),
    ("SESSION_NEAR_CACHE_BYTES", "lots"),
    ("REDIS_MAX_CONNECTIONS", "65"),
    ("REDIS_WAIT_REPLICAS", "11"),
    ("REDIS_WAIT_TIMEOUT", "11s"),
    ("REDIS_TLS_CA_FILE", "/no/such/file.pem"),
    ("REDIS_TLS_SERVER_NAME", "redis.example.test"),
    ("REDIS_SENTINEL_USER", "watcher"),
    ("REDIS_SECONDARY_KEY_PREFIX", "old:"),
    ("OIDC_ISSUER", None),
    ("OIDC_ISSUER", "not an address"),
    ("OIDC_CLIENT_ID", None),
    ("REFRESH_MARGIN", "0"),
    ("REFRESH_BACKOFF_MAX", "2h"),
    ("LOG_LEVEL", "loud"),
]


def run(directory: Path, *arguments: str, **settings: str | None) -> subprocess.CompletedProcess[str]:
    environment = gateway_environment(directory, **{"PORT": str(free_port()), **settings})
    return subprocess.run(
        [binary(), "serve", *arguments], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )


def assert_one_line_about(result: subprocess.CompletedProcess[str], setting: str) -> str:
    assert result.returncode == CONFIGURATION_ERROR, f"{result.returncode}\n{result.stderr}\n{result.stdout}"
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert setting in lines[0]
    return lines[0]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_a_wrong_setting_stops_the_program(tmp_path: Path, setting: str, value: str | None) -> None:
    line = assert_one_line_about(run(tmp_path, **{setting: value}), setting)
    if value is not None and setting != "REDIS_URL":
        assert value in line, f"the bad value is not shown: {line}"


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:top-secret-word@127.0.0.1:99999/0",
        "redis://:top-secret-word@127.0.0.1:6379/first",
        "http://:top-secret-word@127.0.0.1:6379",
        "redis://:top-secret-word@",
        "redis://top-secret-word:6379:6379@@",
    ],
)
def test_a_wrong_redis_url_is_shown_without_its_password(tmp_path: Path, url: str) -> None:
    result = run(tmp_path, REDIS_URL=url)
    assert_one_line_about(result, "REDIS_URL")
    assert "top-secret-word" not in result.stderr + result.stdout


@pytest.mark.parametrize("setting", ["SESSION_KEYS", "REDIS_SENTINEL_PASSWORD", "REDIS_SECONDARY_URL"])
def test_a_wrong_secret_is_not_shown(tmp_path: Path, setting: str) -> None:
    value = "redis://:top-secret-word@host:x" if setting.endswith("URL") else "top-secret-word"
    result = run(tmp_path, **{setting: value})
    assert_one_line_about(result, setting)
    assert "top-secret-word" not in result.stderr + result.stdout


def test_a_hybrid_store_needs_its_second_redis(tmp_path: Path) -> None:
    line = assert_one_line_about(run(tmp_path, SESSION_STORE="hybrid"), "REDIS_SECONDARY_URL")
    assert "missing" in line


def test_settings_in_a_file_count_too(tmp_path: Path) -> None:
    """The environment wins over `.env` in the working directory, and a flag over both."""
    (tmp_path / ".env").write_text("LOG_LEVEL=loud\n")
    assert_one_line_about(run(tmp_path), "LOG_LEVEL")
    # With the right level, the next mistake is the one that is reported.
    assert_one_line_about(run(tmp_path, LOG_LEVEL="info", PUBLIC_URL="localhost"), "PUBLIC_URL")
    assert_one_line_about(run(tmp_path, "--log-level", "loud", LOG_LEVEL="info"), "LOG_LEVEL")
    assert_one_line_about(run(tmp_path, "--log-level", "info", PUBLIC_URL="localhost"), "PUBLIC_URL")


def test_an_address_that_does_not_exist_is_told_in_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, HOST="no-such-host.invalid", LOG_LEVEL="critical", REDIS_ENABLED="false")
    assert result.returncode == CANNOT_LISTEN, f"{result.returncode}\n{result.stderr}"
    line, = result.stderr.splitlines()
    assert "no-such-host.invalid" in line and "HOST" in line


def test_an_unknown_flag_is_not_ignored(tmp_path: Path) -> None:
    result = run(tmp_path, "--no-such-flag")
    assert result.returncode != 0
    assert "no-such-flag" in result.stderr


def declared() -> dict[str, bool]:
    """The settings of the reference in docs/settings.md, and whether each may be read from a file of its own."""
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]*)`(, `…_FILE`)? \|", (PROJECT / "docs/settings.md").read_text(), re.M)
    return {name: bool(file) for name, file in rows}


def test_reference_help_and_check_name_the_same_settings(tmp_path: Path) -> None:
    names = declared()
    assert len(names) > 40
    shown = json.loads(run_program(tmp_path, "check", "--json", REDIS_ENABLED="false").stdout)["settings"]
    assert list(shown) and set(shown) == set(names)
    for command in ("serve", "check"):
        text = run_program(tmp_path, command, "--help").stdout
        flags = set(re.findall(r"^  --([a-z0-9-]+) <", text, re.M)) - {"config", "env-file"}
        secrets = {"oidc-client-secret", "session-keys", "redis-sentinel-password"}
        assert flags == {name.lower().replace("_", "-") for name in names} - secrets


def test_a_configuration_file_is_read_and_check_tells_what_it_gives(tmp_path: Path) -> None:
    secret = tmp_path / "client-secret"
    secret.write_text("top-secret-word\n")
    secret.chmod(0o644)
    file = tmp_path / "cloakroom.yaml"
    file.write_text(
        f"session_timeout: 4h\nlog_level: debug\noidc_client_secret_file: {secret}\noidc_scopes: [openid, email]\n"
    )
    changes = {"REDIS_ENABLED": "false", "LOG_LEVEL": "error", "OIDC_CLIENT_SECRET": None}
    for given in ({"CLOAKROOM_CONFIG": str(file)}, {}):
        arguments = [] if given else ["--config", str(file)]
        result = run_program(tmp_path, "check", "--json", *arguments, **changes, **given)
        report = json.loads(result.stdout)
        settings = report["settings"]
        assert settings["SESSION_TIMEOUT"] == {"value": "4h", "is_default": False, "source": f"{file}, line 1"}
        assert settings["LOG_LEVEL"] == {
            "value": "error", "is_default": False, "source": "environment", "overridden": [f"{file}, line 2"]
        }
        assert settings["OIDC_SCOPES"]["value"] == "openid email"
        assert settings["OIDC_CLIENT_SECRET"]["value"] == "***"
        warning, = [line for line in report["checks"] if line["name"] == "file"]
        assert warning["status"] == "warn" and "OIDC_CLIENT_SECRET_FILE" in warning["detail"]
        assert "top-secret-word" not in result.stdout + result.stderr
    text = run_program(tmp_path, "check", "--config", str(file), **changes).stdout
    assert f"LOG_LEVEL                            error  (environment, not {file}, line 2)" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redis_ulr: x\n", ["line 1", "did you mean redis_url?"]),
        ("session_timeout: soon\n", ["SESSION_TIMEOUT", "line 1", "8h"]),
        ("\tport: 1\n", ["line 1"]),
        ("a: &a [*a]\n", ["line 1"]),
    ],
)
def test_a_wrong_configuration_file_stops_the_program(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "cloakroom.yaml"
    file.write_text(text)
    line = assert_one_line_about(run(tmp_path, "--config", str(file)), words[0])
    for word in words:
        assert word in line
    assert str(file) in line


def test_a_configuration_file_of_100_mb_or_a_fifo_stops_the_program_at_once(tmp_path: Path) -> None:
    large, fifo = tmp_path / "large.yaml", tmp_path / "fifo"
    with large.open("wb") as file:
        file.truncate(100 << 20)
    os.mkfifo(fifo)
    for path in (large, fifo, tmp_path, tmp_path / "missing"):
        assert_one_line_about(run(tmp_path, CLOAKROOM_CONFIG=str(path)), "CLOAKROOM_CONFIG")
        assert_one_line_about(run(tmp_path, SESSION_KEYS_FILE=str(path)), "SESSION_KEYS_FILE")
