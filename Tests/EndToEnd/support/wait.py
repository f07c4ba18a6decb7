"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")


def eventually(what: str, check: Callable[[], Value], within: float = 15, details: Callable[[], str] | None = None) -> Value:
    """Polls `check` until it gives something true, and returns that.

    `details` tells the reader of a failure what was there instead.
    """
    deadline = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within:g} s in vain: {what}" + (f"\n{details()}" if details else ""))
        time.sleep(0.05)
