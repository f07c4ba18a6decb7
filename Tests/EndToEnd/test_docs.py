"""The guides: links lead somewhere, and each command is run by a test or says that it is not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from support.gateway import PROJECT

FILES = sorted(
    PROJECT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], cwd=PROJECT, capture_output=True,
        text=True, check=True).stdout.split("\0") if name)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
MARK = re.compile(r"<!-- not run: .+ -->\s*$")
# Blocks that are run elsewhere, by how they begin.
RUN = {
    # CloakroomDemoTests; and this is one of the tests that the other runs.
    ("README.md", "swift run cloakroom demo"), ("README.md", "scripts/test"),
}


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^\s*```.*?^\s*```", "", text))


def anchors(file: Path) -> set[str]:
    found = set()
    for heading in re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^\s*```.*?^\s*```", "", file.read_text())):
        text = re.sub(r"[`*_]", lambda match: match[0] if match[0] == "_" else "", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_links_lead_somewhere(file: Path) -> None:
    broken = []
    for target in LINK.findall(without_code(file.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (file.parent / path).resolve() if path else file
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            broken.append(target)
    assert not broken


def blocks(file: Path) -> list[tuple[str, str, str]]:
    """The language of each block, the line before it, and its text."""
    found = []
    lines = file.read_text().splitlines()
    index = 0
    while index < len(lines):
        if match := re.match(r"\s*```(\w*)", lines[index]):
            start = index + 1
            index = start
            while not re.match(r"\s*```\s*$", lines[index]):
                index += 1
            before = next((line for line in reversed(lines[: start - 1]) if line.strip()), "")
            found.append((match[1], before, "\n".join(lines[start:index])))
        index += 1
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_commands_are_run_or_say_that_they_are_not(file: Path) -> None:
    name = str(file.relative_to(PROJECT))
    unmarked = []
    for language, before, text in blocks(file):
        if language != "sh" or MARK.search(before) or "# not run by the tests" in text:
            continue
        # test_troubleshooting.py runs those of its guide.
        if name == "docs/troubleshooting.md" or any(name == key[0] and text.strip().startswith(key[1]) for key in RUN):
            continue
        unmarked.append(text)
    assert not unmarked, "\n---\n".join(unmarked)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_yaml_is_yaml(file: Path) -> None:
    for language, _, text in blocks(file):
        if language == "yaml":
            assert yaml.safe_load(text)
