"""Runs a program under the system call filter of a systemd unit, as systemd would: `python restricted.py UNIT PROGRAM [ARGUMENT…]`.

systemd itself must be process 1 to start services. What it does to them with SystemCallFilter=, SystemCallErrorNumber= and
RestrictAddressFamilies= is one seccomp program each, which any process can load for itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

# The kernel's names of x86-64 system calls, from libc6-dev.
HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, X86_64 = 0, 4, 16, 0xC000003E
SET_NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER_MODE = 38, 22, 2

Instruction = tuple[int, int, int, int]


def values(unit: str, name: str) -> list[str]:
    return [value for line in re.findall(rf"(?m)^{name}=(.*)$", unit) for value in line.split()]


def allowed_calls(unit: str) -> set[str]:
    """The system calls that the unit's filters leave, @default among them as always."""
    calls = members("@default")
    for line in re.findall(r"(?m)^SystemCallFilter=(.*)$", unit):
        named = {call for entry in line.removeprefix("~").split() for call in members(entry)}
        calls = calls - named if line.startswith("~") else calls | named
    # execve is for the launcher itself.
    return calls | members("@default") | {"execve"}


def members(entry: str) -> set[str]:
    if not entry.startswith("@"):
        return {entry}
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", entry], capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return {call for line in lines for call in members(line)}


def filters(unit: str) -> list[list[Instruction]]:
    """One program for the calls, one for the address families."""
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text())}
    names = values(unit, "SystemCallErrorNumber")
    refusal = ERRNO | getattr(errno, names[-1]) if names else KILL
    calls = sorted(numbers[name] for name in allowed_calls(unit) if name in numbers)
    families = [getattr(socket, name) for name in values(unit, "RestrictAddressFamilies")]
    return [
        [*begin(), *(step for number in calls for step in when(number, ALLOW)), (RETURN, 0, 0, refusal)],
        [
            *begin(), (EQUAL, 1, 0, numbers["socket"]), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT),
            *(step for family in families for step in when(family, ALLOW)),
            (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
        ],
    ]


def begin() -> list[Instruction]:
    return [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, X86_64), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]


def when(value: int, action: int) -> list[Instruction]:
    return [(EQUAL, 0, 1, value), (RETURN, 0, 0, action)]


def load(program: list[Instruction]) -> None:
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    # struct sock_fprog: the number of instructions, and where they are.
    description = ctypes.create_string_buffer(struct.pack("H6xQ", len(program), ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_SECCOMP, FILTER_MODE, ctypes.c_void_p(ctypes.addressof(description)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter was refused")


def main() -> None:
    programs = filters(Path(sys.argv[1]).read_text())
    if ctypes.CDLL(None).prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError("no_new_privs was refused")
    # The families first: the other filter does not let a second one be loaded.
    for program in reversed(programs):
        load(program)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
