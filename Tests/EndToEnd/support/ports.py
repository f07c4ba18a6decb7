"""Free ports on the loopback address."""

from __future__ import annotations

import random
import socket

_given: set[int] = set()


def free_port() -> int:
    """A free port that no other caller got.

    Below the range from which the kernel takes the source ports of outgoing connections (32768 and up): a server
    that is killed and started again on its port must not find it taken by a client.
    """
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port between 20000 and 32000")


def accepts(port: int) -> bool:
    """Whether something listens on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
