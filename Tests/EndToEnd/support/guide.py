"""docs/troubleshooting.md as the tests read it: what is seen, what `cloakroom check` says, what can be tried by hand."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .gateway import PROJECT

FILE = PROJECT / "docs" / "troubleshooting.md"


@dataclass(frozen=True)
class Symptom:
    """One section: its three blocks, as lines."""

    heading: str
    seen: list[str]
    check: list[str]
    by_hand: list[str]

    def assert_seen(self, text: str) -> None:
        """Each line of the first block is somewhere in this text; `…` stands for anything."""
        for line in self.seen:
            assert found(line, text), f"{self.heading}: the guide says one sees\n  {line}\nbut there is\n{text}"

    def assert_checked(self, text: str) -> None:
        """Each line of the second block is among those that the command printed."""
        lines = [" ".join(line.split()) for line in text.splitlines()]
        for line in self.check:
            assert any(re.fullmatch(pattern(line), other) for other in lines), (
                f"{self.heading}: the guide says that the command says\n  {line}\nand it says\n" + text
            )

    def try_by_hand(self, directory: Path, **variables: str) -> None:
        """Runs the third block. What it finds depends on the symptom; that it can be run does not."""
        path = f"{os.environ['PATH']}:/usr/sbin"
        result = subprocess.run(
            ["bash", "-uc", "\n".join(self.by_hand)], cwd=directory, env={"PATH": path, **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        )
        said = result.stdout + result.stderr
        for trouble in ("command not found", "unbound variable", "syntax error", "unknown command", "unknown subcommand"):
            assert trouble not in said.lower(), f"{self.heading}:\n{said}"


def pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in " ".join(line.split()).split("…"))


def found(line: str, text: str) -> bool:
    return any(re.search(pattern(line), " ".join(other.split())) for other in text.splitlines())


def symptoms() -> dict[str, Symptom]:
    """All sections of the guide that are about a symptom (`###`), by their headings."""
    sections = re.split(r"^### ", FILE.read_text(), flags=re.M)[1:]
    all: dict[str, Symptom] = {}
    for section in sections:
        heading, _, body = section.partition("\n")
        # What follows the last symptom belongs to another heading.
        body = re.split(r"^## ", body, flags=re.M)[0]
        blocks = {kind: text.splitlines() for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", body, re.M | re.S)}
        assert set(blocks) == {"text", "console", "sh"}, f"{heading}: it has the blocks {sorted(blocks)}"
        all[heading.strip()] = Symptom(heading.strip(), blocks["text"], blocks["console"], blocks["sh"])
    return all
