"""Sessions as another program writes them into Redis: the frozen form."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime, timedelta, timezone
from typing import Any

import redis


def utc(offset: float = 0) -> str:
    """A time as Cloakroom writes it: UTC, whole seconds, no suffix."""
    return (datetime.now(timezone.utc) + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%S")


def record(sub: str = "user-1", name: str = "Ada Lovelace", **changes: Any) -> dict[str, Any]:
    """One session with all its members; `changes` replace top-level ones."""
    return {
        "tokens": {
            "access_token": "access-token-of-" + sub,
            "refresh_token": "refresh-token-of-" + sub,
            "id_token": "id-token-of-" + sub,
            "expires_in": 3600,
            "refresh_expires_in": 7200,
        },
        "user_info": {
            "sub": sub,
            "email": f"{sub}@example.test",
            "name": name,
            "preferred_username": sub,
            "given_name": name.split()[0],
            "family_name": name.split()[-1],
        },
        "created_at": utc(),
        "expires_at": utc(8 * 3600),
        **changes,
    }


def new_id() -> str:
    return secrets.token_urlsafe(32)


def handle(session: str) -> str:
    """The name under which logs speak of a session."""
    return hashlib.sha256(session.encode()).hexdigest()[:24]


def put(client: redis.Redis, value: dict[str, Any] | str | bytes, session: str | None = None, ttl: int = 3600) -> str:
    """Writes a session and gives its ID."""
    session = session or new_id()
    client.set("session:" + session, json.dumps(value) if isinstance(value, dict) else value, ex=ttl)
    return session


def stored_keys(client: redis.Redis, pattern: str = "*") -> set[str]:
    """The keys that are about users: all but what replicas say of themselves while they run, and why sessions ended."""
    passing = ("session-replica:", "session-ended:")
    return {key for key in client.scan_iter(pattern) if not key.startswith(passing)}
