"""What is deployed beside the gateway: the values for Bitnami's charts, the versions of images, and Redis with a CA of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from test_deploy import DEPLOY, KUBERNETES, compose, passes
from test_overlays import OVERLAYS, deployment, rendered

pytestmark = pytest.mark.deploy

CHARTS = {"redis-sentinel": "redis", "redis-cluster": "redis-cluster"}
# The values that we set, as the charts' own values.yaml spell them. A chart ignores any other, and says nothing.
IMAGE = {"image.repository", "image.tag"}
RESOURCES = {"requests.cpu", "requests.memory", "limits.memory"}
COMMON = {
    "global.security.allowInsecureImages", *IMAGE,
    "networkPolicy.enabled", "networkPolicy.allowExternal", "networkPolicy.extraIngress",
}
KNOWN = {
    "redis": COMMON | {
        "architecture", "commonConfiguration",
        "auth.enabled", "auth.sentinel", "auth.existingSecret", "auth.existingSecretPasswordKey",
        "sentinel.enabled", "sentinel.masterSet", "sentinel.quorum", "sentinel.downAfterMilliseconds",
        "replica.replicaCount", "replica.persistence.enabled", "replica.persistence.size",
        *(f"sentinel.{name}" for name in IMAGE),
        *(f"{part}.resources.{name}" for part in ("sentinel", "replica") for name in RESOURCES),
    },
    "redis-cluster": COMMON | {
        "usePassword", "existingSecret", "existingSecretPasswordKey", "cluster.nodes", "cluster.replicas",
        "persistence.enabled", "persistence.size", "redis.useAOFPersistence", "redis.configmap",
        *(f"redis.resources.{name}" for name in RESOURCES),
    },
}
MEBIBYTE = {"Mi": 1, "Gi": 1024, "mb": 1, "gb": 1024}


def values(overlay: str) -> dict[str, Any]:
    return yaml.safe_load((KUBERNETES / "overlays" / overlay / "values.yaml").read_text())


def leaves(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its path, `a.b.c`."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, f"{path}{name}.")
        else:
            yield path + name, inner


def mebibytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|mb|gb)", size).groups()
    return int(number) * MEBIBYTE[unit]


@pytest.mark.parametrize("overlay", CHARTS)
def test_the_values_are_ones_that_the_chart_knows(overlay: str) -> None:
    assert {path for path, _ in leaves(values(overlay))} - KNOWN[CHARTS[overlay]] == set()


@pytest.mark.parametrize("overlay", CHARTS)
def test_redis_may_use_more_memory_than_it_takes(overlay: str) -> None:
    """Else the kernel ends it before it can refuse to take more: maxmemory, and half of it for rewriting the file."""
    given = dict(leaves(values(overlay)))
    configuration = given.get("commonConfiguration", given.get("redis.configmap"))
    part = "replica" if overlay == "redis-sentinel" else "redis"
    (maxmemory,) = re.findall(r"(?m)^maxmemory (\w+)$", configuration)
    assert mebibytes(given[f"{part}.resources.limits.memory"]) >= 1.5 * mebibytes(maxmemory)
    assert mebibytes(given[f"{part}.resources.requests.memory"]) >= mebibytes(maxmemory)


@pytest.mark.parametrize("overlay", CHARTS)
def test_the_chart_is_installed_as_the_overlay_expects(overlay: str) -> None:
    """One version of the chart and of its images, these values, and the Service that REDIS_URL names."""
    text = (KUBERNETES / "overlays" / overlay / "kustomization.yaml").read_text()
    (command,) = re.findall(r"#   (helm install .*?[^\\]\n)", text, re.S)
    command = command.replace("\\\n#", "")
    release, chart, version, namespace, file = re.fullmatch(
        r"helm install (\S+) oci://\S+/(\S+) --version (\d+\.\d+\.\d+) -n (\S+) +-f (\S+)\n", command).groups()
    assert chart == CHARTS[overlay]
    assert (DEPLOY.parent / file).samefile(KUBERNETES / "overlays" / overlay / "values.yaml")
    assert namespace == deployment(rendered(overlay))["metadata"]["namespace"]
    tags = [value for path, value in leaves(values(overlay)) if path.endswith("image.tag")]
    assert tags and all(re.fullmatch(r"\d+\.\d+\.\d+-debian-\d+-r\d+", tag) for tag in tags)
    # The charts' rule: the release alone if the chart's name is part of it.
    service = release if chart in release else f"{release}-{chart}"
    (container,) = deployment(rendered(overlay))["spec"]["template"]["spec"]["containers"]
    (url,) = [variable["value"] for variable in container["env"] if variable["name"] == "REDIS_URL"]
    assert f"@{service}:" in url


def images() -> Iterator[tuple[str, str]]:
    """Where each image is named, and the image."""
    for name, service in compose()["services"].items():
        if "build" not in service:
            yield f"compose {name}", service["image"]
    for overlay in OVERLAYS:
        for part in rendered(overlay):
            pod = part.get("spec", {}).get("template", {}).get("spec", {})
            for container in pod.get("containers", []) + pod.get("initContainers", []):
                yield f"{overlay} {container['name']}", container["image"]
    for image in re.findall(r"(?m)^FROM (\S+)", (DEPLOY / "Dockerfile").read_text()):
        yield "Dockerfile", image


def test_no_image_is_whatever_is_newest() -> None:
    found = list(images())
    assert len(found) > 10
    for place, image in found:
        # distroless has no versions: its name holds Debian's, and the tag says which user.
        assert re.search(r":v?\d+\.\d+|debian\d+:nonroot$", image), f"{place}: {image}"


def test_a_ca_of_the_services_own_is_mounted_once_it_is_commented_in(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "overlays" / "redis-managed" / "kustomization.yaml"
    before, mark, after = file.read_text().partition("# With a CA of its own:\n")
    assert mark
    file.write_text(before + mark + re.sub(r"(?m)^( *)# ", r"\1", after))
    text = passes("kubectl", "kustomize", str(file.parent))
    (tmp_path / "all.yaml").write_text(text)
    passes("kubernetes-validate", "--strict", str(tmp_path / "all.yaml"))

    pod = deployment([part for part in yaml.safe_load_all(text) if part])["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"] and mount["readOnly"] is True
    (item,) = volume["secret"]["items"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert environment["REDIS_TLS_CA_FILE"] == f"{mount['mountPath']}/{item['path']}"
    assert environment["REDIS_URL"].startswith("rediss://")
