"""The guides: links lead somewhere, commands work as printed, examples of settings are accepted.

A block of shell commands is run here against real parts, unless a comment before it says who else does
(`<!-- run by PATH -->`) or why nobody does (`<!-- not run: … -->`). Names of servers and ports in it are replaced by those of
the test; nothing else is.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml

from support.api import API
from support.forms import sign_in
from support.gateway import PROJECT, REPLICA_HEADER, binary, gateway_environment
from support.login import begin_login, finish_login, log_in
from support.markdown import Block, anchors, blocks, links
from support.ports import free_port
from support.processes import Server, bare_environment
from support.providers import Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


def tracked(*patterns: str) -> list[Path]:
    """Files of the project; those that are new and not ignored too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns], cwd=PROJECT,
        capture_output=True, text=True, check=True)
    # A path that is being merged is listed once for each side.
    return sorted({file for name in listed.stdout.split("\0") if name and (file := PROJECT / name).is_file()})


def name_of(file: Path) -> str:
    return str(file.relative_to(PROJECT))


GUIDES = tracked("*.md")
every_guide = pytest.mark.parametrize("file", GUIDES, ids=name_of)
# test_troubleshooting.py runs the blocks of its guide, each where its symptom is.
RUN_ELSEWHERE = {"docs/troubleshooting.md"}


def to_run(file: Path) -> list[Block]:
    """The blocks that are run here, with the text that is expected of them and the files that they need."""
    if name_of(file) in RUN_ELSEWHERE:
        return []
    return [block for block in blocks(file) if not (block.is_not_run or block.run_by)]


RUNNABLE = [file for file in GUIDES if any(block.language == "sh" for block in to_run(file))]

# MARK: What can be seen without running anything


@every_guide
def test_links_lead_somewhere(file: Path) -> None:
    broken = []
    for target in links(file):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (file.parent / path).resolve() if path else file
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            broken.append(target)
    assert not broken


def test_guides_that_others_mention_are_there() -> None:
    """In code, settings and deploy/, where guides are named without a link."""
    missing = set()
    for file in tracked("*.swift", "*.sh", "*.py", "*.yaml", "*.yml", "*.env", "*.conf", "scripts/*", ".ci/*", "deploy/*"):
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", file.read_text(errors="replace")):
            if not (PROJECT / name).is_file() and not (file.parent / name).is_file():
                missing.add(f"{name_of(file)}: {name}")
    assert not missing


def test_every_guide_is_in_the_index() -> None:
    index = PROJECT / "docs" / "README.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    assert set((PROJECT / "docs").glob("*.md")) - {index} <= listed


@every_guide
def test_commands_are_run_or_say_that_they_are_not(file: Path) -> None:
    """Those that no mark stands before are run below."""
    wrong = []
    for block in blocks(file):
        if block.run_by and not (PROJECT / block.run_by).exists():
            wrong.append(f"line {block.line}: no {block.run_by}")
        # Not compiled here; test_names_in_swift_blocks_are_those_of_the_code looks at names.
        if block.language == "swift" and not (block.is_not_run or block.run_by):
            wrong.append(f"line {block.line}: Swift without a mark")
        if block.language in ("bash", "shell", "zsh"):
            wrong.append(f"line {block.line}: call it sh, so that it is run")
    assert not wrong


def test_names_in_swift_blocks_are_those_of_the_code() -> None:
    code = "\n".join(file.read_text() for file in tracked("Sources/*.swift", "Examples/*.swift", "Package.swift"))
    known = set(re.findall(r"\w+", code))
    unknown = set()
    for file in GUIDES:
        for block in blocks(file):
            if block.language != "swift":
                continue
            bare = re.sub(r'"[^"\n]*"|//.*', "", block.text)
            made_here = set(re.findall(r"\b(?:func|let|var|enum|struct|typealias) (\w+)", bare))
            for name in re.findall(r"\b[A-Z]\w+|(?<=\.)\w+(?=\()", bare):
                if name not in known | made_here:
                    unknown.add(f"{name_of(file)}: {name}")
    assert not unknown


@every_guide
def test_data_can_be_read(file: Path) -> None:
    for block in blocks(file):
        if block.language == "yaml":
            assert all(yaml.safe_load_all(block.text)), f"line {block.line}"
        elif block.language == "json":
            for line in block.text.splitlines():
                json.loads(line)


def test_pictures_are_plain_and_readable_in_the_dark() -> None:
    pictures = tracked("docs/images/*.svg")
    assert len(pictures) >= 5
    for file in pictures:
        text = file.read_text()
        assert "<script" not in text and "http" not in text.replace("http://www.w3.org/2000/svg", ""), name_of(file)
        assert "prefers-color-scheme: dark" in text and "<title" in text, name_of(file)


# MARK: Blocks that are run


@dataclass
class Lab:
    """What the guides' commands find in place of the servers that they name."""

    redis: RedisServer
    other: RedisServer
    provider: Provider
    api: API
    port: int
    directory: Path

    def __post_init__(self) -> None:
        self.url = f"http://localhost:{self.port}"
        # For a Redis and a demo that a guide starts itself.
        self.redis_port, self.demo_port = free_port(), free_port()
        # Several guides begin with the same demo, which takes a while to start.
        self.demos: set[str] = set()
        programs = self.directory / "bin"
        programs.mkdir()
        (programs / "cloakroom").symlink_to(binary())
        self._path = f"{programs}:{os.environ['PATH']}"

    def here(self, text: str) -> str:
        """A command or a line of a log with the names that count here."""
        secret = self.provider.client_secret
        names = {
            r"swift run cloakroom": "cloakroom",
            r"cloakroom demo": f"cloakroom demo --port {self.demo_port}",
            r"redis://(redis|old):6379(/0)?": self.redis.url,
            r"redis://new:6379(/0)?": self.other.url,
            r"localhost:6379": f"localhost:{self.redis_port}",
            r"--port 6379": f"--port {self.redis_port}",
            r"https://app\.example\.com": self.url,
            r"https://sso\.example\.com/realms/main": self.provider.issuer,
            r"(?<=OIDC_CLIENT_SECRET=)…": shlex.quote(secret),
            r"http://(api:8080|localhost:8000)": self.api.url,
            r"(?<=HOST=)0\.0\.0\.0": "127.0.0.1",
            r"(localhost|127\.0\.0\.1):8020": rf"\1:{self.port}",
        }
        for name, value in names.items():
            text = re.sub(name, value.replace("\\", "\\\\") if "\\1" not in value else value, text)
        return text

    def environment(self, directory: Path, is_bare: bool) -> dict[str, str]:
        """Nothing but the port, or all settings of a gateway."""
        if is_bare:
            environment = bare_environment(directory, PORT=str(self.port))
        else:
            environment = gateway_environment(
                directory, PORT=str(self.port), PUBLIC_URL=self.url, REDIS_URL=self.redis.url,
                UPSTREAM_URL=self.api.url, **self.provider.settings)
        return {**environment, "PATH": self._path}


@pytest.fixture(scope="module")
def lab(module_servers: Servers, tmp_path_factory: pytest.TempPathFactory, any_provider: Kind) -> Lab:
    directory = tmp_path_factory.mktemp("lab")
    port = free_port()
    redis = module_servers.add(RedisServer(directory / "redis")).launch()
    other = module_servers.add(RedisServer(directory / "other", name="other")).launch()
    provider = module_servers.add(
        Provider(any_provider, directory / "provider", f"http://localhost:{port}")).launch()
    return Lab(redis, other, provider, module_servers.enter_context(API()), port, directory)


def matches(expected: str, text: str) -> bool:
    """Whether a text has this in it, where `…` stands for anything."""
    return re.search(re.escape(expected).replace("…", ".*"), text) is not None


class Reader:
    """Does what a guide says, from its beginning to its end, in one directory."""

    # How each program that stays says that it is ready.
    READY = {"cloakroom serve": "Listening on", "cloakroom demo": "Cloakroom is running", "redis-server": "Ready to accept"}

    def __init__(self, file: Path, lab: Lab, servers: Servers, directory: Path) -> None:
        self.name = name_of(file)
        self.lab = lab
        self.servers = servers
        self.directory = directory
        # A guide that writes a configuration file gets no settings that would win over it.
        is_bare = any(block.language == "yaml" for block in blocks(file))
        self.environment = lab.environment(directory, is_bare)
        self.running: Server | None = None
        # What a reader would write with an editor.
        (directory / "client_secret").write_text(lab.provider.client_secret)
        (directory / "client_secret").chmod(0o600)

    def take(self, block: Block) -> None:
        text = self.lab.here(block.text)
        if block.language == "yaml" and (match := re.match(r"# (\S+)\n", text)):
            (self.directory / match[1]).write_text(text)
        elif block.language == "sh":
            program = next((name for name in self.READY if name in block.command), None)
            if program == "cloakroom demo":
                self.use_demo(text, block.line)
            elif program:
                self.start(program, text, block.line)
            else:
                self.run(text, block.line)
        elif block.language in ("", "text") and self.running:
            log = self.running
            for line in text.splitlines():
                eventually(f"{self.name}, line {block.line}: {line}", lambda: matches(line, log.log()), details=log.log_tail)

    def start(self, program: str, text: str, line: int) -> Server:
        """Starts a program that stays; another gateway takes the place of the one before."""
        if program == "cloakroom serve" and self.running:
            assert self.running.stop() == 0, self.running.log_tail()
            self.running = None
        server = self.servers.add(
            Server(f"{Path(self.name).stem}-{line}", ["bash", "-c", text], self.directory, self.environment))
        server.start(lambda: self.READY[program] in server.log())
        if program == "cloakroom serve":
            self.running = server
            # Somebody uses it, so that what the guide then shows is there to be seen.
            log_in(requests.Session(), self.lab.url, self.lab.provider)
        return server

    def use_demo(self, text: str, line: int) -> None:
        if text in self.lab.demos:
            return
        self.lab.demos.add(text)
        server = self.start("cloakroom demo", text, line)
        url = f"http://localhost:{self.lab.demo_port}"
        http = requests.Session()
        callback = sign_in(http, begin_login(http, url).headers["Location"], "admin", "test")
        assert finish_login(http, callback).is_redirect
        answers = [http.get(url + "/api/whoami", headers={"X-CSRF": "1"}, timeout=20) for _ in range(6)]
        assert [answer.json()["username"] for answer in answers] == ["admin"] * 6, server.log_tail()
        replicas = {answer.headers.get(REPLICA_HEADER) for answer in answers}
        assert len(replicas) == (3 if "--replicas 3" in text else 1), replicas
        assert server.stop() == 0, server.log_tail()

    def run(self, text: str, line: int) -> None:
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.directory, env=self.environment, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert result.returncode == 0, f"{self.name}, line {line}: {text}\n{result.stdout}"
        # What a comment behind a command says that it prints.
        for expected in re.findall(r"\S +# +(\{.*)$", text, re.M):
            assert matches(expected, result.stdout), f"{self.name}, line {line}: {expected}\n{result.stdout}"


@pytest.mark.parametrize("file", RUNNABLE, ids=name_of)
def test_commands_work_as_printed(file: Path, lab: Lab, servers: Servers, tmp_path: Path) -> None:
    reader = Reader(file, lab, servers, tmp_path)
    for block in to_run(file):
        reader.take(block)


def names_of_settings() -> set[str]:
    """Those in the reference, which a Swift test compares with the code."""
    return set(re.findall(r"(?m)^\| `([A-Z][A-Z0-9_]+)`", (PROJECT / "docs" / "settings.md").read_text()))


def test_examples_of_configuration_files_are_accepted_and_the_checklist_is_that_of_check(
    lab: Lab, tmp_path: Path
) -> None:
    """Examples of the guides that are not run: in those that are the program itself reads them."""
    settings = names_of_settings()
    assert "REDIS_URL" in settings
    secrets = {"redis_url_file": lab.redis.url, "oidc_client_secret_file": lab.provider.client_secret}
    reports = []
    for file in set(GUIDES) - set(RUNNABLE):
        for block in blocks(file):
            example = yaml.safe_load(lab.here(block.text)) if block.language == "yaml" else None
            # Others are for Kubernetes.
            if not isinstance(example, dict) or not settings & {name.upper() for name in example}:
                continue
            for name in secrets.keys() & example.keys():
                (tmp_path / name).write_text(secrets[name])
                (tmp_path / name).chmod(0o600)
                example[name] = str(tmp_path / name)
            (tmp_path / "cloakroom.yaml").write_text(yaml.safe_dump(example))
            result = subprocess.run(
                [binary(), "check", "--json", "--security", "--read-only", "--config", "cloakroom.yaml"], cwd=tmp_path,
                timeout=60, capture_output=True, text=True, env=lab.environment(tmp_path, is_bare=True))
            # Nobody listens at PUBLIC_URL, which makes it 1; a wrong setting makes it 78.
            assert result.returncode in (0, 1), f"{name_of(file)}, line {block.line}: {result.stdout}"
            reports.append(json.loads(result.stdout))
    assert reports

    guide = (PROJECT / "docs" / "security.md").read_text().partition("## Checklist")[2]
    rows = re.findall(r"(?m)^\| [^|]+ \| ((?:`[a-z-]+`(?:, )?)+) \|", guide)
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert named == {line["name"] for line in reports[0]["checks"] if line["part"] == "security"}
