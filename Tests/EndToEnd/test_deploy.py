"""The files of deploy/: each checked by the tool that knows its form, and the program run with what they set."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gateway import PROJECT, Gateway, binary
from support.providers import Kind, Provider
from support.redis_server import RedisServer
from support.servers import Servers

pytestmark = pytest.mark.deploy

DEPLOY = PROJECT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
# What most of this looks at; test_overlays.py looks at the others.
STANDALONE = KUBERNETES / "overlays" / "redis-standalone"
# The program inside the package: the package's own `docker-compose` ends with 0 whatever the program says.
DOCKER_COMPOSE = str(Path(next(iter(find_spec("compose").submodule_search_locations))) / "docker-compose")
COMPOSE = [
    DOCKER_COMPOSE, "-f", str(DEPLOY / "docker-compose.yml"), "--env-file", str(DEPLOY / ".env.example"),
    "--profile", "observability",
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a checker: the one beside this Python before any that PATH has, haproxy also where root finds it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
    # `/usr/bin/env` looks the program up in the PATH that it is given, not in ours.
    return subprocess.run(
        ["/usr/bin/env", *command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env={"PATH": path, "HOME": os.environ.get("HOME", "/")},
    )


def passes(*command: str) -> str:
    result = run(*command)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return result.stdout


@lru_cache(maxsize=None)
def compose() -> dict[str, Any]:
    """The compose file as compose itself reads it, with the values of .env.example."""
    return json.loads(passes(*COMPOSE, "config", "--format", "json"))


@lru_cache(maxsize=None)
def manifests() -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    return [manifest for manifest in yaml.safe_load_all(passes("kubectl", "kustomize", str(STANDALONE))) if manifest]


def manifest(kind: str, name: str) -> dict[str, Any]:
    """The one with this name, or with this name and the hash that kustomize puts after it."""
    return next(
        found
        for found in manifests()
        if found["kind"] == kind and re.fullmatch(re.escape(name) + "(-[a-z0-9]{10})?", found["metadata"]["name"])
    )


def container(kind: str, name: str) -> dict[str, Any]:
    (only,) = manifest(kind, name)["spec"]["template"]["spec"]["containers"]
    return only


def test_dockerfile_is_clean() -> None:
    passes("hadolint", "--no-color", str(DEPLOY / "Dockerfile"))


def test_image_has_no_root_no_shell_and_no_secret() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text[text.rindex("\nFROM ") :]
    assert "distroless" in final.splitlines()[1]
    assert re.search(r"^USER 65532:65532$", final, re.M)
    assert "EXPOSE 8020" in final and "HOST=0.0.0.0" in final
    assert "RUN " not in final
    assert not re.search(r"(?i)^(env|arg)\b.*(secret|password|key)", text, re.M)


@pytest.mark.skipif(sys.platform != "linux", reason="the image is one of Linux")
def test_image_has_the_libraries_that_the_program_needs() -> None:
    """All but those of Swift, which the image's build links in, must be on the base or copied onto it."""
    text = (DEPLOY / "Dockerfile").read_text()
    (allowed,) = re.findall(r"! grep -vE '(.*)'", text)
    needed = [line.split()[0] for line in passes("ldd", str(binary())).splitlines()]
    swift = re.compile(r"lib(swift|_?Foundation|dispatch|BlocksRuntime)")
    assert "libc.so.6" in needed
    assert [name for name in needed if not swift.match(name) and not re.search(allowed, name)] == []


def test_compose_file_is_valid() -> None:
    passes(*COMPOSE, "config", "-q")


def test_compose_needs_the_secrets() -> None:
    """Without deploy/.env nothing starts with an empty password."""
    result = run(DOCKER_COMPOSE, "-f", str(DEPLOY / "docker-compose.yml"), "--env-file", "/dev/null", "config", "-q")
    assert result.returncode != 0
    assert "deploy/.env.example" in result.stderr


@pytest.mark.parametrize(("lines", "expected"), [
    ([], ("true", "redis://:secret@redis:6379/0", "session:")),
    (["REDIS_ENABLED=false"], ("false", "redis://:secret@redis:6379/0", "session:")),
    (["REDIS_URL=rediss://other:6380/1", "REDIS_KEY_PREFIX=app:"], ("true", "rediss://other:6380/1", "app:")),
], ids=["defaults", "memory", "another Redis"])
def test_the_settings_of_redis_come_from_the_env_file(
    tmp_path: Path, lines: list[str], expected: tuple[str, str, str]
) -> None:
    text = (DEPLOY / ".env.example").read_text()
    text = re.sub(r"(?m)^REDIS_ENABLED=.*\n", "", re.sub(r"(?m)^REDIS_PASSWORD=.*$", "REDIS_PASSWORD=secret", text))
    file = tmp_path / ".env"
    file.write_text("\n".join([text, *lines, ""]))
    output = passes(
        DOCKER_COMPOSE, "-f", str(DEPLOY / "docker-compose.yml"), "--env-file", str(file), "config", "--format", "json")
    app = json.loads(output)["services"]["app"]["environment"]
    assert (app["REDIS_ENABLED"], app["REDIS_URL"], app["REDIS_KEY_PREFIX"]) == expected


def test_compose_watches_health() -> None:
    services = compose()["services"]
    # As the image does not: that Redis answers counts too, since compose restarts nothing that is unhealthy.
    assert services["app"]["healthcheck"]["test"] == ["CMD", "/usr/local/bin/cloakroom", "health"]
    redis = services["redis"]["healthcheck"]
    assert "redis-cli ping" in redis["test"][-1]
    assert (redis["interval"], redis["timeout"], redis["retries"]) == ("10s", "3s", 3)
    assert services["app"]["stop_grace_period"] == "35s"


def test_compose_brings_prometheus_and_grafana_if_asked() -> None:
    """Where the rules and the dashboard are looked for, fixed versions, nothing that they may do beyond their data."""
    services = compose()["services"]
    watching = {name: services[name] for name in ("prometheus", "grafana")}
    for name, service in watching.items():
        assert service["profiles"] == ["observability"]
        assert re.fullmatch(r"\S+:v?\d+\.\d+\.\d+", service["image"])
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"]
        for volume in service["volumes"]:
            assert volume["type"] == "volume" or (volume["read_only"] and Path(volume["source"]).is_file()), volume
    targets = {volume["target"] for volume in watching["grafana"]["volumes"]}
    provider = yaml.safe_load((DEPLOY / "observability" / "grafana" / "dashboards.yml").read_text())["providers"][0]
    assert provider["options"]["path"] + "/dashboard.json" in targets
    source = yaml.safe_load((DEPLOY / "observability" / "grafana" / "datasources.yml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert "rule_files: [alerts.yml]" in (DEPLOY / "observability" / "prometheus.yml").read_text()
    assert {"/etc/prometheus/prometheus.yml", "/etc/prometheus/alerts.yml"} <= {
        volume["target"] for volume in watching["prometheus"]["volumes"]}
    # Without deploy/.env it does not start with the password that the world knows.
    assert watching["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"] not in ("", "admin")
    assert set(services["app"]["networks"]) & set(watching["prometheus"]["networks"])
    port = int(services["app"]["environment"]["MANAGEMENT_ADDRESS"].rpartition(":")[2])
    jobs = yaml.safe_load((DEPLOY / "observability" / "prometheus.yml").read_text())["scrape_configs"]
    assert jobs[0]["dns_sd_configs"] == [{"names": ["app"], "type": "A", "port": port}]


def test_compose_publishes_on_loopback_and_redis_not_at_all() -> None:
    services = compose()["services"]
    assert services["app"]["deploy"]["replicas"] == 3
    assert "ports" not in services["redis"] and "ports" not in services["app"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published and all(port["host_ip"] == "127.0.0.1" for port in published)
    assert list(services["redis"]["networks"]) == ["back"]
    assert compose()["networks"]["back"]["internal"] is True


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "cloakroom"), ("StatefulSet", "redis")])
def test_pods_may_do_little(kind: str, name: str) -> None:
    pod = manifest(kind, name)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    only = container(kind, name)
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["requests"] and only["resources"]["limits"]["memory"]
    assert only["livenessProbe"] and only["readinessProbe"]


def test_deployment_probes_and_replicas() -> None:
    assert manifest("Deployment", "cloakroom")["spec"]["replicas"] == 3
    app = container("Deployment", "cloakroom")
    assert app["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "management"}
    assert app["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "management"}
    assert app["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    grace = manifest("Deployment", "cloakroom")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= 35 + app["lifecycle"]["preStop"]["sleep"]["seconds"], "docs/operations.md: 35 s for the program"
    assert manifest("PodDisruptionBudget", "cloakroom")["spec"]["minAvailable"] == 2


def test_selectors_and_policies_mean_the_pods_that_exist() -> None:
    labels = {
        name: manifest(kind, name)["spec"]["template"]["metadata"]["labels"]
        for kind, name in (("Deployment", "cloakroom"), ("StatefulSet", "redis"))
    }
    assert labels["cloakroom"] != labels["redis"]
    for name in labels:
        assert manifest("Service", name)["spec"]["selector"] == labels[name]
    assert manifest("PodDisruptionBudget", "cloakroom")["spec"]["selector"]["matchLabels"] == labels["cloakroom"]
    policy = manifest("NetworkPolicy", "redis")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels["redis"]
    (rule,) = policy["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels["cloakroom"]}}]
    assert "egress" not in policy or policy["egress"] in ([], None)
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}


def test_proxy_configuration_is_valid() -> None:
    file = DEPLOY / "proxy" / "haproxy.cfg"
    passes("haproxy", "-c", "-q", "-f", str(file))
    text = file.read_text()
    assert "balance roundrobin" in text
    assert not re.search(r"^\s*(cookie|stick|stick-table)\b", text, re.M), "no stickiness"


def test_realm_fits_the_compose_file() -> None:
    """Client, addresses and users of the imported realm are those that the app is told."""
    realm = json.loads((DEPLOY / "keycloak" / "cloakroom-realm.json").read_text())
    app, keycloak = (compose()["services"][name]["environment"] for name in ("app", "keycloak"))
    assert app["OIDC_ISSUER"] == f"{keycloak['KC_HOSTNAME']}/realms/{realm['realm']}"
    assert app["OIDC_DISCOVERY_URL"].endswith(f"/realms/{realm['realm']}/.well-known/openid-configuration")
    assert keycloak["KC_HOSTNAME_BACKCHANNEL_DYNAMIC"] == "true"

    def filled(text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: keycloak[match[1]], text)

    (client,) = realm["clients"]
    assert client["clientId"] == app["OIDC_CLIENT_ID"]
    assert filled(client["secret"]) == app["OIDC_CLIENT_SECRET"]
    assert [filled(uri) for uri in client["redirectUris"]] == [app["PUBLIC_URL"] + "/auth/callback"]
    assert filled(client["attributes"]["post.logout.redirect.uris"]) == app["PUBLIC_URL"] + "/"
    # Keycloak's server reaches the replicas by the name of their proxy, and tells them of logouts unless the front channel is on.
    assert client["attributes"]["backchannel.logout.url"] == "http://proxy:8020/auth/backchannel-logout"
    assert "proxy" in compose()["services"] and client["frontchannelLogout"] is False
    assert client["publicClient"] is False and client["standardFlowEnabled"] is True
    assert {(user["username"], user["credentials"][0]["value"]) for user in realm["users"]} == {
        ("admin", "test"),
        ("user", "test"),
    }


def redis_command(source: str) -> tuple[list[str], str]:
    """How compose or Kubernetes starts Redis, and the password that it gives it."""
    if source == "compose":
        service = compose()["services"]["redis"]
        # compose prints a dollar doubled, as its file has it.
        return [part.replace("$$", "$") for part in service["command"]], service["environment"]["REDIS_PASSWORD"]
    return container("StatefulSet", "redis")["command"], secret()["REDIS_PASSWORD"]


def secret() -> dict[str, str]:
    """The example's: whoever deploys makes the Secret, under the same names."""
    data = yaml.safe_load((KUBERNETES / "base" / "secret.example.yaml").read_text())
    assert data["metadata"]["name"] == "cloakroom-secrets"
    return {
        **data.get("stringData", {}),
        **{name: base64.b64decode(value).decode() for name, value in data.get("data", {}).items()},
    }


class DeployedRedis(RedisServer):
    """Redis started by the command and configuration file of deploy/; address and folder are the test's."""

    def __init__(self, directory: Path, source: str) -> None:
        command, password = redis_command(source)
        super().__init__(directory, password=password)
        file = directory / "deployed.conf"
        text = (STANDALONE / "redis.conf").read_text()
        for name, value in (("bind", "127.0.0.1"), ("port", str(self.port)), ("dir", str(directory))):
            text, count = re.subn(rf"(?m)^{name} .*$", f"{name} {value}", text)
            assert count == 1
        file.write_text(text)
        self.arguments = [part.replace("/etc/redis/redis.conf", str(file)) for part in command]
        assert self.arguments != command
        self.environment["REDIS_PASSWORD"] = password


@pytest.mark.parametrize("source", ["compose", "kubernetes"])
def test_redis_starts_as_deployed(servers: Servers, tmp_path: Path, source: str) -> None:
    """The command works, asks for the password without showing it, keeps data and never evicts."""
    redis = servers.add(DeployedRedis(tmp_path / "redis", source)).launch()
    client = redis.client()
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("requirepass") == {"requirepass": redis.password}
    assert redis.password not in Path(f"/proc/{redis.pid}/cmdline").read_text()
    # It is Redis itself that gets the signals, not a shell around it.
    assert Path(f"/proc/{redis.pid}/comm").read_text().strip() == "redis-server"


def app_environment(source: str) -> dict[str, str]:
    """The environment of an app container, as compose or Kubernetes makes it."""
    if source == "compose":
        return compose()["services"]["app"]["environment"]
    app = container("Deployment", "cloakroom")
    (reference,) = app["envFrom"]
    settings = manifest("ConfigMap", "cloakroom-settings")
    assert reference["configMapRef"]["name"] == settings["metadata"]["name"]
    environment = dict(settings["data"])
    for variable in app["env"]:
        if "value" in variable:
            value = re.sub(r"\$\((\w+)\)", lambda match: environment[match[1]], variable["value"])
        elif "secretKeyRef" in variable["valueFrom"]:
            wanted = variable["valueFrom"]["secretKeyRef"]
            if wanted.get("optional") and wanted["key"] not in secret():
                continue
            value = secret()[wanted["key"]]
        else:
            assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
            value = "cloakroom-7d9c8f6b5-abcde"
        environment[variable["name"]] = value
    return environment


@pytest.mark.parametrize("source", ["compose", "kubernetes"])
def test_sessions_are_sealed_once_there_is_a_key(source: str) -> None:
    """Both have a place for the keys, and neither has keys that the world knows."""
    assert not app_environment(source).get("SESSION_KEYS")
    if source == "compose":
        assert "SESSION_KEYS" in app_environment(source)
    else:
        names = [variable["name"] for variable in container("Deployment", "cloakroom")["env"]]
        assert "SESSION_KEYS" in names


@pytest.mark.parametrize("source", ["compose", "kubernetes"])
def test_program_runs_with_the_deployed_environment(
    servers: Servers, tmp_path: Path, any_provider: Kind, source: str
) -> None:
    """The very settings, but for the hosts: ready, on the deployed Redis, with its password."""
    environment = app_environment(source)
    redis = servers.add(DeployedRedis(tmp_path / "redis", source)).launch()
    provider = servers.add(Provider(any_provider, tmp_path / "provider", environment["PUBLIC_URL"])).launch()
    assert environment["REDIS_URL"] == f"redis://:{redis.password}@redis:6379/0"
    environment["REDIS_URL"] = environment["REDIS_URL"].replace("redis:6379", f"127.0.0.1:{redis.port}")
    environment["OIDC_ISSUER"] = provider.issuer
    if "OIDC_DISCOVERY_URL" in environment:
        environment["OIDC_DISCOVERY_URL"] = provider.issuer + "/.well-known/openid-configuration"
    assert environment.pop("HOST") == "0.0.0.0"
    assert environment.pop("PORT") == "8020"
    assert environment.pop("MANAGEMENT_ADDRESS") == ":9090"

    gateway = servers.add(Gateway(tmp_path / "gateway", **environment)).launch_ready()
    assert gateway.get("/healthz").status_code == 200
    page = gateway.get("/")
    assert page.status_code == 200 and "Login with Keycloak" in page.text
    login = gateway.get("/auth/login")
    assert login.is_redirect and login.headers["Location"].startswith(provider.issuer.removesuffix("/o"))
    assert redis.password not in gateway.log()
    assert environment["OIDC_CLIENT_SECRET"] not in gateway.log()
