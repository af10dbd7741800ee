"""`deploy/kubernetes/`: by the schemas of Kubernetes, by kustomize, and by what a server needs and may not have."""

import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec
import pytest
import yaml

from app.settings import Settings
from tests.kit.packages import deploy_tools, run
from tests.kit.paths import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.iterdir() if path.name != "kustomization.yaml")
RESOURCES: list[dict[str, Any]] = [each for path in FILES for each in yaml.safe_load_all(path.read_text())]
SETTINGS = {f"SYNAP_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}


def of(kind: str) -> list[dict[str, Any]]:
    """The resources of a kind."""
    return [each for each in RESOURCES if each["kind"] == kind]


def pods() -> Iterator[dict[str, Any]]:
    """The specification of each pod."""
    for each in of("Job") + of("StatefulSet"):
        yield each["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", ["1.30.0", "1.37.0"])
def test_kubernetes_accepts_the_files(version: str) -> None:
    validate = ("kubernetes-validate", "--strict", "--quiet", "--kubernetes-version", version)

    run(FOLDER, deploy_tools() / validate[0], *validate[1:], *FILES)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_kustomize_builds_every_resource() -> None:
    built = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout

    made = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(built)}
    assert made == {(each["kind"], each["metadata"]["name"]) for each in RESOURCES}
    assert built.count(f"image: synap-events:{version('synap-events')}\n") == len(list(pods()))


@pytest.mark.parametrize("pod", [*pods()], ids=["Job", "StatefulSet"])
def test_a_pod_has_no_right_that_it_does_not_need(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]

    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"/tmp", "/var/lib/synap"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {variable["name"] for variable in container["env"]} <= SETTINGS


def test_secrets_are_mounted_read_only_and_settings_have_none() -> None:
    [server] = of("StatefulSet")
    [settings] = of("ConfigMap")
    spec = server["spec"]["template"]["spec"]
    secret = {volume["name"] for volume in spec["volumes"] if "secret" in volume}

    mounted = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] in secret]

    assert [mount["readOnly"] for mount in mounted] == [True]
    assert settings["data"].keys() <= SETTINGS - {"SYNAP_DATABASE_URL"}
    assert {settings["data"][f"SYNAP_{name}_FILE"] for name in ("NODE_KEY", "SECRET")} == {
        f"{mounted[0]['mountPath']}/{name}" for name in ("node.key", "install.secret")
    }


def test_what_selects_servers_finds_them() -> None:
    [server] = of("StatefulSet")
    labels = server["spec"]["template"]["metadata"]["labels"]

    selectors = [server["spec"]["selector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in of("Service")]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in of("PodDisruptionBudget")]
    selectors += [of("NetworkPolicy")[0]["spec"]["podSelector"]["matchLabels"]]
    assert selectors == [labels] * 5
    assert server["spec"]["serviceName"] in {service["metadata"]["name"] for service in of("Service")}
    assert server["spec"]["replicas"] == 2


def test_a_server_without_its_database_is_not_restarted() -> None:
    [server] = of("StatefulSet")
    [container] = server["spec"]["template"]["spec"]["containers"]

    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}

    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
