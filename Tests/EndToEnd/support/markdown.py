"""What the guides consist of: links, headings, fenced blocks and the marks before these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FENCE = re.compile(r"( *)```(\w*)\s*$")
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?\)|<(?:img|a)[^>]* (?:src|href)=\"([^\"]+)\"")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->$")
# Another test runs it: a file, or a folder with tests.
RUN_BY = re.compile(r"<!-- run by (\S+)(?: .*)? -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    # The last line with something in it before the block.
    mark: str
    line: int

    @property
    def is_not_run(self) -> bool:
        return NOT_RUN.search(self.mark) is not None

    @property
    def run_by(self) -> str | None:
        match = RUN_BY.search(self.mark)
        return match[1] if match else None

    @property
    def command(self) -> str:
        """Its last command, in one line, without a comment."""
        lines = re.sub(r"\\\n\s*", " ", self.text).splitlines()
        bare = [re.sub(r"(^|\s)#\s.*", "", line).strip() for line in lines]
        return next((line for line in reversed(bare) if line), "")


@lru_cache(maxsize=None)
def blocks(file: Path) -> tuple[Block, ...]:
    found: list[Block] = []
    before, start, indent, language, inside = "", 0, 0, "", []
    is_open = False
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        match = FENCE.match(line)
        if not is_open:
            if match:
                is_open, start, indent, language, inside = True, number, len(match[1]), match[2], []
            elif line.strip():
                before = line.strip()
        elif match and not match[2]:
            found.append(Block(language, "\n".join(inside), before, start))
            is_open, before = False, ""
        else:
            inside.append(line[indent:] if not line[:indent].strip() else line)
    assert not is_open, f"{file}: the block of line {start} does not end"
    return tuple(found)


def prose(file: Path) -> str:
    """The text without blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```[ \t]*$", "", file.read_text())


def links(file: Path) -> list[str]:
    return [first or second for first, second in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(file)))]


@lru_cache(maxsize=None)
def anchors(file: Path) -> frozenset[str]:
    """What a link can name in this file, as GitHub makes it of headings."""
    found: list[str] = []
    for heading in re.findall(r"(?m)^#+ (.+)$", prose(file)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        count = sum(1 for other in found if re.sub(r"-\d+$", "", other) == anchor)
        found.append(f"{anchor}-{count}" if count else anchor)
    return frozenset(found)
