"""Wrong settings: one line that names the setting, exit code 78, no secret shown."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.gateway import binary, gateway_environment
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
    """`.env` in the working directory wins over the environment, and a flag over both."""
    (tmp_path / ".env").write_text("LOG_LEVEL=loud\n")
    assert_one_line_about(run(tmp_path), "LOG_LEVEL")
    assert_one_line_about(run(tmp_path, LOG_LEVEL="info"), "LOG_LEVEL")
    # With the right level in a flag, the next mistake is the one that is reported: URLs are looked at last.
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
