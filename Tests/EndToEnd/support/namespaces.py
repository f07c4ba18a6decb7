"""Two network namespaces joined by one cable, which a test can pull. Needs root and `ip`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from .processes import Server, bare_environment

RELAY = Path(__file__).with_name("relay.py")


def why_not() -> str | None:
    """Why there can be no namespaces here; `None` if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` (Debian: iproute2)"
    name = f"ck{os.getpid()}t"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "this kernel, or container, lets nobody make network namespaces"
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


class Namespaces:
    """`a` and `b`, each with an address that the other reaches as long as the cable is plugged in."""

    def __init__(self, name: str) -> None:
        # Others of this name are other processes'; nothing outside routes to the addresses.
        self.names = {side: f"ck{os.getpid()}{name}{side}" for side in "ab"}
        self.addresses = {"a": "10.213.77.1", "b": "10.213.77.2"}
        # A path of a unix socket must be short.
        self.directory = Path(tempfile.mkdtemp(prefix="ck", dir="/tmp"))

    def __enter__(self) -> Namespaces:
        try:
            for name in self.names.values():
                self._ip("netns", "add", name)
            a, b = self.names.values()
            self._ip("-n", a, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", b)
            for side, name in self.names.items():
                self._ip("-n", name, "addr", "add", f"{self.addresses[side]}/30", "dev", "cable")
                self._ip("-n", name, "link", "set", "cable", "up")
                self._ip("-n", name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def put(self, server: Server, side: str) -> None:
        """Has a server that is not started yet run in a namespace."""
        server.arguments = ["ip", "netns", "exec", self.names[side], *server.arguments]

    def run(self, side: str, *arguments: str) -> str:
        """What a command in a namespace prints."""
        return subprocess.run(
            ["ip", "netns", "exec", self.names[side], *arguments], capture_output=True, text=True, timeout=10
        ).stdout

    def pull_cable(self) -> None:
        """Cuts the two off: packets vanish, connections stay half open."""
        self._ip("-n", self.names["a"], "link", "set", "cable", "down")

    def plug_in_cable(self) -> None:
        self._ip("-n", self.names["a"], "link", "set", "cable", "up")

    def relays(self, side: str, inner: int, outer: int, into: bool) -> list[Relay]:
        """Makes a port of this process's namespace (`outer`) one of `side`'s (`inner`), or the other way round."""
        path = str(self.directory / f"{side}{inner}{'i' if into else 'o'}")
        inside = f"127.0.0.1:{inner}"
        outside = f"127.0.0.1:{outer}"
        listening = Relay(self.directory, outside if into else inside, path)
        connecting = Relay(self.directory, path, inside if into else outside)
        self.put(connecting if into else listening, side)
        return [connecting, listening]


class Relay(Server):
    count = 0

    def __init__(self, directory: Path, source: str, target: str) -> None:
        Relay.count += 1
        self.source = source
        super().__init__(
            f"relay-{Relay.count}", [sys.executable, RELAY, source, target], directory, bare_environment(directory)
        )

    def launch(self) -> Relay:
        self.start(self._listens)
        return self

    def _listens(self) -> bool:
        if "/" not in self.source:
            # It may listen in another namespace; that it is asked for is soon enough.
            return self.is_running
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.source) == 0
