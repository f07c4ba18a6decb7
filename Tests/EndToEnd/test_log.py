"""The log on standard error: nobody waits for whoever reads it (R50)."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

from support.gateway import binary, gateway_environment
from support.ports import free_port
from support.raw import exchange
from support.wait import eventually

# Each is a line of some hundred bytes; a pipe holds 64 KiB, and the gateway keeps 1 MiB.
REQUESTS = 9_000
IN_ONE_GO = 500


class Piped:
    """A gateway whose standard error is a pipe that nobody reads until `read`."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        environment = gateway_environment(
            directory, PORT=str(self.port), PUBLIC_URL=f"http://localhost:{self.port}", REDIS_ENABLED="false"
        )
        self.process = subprocess.Popen(
            [binary(), "serve"], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        eventually("it answers", self.answers, within=30)

    def answers(self) -> bool:
        try:
            return b" 200 " in exchange(self, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        except OSError:
            return False

    def flood(self) -> None:
        request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for _ in range(REQUESTS // IN_ONE_GO):
            assert exchange(self, request * (IN_ONE_GO - 1) + last).count(b"HTTP/1.1 200") == IN_ONE_GO


def test_r50_a_pipe_that_nobody_reads_holds_up_no_request(tmp_path: Path) -> None:
    gateway = Piped(tmp_path)
    try:
        gateway.flood()
        assert gateway.answers()
        output: list[bytes] = []
        reader = threading.Thread(target=lambda: output.append(gateway.process.stderr.read()))  # type: ignore[union-attr]
        reader.start()
        eventually("it answers still", gateway.answers)
        gateway.process.terminate()
        assert gateway.process.wait(20) == 0
        reader.join(20)
        text = output[0].decode()
        dropped = sum(int(count) for count in re.findall(r"Log lines were dropped.* count=(\d+)", text))
        lines = len(re.findall(r" Request .*route=/healthz", text))
        assert dropped > 0
        assert lines + dropped >= REQUESTS
        # What is logged last is in the file, though the process ended at once.
        assert text.endswith("\n")
    finally:
        gateway.process.kill()
        gateway.process.wait()


def test_a_reader_that_goes_away_does_not_take_the_gateway_with_it(tmp_path: Path) -> None:
    gateway = Piped(tmp_path)
    try:
        gateway.process.stderr.close()  # type: ignore[union-attr]
        for _ in range(50):
            assert gateway.answers()
        assert gateway.process.poll() is None
    finally:
        gateway.process.kill()
        gateway.process.wait()


def test_the_version_is_said(tmp_path: Path) -> None:
    said = subprocess.run([binary(), "--version"], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert (said.returncode, said.stderr) == (0, "")
    assert re.fullmatch(r"cloakroom \d+\.\d+\.\d+\n", said.stdout)
    tag = re.search(r"newTag: (\S+)", (Path(__file__).parents[2] / "deploy/kubernetes/base/kustomization.yaml").read_text())
    assert tag and said.stdout.split()[1] == tag[1]
