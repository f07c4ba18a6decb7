"""Real servers as child processes that never outlive the test."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Callable, Mapping, Sequence

from .wait import eventually


class Server:
    """A program that runs until it is stopped, in a process group of its own, with its output in a file."""

    def __init__(
        self, name: str, arguments: Sequence[str | os.PathLike[str]], directory: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.arguments = [os.fspath(argument) for argument in arguments]
        self.directory = directory
        self.environment = dict(environment)
        self.log_file = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool], within: float = 60) -> None:
        """Starts the program and returns when `ready` says so."""
        assert self._process is None, f"{self.name} runs already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.arguments,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def is_ready() -> bool:
            assert self.is_running, f"{self.name} ended with {self._status()} at its start:\n{self.log_tail()}"
            return ready()

        try:
            eventually(f"{self.name} is ready", is_ready, within, self.log_tail)
        except BaseException:
            self.kill()
            raise

    @property
    def resident_bytes(self) -> int:
        """The memory that it has, without what is swapped out (Linux only)."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _status(self) -> int | None:
        return self._process.poll() if self._process else None

    def stop(self, within: float = 20) -> int | None:
        """Asks the program to end, waits, and ends its whole group if it does not. Gives its exit code."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            pass
        return self.kill()

    def kill(self) -> int | None:
        """kill -9, children included. Gives the exit code."""
        if self._process is None:
            return None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = self._process.wait()
        self._process = None
        return status

    def log(self) -> str:
        """All that the program has written so far, restarts included."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join([f"--- end of the log of {self.name} ---", *self.log().splitlines()[-lines:]])


def bare_environment(directory: Path, **variables: str) -> dict[str, str]:
    """An environment with nothing of the caller's but PATH, so that no setting slips in."""
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8", **variables}
