"""`cloakroom keys generate`: one key a call, ready for SESSION_KEYS."""

from __future__ import annotations

import json
from pathlib import Path

from support.gateway import Gateway, new_key, run_program
from support.redis_server import RedisServer
from support.servers import Servers


def test_a_key_is_one_line_and_each_is_another(tmp_path: Path) -> None:
    first = run_program(tmp_path, "keys", "generate")
    assert first.returncode == 0 and first.stderr == ""
    key, = first.stdout.splitlines()
    # 256 bits take 43 characters of base64 at least.
    assert len(key) >= 43 and key.isascii() and not any(letter in key for letter in " ,\t\"'")
    assert new_key(tmp_path) != key


def test_json_has_the_key_and_its_id(tmp_path: Path) -> None:
    result = run_program(tmp_path, "keys", "generate", "--json")
    value = json.loads(result.stdout)
    assert set(value) == {"key", "key_id"}
    assert value["key_id"] and value["key_id"] not in ("", value["key"])


def test_help_has_examples_and_says_how_to_rotate(tmp_path: Path) -> None:
    text = run_program(tmp_path, "keys", "generate", "--help").stdout
    for word in ("EXAMPLES", "SESSION_KEYS=", "ROTATE", "SESSION_SEAL"):
        assert word in text


def test_what_is_made_is_taken_and_never_shown(servers: Servers, tmp_path: Path) -> None:
    """R46: the log names the keys by their IDs alone."""
    key, other = new_key(tmp_path), new_key(tmp_path)
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    gateway = servers.add(
        Gateway(tmp_path / "gateway", REDIS_URL=redis.url, SESSION_KEYS=f"{key},{other}")
    ).launch_ready()
    assert "Sessions are sealed (keys=" in gateway.log()
    assert key not in gateway.log() and other not in gateway.log()
    # No part of a secret either: the longest run of letters of the key.
    secret = max(key.replace(":", ".").split("."), key=len)
    assert len(secret) >= 43 and secret not in gateway.log()
