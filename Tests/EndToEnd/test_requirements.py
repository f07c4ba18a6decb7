"""`scripts/requirements`: a number is proven by a test that names it and passed, and by nothing less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.gateway import PROJECT

GUIDE = """\
| number | what must hold |
|---|---|
| R1 | the first |
| R2 | the second |
| R34 | what is built later |
| `oidcc-client-test-one` | a module |
"""
SWIFT = """\
@Suite struct Tests {
    @Test("R1 oidcc-client-test-one: it \\"holds\\"") func first() {}
    @Test(
        "R2: so does this", arguments: [1, 2])
    func second(number: Int) {}
}
"""
PYTHON = '''
def test_r1_r2_from_outside(): ...
def test_more(): """R1-R2: with arguments."""
def test_nothing(): """Names none."""
'''
FIRST, SECOND = 'R1 oidcc-client-test-one: it "holds"', "R2: so does this"
PASSED = {FIRST: ["testStarted", "testEnded"], SECOND: ["testStarted", "testEnded"]}
CASES = '<testcase classname="test_some" name="test_r1_r2_from_outside"/><testcase classname="test_some" name="test_more[{}]"/>'


class Project:
    """A project with two Swift tests, and three of Python."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("docs/requirements.md", GUIDE)
        self.write("Tests/Module/SomeTests.swift", SWIFT)
        self.write("Tests/EndToEnd/test_some.py", PYTHON)

    def write(self, name: str, text: str) -> None:
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def swift(self, events: dict[str, list[str]], file: str = "swift") -> None:
        """The event stream of a run in which this happened to the tests of these names."""
        records: list[dict[str, object]] = []
        for number, (name, kinds) in enumerate(events.items()):
            place = {"fileID": "Module/SomeTests.swift", "line": number, "column": 1}
            records.append({
                "version": 0, "kind": "test",
                "payload": {"kind": "function", "name": "f()", "displayName": name, "id": f"id-{number}", "sourceLocation": place}})
            for kind in kinds:
                issue = {"issue": {"isKnown": kind == "known"}} if kind in ("issueRecorded", "known") else {}
                kind = "issueRecorded" if issue else kind
                records.append(
                    {"version": 0, "kind": "event", "payload": {"kind": kind, "testID": f"id-{number}", **issue}})
        self.write(f".build/results/{file}.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def pytest(self, cases: str) -> None:
        self.write(".build/results/pytest.xml", f"<testsuites><testsuite>{cases}</testsuite></testsuites>")

    def run(self, *arguments: str) -> tuple[int, str]:
        result = subprocess.run(
            [sys.executable, PROJECT / "scripts" / "requirements", "--root", self.directory, *arguments],
            capture_output=True, text=True, timeout=60)
        return result.returncode, result.stdout + result.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.swift(PASSED)
    project.pytest(CASES.format("a"))
    return project


def test_each_number_with_its_tests(project: Project) -> None:
    code, said = project.run()
    assert code == 0, said
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[:5] == [
        "R1 passed the first", f"passed SomeTests.swift: {FIRST}", "passed test_some.py: test_r1_r2_from_outside",
        "passed test_some.py: test_more", "R2 passed the second"]
    assert lines.count("passed test_some.py: test_r1_r2_from_outside") == 2
    assert "R34 later what is built later [comes with routes: WebSockets]" in lines
    assert "oidcc-client-test-one passed a module" in lines
    code, said = project.run("--summary", "R2")
    assert code == 0 and said.startswith("R2   passed   the second\n\n1 requirements"), said


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ({FIRST: ["testStarted", "issueRecorded", "testEnded"]}, "failed"),
        # The process crashed.
        ({FIRST: ["testStarted"]}, "failed"),
        ({FIRST: ["testSkipped"]}, "not run"),
        ({}, "not run"),
    ],
    ids=["failed", "crashed", "skipped", "not-run"],
)
def test_what_proves_nothing(project: Project, events: dict[str, list[str]], word: str) -> None:
    project.swift({**events, SECOND: PASSED[SECOND]})
    code, said = project.run()
    assert code == 1 and f"  oidcc-client-test-one ({word}): a module\n" in said, said
    # Another test proves R1, unless this one failed.
    assert (f"  R1 ({word}): the first\n" in said) == (word == "failed"), said


def test_a_known_issue_is_no_failure(project: Project) -> None:
    project.swift({**PASSED, FIRST: ["testStarted", "known", "testEnded"]})
    assert project.run()[0] == 0


def test_one_argument_that_fails_is_a_failure(project: Project) -> None:
    project.pytest(CASES.format("a") + '<testcase classname="test_some" name="test_more[b]"><failure/></testcase>')
    code, said = project.run()
    assert code == 1 and "  R1 (failed)" in said and "  R2 (failed)" in said, said


def test_the_last_run_counts(project: Project) -> None:
    project.swift({FIRST: ["testStarted", "issueRecorded", "testEnded"]}, "part")
    assert project.run()[0] == 1
    project.swift({FIRST: ["testStarted", "testEnded"]}, "part-2")
    assert project.run()[0] == 0


def test_a_number_without_a_test(project: Project) -> None:
    project.write("docs/requirements.md", GUIDE + "| R3 | the third |\n")
    code, said = project.run()
    assert code == 1 and "  R3 (no test): the third\n" in said, said


def test_a_number_that_does_not_exist(project: Project) -> None:
    project.write("Tests/EndToEnd/test_some.py", PYTHON + "def test_r9_typo(): ...\n")
    code, said = project.run()
    assert code == 1 and "test_r9_typo” names R9, which docs/requirements.md does not have" in said, said


def test_without_results_it_says_what_to_run(project: Project) -> None:
    for file in (project.directory / ".build" / "results").iterdir():
        file.unlink()
    code, said = project.run()
    assert code == 2 and "run scripts/test first" in said
